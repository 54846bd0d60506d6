//! A digest in the making: events go in, in any order, and digests of the same block.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::quality::RandomState;
use naq_core::Timestamp;
use naq_core::events::RecordedEvent;

use super::cell::{Cell, FEWER, Key, Minute, Name, Outcome};
use super::digest::{Digest, Span, block_start};
use super::encode::encode;
use super::errors::{ErrorKey, Occurrences};
use super::hours::{Grain, Hours};
use super::names::{Dropped, listed};
use super::repeats::SeenInBlock;
use crate::fence::Mark;

/// The most bytes of a digest: with the headers it stays below the server's 1 MiB.
pub(crate) const MOST_BYTES: usize = 900 * 1024;

/// How many minutes a digest tells apart where there is no room for all, as
/// many as there is room for: the rest is counted apart from them. A log of a
/// few events a minute has far more of them in a block, and room for them.
pub(crate) const MOST_MINUTES: [usize; 2] = [16_384, 4_096];

/// How many errors a digest tells apart, and how many minutes of all of them together.
pub(crate) const MOST_ERRORS: usize = 1_000;
const MOST_ERROR_MINUTES: usize = 32_768;

/// A digest that grows.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    created: Timestamp,
    block: u64,
    through: u64,
    mark: Mark,
    seen: u64,
    malformed: u64,
    /// The ids of the events that were added one by one, and whether all were.
    seen_ids: SeenInBlock,
    tells_repeats: bool,
    names: Names,
    cells: HashMap<Key, Cell, RandomState>,
    spans: HashMap<Minute, Span, RandomState>,
    errors: HashMap<ErrorKey, Occurrences>,
    unlisted_errors: u64,
}

impl Draft {
    /// Nothing seen of a block of the stream made at `created`.
    pub(crate) fn new(created: Timestamp, block: u64) -> Self {
        Self {
            created,
            block,
            through: block_start(block) - 1,
            mark: Mark::default(),
            seen: 0,
            malformed: 0,
            seen_ids: SeenInBlock::default(),
            tells_repeats: true,
            names: Names::default(),
            cells: HashMap::default(),
            spans: HashMap::default(),
            errors: HashMap::new(),
            unlisted_errors: 0,
        }
    }

    /// Goes on from a digest.
    pub(crate) fn from_digest(digest: &Digest) -> Self {
        let mut draft = Self::new(digest.created, digest.block);
        draft.merge(digest);
        draft
    }

    /// Everything up to this sequence of the block has been looked at.
    pub(crate) fn reach(&mut self, sequence: u64) {
        self.through = self.through.max(sequence);
    }

    /// The last sequence that was looked at.
    pub(crate) const fn through(&self) -> u64 {
        self.through
    }

    /// The last message that it was made of.
    pub(crate) const fn mark(&self) -> Mark {
        self.mark
    }

    /// Remembers the last message that it was made of.
    pub(crate) fn marks(&mut self, message: Mark) {
        self.mark = self.mark.max(message);
    }

    /// How many messages were seen.
    pub(crate) const fn seen(&self) -> u64 {
        self.seen
    }

    /// How much there is to seal, in cells: the events that these keep one by one
    /// are written too.
    pub(crate) fn to_seal(&self) -> u64 {
        const EVENTS_A_CELL: u64 = 16;
        self.cells.len() as u64 + self.seen / EVENTS_A_CELL
    }

    /// Adds a message that is no event.
    pub(crate) fn malformed(&mut self, sequence: u64) {
        self.seen += 1;
        self.malformed += 1;
        self.reach(sequence);
    }

    /// Adds an event.
    pub(crate) fn observe(&mut self, recorded: &RecordedEvent) {
        self.observe_and_tell(recorded);
    }

