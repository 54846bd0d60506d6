//! The errors of a range of time by how often they occurred, with their trend.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::BuildHasher;
use std::sync::Arc;

use datasketches::frequencies::{ErrorType, FrequentItemsSketch, Row};
use foldhash::quality::FixedState;
use naq_core::events::{ErrorGroup, Filter, RecordedEvent, TimeRange, TopErrors, TopErrorsRequest};
use naq_core::{Error, ErrorKind, Result, Timestamp};

use crate::answer::{Question, Sources};
use crate::digests::{
    Cell, CellFilter, Digest, ErrorKey, Grain, Key, Minute, MinuteRange, Occurrences, Tally,
};
use crate::read::Meter;

/// The operation that errors name.
pub(crate) const OPERATION: &str = "top_errors";

/// Ranks the errors of a range: from digests, where there are and no filter is
/// asked.
pub(crate) async fn top_errors(
    sources: Sources<'_>,
    meter: &Arc<Meter>,
    request: TopErrorsRequest,
) -> Result<TopErrors> {
    ranked(sources, meter, request, Bounds::default()).await
}

/// The same within other bounds.
pub(crate) async fn ranked(
    sources: Sources<'_>,
    meter: &Arc<Meter>,
    request: TopErrorsRequest,
    bounds: Bounds,
) -> Result<TopErrors> {
    let open = sources.log.open(OPERATION).await?;
    let everything = CellFilter::of(&Filter::new()).filter(|_| request.filter.is_empty());
    let question = Question {
        operation: OPERATION,
        open: &open,
        filter: &request.filter,
        cells: everything.as_ref(),
        // When an error was seen first is known from the whole log alone.
        range: MinuteRange::default(),
        meter,
    };
    let mut fold = ErrorsFold::new(&request, open.opened_at, bounds)?;
    let mut answered = sources.answer(&question, &mut fold).await?;
    if fold.begins_again() {
        meter.begin_pass();
        answered = sources.answer(&question, &mut fold).await?;
    }
    let mut answer = fold.finish();
    answer.basis = answered.basis;
    Ok(answer)
}

/// Minutes from one to another, both included.
type Minutes = (Minute, Minute);

/// How much is held at the same time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// So many errors are told apart.
    pub(crate) groups: usize,
    /// The places for errors that are counted by their hashes, to find those that
    /// occurred most: a power of two. Up to three quarters of it the counts are exact.
    pub(crate) counted: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { groups: TopErrors::MAX_GROUPS, counted: 1 << 19 }
    }
}

#[derive(Clone)]
struct ErrorsFold<'a> {
    request: &'a TopErrorsRequest,
    range: Minutes,
    before: Option<Minutes>,
    bounds: Bounds,
    round: Round,
    groups: HashMap<ErrorKey, Group>,
    /// How often each occurred in the range, from where they are too many on.
    counts: FrequentItemsSketch<u64>,
    /// How often those occurred in the range that have no group.
    others: u64,
    /// How often one of them did at most.
    others_at_most: u64,
    /// How often errors occurred that a digest doesn't tell, which has events of
    /// the range or the one before.
    untold: u64,
    /// The same of digests that have none.
    untold_elsewhere: u64,
}

/// A log may have far more errors behind it than are told apart. Which of them
/// occurred in the range is known at the end alone, and then since when at the
/// end of a second round.
#[derive(Debug, Clone, Default)]
enum Round {
    /// Each error has a group: as yet they are not too many.
    #[default]
    All,
    /// They are too many: it is counted how often each occurred in the range.
    Counting,
    /// Those that occurred most in the range have groups.
    Chosen(HashSet<u64>),
}

/// The same in each process, so that of equal ones the same are chosen.
fn hash(error: &ErrorKey) -> u64 {
    FixedState::default().hash_one(error)
}

/// What is known of an error.
#[derive(Clone, Default)]
struct Group {
    count: u64,
    count_before: u64,
    /// When and in which jobs, without its minutes.
    ends: Occurrences,
}

