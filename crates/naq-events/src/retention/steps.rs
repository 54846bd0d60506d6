//! Removing what is too old, step by step.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use naq_core::clock::ClockExt;
use naq_core::config::RetentionAges;
use naq_core::jetstream::{GetMessage, PurgeKeep, PurgeOptions, Which, is_no_message};
use naq_core::{Result, Timestamp};
use serde::Serialize;

use super::APPLY;
use super::cuts::{Aim, Borders, Cut};
use crate::digests::{Digested, Digests};
use crate::read::{Log, OpenLog};

/// Over how many sequences a step reaches: at the beginning, at least, at most.
/// A server looks at each of them while it purges one type.
const REACH: u64 = 262_144;
const LEAST_REACH: u64 = 16_384;
const MOST_REACH: u64 = 4_194_304;

/// A step that took longer is followed by a shorter one; steps that took so
/// long together are followed by a pause.
const LONG: Duration = Duration::from_millis(500);

/// One that took less is followed by a longer one.
const SHORT: Duration = Duration::from_millis(100);

/// What one purge removed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RetentionStep {
    /// The type of what went; `None` for everything below `keep_from`.
    pub event_type: Option<String>,
    /// The first sequence that stayed.
    pub keep_from: u64,
    /// How many events went.
    pub removed: u64,
    /// How long the server took, in seconds: for at most so long it
    /// acknowledged nothing.
    pub took: f64,
    /// Whether more is left to remove.
    pub has_more: bool,
}

/// Removes what is too old: what was found too old when it last looked.
#[derive(Debug)]
pub(crate) struct Retention {
    log: Log,
    /// What goes is in them first, where it has to be.
    digests: Option<Arc<Digests>>,
    aim: Aim,
    digested: Digested,
    created: Timestamp,
    cuts: VecDeque<Cut>,
    /// The last sequence that is in kept digests, where what is too old
    /// behind it is in none.
    digested_through: Option<u64>,
    reach: u64,
    /// How long the server took since the last pause.
    busy: Duration,
}

impl Retention {
    /// Removes what is older than its type's age. Nothing is found yet.
    pub(crate) fn new(log: Log, digests: Arc<Digests>, ages: RetentionAges) -> Self {
        Self::with_aim(log, Some(digests), Aim::Ages(ages))
    }

    pub(super) fn with_aim(log: Log, digests: Option<Arc<Digests>>, aim: Aim) -> Self {
        Self {
            log,
            digests,
            aim,
            digested: Digested::default(),
            created: Timestamp::default(),
            cuts: VecDeque::new(),
            digested_through: None,
            reach: REACH,
            busy: Duration::ZERO,
        }
    }

    /// Whether the server was busy with steps for so long that ingest is to
    /// have some time of its own before the next one.
    pub(crate) fn wants_pause(&self) -> bool {
        self.busy >= LONG
    }

    /// Ingest had some time of its own.
    pub(crate) const fn has_paused(&mut self) {
        self.busy = Duration::ZERO;
    }

    /// Whether there is more to remove of what was found.
    pub(crate) fn has_more(&self) -> bool {
        !self.cuts.is_empty()
    }

    /// The last sequence that is in digests which are kept, where more would go
    /// if more were in them.
    pub(crate) const fn digested_through(&self) -> Option<u64> {
        self.digested_through
    }

    /// Finds what is too old at this time, by the server's clock, and in
    /// digests that are kept.
    pub(crate) async fn plan(&mut self, now: Timestamp) -> Result<()> {
        self.forget();
        if self.aim.is_nothing() {
            return Ok(());
        }
        let open = self.log.open(APPLY).await?;
        self.created = open.info.created;
        let through = match &self.digests {
            Some(digests) => self.digested.look(digests, &open).await?,
            None => open.info.state.last_sequence,
        };
        let mut borders = Borders::new(&self.log, &open, now);
        let found = self.aim.cuts(&mut borders, self.digested.types()).await?;
        let wants_more = found.iter().any(|cut| cut.keep_from > through + 1);
        self.cuts = found
            .into_iter()
            .map(|cut| Cut { keep_from: cut.keep_from.min(through + 1), ..cut })
            .filter(|cut| cut.keep_from > open.info.state.first_sequence)
            .collect();
        self.digested_through = wants_more.then_some(through);
        Ok(())
    }

    fn forget(&mut self) {
        self.cuts.clear();
        self.digested_through = None;
    }

