//! One at a time reads what lies at the log's end: a question, the follower, or
//! the keeper of the same service. Those that come meanwhile wait, and find what
//! it made. That saves work and nothing hangs on it: after some seconds they go
//! on by themselves, or one that its program polls no more would stop them all.

use std::time::Duration;

use naq_core::Result;
use naq_core::clock::{Clock, ClockExt};
use tokio::sync::MutexGuard;

use super::digest::{Digest, block_end, block_of};
use super::gather::Gathering;
use super::kept::{Digests, Purpose};
use crate::read::{Log, OpenLog};

/// How long somebody waits for what another one reads: longer than what came
/// since the last reading takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

impl Digests {
    /// Reads at the log's end, once nobody else does; `None` after some seconds
    /// on this clock, beside one who has not come to an end by then.
    pub(super) async fn flight(&self, clock: &dyn Clock) -> Option<MutexGuard<'_, ()>> {
        clock.until(clock.deadline(PATIENCE), self.flight.lock()).await
    }

    /// The log at a later look, where its last block is in memory further than
    /// it went at that one: somebody has looked later, and read.
    pub(super) async fn later(
        &self,
        operation: &'static str,
        log: &Log,
        open: &OpenLog,
    ) -> Result<Option<OpenLog>> {
        let (created, last) = (open.info.created, open.info.state.last_sequence);
        if self.kept(created).reach(block_of(last)) <= Some(last) {
            return Ok(None);
        }
        let later = log.open(operation).await?;
        Ok(Some(later).filter(|later| later.info.created == created))
    }
}

