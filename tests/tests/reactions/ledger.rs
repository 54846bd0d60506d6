//! The ledger of the reactions: what the log holds, beside what handlers wrote
//! down, in which each line is written before naq can know of it. Counts alone
//! prove nothing: an event that came twice hides one that never came.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use naq_core::events::{Event, Filter};
use naq_events::reactions::{GroupOrder, Outcome, Reaction};
use naq_memory::MemoryJetStream;

use crate::support::{Own, PATIENCE, idle, options};

/// What a handler wrote down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    /// Whether it was done, or had only been begun.
    pub(crate) done: bool,
    pub(crate) sequence: u64,
    pub(crate) tries: u64,
}

impl Line {
    /// Reads `begun 7 1` or `done 7 1`; `None` for a line whose end was not written.
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let done = match words.next()? {
            "begun" => false,
            "done" => true,
            _ => return None,
        };
        let mut number = || words.next()?.parse().ok();
        Some(Self { done, sequence: number()?, tries: number()? })
    }
}

/// What handlers in other processes wrote down so far.
pub(crate) fn read(file: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(Line::parse).collect()
}

/// What is held against each other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Case {
    /// The job of each event that the log holds, by its sequence.
    pub(crate) stored: BTreeMap<u64, String>,
    pub(crate) lines: Vec<Line>,
    /// Whether something broke meanwhile.
    pub(crate) had_faults: bool,
    /// Whether tries may count from 1 again: the consumer was made anew, or the
    /// server was killed, which writes down late how often it delivered.
    pub(crate) tries_may_start_over: bool,
    /// Whether the events of one job were promised in order.
    pub(crate) in_order: bool,
}

type Rule = fn(&Case) -> Vec<String>;

const RULES: &[(&str, Rule)] = &[
    ("every_event_is_done", every_event_is_done),
    ("nothing_else_is_handled", nothing_else_is_handled),
    ("without_faults_each_is_done_once", without_faults_each_is_done_once),
    ("each_try_counts", each_try_counts),
    ("each_entity_is_in_order", each_entity_is_in_order),
];

impl Case {
    fn done(&self) -> impl Iterator<Item = u64> {
        self.lines.iter().filter(|line| line.done).map(|line| line.sequence)
    }

    /// How many events have been done.
    pub(crate) fn done_of(lines: &[Line]) -> usize {
        let done = lines.iter().filter(|line| line.done).map(|line| line.sequence);
        done.collect::<BTreeSet<_>>().len()
    }

    /// Each rule that is broken, with its faults.
    fn violations(&self) -> Vec<(&'static str, Vec<String>)> {
        let held = RULES.iter().map(|(rule, check)| (*rule, check(self)));
        held.filter(|(_, faults)| !faults.is_empty()).collect()
    }

    /// Fails with every rule that is broken.
    pub(crate) fn judge(&self) {
        let mut text = String::new();
        for (rule, faults) in self.violations() {
            let some = &faults[..faults.len().min(5)];
            writeln!(text, "{rule} ({}): {some:#?}", faults.len()).unwrap();
        }
        assert!(text.is_empty(), "{text}");
    }
}

fn every_event_is_done(case: &Case) -> Vec<String> {
    let done: BTreeSet<u64> = case.done().collect();
    case.stored.keys().filter(|sequence| !done.contains(sequence)).map(u64::to_string).collect()
}

fn nothing_else_is_handled(case: &Case) -> Vec<String> {
    let strange = case.lines.iter().filter(|line| !case.stored.contains_key(&line.sequence));
    strange.map(|line| format!("{line:?}")).collect()
}

fn without_faults_each_is_done_once(case: &Case) -> Vec<String> {
    if case.had_faults {
        return Vec::new();
    }
    let mut seen = BTreeSet::new();
    case.done().filter(|sequence| !seen.insert(*sequence)).map(|n| n.to_string()).collect()
}

fn each_try_counts(case: &Case) -> Vec<String> {
    if case.tries_may_start_over {
        return Vec::new();
    }
    let mut last = BTreeMap::new();
    let mut faults = Vec::new();
    for line in case.lines.iter().filter(|line| !line.done) {
        let before = last.insert(line.sequence, line.tries).unwrap_or(0);
        if line.tries <= before {
            faults.push(format!("{}: {} after {before}", line.sequence, line.tries));
        }
    }
    faults
}

