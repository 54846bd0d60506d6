//! What would go, counted without removing it.

use std::collections::BTreeMap;

use futures::StreamExt;
use naq_core::config::RetentionAges;
use naq_core::events::ScanLimits;
use naq_core::jetstream::{Delivery, ReadOptions, ReadUntil, Storage};
use naq_core::{Result, Timestamp};
use serde::Serialize;

use super::PLAN;
use super::cuts::Borders;
use super::room::room;
use crate::digests::{Digested, Digests};
use crate::read::{Log, OpenLog};

/// A server serves each subject filter by a consumer of its own: beyond so
/// many it is cheaper to read everything.
const MOST_SUBJECTS: usize = 8;

/// What is older than its age, by type.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RetentionPlan {
    /// When that was, by the clock that ages are measured by: the server's, or
    /// this machine's where that is behind it.
    pub now: Timestamp,
    /// The oldest sequence of the log.
    pub first_sequence: u64,
    /// The newest one.
    pub last_sequence: u64,
    /// Through which sequence the log is in digests that are kept: what lies
    /// behind it is digested before it goes. 0 where nothing is.
    pub digested_through: u64,
    /// How many events would go.
    pub events: u64,
    /// How many bytes, as the server counts them.
    pub bytes: u64,
    /// The types that have an age, or of which something would go, by name.
    pub kinds: Vec<RetentionKind>,
}

/// What of a type is older than its age.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RetentionKind {
    /// The type; `None` for what no event's subject is.
    pub event_type: Option<String>,
    /// Its age in seconds.
    pub age: f64,
    /// Before when what goes was stored.
    pub before: Timestamp,
    /// How many would go.
    pub events: u64,
    /// How many bytes, as the server counts them.
    pub bytes: u64,
}

/// Counts what is too old.
pub(super) async fn plan(
    log: &Log,
    digests: Option<&Digests>,
    ages: &RetentionAges,
) -> Result<RetentionPlan> {
    let open = log.open(PLAN).await?;
    let now = open.now();
    let state = &open.info.state;
    let digested_through = match digests {
        Some(digests) => Digested::default().look(digests, &open).await?,
        None => 0,
    };
    let mut counting = Counting {
        log,
        open: &open,
        ages,
        borders: Borders::new(log, &open, now),
        kinds: BTreeMap::new(),
    };
    counting.run().await?;
    let kinds: Vec<RetentionKind> = counting.kinds.into_values().collect();
    Ok(RetentionPlan {
        now,
        first_sequence: state.first_sequence,
        last_sequence: state.last_sequence,
        digested_through,
        events: kinds.iter().map(|kind| kind.events).sum(),
        bytes: kinds.iter().map(|kind| kind.bytes).sum(),
        kinds,
    })
}

struct Counting<'a> {
    log: &'a Log,
    open: &'a OpenLog,
    ages: &'a RetentionAges,
    borders: Borders<'a>,
    kinds: BTreeMap<Option<String>, RetentionKind>,
}

impl Counting<'_> {
    async fn run(&mut self) -> Result<()> {
        let mut end = 0;
        let mut subjects = Vec::new();
        for (name, age) in self.ages.named() {
            self.kind(Some(name.to_owned()), age);
            end = end.max(self.borders.keep_from(age).await?.unwrap_or(0));
            subjects.extend(self.log.subjects().of_type(name));
        }
        if let Some(age) = self.ages.others() {
            end = end.max(self.borders.keep_from(age).await?.unwrap_or(0));
            subjects.clear();
        }
        if end == 0 {
            return Ok(());
        }
        if subjects.len() > MOST_SUBJECTS {
            subjects.clear();
        }
        let options = ReadOptions::default()
            .with_until(ReadUntil::Sequence(end - 1))
            .with_subjects(subjects)
            .with_headers_only(true)
            .with_created(self.open.info.created);
        let storage = self.open.info.config.storage.unwrap_or(Storage::File);
        let meter = self.log.meter(PLAN, ScanLimits::default());
        let mut deliveries = self.open.jetstream.read(self.log.stream(), options);
        while let Some(delivery) = deliveries.next().await {
            let Delivery::Message(message) = delivery? else { continue };
            meter.note(&message)?;
            let parsed = self.log.subjects().parse(&message.subject);
            let name = parsed.map(|parsed| parsed.event_type.as_str().to_owned());
            // What no event's subject is goes when everything does.
            let age = name.as_deref().map_or(self.ages.longest(), |name| self.ages.of(name));
            let Some(age) = age else { continue };
            let keep_from = self.borders.keep_from(age).await?;
            if keep_from.is_some_and(|keep_from| message.sequence < keep_from) {
                let kind = self.kind(name, age);
                kind.events += 1;
                kind.bytes += room(storage, &message);
            }
        }
        Ok(())
    }

    fn kind(&mut self, event_type: Option<String>, age: std::time::Duration) -> &mut RetentionKind {
        let before = self.borders.before(age);
        self.kinds.entry(event_type.clone()).or_insert_with(|| RetentionKind {
            event_type,
            age: age.as_secs_f64(),
            before,
            events: 0,
            bytes: 0,
        })
    }
}
