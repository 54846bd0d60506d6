//! One question at a time reads what the log's last block has grown by: those
//! that are asked meanwhile wait, and find what it made.

use naq_core::Result;
use tokio::sync::MutexGuard;

use super::digest::{block_end, block_of};
use super::gather::Gathering;
use crate::read::OpenLog;

impl<'a> Gathering<'a> {
    /// Begins to read what lies at the log's end, once nobody else does; `None`
    /// where that is still to come, or all of it is in memory.
    ///
    /// It waits no longer than its question may.
    pub(super) async fn begin(&mut self) -> Result<Option<MutexGuard<'a, ()>>> {
        if self.is_before_the_end() || self.reach() == Some(self.through) {
            return Ok(None);
        }
        let flight = self.digests.flight.lock().await;
        // The log may have grown while another one read: what that has seen is
        // not of a server that has lost its end, if the log goes so far now.
        if self.reach().is_some_and(|reach| reach > self.through) {
            let open = self.ask.log.open(self.ask.operation).await?;
            self.look_again(&open);
        }
        Ok(Some(flight))
    }

    /// Goes by a later look at the log, as far as the blocks go that it looks at.
    fn look_again(&mut self, open: &OpenLog) {
        let (before, now) = (&self.ask.open.info, &open.info);
        let through = now.state.last_sequence.min(block_end(block_of(self.through)));
        if now.created == before.created && through > self.through {
            self.through = through;
            self.basis.through = through;
            if through == now.state.last_sequence {
                self.basis.newest_stored = now.state.last_time;
            }
        }
    }

    /// How far the digest goes that is in memory of a block that still grows.
    fn reach(&self) -> Option<u64> {
        let kept = self.digests.kept(self.ask.open.info.created);
        kept.open.as_ref().map(|open| open.sealed.through)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use naq_core::clock::ManualClock;
    use naq_core::config::{EventsConfig, SubjectLayout};
    use naq_core::connection::SingleJetStream;
    use naq_core::events::{AnswerBasis, EventSubjects, Filter, RecordedEvent, ScanLimits};
    use naq_core::jetstream::{JetStream, PublishMessage, StreamConfig};
    use naq_kv::KvStoreService;
    use naq_memory::MemoryJetStream;

    use super::super::{Ask, Cell, CellFilter, Digest, Digests, Grain, Key, MinuteRange, Tally};
    use super::*;
    use crate::read::{Limits, Log};

    /// Counts events, of digests and of the log.
    #[derive(Default)]
    struct Count(u64);

    impl Tally for Count {
        fn grain(&self) -> Grain {
            Grain::Whole
        }

        fn lacks(&self, _: &Digest) -> bool {
            false
        }

        fn digest(&mut self, _: &Digest) {}

        fn cells(&mut self, _: &Digest, cells: &[(Key, Cell)]) {
            self.0 += cells.iter().map(|(_, cell)| cell.count).sum::<u64>();
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
    }

    impl Own {
        async fn new() -> Self {
            let js = Arc::new(MemoryJetStream::new());
            js.create_stream(StreamConfig::new("events", ["events.>"])).await.unwrap();
            let provider = || SingleJetStream::provider(Arc::clone(&js) as Arc<dyn JetStream>);
            let subjects = EventSubjects::new("events", SubjectLayout::Entity).unwrap();
            let limits = Limits::of(&EventsConfig::default());
            let clock = Arc::new(ManualClock::new());
            let log = Log::new(provider(), clock, "events", subjects, limits);
            let kv = Arc::new(KvStoreService::new(provider()));
            Self { log, digests: Digests::new(kv, "events"), js }
        }

        async fn store(&self, events: u64) {
            for _ in 0..events {
                let message = PublishMessage::new("events.log", r#"{"type":"log"}"#);
                self.js.publish(message).await.unwrap();
            }
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
        own.store(100).await;
        let late = own.log.open("test").await.unwrap();
        let (count, basis) = own.ask(&late).await;
        assert_eq!((count, basis.through, basis.read), (400, 400, 400));
        let (count, basis) = own.ask(&early).await;
        assert_eq!((count, basis.through, basis.read), (400, 400, 0));
        assert_eq!(basis.newest_stored, late.info.state.last_time);
    }
}