    /// Adds an event, and answers whether it repeats one that was added before:
    /// those of digests that were added aren't known.
    pub(crate) fn observe_and_tell(&mut self, recorded: &RecordedEvent) -> bool {
        let (event, at, sequence) = (&recorded.event, recorded.timestamp(), recorded.sequence());
        self.seen += 1;
        self.reach(sequence);
        let is_repeat = self.seen_ids.repeats(event);
        let minute = Minute::of(at);
        let key = Key {
            minute,
            event_type: self.names.name(Some(event.event_type.as_str())),
            queue: self.names.name(event.queue.as_deref()),
            job_name: self.names.name(event.job_name.as_deref()),
            outcome: Outcome::of(event),
        };
        let cell = self.cells.entry(key).and_modify(|cell| cell.observe(event, at));
        cell.or_insert_with(|| Cell::of(event, at)).repeats += u64::from(is_repeat);
        self.spans
            .entry(minute)
            .and_modify(|span| span.extend(sequence))
            .or_insert(Span { from: sequence, to: sequence });
        if let Some(error) = ErrorKey::of(recorded) {
            let occurrences = self.errors.entry(error).or_default();
            occurrences.observe(recorded);
            if is_repeat {
                occurrences.was_repeated(at);
            }
        }
        is_repeat
    }

    /// Adds what another digest of the block has seen; none of it may have been seen here.
    pub(crate) fn merge(&mut self, other: &Digest) {
        self.seen += other.seen;
        self.malformed += other.malformed;
        self.tells_repeats &= other.tells_repeats;
        self.unlisted_errors += other.unlisted_errors;
        self.reach(other.through);
        self.marks(other.mark);
        for (key, cell) in &other.cells {
            let mut mine = |name: Name| match name {
                Name::At(_) => self.names.name(other.name(name)),
                other => other,
            };
            let key = Key {
                event_type: mine(key.event_type),
                queue: mine(key.queue),
                job_name: mine(key.job_name),
                ..*key
            };
            self.cells
                .entry(key)
                .and_modify(|mine| mine.merge(cell))
                .or_insert_with(|| cell.clone());
        }
        for (minute, span) in &other.spans {
            self.spans
                .entry(*minute)
                .and_modify(|mine| {
                    mine.extend(span.from);
                    mine.extend(span.to);
                })
                .or_insert(*span);
        }
        for (error, occurrences) in &other.errors {
            self.errors.entry(error.clone()).or_default().merge(occurrences);
        }
    }

    /// The digest of what was seen, and its bytes, which fit in one message.
    pub(crate) fn seal(&self) -> (Digest, Vec<u8>) {
        self.seal_within(MOST_BYTES)
    }

    /// The same in so many bytes at most.
    ///
    /// Where it is too rich for that it is made coarser: first the minutes with
    /// the fewest events are counted apart, then the events of the larger cells
    /// are not told apart any more, then those of all, then kinds of job,
    /// queues, minutes, and types; at last fewer errors are listed.
    pub(crate) fn seal_within(&self, most_bytes: usize) -> (Digest, Vec<u8>) {
        let mut digest = self.bounded();
        let mut bytes = encode(&digest);
        for most in MOST_MINUTES {
            if bytes.len() <= most_bytes {
                break;
            }
            if let Some(kept) = self.minutes_to_keep(most) {
                let is_kept = |key: &Key| kept.contains(&key.minute);
                digest =
                    digest.regrouped(|key| if is_kept(&key) { key } else { without_minute(key) });
                bytes = encode(&digest);
            }
        }
        for few in [FEWER, 1] {
            if bytes.len() <= most_bytes {
                break;
            }
            let cells = digest.cells.into_iter();
            digest.cells = cells.map(|(key, cell)| (key, cell.blurred_beyond(few))).collect();
            bytes = encode(&digest);
        }
        for coarser in [without_job_name, without_queue, without_minute, without_type] {
            if bytes.len() <= most_bytes {
                break;
            }
            digest = digest.regrouped(coarser);
            bytes = encode(&digest);
        }
        while bytes.len() > most_bytes && !digest.errors.is_empty() {
            let most = digest.errors.len() / 2;
            (digest.errors, digest.unlisted_errors) = self.bounded_errors(most);
            bytes = encode(&digest);
        }
        (digest.with_unlisted_between(), bytes)
    }

    /// As a digest, with errors within their bounds.
    fn bounded(&self) -> Digest {
        let (names, cells) = self.sorted_cells();
        let mut spans: Vec<_> = self.spans.iter().map(|(minute, span)| (*minute, *span)).collect();
        spans.sort_unstable_by_key(|(minute, _)| *minute);
        let (errors, unlisted_errors) = self.bounded_errors(MOST_ERRORS);
        Digest {
            created: self.created,
            block: self.block,
            through: self.through,
            mark: self.mark,
            seen: self.seen,
            malformed: self.malformed,
            tells_repeats: self.tells_repeats,
            grain: Grain::Minute,
            dropped: Dropped::of(&cells, &names),
            names,
            cells,
            spans,
            errors,
            unlisted_errors,
            unlisted_between: None,
            hours: Hours::default(),
        }
    }

