//! The rules, each a function with a name.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use super::evidence::{Content, Evidence};
use super::{Fate, History, Notice, Outcome, Readings};

/// How late a call may come back, beyond its own deadline, on a busy machine.
const LATE_MS: u64 = 1_000;
/// What a program may take beside its buffer, in bytes.
const BESIDE_THE_BUFFER: u64 = 32 << 20;
/// How many faults of one rule are shown.
const SHOWN: usize = 5;

/// Whether an event may be in the stream more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Repeats {
    /// It may not.
    #[default]
    Never,
    /// Each repeat must be among those that naq counts as possible.
    Counted,
}

/// What is held against each other.
#[derive(Debug, Clone, Default)]
pub struct Case {
    /// What was offered and answered.
    pub history: History,
    /// What the stream holds.
    pub readings: Readings,
    /// Whether repeats are allowed.
    pub repeats: Repeats,
    /// Whether what ended unknown may be stored behind later events of its series.
    pub unknown_may_be_late: bool,
}

/// A rule: answers each fault that it finds, in words.
pub type Rule = fn(&Evidence<'_>) -> Vec<String>;

/// Every rule by its name.
pub const RULES: &[(&str, Rule)] = &[
    ("both_readings_agree", both_readings_agree),
    ("nothing_acked_is_missing", nothing_acked_is_missing),
    ("what_was_acked_is_where_it_was_said_to_be", what_was_acked_is_where_it_was_said_to_be),
    ("nothing_is_stored_twice", nothing_is_stored_twice),
    ("each_series_is_in_order", each_series_is_in_order),
    ("no_series_has_a_hole", no_series_has_a_hole),
    ("nothing_is_stored_that_was_not_offered", nothing_is_stored_that_was_not_offered),
    ("everything_is_stored_as_it_was_offered", everything_is_stored_as_it_was_offered),
    ("nothing_refused_is_stored", nothing_refused_is_stored),
    ("each_event_ends_once", each_event_ends_once),
    ("the_counters_say_what_the_ledger_says", the_counters_say_what_the_ledger_says),
    ("every_hole_is_told_in_the_stream", every_hole_is_told_in_the_stream),
    ("memory_keeps_its_bound", memory_keeps_its_bound),
    ("calls_keep_their_deadlines", calls_keep_their_deadlines),
];

/// A rule that is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule's name.
    pub rule: &'static str,
    /// Each fault, in words.
    pub faults: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}):", self.rule, self.faults.len())?;
        self.faults.iter().take(SHOWN).try_for_each(|fault| write!(f, "\n    {fault}"))
    }
}