    /// Removes some of what was found; `None` where nothing of it is left.
    pub(crate) async fn step(&mut self) -> Result<Option<RetentionStep>> {
        while let Some(cut) = self.cuts.front().cloned() {
            let open = self.log.open(APPLY).await?;
            if open.info.created != self.created {
                // Sequences of one stream say nothing of another one.
                self.forget();
                break;
            }
            let (first, subjects) = self.matches(&open, &cut).await?;
            let Some(first) = first else {
                self.cuts.pop_front();
                continue;
            };
            let keep_from = cut.keep_from.min(first.saturating_add(self.reach));
            if !self.is_digested(&open, first..keep_from).await? {
                // Digests that were there are gone, or damaged.
                self.digested = Digested::default();
                self.cuts.clear();
                self.digested_through = Some(first - 1);
                break;
            }
            if keep_from == cut.keep_from {
                self.cuts.pop_front();
            }
            let clock = self.log.clock();
            let begun = clock.monotonic();
            let mut removed = 0;
            for subject in subjects {
                let mut options =
                    PurgeOptions::default().with_keep(PurgeKeep::FromSequence(keep_from));
                options.subject = subject;
                removed += open.jetstream.purge_stream(self.log.stream(), options).await?;
            }
            let took = clock.elapsed_since(begun);
            self.reach = next_reach(self.reach, took, keep_from < cut.keep_from);
            self.busy = self.busy.saturating_add(took);
            return Ok(Some(RetentionStep {
                event_type: cut.event_type,
                keep_from,
                removed,
                took: took.as_secs_f64(),
                has_more: self.has_more(),
            }));
        }
        Ok(None)
    }

    /// Whether that is in digests which are kept, or doesn't have to be.
    async fn is_digested(&self, open: &OpenLog, sequences: Range<u64>) -> Result<bool> {
        let Some(digests) = &self.digests else { return Ok(true) };
        digests.look(open).await?;
        digests.has(open, sequences).await
    }

