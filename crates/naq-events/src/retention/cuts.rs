//! What is to go: events of a type, or of all types, below a sequence.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use naq_core::config::RetentionAges;
use naq_core::events::EventType;
use naq_core::{Result, Timestamp};

use crate::cleanup::first_kept;
use crate::read::{Log, OpenLog};

/// Events that are to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cut {
    /// Their type; `None` for all types.
    pub(super) event_type: Option<String>,
    /// The first sequence that stays.
    pub(super) keep_from: u64,
}

/// What is to be removed.
#[derive(Debug)]
pub(super) enum Aim {
    /// What is older than its type's age.
    Ages(RetentionAges),
    /// What is older than this, of one type or of all.
    Older(Duration, Option<String>),
}

impl Aim {
    /// Whether nothing is ever too old.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Ages(ages) if ages.is_empty())
    }

    /// What that is of a log with these types, in the order in which it has to go.
    pub(super) async fn cuts<'a>(
        &'a self,
        borders: &mut Borders<'_>,
        types: impl Iterator<Item = &'a str>,
    ) -> Result<Vec<Cut>> {
        match self {
            Self::Ages(ages) => cuts(borders, ages, types).await,
            Self::Older(age, event_type) => {
                let keep_from = borders.keep_from(*age).await?;
                let cut = |keep_from| Cut { event_type: event_type.clone(), keep_from };
                Ok(keep_from.map(cut).into_iter().collect())
            }
        }
    }
}

/// The first sequences that stay, by age; each age is looked up once.
#[derive(Debug)]
pub(super) struct Borders<'a> {
    log: &'a Log,
    open: &'a OpenLog,
    now: Timestamp,
    known: BTreeMap<Duration, Option<u64>>,
}

impl<'a> Borders<'a> {
    /// As seen at a time.
    pub(super) fn new(log: &'a Log, open: &'a OpenLog, now: Timestamp) -> Self {
        Self { log, open, now, known: BTreeMap::new() }
    }

    /// The time before which what has this age was stored.
    pub(super) fn before(&self, age: Duration) -> Timestamp {
        self.now.saturating_sub(age)
    }

    /// The first sequence that is younger; `None` where nothing is older.
    pub(super) async fn keep_from(&mut self, age: Duration) -> Result<Option<u64>> {
        if let Some(known) = self.known.get(&age) {
            return Ok(*known);
        }
        let keep_from = first_kept(self.log, self.open, self.before(age)).await?;
        self.known.insert(age, keep_from);
        Ok(keep_from)
    }
}

/// What is to go of these types, in the order in which it has to: what tells
/// of a job's end goes last.
async fn cuts<'a>(
    borders: &mut Borders<'_>,
    ages: &'a RetentionAges,
    types: impl Iterator<Item = &'a str>,
) -> Result<Vec<Cut>> {
    let mut cuts = Vec::new();
    // What all types have outlived goes at once, whatever its subject.
    let longest = ages.longest();
    if let Some(age) = longest
        && let Some(keep_from) = borders.keep_from(age).await?
    {
        cuts.push(Cut { event_type: None, keep_from });
    }
    let all: BTreeSet<&str> = types.chain(ages.named().map(|(name, _)| name)).collect();
    let (ends, others): (Vec<&str>, Vec<&str>) =
        all.into_iter().partition(|name| EventType::from(*name).is_final());
    for name in others.into_iter().chain(ends) {
        let Some(age) = ages.of(name).filter(|age| longest != Some(*age)) else { continue };
        if let Some(keep_from) = borders.keep_from(age).await? {
            cuts.push(Cut { event_type: Some(name.to_owned()), keep_from });
        }
    }
    Ok(cuts)
}