impl<'a> ErrorsFold<'a> {
    fn new(request: &'a TopErrorsRequest, now: Timestamp, bounds: Bounds) -> Result<Self> {
        let range = MinuteRange::new(request.start, request.end).minutes();
        let before = request.start.and_then(|start| {
            let first = Minute::of(start).0;
            let length = Minute::of(request.end.unwrap_or(now)).0 - first + 1;
            (length > 0).then_some((Minute(first - length), Minute(first - 1)))
        });
        let counts = FrequentItemsSketch::new(bounds.counted).map_err(|error| {
            Error::new(ErrorKind::Unexpected, OPERATION, "errors can't be counted")
                .with_source(error)
        })?;
        let (round, groups) = (Round::default(), HashMap::new());
        let [others, others_at_most, untold, untold_elsewhere] = [0; 4];
        Ok(Self {
            request,
            range,
            before,
            bounds,
            round,
            groups,
            counts,
            others,
            others_at_most,
            untold,
            untold_elsewhere,
        })
    }

    fn add(&mut self, error: &ErrorKey, more: &Occurrences) {
        if matches!(self.round, Round::All)
            && self.groups.len() >= self.bounds.groups
            && !self.groups.contains_key(error)
        {
            for (error, group) in self.groups.drain() {
                self.counts.update_with_count(hash(&error), group.count);
            }
            self.round = Round::Counting;
        }
        let count = within(&more.minutes, self.range);
        match &mut self.round {
            Round::All => {}
            Round::Counting => return self.counts.update_with_count(hash(error), count),
            Round::Chosen(chosen) if chosen.contains(&hash(error)) => {}
            Round::Chosen(_) => {
                self.others += count;
                return;
            }
        }
        // Looked up twice, because an entry would need an owned key each time.
        if !self.groups.contains_key(error) {
            self.groups.insert(error.clone(), Group::default());
        }
        let Some(group) = self.groups.get_mut(error) else { return };
        group.count += count;
        group.count_before += self.before.map_or(0, |before| within(&more.minutes, before));
        group.ends.merge_ends(more);
    }

    /// Whether the unlisted errors of a digest, if it has any, may lie in the
    /// range or in the one before.
    fn may_be_asked_for(&self, digest: &Digest) -> bool {
        digest.unlisted_between.is_some_and(|(first, last)| {
            let mut ranges = [Some(self.range), self.before].into_iter().flatten();
            ranges.any(|(from, to)| first <= to && from <= last)
        })
    }

    /// Answers whether a second round is needed, and begins it.
    fn begins_again(&mut self) -> bool {
        let Round::Counting = self.round else { return false };
        let mut most = self.counts.frequent_items(ErrorType::NoFalseNegatives);
        most.sort_unstable_by_key(|row| (Reverse(row.upper_bound()), *row.item()));
        // One that was let go occurred as often as the counts may be wrong at most.
        let next = most.get(self.bounds.groups).map(Row::upper_bound);
        self.others_at_most = next.unwrap_or(self.counts.maximum_error());
        most.truncate(self.bounds.groups);
        self.round = Round::Chosen(most.iter().map(|row| *row.item()).collect());
        self.counts.reset();
        (self.others, self.untold, self.untold_elsewhere) = (0, 0, 0);
        true
    }

    fn finish(self) -> TopErrors {
        let request = self.request;
        let time = |(first, last): Minutes| TimeRange {
            start: Some(first.start()),
            end: Some(last.end()),
        };
        let asked = time(self.range);
        let range = TimeRange {
            start: asked.start.filter(|_| request.start.is_some()),
            end: asked.end.filter(|_| request.end.is_some()),
        };
        let mut answer = TopErrors::new(range, self.before.map(time));
        answer.unlisted = self.others + self.untold;
        answer.unlisted_elsewhere = self.untold_elsewhere;
        answer.unlisted_at_most = self.others.min(self.others_at_most) + self.untold;
        for (error, group) in self.groups {
            let Some((first, last)) = group.ends.times.filter(|_| group.count > 0) else {
                continue;
            };
            if request.new_since.is_some_and(|since| first < since) {
                continue;
            }
            answer.total += group.count;
            answer.different += 1;
            let ErrorKey { fingerprint, error_type } = error;
            let mut listed = ErrorGroup::new(fingerprint, error_type, group.count, (first, last));
            listed.count_before = self.before.map(|_| group.count_before);
            listed.jobs = group.ends.samples.into_iter().map(|(_, job)| job).collect();
            answer.errors.push(listed);
        }
        answer.errors.sort_by(|a, b| {
            let names = (&a.fingerprint, &a.error_type).cmp(&(&b.fingerprint, &b.error_type));
            b.count.cmp(&a.count).then(names)
        });
        answer.errors.truncate(request.limit);
        answer
    }
}