    /// The first message that a cut removes, and the subjects under which
    /// there are any.
    async fn matches(
        &self,
        open: &OpenLog,
        cut: &Cut,
    ) -> Result<(Option<u64>, Vec<Option<String>>)> {
        let Some(name) = &cut.event_type else {
            let first = Some(open.info.state.first_sequence);
            return Ok((first.filter(|first| *first < cut.keep_from), vec![None]));
        };
        let mut first: Option<u64> = None;
        let mut subjects = Vec::new();
        for subject in self.log.subjects().of_type(name) {
            let which = Which::NextBySubject { subject: subject.clone(), sequence: 1 };
            match open.jetstream.get_message(self.log.stream(), GetMessage::new(which)).await {
                Ok(message) if message.sequence < cut.keep_from => {
                    let sequence = message.sequence;
                    first = Some(first.map_or(sequence, |first| first.min(sequence)));
                    subjects.push(Some(subject));
                }
                Ok(_) => {}
                Err(error) if is_no_message(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((first, subjects))
    }
}

/// How far the next step reaches, after one that took so long.
fn next_reach(reach: u64, took: Duration, was_bounded: bool) -> u64 {
    if took > LONG {
        (reach / 2).max(LEAST_REACH)
    } else if took < SHORT && was_bounded {
        (reach * 2).min(MOST_REACH)
    } else {
        reach
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use naq_core::clock::{Clock, ManualClock};
    use naq_core::config::{EventsConfig, SubjectLayout};
    use naq_core::connection::SingleJetStream;
    use naq_core::events::{Event, EventSubjects};
    use naq_core::jetstream::{JetStream, MockJetStream, PublishMessage, StreamConfig};
    use naq_kv::KvStoreService;
    use naq_memory::MemoryJetStream;

    use super::super::apply::fold;
    use super::*;
    use crate::read::Limits;

    /// A log in memory of so many events of these types in turn, all of them
    /// digested, and ten seconds later; retention that asks `by` of the log
    /// for what gets five seconds old of some types.
    async fn scene(
        events: usize,
        kinds: &[&str],
        aged: &[&str],
        by: impl FnOnce(&MemoryJetStream, &ManualClock) -> Arc<dyn JetStream>,
    ) -> (MemoryJetStream, Retention) {
        let start = Timestamp::from_nanos(1_700_000_000_000_000_000);
        let clock = ManualClock::starting_at(start);
        let js = MemoryJetStream::builder().clock(Arc::new(clock.clone())).build();
        js.create_stream(StreamConfig::new("events", ["events.>"])).await.unwrap();
        for (n, kind) in (0..events).zip(kinds.iter().cycle()) {
            let payload = serde_json::to_vec(&Event::new(*kind)).unwrap();
            js.publish(PublishMessage::new(format!("events.{kind}.{n}"), payload)).await.unwrap();
        }
        clock.advance(Duration::from_secs(10));
        let subjects = EventSubjects::new("events", SubjectLayout::Entity).unwrap();
        let limits = Limits::of(&EventsConfig::default());
        let connections = SingleJetStream::provider(by(&js, &clock));
        let log = Log::new(connections, Arc::new(clock.clone()), "events", subjects, limits);
        let store = SingleJetStream::provider(Arc::new(js.clone()));
        let digests = Arc::new(Digests::new(Arc::new(KvStoreService::new(store)), "events"));
        fold(&digests, &log).await.unwrap();
        let age = Duration::from_secs(5);
        let ages =
            aged.iter().fold(RetentionAges::default(), |ages, kind| ages.with_age(*kind, age));
        let mut retention = Retention::new(log, digests, ages.with_age("*", 9 * age));
        retention.plan(clock.now()).await.unwrap();
        assert_eq!(retention.digested_through(), None, "all is in digests");
        (js, retention)
    }

    #[tokio::test]
    async fn a_cut_that_reaches_far_is_made_in_steps_that_do_not() {
        const EVENTS: usize = 100;
        let (js, mut retention) =
            scene(EVENTS, &["old", "other"], &["old"], |js, _| Arc::new(js.clone())).await;
        retention.reach = 8;
        let mut steps = Vec::new();
        while let Some(step) = retention.step().await.unwrap() {
            steps.push((step.keep_from, step.removed, step.has_more));
        }
        // Each was quick, and is followed by one of twice the reach.
        assert_eq!(steps, [(9, 4, true), (25, 8, true), (57, 16, true), (101, 22, false)]);
        assert!(!retention.wants_pause());
        let state = js.stream_info("events").await.unwrap().state;
        assert_eq!((state.first_sequence, state.messages), (2, EVENTS as u64 / 2));
    }

    /// A log whose server takes so long for each purge.
    fn slow(js: &MemoryJetStream, clock: &ManualClock, took: Duration) -> Arc<dyn JetStream> {
        let mut slow = MockJetStream::new();
        let (told, read, got, purged) = (js.clone(), js.clone(), js.clone(), js.clone());
        let clock = clock.clone();
        slow.expect_server_info().returning({
            let js = js.clone();
            move || js.server_info()
        });
        slow.expect_stream_info()
            .returning(move |stream| told.stream_info(stream).now_or_never().unwrap());
        slow.expect_read().returning(move |stream, options| read.read(stream, options));
        slow.expect_get_message().returning(move |stream, message| {
            got.get_message(stream, message).now_or_never().unwrap()
        });
        slow.expect_purge_stream().returning(move |stream, options| {
            clock.advance(took);
            purged.purge_stream(stream, options).now_or_never().unwrap()
        });
        Arc::new(slow)
    }

    #[tokio::test]
    async fn steps_that_take_half_a_second_together_are_followed_by_a_pause() {
        let kinds = ["a", "b", "c", "d", "e", "f", "g"];
        let took = Duration::from_millis(200);
        let (js, mut retention) = scene(7, &kinds, &kinds, |js, clock| slow(js, clock, took)).await;
        let mut pauses = Vec::new();
        while let Some(step) = retention.step().await.unwrap() {
            assert_eq!((step.removed, step.took), (1, took.as_secs_f64()));
            pauses.push(retention.wants_pause());
            if retention.wants_pause() {
                retention.has_paused();
            }
        }
        assert_eq!(pauses, [false, false, true, false, false, true, false]);
        assert_eq!(js.stream_info("events").await.unwrap().state.messages, 0);
    }

    #[test]
    fn a_step_that_took_long_is_followed_by_a_shorter_one() {
        let long = Duration::from_secs(1);
        assert_eq!(next_reach(REACH, long, true), REACH / 2);
        assert_eq!(next_reach(LEAST_REACH, long, false), LEAST_REACH);
        let short = Duration::from_millis(1);
        assert_eq!(next_reach(REACH, short, true), REACH * 2);
        // One that had less to do says nothing of a longer one.
        assert_eq!(next_reach(REACH, short, false), REACH);
        assert_eq!(next_reach(MOST_REACH, short, true), MOST_REACH);
        assert_eq!(next_reach(REACH, Duration::from_millis(300), true), REACH);
    }
}