/// Nothing of a job is begun before all that lies before it is done.
fn each_entity_is_in_order(case: &Case) -> Vec<String> {
    if !case.in_order {
        return Vec::new();
    }
    let mut done = BTreeSet::new();
    let mut faults = Vec::new();
    for line in &case.lines {
        if line.done {
            done.insert(line.sequence);
            continue;
        }
        let job = case.stored.get(&line.sequence);
        let mut before =
            case.stored.range(..line.sequence).filter(|(_, other)| Some(*other) == job);
        if let Some((open, _)) = before.find(|(sequence, _)| !done.contains(sequence)) {
            faults.push(format!("{} was begun before {open} was done", line.sequence));
        }
    }
    faults
}

/// How a handler is broken on purpose; the rule that has to tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    Not,
    /// Says that it is done with what it did not do.
    Forgets,
    /// Does something that nobody logged.
    Invents,
    /// Does its work twice.
    Repeats,
    /// Doesn't tell tries apart.
    Miscounts,
    /// Asks for another try in a group that promises no order.
    Overtakes,
}

/// What the handlers of a group in memory wrote down of twelve events of three jobs.
async fn played(broken: Broken) -> Case {
    let own = Own::new(Arc::new(MemoryJetStream::new())).await;
    let mut case = Case { in_order: true, ..Case::default() };
    for n in 0..12 {
        let job = format!("j{}", n % 3);
        case.stored.insert(own.log(Event::job_progress(job.as_str(), "x")).await, job);
    }
    let lines = Arc::new(Mutex::new(Vec::new()));
    let book = Arc::clone(&lines);
    let handler = move |reaction: Reaction| {
        let (sequence, mut tries) = (reaction.recorded.sequence(), reaction.tries);
        let write = |done, sequence, tries| {
            book.lock().unwrap().push(Line { done, sequence, tries });
        };
        let is_fifth = sequence == 5;
        if broken == Broken::Miscounts {
            tries = 1;
        }
        write(false, sequence, tries);
        if is_fifth && reaction.tries == 1 && broken != Broken::Forgets {
            return std::future::ready(Outcome::retry());
        }
        let times = match broken {
            Broken::Forgets if is_fifth => 0,
            Broken::Repeats if is_fifth => 2,
            _ => 1,
        };
        for _ in 0..times {
            write(true, sequence, tries);
        }
        if broken == Broken::Invents && is_fifth {
            write(true, 99, 1);
        }
        std::future::ready(Outcome::Done)
    };
    let order = match broken {
        Broken::Overtakes => GroupOrder::None,
        _ => GroupOrder::Entity,
    };
    let options = options().with_order(order).with_concurrency(1);
    let reactor = own.reactions.react("g", Filter::new(), handler, options).await.unwrap();
    idle(&own, "g").await;
    reactor.stop(PATIENCE).await;
    case.lines = lines.lock().unwrap().clone();
    case
}

#[tokio::test]
async fn each_rule_is_proved_by_a_handler_that_breaks_it() {
    played(Broken::Not).await.judge();
    for (broken, rules) in [
        // Whatever comes behind what was never done comes too early too.
        (Broken::Forgets, &["every_event_is_done", "each_entity_is_in_order"][..]),
        (Broken::Invents, &["nothing_else_is_handled"]),
        (Broken::Repeats, &["without_faults_each_is_done_once"]),
        (Broken::Miscounts, &["each_try_counts"]),
        (Broken::Overtakes, &["each_entity_is_in_order"]),
    ] {
        let found = played(broken).await.violations();
        let names: Vec<_> = found.iter().map(|(rule, _)| *rule).collect();
        assert_eq!(names, rules, "{broken:?}: {found:?}");
    }
}

#[test]
fn a_line_that_was_cut_off_is_passed_over() {
    let line = Line { done: true, sequence: 7, tries: 2 };
    assert_eq!(Line::parse("done 7 2"), Some(line));
    for cut in ["", "do", "done", "done 7", "begun x 1"] {
        assert_eq!(Line::parse(cut), None, "{cut}");
    }
}
