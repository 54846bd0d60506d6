//! The ledger's file as read afterwards: what became of each event.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use naq_core::events::EventCounters;

use super::Line;

/// How an event ended, as naq said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Refused before acceptance.
    Rejected(String),
    /// Stored, and where, if that was told.
    Acked(Option<u64>),
    /// Refused for good.
    Failed(String),
    /// Stored or not.
    Unknown,
}

/// What became of one event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fate {
    /// What its order is promised within.
    pub series: String,
    /// Its place there.
    pub n: u64,
    /// Over all that it says.
    pub checksum: u32,
    /// Whether naq took it.
    pub accepted: bool,
    /// Whether naq said that it is on disk.
    pub spooled: bool,
    /// Each end it came to: one, or none yet.
    pub outcomes: Vec<Outcome>,
    /// Whether the stream was emptied after it was offered.
    pub may_be_gone: bool,
}

impl Fate {
    /// Whether naq said that it is stored.
    pub fn is_acked(&self) -> bool {
        self.outcomes.iter().any(|outcome| matches!(outcome, Outcome::Acked(_)))
    }

    /// Whether naq said that it isn't stored.
    pub fn is_refused(&self) -> bool {
        let refused =
            |outcome: &Outcome| matches!(outcome, Outcome::Rejected(_) | Outcome::Failed(_));
        self.outcomes.iter().any(refused)
    }
}

/// The lines of a file, put together.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Each offered event by its id.
    pub events: BTreeMap<String, Fate>,
    /// Calls: what, how long it took and how long it may take, in milliseconds.
    pub calls: Vec<(String, u64, u64)>,
    /// The account of each service, by whose it is; the last one of a name counts.
    pub counters: HashMap<String, EventCounters>,
    /// Of each service how many events it counts as lost, and as lost and not told of.
    pub losses: HashMap<String, (u64, u64)>,
    /// Memory in bytes: before, at most, and what the buffer may hold.
    pub memory: Vec<(u64, u64, u64)>,
    /// Whether the stream was emptied.
    pub was_emptied: bool,
    /// What contradicts itself.
    pub contradictions: Vec<String>,
    /// How many lines a kill cut short.
    pub torn: usize,
}

impl History {
    /// Reads a file.
    ///
    /// # Panics
    /// When it can't be read, or a line that isn't the last of a killed program
    /// is no line of a ledger.
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).expect("the ledger's file can be read");
        let mut history = Self::default();
        for text in text.split_inclusive('\n') {
            match serde_json::from_str(text) {
                Ok(line) => history.add(line),
                Err(error) => {
                    assert!(!text.ends_with('\n'), "no line of a ledger: {text}: {error}");
                    history.torn += 1;
                }
            }
        }
        history
    }

    /// Puts lines together that no file has.
    pub fn of(lines: impl IntoIterator<Item = Line>) -> Self {
        let mut history = Self::default();
        lines.into_iter().for_each(|line| history.add(line));
        history
    }

    fn add(&mut self, line: Line) {
        match line {
            Line::Offered { id, series, n, checksum } => {
                let fate = Fate { series, n, checksum, ..Fate::default() };
                if self.events.insert(id.clone(), fate).is_some() {
                    self.contradictions.push(format!("{id} was offered twice"));
                }
            }
            Line::Accepted { id } => self.change(&id, |fate| fate.accepted = true),
            Line::Spooled { id } => self.change(&id, |fate| fate.spooled = true),
            Line::Rejected { id, kind } => self.end(&id, Outcome::Rejected(kind)),
            Line::Acked { id, sequence } => self.end(&id, Outcome::Acked(sequence)),
            Line::Failed { id, kind } => self.end(&id, Outcome::Failed(kind)),
            Line::Unknown { id } => self.end(&id, Outcome::Unknown),
            Line::Called { what, took_ms, within_ms } => {
                self.calls.push((what, took_ms, within_ms));
            }
            Line::Counted { producer, counters, lost, untold } => {
                self.losses.insert(producer.clone(), (lost, untold));
                self.counters.insert(producer, counters);
            }
            Line::Memory { baseline, peak, buffer } => self.memory.push((baseline, peak, buffer)),
            Line::Emptied => {
                self.was_emptied = true;
                self.events.values_mut().for_each(|fate| fate.may_be_gone = true);
            }
        }
    }

    fn change(&mut self, id: &str, change: impl FnOnce(&mut Fate)) {
        match self.events.get_mut(id) {
            Some(fate) => change(fate),
            None => self.contradictions.push(format!("{id} was answered and never offered")),
        }
    }

    fn end(&mut self, id: &str, outcome: Outcome) {
        self.change(id, |fate| fate.outcomes.push(outcome));
    }

    /// The kind of each rejection.
    pub fn rejections(&self) -> Vec<&str> {
        let ends = self.events.values().flat_map(|fate| &fate.outcomes);
        ends.filter_map(|end| match end {
            Outcome::Rejected(kind) => Some(kind.as_str()),
            _ => None,
        })
        .collect()
    }

    /// How many events there are that ended so.
    pub fn ended(&self, so: impl Fn(&Outcome) -> bool) -> u64 {
        self.count(|fate| fate.outcomes.iter().any(&so))
    }

    /// The ids of what naq took and hasn't told the end of.
    pub fn open(&self) -> Vec<String> {
        let open = |fate: &Fate| fate.accepted && fate.outcomes.is_empty();
        self.events.iter().filter(|(_, fate)| open(fate)).map(|(id, _)| id.clone()).collect()
    }

    /// How many events there are of which this is so.
    pub fn count(&self, is_so: impl Fn(&Fate) -> bool) -> u64 {
        self.events.values().filter(|fate| is_so(fate)).count() as u64
    }
}