impl Case {
    /// Every rule that is broken.
    pub fn violations(&self) -> Vec<Violation> {
        let evidence = Evidence::of(self);
        let hold =
            |&(rule, check): &(&'static str, Rule)| Violation { rule, faults: check(&evidence) };
        RULES.iter().map(hold).filter(|violation| !violation.faults.is_empty()).collect()
    }

    /// What naq's own events in the stream tell of, each of them once.
    pub fn notices(&self) -> Vec<Notice> {
        Evidence::of(self).notices()
    }

    /// How many stored messages are of an event that is stored already.
    pub fn repeated(&self) -> usize {
        let evidence = Evidence::of(self);
        evidence.stamps().count() - evidence.stored_ids().len()
    }

    /// How many events ended unknown and are stored.
    pub fn unknown_and_stored(&self) -> usize {
        let stored = Evidence::of(self).stored_ids();
        let is_unknown = |fate: &Fate| fate.outcomes.contains(&Outcome::Unknown);
        let events = self.history.events.iter();
        events.filter(|(id, fate)| is_unknown(fate) && stored.contains(*id)).count()
    }
}

fn both_readings_agree(case: &Evidence<'_>) -> Vec<String> {
    let Readings { by_consumer, by_get } = &case.readings;
    let mut faults = Vec::new();
    if by_consumer.len() != by_get.len() {
        faults.push(format!("{} by consumer, {} by get", by_consumer.len(), by_get.len()));
    }
    let pairs = by_consumer.iter().zip(by_get);
    faults.extend(pairs.filter(|(one, other)| one != other).map(|(one, other)| {
        format!(
            "consumer: {} {}; get: {} {}",
            one.sequence, one.subject, other.sequence, other.subject
        )
    }));
    faults
}

fn nothing_acked_is_missing(case: &Evidence<'_>) -> Vec<String> {
    let stored = case.stored_ids();
    let must_be = |fate: &Fate| fate.is_acked() && !fate.may_be_gone;
    let events = case.history.events.iter();
    events
        .filter(|(id, fate)| must_be(fate) && !stored.contains(*id))
        .map(|(id, _)| id.clone())
        .collect()
}

fn what_was_acked_is_where_it_was_said_to_be(case: &Evidence<'_>) -> Vec<String> {
    let at: HashMap<u64, String> =
        case.stamps().map(|(found, stamp, _)| (found.sequence, stamp.id())).collect();
    let mut faults = Vec::new();
    for (id, fate) in case.history.events.iter().filter(|(_, fate)| !fate.may_be_gone) {
        for outcome in &fate.outcomes {
            if let Outcome::Acked(Some(sequence)) = outcome
                && at.get(sequence) != Some(id)
            {
                faults.push(format!("{id} was said to be at {sequence}: {:?}", at.get(sequence)));
            }
        }
    }
    faults
}

fn nothing_is_stored_twice(case: &Evidence<'_>) -> Vec<String> {
    let mut seen = HashMap::new();
    let mut faults = Vec::new();
    for (found, stamp, _) in case.stamps() {
        if let Some(first) = seen.insert(stamp.id(), found.sequence) {
            faults.push(format!("{} at {first} and {}", stamp.id(), found.sequence));
        }
    }
    match case.repeats {
        Repeats::Counted if faults.len() as u64 <= case.total(|c| c.possible_duplicates) => {
            Vec::new()
        }
        _ => faults,
    }
}

fn each_series_is_in_order(case: &Evidence<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let events = case.history.events.values().filter(|_| case.unknown_may_be_late);
    let without_place: HashSet<(&str, u64)> = events
        .filter(|fate| fate.outcomes.contains(&Outcome::Unknown))
        .map(|fate| (fate.series.as_str(), fate.n))
        .collect();
    for (series, mut numbers) in case.first_occurrences() {
        numbers.retain(|n| !without_place.contains(&(series.as_str(), *n)));
        for pair in numbers.windows(2).filter(|pair| pair[0] >= pair[1]) {
            faults.push(format!("{series}: {} before {}", pair[0], pair[1]));
        }
    }
    faults
}

/// Before an event that is stored nothing of its series is missing but what
/// naq said it doesn't vouch for, by its name or by a count: also where the
/// program was killed.
fn no_series_has_a_hole(case: &Evidence<'_>) -> Vec<String> {
    let stored = case.stored_ids();
    let last: BTreeMap<String, u64> = case
        .first_occurrences()
        .into_iter()
        .filter_map(|(series, numbers)| Some((series, numbers.into_iter().max()?)))
        .collect();
    let vouched_for = |fate: &Fate| {
        let ended_well = fate.outcomes.iter().all(|end| matches!(end, Outcome::Acked(_)));
        fate.accepted && ended_well && !fate.may_be_gone
    };
    let events = case.history.events.iter();
    let holes: Vec<_> = events
        .filter(|(id, fate)| vouched_for(fate) && !stored.contains(*id))
        .filter(|(_, fate)| last.get(&fate.series).is_some_and(|last| fate.n < *last))
        .map(|(id, _)| format!("{id} is missing, and later ones are there"))
        .collect();
    if holes.len() as u64 <= case.lost_namelessly() { Vec::new() } else { holes }
}

fn nothing_is_stored_that_was_not_offered(case: &Evidence<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for (found, content) in case.contents() {
        let is_known = match content {
            Content::Stamp(stamp, _) => case.history.events.contains_key(&stamp.id()),
            Content::Notice(_) => true,
            Content::Foreign => false,
        };
        if !is_known {
            let start: String = String::from_utf8_lossy(&found.payload).chars().take(200).collect();
            faults.push(format!("{} {}: {start}", found.sequence, found.subject));
        }
    }
    faults
}

fn everything_is_stored_as_it_was_offered(case: &Evidence<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for (found, stamp, told) in case.stamps() {
        let Some(fate) = case.history.events.get(&stamp.id()) else { continue };
        let sums = [stamp.checksum(), told, fate.checksum];
        if sums.iter().any(|sum| *sum != sums[0]) || fate.series != stamp.series() {
            faults.push(format!("{} at {}: {sums:?}", stamp.id(), found.sequence));
        }
        if !found.subject.ends_with(&format!(".{}", stamp.job)) {
            faults.push(format!("{} is under {}", stamp.id(), found.subject));
        }
    }
    faults
}

fn nothing_refused_is_stored(case: &Evidence<'_>) -> Vec<String> {
    let stored = case.stored_ids();
    let events = case.history.events.iter();
    events
        .filter(|(id, fate)| fate.is_refused() && stored.contains(*id))
        .map(|(id, fate)| format!("{id}: {:?}", fate.outcomes))
        .collect()
}

fn each_event_ends_once(case: &Evidence<'_>) -> Vec<String> {
    let mut faults = case.history.contradictions.clone();
    for (id, fate) in &case.history.events {
        let was_told = fate.accepted || !fate.outcomes.is_empty();
        let refused_late =
            fate.accepted && fate.outcomes.iter().any(|end| matches!(end, Outcome::Rejected(_)));
        if fate.outcomes.len() > 1 || refused_late || !was_told && !case.history.counters.is_empty()
        {
            faults.push(format!("{id}: {fate:?}"));
        }
    }
    faults
}

/// Events whose end nobody was told one by one may be any of what naq counts
/// beyond those of which it was told; there must be as many of them as that.
fn the_counters_say_what_the_ledger_says(case: &Evidence<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    if case.history.counters.is_empty() {
        return faults;
    }
    for (producer, counters) in &case.history.counters {
        if !counters.is_balanced() {
            faults.push(format!("{producer}: not balanced: {counters:?}"));
        }
    }
    let history = &case.history;
    let ends = |is_so: fn(&Outcome) -> bool| history.ended(is_so);
    let offered = history.events.len() as u64;
    let counted = case.total(|c| c.offered);
    if counted != offered {
        faults.push(format!("offered: naq counts {counted}, the ledger {offered}"));
    }
    let (notices, seen) = (case.total(|c| c.notices), case.notices().len() as u64);
    if seen < notices && !history.was_emptied {
        faults.push(format!("naq counts {notices} stored events of its own, {seen} are"));
    }
    let told = [
        ("rejected", case.total(|c| c.rejected), ends(|end| matches!(end, Outcome::Rejected(_)))),
        ("acked", case.total(|c| c.acked), ends(|end| matches!(end, Outcome::Acked(_)))),
        ("failed", case.total(|c| c.failed), ends(|end| matches!(end, Outcome::Failed(_)))),
        ("unknown", case.total(|c| c.unknown), ends(|end| matches!(end, Outcome::Unknown))),
    ];
    let mut beyond = case.total(|c| c.dropped + c.pending + c.spooled) as i128
        - case.total(|c| c.recovered) as i128;
    for (term, counted, told) in told {
        beyond += i128::from(counted) - i128::from(told);
        if counted < told || term == "rejected" && counted != told {
            faults.push(format!("{term}: naq counts {counted}, the ledger {told}"));
        }
    }
    let open = history.count(|fate| fate.accepted && fate.outcomes.is_empty());
    if beyond != i128::from(open) {
        faults.push(format!("naq accounts for {beyond} more than it told of, {open} are open"));
    }
    faults
}

/// What is lost, or may be, is counted; and the stream tells of as many, but
/// for those of which naq says that it could not tell yet.
fn every_hole_is_told_in_the_stream(case: &Evidence<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let history = &case.history;
    if history.losses.is_empty() || history.was_emptied {
        return faults;
    }
    let (lost, untold) = case.lost();
    let ended = history.ended(|end| matches!(end, Outcome::Failed(_) | Outcome::Unknown));
    if lost < ended {
        faults.push(format!("naq counts {lost} lost events, the ledger was told of {ended}"));
    }
    let told: u64 = case.notices().iter().map(|notice| notice.count).sum();
    if told + untold < lost {
        faults.push(format!("of {lost} lost events the stream tells of {told}, {untold} wait"));
    }
    // One that was in doubt itself is told again; and of what was on its way when naq
    // counted, nobody had said that it is stored.
    let is_sure = case.notices().len() as u64 <= case.total(|c| c.notices);
    let most = if is_sure { told + untold } else { told };
    if case.total(|c| c.unknown) == 0 && most > lost {
        faults.push(format!("{lost} are lost, the stream tells of {told}, and {untold} wait"));
    }
    faults
}

fn memory_keeps_its_bound(case: &Evidence<'_>) -> Vec<String> {
    let over = |&&(baseline, peak, buffer): &&(u64, u64, u64)| {
        peak.saturating_sub(baseline) > buffer + buffer / 2 + BESIDE_THE_BUFFER
    };
    case.history.memory.iter().filter(over).map(|seen| format!("{seen:?}")).collect()
}

fn calls_keep_their_deadlines(case: &Evidence<'_>) -> Vec<String> {
    let calls = case.history.calls.iter();
    calls
        .filter(|(_, took, within)| *took > within + LATE_MS)
        .map(|(what, took, within)| format!("{what} took {took} ms of {within}"))
        .collect()
}