impl<'a> Gathering<'a> {
    /// Begins to read what lies at the log's end; `None` where that is still to
    /// come, or all of it is in memory, or another one reads for too long.
    ///
    /// The window is the last one: up to 32 blocks where nobody has read before,
    /// else what has come since. It waits no longer than its question may.
    pub(super) async fn begin(&self) -> Option<MutexGuard<'a, ()>> {
        let created = self.open().info.created;
        let is_here = || self.digests.kept(created).reach(block_of(self.through));
        if self.is_before_the_end() || is_here() == Some(self.through) {
            return None;
        }
        let flight = self.digests.flight(self.ask.log.clock()).await;
        // What is not kept was told, and is in memory all the same.
        let replicas = self.open().replicas();
        let _ = self.digests.keep_whole(created, replicas, Purpose::Question).await;
        flight
    }

    /// Looks at the log again where a digest goes further than it did at the
    /// question's look: somebody has looked later, and kept what was read.
    ///
    /// What is asked goes no further than the block that was the last one.
    pub(super) async fn look_again(&mut self, digest: &Digest) -> Result<()> {
        if digest.through <= self.through {
            return Ok(());
        }
        let open = self.ask.log.open(self.ask.operation).await?;
        let last = open.info.state.last_sequence;
        let through = last.min(block_end(block_of(self.through)));
        if open.info.created != self.open().info.created || digest.through > through {
            // It is of what a server has lost.
            return Ok(());
        }
        (self.through, self.basis.through) = (through, through);
        if through == last {
            let now = open.basis();
            let basis = &mut self.basis;
            (basis.as_of, basis.removed) = (now.as_of, now.removed);
            (basis.first_sequence, basis.oldest_stored) = (now.first_sequence, now.oldest_stored);
            basis.newest_stored = now.newest_stored;
        }
        self.look_at(open);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use futures::{FutureExt, StreamExt, stream};
    use naq_core::clock::ManualClock;
    use naq_core::config::{EventsConfig, SubjectLayout};
    use naq_core::connection::SingleJetStream;
    use naq_core::events::{AnswerBasis, EventSubjects, Filter, RecordedEvent, ScanLimits};
    use naq_core::jetstream::{
        JetStream, MockJetStream, PublishMessage, PurgeKeep, PurgeOptions, ReadOptions, ReadUntil,
        StreamConfig,
    };
    use naq_core::{Error, ErrorKind};
    use naq_kv::KvStoreService;
    use naq_memory::MemoryJetStream;
    use tokio::sync::oneshot::Receiver;

    use super::super::{Ask, Cell, CellFilter, Digest, Digests, Grain, Key, MinuteRange, Tally};
    use super::*;
    use crate::read::Limits;

    /// Counts events, of digests and of the log.
    #[derive(Clone, Default)]
    struct Count(u64);

    impl Tally for Count {
        fn grain(&self) -> Grain {
            Grain::Whole
        }

        fn lacks(&self, _: &Digest) -> bool {
            false
        }

        fn digest(&mut self, _: &Digest) -> u64 {
            0
        }

        fn cells(&mut self, _: &Digest, cells: &[(Key, Cell)]) -> u64 {
            self.0 += cells.iter().map(|(_, cell)| cell.count).sum::<u64>();
            0
        }

        fn event(&mut self, _: &RecordedEvent) -> bool {
            self.0 += 1;
            true
        }
    }

    struct Own {
        js: Arc<MemoryJetStream>,
        log: Log,
        digests: Digests,
        clock: ManualClock,
    }

    impl Own {
        async fn new() -> Self {
            Self::beginning_at(1).await
        }

        async fn beginning_at(sequence: u64) -> Self {
            let js = Arc::new(MemoryJetStream::new());
            let config = StreamConfig::new("events", ["events.>"]);
            js.create_stream(config.with_first_sequence(sequence)).await.unwrap();
            let provider = || SingleJetStream::provider(Arc::clone(&js) as Arc<dyn JetStream>);
            let subjects = EventSubjects::new("events", SubjectLayout::Entity).unwrap();
            let limits = Limits::of(&EventsConfig::default());
            let clock = ManualClock::new();
            let log = Log::new(provider(), Arc::new(clock.clone()), "events", subjects, limits);
            let kv = Arc::new(KvStoreService::new(provider()));
            Self { log, digests: Digests::new(kv, "events"), clock, js }
        }

        async fn store(&self, events: u64) {
            for _ in 0..events {
                let message = PublishMessage::new("events.log", r#"{"type":"log"}"#);
                self.js.publish(message).await.unwrap();
            }
        }

        /// The log as it stands, whose reading comes to no end behind a sequence,
        /// and what tells that it has come there.
        async fn standing_still_behind(&self, sequence: u64) -> (OpenLog, Receiver<()>) {
            let mut open = self.log.open("test").await.unwrap();
            let options = ReadOptions::default().with_until(ReadUntil::Sequence(sequence));
            let deliveries: Vec<_> = open.jetstream.read("events", options).collect().await;
            let (said, stopped) = tokio::sync::oneshot::channel();
            let (mut jetstream, server) = (MockJetStream::new(), self.js.server_info());
            jetstream.expect_server_info().returning(move || server.clone());
            jetstream.expect_get_message().returning(|_, _| {
                let text = "not by these credentials";
                Err(Error::new(ErrorKind::PermissionDenied, "get_message", text))
            });
            jetstream.expect_read().return_once(move |_, _| {
                let end = async move {
                    said.send(()).unwrap();
                    std::future::pending().await
                };
                stream::iter(deliveries).chain(end.into_stream()).boxed()
            });
            open.jetstream = Arc::new(jetstream);
            (open, stopped)
        }

        async fn ask(&self, open: &OpenLog) -> (u64, AnswerBasis) {
            let ask = Ask {
                operation: "test",
                log: &self.log,
                open,
                range: MinuteRange::default(),
                filter: &CellFilter::of(&Filter::new()).unwrap(),
                meter: &self.log.meter("test", ScanLimits::default()),
            };
            let mut count = Count::default();
            let basis = self.digests.gather(&ask, &mut count).await.unwrap();
            (count.0, basis)
        }
    }

    #[tokio::test]
    async fn of_questions_at_once_one_reads_what_came() {
        let own = Own::new().await;
        for (stored, all) in [(400, 400), (300, 700)] {
            own.store(stored).await;
            let open = own.log.open("test").await.unwrap();
            let answers = futures::future::join_all((0..8).map(|_| own.ask(&open))).await;
            assert!(answers.iter().all(|(count, basis)| (*count, basis.through) == (all, all)));
            let read: u64 = answers.iter().map(|(_, basis)| basis.read).sum();
            assert_eq!(read, stored);
        }
    }

    #[tokio::test]
    async fn who_looked_at_the_log_before_another_one_goes_by_what_that_has_read() {
        let own = Own::new().await;
        own.store(300).await;
        let early = own.log.open("test").await.unwrap();
        own.clock.advance(Duration::from_secs(1));
        own.store(100).await;
        let late = own.log.open("test").await.unwrap();
        let (count, basis) = own.ask(&late).await;
        assert_eq!((count, basis.through, basis.read), (400, 400, 400));
        let (count, basis) = own.ask(&early).await;
        assert_eq!((count, basis.through, basis.read), (400, 400, 0));
        // All that it says of the log is of the later look.
        assert_eq!(basis.newest_stored, late.info.state.last_time);
        assert!(early.opened_at < late.opened_at);
        assert_eq!(basis.as_of, Some(late.opened_at));
    }

    #[tokio::test]
    async fn a_question_beside_the_keeper_has_what_that_reads() {
        let own = Own::new().await;
        for (stored, all) in [(400, 400), (300, 700)] {
            own.store(stored).await;
            let open = own.log.open("test").await.unwrap();
            let folding = own.digests.fold("test", &own.log, &open, 0, |_, _| {});
            let (read, (count, basis)) = tokio::join!(folding, own.ask(&open));
            assert_eq!((read.unwrap(), count, basis.read), (stored, all, 0));
        }
        // The keeper goes by what a question has read that has looked later.
        own.store(100).await;
        let early = own.log.open("test").await.unwrap();
        own.clock.advance(Duration::from_secs(1));
        own.store(100).await;
        let late = own.log.open("test").await.unwrap();
        assert_eq!(own.ask(&late).await.0, 900);
        let read = own.digests.fold("test", &own.log, &early, 0, |_, _| {}).await;
        assert_eq!(read.unwrap(), 0);
    }

    #[tokio::test]
    async fn who_looked_before_a_block_was_whole_has_what_another_one_made_of_it() {
        let own = Own::beginning_at(65_530).await;
        own.store(5).await;
        let early = own.log.open("test").await.unwrap();
        own.clock.advance(Duration::from_secs(1));
        own.store(10).await;
        let late = own.log.open("test").await.unwrap();
        assert_eq!(own.ask(&late).await.0, 15);
        // What it would have to read itself is gone.
        let keep = PurgeOptions::default().with_keep(PurgeKeep::FromSequence(65_533));
        own.js.purge_stream("events", keep).await.unwrap();
        let (count, basis) = own.ask(&early).await;
        assert_eq!((count, basis.through, basis.read, basis.holes), (7, 65_536, 0, 65_529));
        // That is not all that there was then.
        assert_eq!(basis.as_of, Some(early.opened_at));
    }

    #[tokio::test]
    async fn a_question_that_is_given_up_has_kept_each_block_that_it_has_read() {
        let own = Own::beginning_at(65_530).await;
        own.store(10).await;
        let (open, stopped) = own.standing_still_behind(65_538).await;
        let created = open.info.created;
        tokio::select! {
            (count, _) = own.ask(&open) => panic!("it has read {count}"),
            told = stopped => told.unwrap(),
        }
        let extents = async || -> Vec<_> {
            let stored = own.digests.stored(created, &[0, 1]).await.unwrap();
            stored.iter().map(|it| it.as_ref().map(Digest::extent)).collect()
        };
        assert_eq!(extents().await, [Some((7, 65_536)), None]);
        // What it has of the next one is gone on from.
        own.digests.checkpoint(created, 1).await.unwrap();
        assert_eq!(extents().await, [Some((7, 65_536)), Some((2, 65_538))]);
    }

    #[tokio::test]
    async fn who_reads_and_is_polled_no_more_stops_nobody_for_long() {
        let own = Own::new().await;
        own.store(400).await;
        let (open, stopped) = own.standing_still_behind(200).await;
        let mut left_alone = Box::pin(own.ask(&open));
        tokio::select! {
            (count, _) = &mut left_alone => panic!("it has read {count}"),
            told = stopped => told.unwrap(),
        }
        let pass = async || {
            own.clock.wait_for_sleepers(1, Duration::from_secs(30)).await.unwrap();
            own.clock.advance(PATIENCE);
        };
        let open = own.log.open("test").await.unwrap();
        let folding = own.digests.fold("test", &own.log, &open, 0, |_, _| {});
        let (read, ()) = tokio::join!(folding, pass());
        assert_eq!(read.unwrap(), 400);
        own.store(100).await;
        let open = own.log.open("test").await.unwrap();
        let ((count, basis), ()) = tokio::join!(own.ask(&open), pass());
        assert_eq!((count, basis.read), (500, 100));
        // What it has put back has come less far.
        drop(left_alone);
        let (count, basis) = own.ask(&open).await;
        assert_eq!((count, basis.read), (500, 0));
    }

    #[tokio::test]
    async fn a_whole_block_whose_keeping_was_given_up_or_failed_is_kept_by_the_next_one_to_read() {
        for (hangs, asks) in [(true, true), (true, false), (false, true), (false, false)] {
            let mut own = Own::beginning_at(65_530).await;
            own.store(10).await;
            let created = own.log.open("test").await.unwrap().info.created;
            let kept_in = Arc::new(MemoryJetStream::new());
            let provider = SingleJetStream::provider(Arc::clone(&kept_in) as Arc<dyn JetStream>);
            own.digests = Digests::new(Arc::new(KvStoreService::new(provider)), "events");
            let mut growing = own.digests.begin(created, 0, 65_530, None);
            (65_530..=65_536).for_each(|sequence| growing.draft().malformed(sequence));
            let keeping = own.digests.finish(growing, 1, Purpose::Question);
            if hangs {
                kept_in.faults().block();
                assert!(keeping.now_or_never().is_none());
                kept_in.faults().unblock();
            } else {
                kept_in.faults().fail_publishes(u64::MAX, ErrorKind::Unavailable);
                assert!(keeping.await.unwrap_err().is(ErrorKind::Unavailable));
                kept_in.faults().fail_publishes(0, ErrorKind::Unavailable);
            }
            // Nobody can read it again.
            let keep = PurgeOptions::default().with_keep(PurgeKeep::FromSequence(65_537));
            own.js.purge_stream("events", keep).await.unwrap();
            let open = own.log.open("test").await.unwrap();
            if asks {
                let (count, basis) = own.ask(&open).await;
                assert_eq!((count, basis.malformed, basis.holes), (3, 7, 65_529));
            } else {
                let read = own.digests.fold("test", &own.log, &open, 0, |_, _| {}).await;
                assert_eq!(read.unwrap(), 3);
            }
            own.digests.checkpoint(created, 1).await.unwrap();
            let stored = own.digests.stored(created, &[0, 1]).await.unwrap();
            let extents: Vec<_> = stored.iter().map(|it| it.as_ref().map(Digest::extent)).collect();
            assert_eq!(extents, [Some((7, 65_536)), Some((3, 65_539))], "{hangs} {asks}");
        }
    }
}