/// How often an error occurred in these minutes.
fn within(counts: &BTreeMap<Minute, u64>, (first, last): Minutes) -> u64 {
    counts.range(first..=last).map(|(_, count)| count).sum()
}

impl Tally for ErrorsFold<'_> {
    fn grain(&self) -> Grain {
        Grain::Whole
    }

    fn cuts(&self) -> Vec<Minute> {
        let (first, last) = self.range;
        let before = self.before.map(|(first, _)| first);
        [first, Minute(last.0 + 1)].into_iter().chain(before).collect()
    }

    fn lacks(&self, digest: &Digest) -> bool {
        // Since when something is new is told by the whole log.
        digest.unlisted_errors > 0
            && (self.request.new_since.is_some() || self.may_be_asked_for(digest))
    }

    fn digest(&mut self, digest: &Digest) -> u64 {
        match self.may_be_asked_for(digest) {
            true => self.untold += digest.unlisted_errors,
            false => self.untold_elsewhere += digest.unlisted_errors,
        }
        let mut repeats = 0;
        for (error, occurrences) in &digest.errors {
            self.add(error, occurrences);
            repeats += within(&occurrences.repeats, self.range);
        }
        repeats
    }

    fn cells(&mut self, _: &Digest, _: &[(Key, Cell)]) -> u64 {
        0
    }

    fn event(&mut self, recorded: &RecordedEvent) -> bool {
        if !self.request.filter.matches_recorded(recorded) {
            return false;
        }
        let Some(error) = ErrorKey::of(recorded) else { return false };
        let mut once = Occurrences::default();
        once.observe(recorded);
        self.add(&error, &once);
        let (first, last) = self.range;
        once.minutes.range(first..=last).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use naq_core::events::{Event, Position};

    use super::*;

    fn failure(second: i64, error: &str, job: &str) -> RecordedEvent {
        let at = Timestamp::from_nanos(second * 1_000_000_000);
        let event = Event::job_failed(job, error, 1.0).with_timestamp(at);
        let payload = serde_json::to_vec(&event).unwrap();
        let position = Position::new(Timestamp::from_nanos(0), 1);
        RecordedEvent::decode(position, at, "events.x".to_owned(), payload.into()).unwrap()
    }

    fn asked(request: &TopErrorsRequest) -> TopErrors {
        let now = Timestamp::from_nanos(600_000_000_000);
        let mut fold = ErrorsFold::new(request, now, Bounds::default()).unwrap();
        for (second, error, job) in [
            (10, "disk 7 is full", "a"),
            (250, "disk 8 is full", "b"),
            (310, "disk 9 is full", "c"),
            (420, "disk 9 is full", "d"),
            (430, "reset by peer", "e"),
            (431, "reset by peer", "f"),
        ] {
            fold.event(&failure(second, error, job));
        }
        fold.finish()
    }

    #[test]
    fn a_range_is_compared_with_the_one_before_in_whole_minutes() {
        let at = |second: i64| Some(Timestamp::from_nanos(second * 1_000_000_000));
        // The minutes 5 to 7, and 2 to 4 before them.
        let answer = asked(&TopErrorsRequest::default().with_range(at(301), at(421)));
        let range = |start, end| TimeRange {
            start: at(start),
            end: at(end).map(|end| Timestamp::from_nanos(end.as_nanos() - 1)),
        };
        assert_eq!((answer.time_range, answer.before), (range(300, 480), Some(range(120, 300))));
        let found: Vec<_> = answer
            .errors
            .iter()
            .map(|error| (error.fingerprint.as_str(), error.count, error.count_before))
            .collect();
        assert_eq!(found, [("disk # is full", 2, Some(1)), ("reset by peer", 2, Some(0))]);
        let disk = &answer.errors[0];
        assert_eq!((Some(disk.first_seen), Some(disk.last_seen)), (at(10), at(420)));
        assert_eq!(disk.jobs, ["d", "c", "b"]);
        assert_eq!((answer.total, answer.different), (4, 2));
    }

    #[test]
    fn what_was_there_before_is_not_new() {
        let since = Timestamp::from_nanos(400_000_000_000);
        let answer = asked(&TopErrorsRequest::default().with_new_since(since));
        assert_eq!((answer.errors.len(), answer.total), (1, 2));
        assert_eq!(answer.errors[0].fingerprint, "reset by peer");
        assert_eq!(answer.errors[0].count_before, None);
        let first = asked(&TopErrorsRequest::default().with_limit(1));
        assert_eq!((first.errors.len(), first.different, first.total), (1, 2, 6));
        assert_eq!(first.errors[0].count, 4);
    }

    /// A word of letters for a number, which is another error than any other's.
    fn name(n: usize) -> String {
        n.to_string().bytes().map(|digit| char::from(digit - b'0' + b'k')).collect()
    }

    /// The answer of a log of these events, and how often it was gone through.
    fn ranked(
        events: &[RecordedEvent],
        request: &TopErrorsRequest,
        bounds: Bounds,
    ) -> (u32, TopErrors) {
        let now = Timestamp::from_nanos(7_200_000_000_000);
        let (mut fold, mut rounds) = (ErrorsFold::new(request, now, bounds).unwrap(), 0);
        while rounds == 0 || fold.begins_again() {
            events.iter().for_each(|event| {
                fold.event(event);
            });
            rounds += 1;
        }
        (rounds, fold.finish())
    }

    #[test]
    fn what_is_new_is_found_among_more_errors_than_are_told_apart() {
        const OLD: usize = TopErrors::MAX_GROUPS + 500;
        let mut events: Vec<_> =
            (0..OLD).map(|n| failure(10 + n as i64 % 50, &name(n), "old")).collect();
        // One of the old ones is back, and another one is new.
        events.extend((0..3).map(|n| failure(3_600 + n, &name(OLD - 1), "back")));
        events.extend((0..9).map(|n| failure(3_700 + n, "disk is full", "new")));
        let start = Some(Timestamp::from_nanos(3_600_000_000_000));
        // In whatever order they come.
        for _ in 0..2 {
            let ask = |request: &TopErrorsRequest| ranked(&events, request, Bounds::default());
            let (rounds, answer) = ask(&TopErrorsRequest::default().with_range(start, None));
            let found: Vec<_> = answer
                .errors
                .iter()
                .map(|it| {
                    (it.fingerprint.as_str(), it.count, it.first_seen.as_nanos() < 60_000_000_000)
                })
                .collect();
            assert_eq!(found, [("disk is full", 9, false), (&*name(OLD - 1), 3, true)]);
            assert_eq!((rounds, answer.different, answer.total, answer.unlisted), (2, 2, 12, 0));

            // Where all occurred in the range, those that did most are told apart.
            let (_, all) = ask(&TopErrorsRequest::default());
            let first: Vec<_> = all.errors.iter().take(2).map(|it| it.count).collect();
            assert_eq!((first, all.different), (vec![9, 4], TopErrors::MAX_GROUPS as u64));
            assert_eq!((all.total + all.unlisted, all.unlisted_at_most), (OLD as u64 + 12, 1));
            events.reverse();
        }
    }

    #[test]
    fn what_occurs_most_is_found_among_more_errors_than_are_counted() {
        const RARE: usize = 1_000;
        let bounds = Bounds { groups: 4, counted: 64 };
        let mut events: Vec<_> = (0..RARE).map(|n| failure(n as i64, &name(n), "rare")).collect();
        events.extend((0..40).map(|n| failure(2_000 + n, "disk is full", "often")));
        for _ in 0..2 {
            let (_, answer) = ranked(&events, &TopErrorsRequest::default(), bounds);
            let most = &answer.errors[0];
            assert_eq!((most.fingerprint.as_str(), most.count), ("disk is full", 40));
            assert_eq!(answer.total + answer.unlisted, RARE as u64 + 40);
            // Which of the others are listed is chance, and the answer says so.
            assert_eq!((answer.different, answer.errors[1].count), (4, 1));
            assert!((1..40).contains(&answer.unlisted_at_most), "{}", answer.unlisted_at_most);
            events.reverse();
        }
        // Of as many as are counted it is exact.
        let (_, few) = ranked(&events[RARE - 4..], &TopErrorsRequest::default(), bounds);
        assert_eq!((few.errors[0].count, few.different, few.unlisted_at_most), (40, 4, 1));
    }
}