    /// The names and the cells, sorted. Each name is that of a cell.
    fn sorted_cells(&self) -> (Vec<String>, Vec<(Key, Cell)>) {
        let mut names = self.names.list.clone();
        names.sort_unstable();
        let mut places = vec![Name::Dropped; names.len()];
        for (name, place) in names.iter().zip(0..) {
            if let Some(old) = self.names.places.get(name)
                && let Some(new) = places.get_mut(*old as usize)
            {
                *new = Name::At(place);
            }
        }
        let sorted = |name: Name| match name {
            Name::At(old) => places.get(old as usize).copied().unwrap_or(Name::Dropped),
            name => name,
        };
        let mut cells: Vec<(Key, &Cell)> = Vec::with_capacity(self.cells.len());
        cells.extend(self.cells.iter().map(|(key, cell)| {
            let key = Key {
                event_type: sorted(key.event_type),
                queue: sorted(key.queue),
                job_name: sorted(key.job_name),
                ..*key
            };
            (key, cell)
        }));
        cells.sort_unstable_by_key(|(key, _)| *key);
        (names, cells.into_iter().map(|(key, cell)| (key, cell.clone())).collect())
    }

    /// The minutes with the most events, where there are more than so many.
    fn minutes_to_keep(&self, most: usize) -> Option<BTreeSet<Minute>> {
        if self.spans.len() <= most {
            return None;
        }
        let mut counts = BTreeMap::<Minute, u64>::new();
        for (key, cell) in self.cells.iter().filter(|(key, _)| key.minute != Minute::APART) {
            *counts.entry(key.minute).or_default() += cell.count;
        }
        let mut sorted: Vec<_> = counts.into_iter().collect();
        sorted.sort_by_key(|(minute, count)| (std::cmp::Reverse(*count), *minute));
        sorted.truncate(most);
        Some(sorted.into_iter().map(|(minute, _)| minute).collect())
    }

    /// The errors that occurred most, so many at most, and how many occurrences are of others.
    fn bounded_errors(&self, most: usize) -> (Vec<(ErrorKey, Occurrences)>, u64) {
        let mut errors: Vec<_> = self.errors.iter().collect();
        errors.sort_by(|(a, x), (b, y)| y.count().cmp(&x.count()).then_with(|| a.cmp(b)));
        let mut unlisted = self.unlisted_errors;
        let mut minutes = 0;
        let mut kept = Vec::new();
        for (error, occurrences) in errors {
            minutes += occurrences.minutes.len();
            if kept.len() < most && minutes <= MOST_ERROR_MINUTES {
                kept.push((error.clone(), occurrences.clone()));
            } else {
                unlisted += occurrences.count();
            }
        }
        kept.sort_by(|(a, _), (b, _)| a.cmp(b));
        (kept, unlisted)
    }
}

fn without_job_name(key: Key) -> Key {
    Key { job_name: dropped(key.job_name), ..key }
}

fn without_queue(key: Key) -> Key {
    Key { queue: dropped(key.queue), ..key }
}

fn without_minute(key: Key) -> Key {
    Key { minute: Minute::APART, ..key }
}

fn without_type(key: Key) -> Key {
    Key { event_type: Name::Dropped, ..key }
}

/// No name is still none: that there was none is known.
fn dropped(name: Name) -> Name {
    match name {
        Name::Absent => Name::Absent,
        _ => Name::Dropped,
    }
}

/// Names, each once.
#[derive(Debug, Clone, Default)]
struct Names {
    list: Vec<String>,
    places: HashMap<String, u32, RandomState>,
}

impl Names {
    fn name(&mut self, name: Option<&str>) -> Name {
        let Some(name) = name else { return Name::Absent };
        let name = &*listed(name);
        if let Some(place) = self.places.get(name) {
            return Name::At(*place);
        }
        let Ok(place) = u32::try_from(self.list.len()) else { return Name::Dropped };
        self.list.push(name.to_owned());
        self.places.insert(name.to_owned(), place);
        Name::At(place)
    }
}
