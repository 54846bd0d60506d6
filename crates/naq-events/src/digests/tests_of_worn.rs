//! Blocks that are read again, and those of which the log has no longer all.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use naq_core::clock::ManualClock;
use naq_core::config::EventsConfig;
use naq_core::connection::{ConnectionProvider, SingleJetStream};
use naq_core::events::{
    Event, EventSubjects, Filter, Position, RecordedEvent, ScanLimits, TopErrors, TopErrorsRequest,
};
use naq_core::jetstream::{JetStream, PublishMessage};
use naq_core::{ErrorKind, Result, Timestamp};
use naq_kv::KvStoreService;
use naq_memory::MemoryJetStream;

use super::digest::{BLOCK, Digest, block_end, block_start};
use super::draft::Draft;
use super::encode::encode;
use super::kept::Digests;
use super::{Ask, Cell, CellFilter, Grain, Key, MinuteRange, Tally};
use crate::answer::Sources;
use crate::read::{Limits, Log};
use crate::{EventService, top_errors};

/// Two blocks, both of them whole, whose digests leave errors out.
struct Own {
    js: Arc<MemoryJetStream>,
    config: EventsConfig,
    log: Log,
    digests: Digests,
    created: Timestamp,
}

/// The blocks whose digests are used: one that leaves errors out is read, if it can be.
#[derive(Clone, Default)]
struct Used(Vec<u64>);

impl Tally for Used {
    fn grain(&self) -> Grain {
        Grain::Whole
    }

    fn lacks(&self, digest: &Digest) -> bool {
        digest.unlisted_errors > 0
    }

    fn digest(&mut self, digest: &Digest) -> u64 {
        self.0.push(digest.block);
        0
    }

    fn cells(&mut self, _: &Digest, _: &[(Key, Cell)]) -> u64 {
        0
    }

    fn event(&mut self, _: &RecordedEvent) -> bool {
        false
    }
}

impl Own {
    async fn new() -> Self {
        let (js, config) = (Arc::new(MemoryJetStream::new()), EventsConfig::default());
        let connections = || -> Arc<dyn ConnectionProvider> {
            SingleJetStream::provider(Arc::clone(&js) as Arc<dyn JetStream>)
        };
        let stream = EventService::stream_config(&config).unwrap();
        let created = js.create_stream(stream).await.unwrap().created;
        let subject = format!("{}.job_failed", config.subject_root);
        let error = Event::job_failed("job", "disk is full", 1.0);
        let error = error.with_timestamp(Timestamp::from_nanos(1));
        let error = Bytes::from(serde_json::to_vec(&error).unwrap());
        let recorded = |sequence| {
            let position = Position::new(created, sequence);
            let at = Timestamp::from_nanos(1);
            RecordedEvent::decode(position, at, subject.clone(), error.clone()).unwrap()
        };
        // The last block has a message, so that both before it are whole. The first of each is
        // an event.
        let (to, payload) = (subject.clone(), error.clone());
        let messages = (0..=2 * BLOCK).map(move |number| match number % BLOCK {
            0 => PublishMessage::new(to.as_str(), payload.clone()),
            _ => PublishMessage::new(to.as_str(), "none"),
        });
        let published = js.publish_many(stream::iter(messages).boxed(), Default::default());
        assert_eq!(published.count().await as u64, 2 * BLOCK + 1);
        let (limits, subjects) = (Limits::of(&config), EventSubjects::default());
        let clock = Arc::new(ManualClock::starting_at(Timestamp::from_nanos(1)));
        let log = Log::new(connections(), clock, &config.stream_name, subjects, limits);
        let kv = Arc::new(KvStoreService::new(connections()));
        let digests = Digests::new(kv, &config.stream_name);
        for block in 0..2 {
            let mut draft = Draft::new(created, block);
            draft.observe(&recorded(block_start(block)));
            (block_start(block) + 1..=block_end(block)).for_each(|at| draft.malformed(at));
            let digest = Digest { unlisted_errors: 7, ..draft.seal().0 };
            digests.store().save(&digest, encode(&digest), ((0, 0), (0, 0)), 1).await.unwrap();
        }
        Self { js, config, log, digests, created }
    }

    async fn remove(&self, sequence: u64) {
        self.js.delete_message(&self.config.stream_name, sequence).await.unwrap();
    }

    async fn try_ask(&self, limits: ScanLimits) -> Result<TopErrors> {
        let from = Sources { log: &self.log, digests: Some(&self.digests), indexes: None };
        let meter = self.log.meter("ask", limits);
        top_errors::top_errors(from, &meter, TopErrorsRequest::default()).await
    }

    /// How many errors are left out, and how many messages were read.
    async fn ask(&self) -> (u64, u64) {
        let answer = self.try_ask(ScanLimits::default()).await.unwrap();
        // None is missed, or counted twice.
        let basis = answer.basis;
        assert_eq!((answer.total, basis.malformed, basis.holes), (3, 2 * (BLOCK - 1), 0));
        (answer.unlisted, basis.read)
    }
}

#[tokio::test]
async fn a_block_that_is_worn_is_found_so_once_and_put_together_with_others() {
    let own = Own::new().await;
    assert_eq!(own.ask().await, (0, 2 * BLOCK + 1));
    let error = own.try_ask(ScanLimits::default().with_max_messages(BLOCK)).await.unwrap_err();
    assert!(error.is(ErrorKind::LimitReached), "{error}");
    assert_eq!(own.ask().await, (0, 2 * BLOCK));
    own.remove(5).await;
    // The sixth message is the fifth that is there.
    assert_eq!(own.ask().await, (7, BLOCK + 5));
    assert_eq!(own.ask().await, (7, BLOCK));
    own.remove(2 * BLOCK).await;
    assert_eq!(own.ask().await, (14, BLOCK - 1));
    for _ in 0..2 {
        assert_eq!(own.ask().await, (14, 0));
    }
    assert_eq!(own.digests.kept(own.created).levels(), 2);
}

#[tokio::test]
async fn what_goes_while_it_is_read_again_is_told_by_its_digest() {
    let own = Own::new().await;
    own.ask().await;
    let open = own.log.open("test").await.unwrap();
    own.remove(7).await;
    let ask = Ask {
        operation: "test",
        log: &own.log,
        open: &open,
        range: MinuteRange::default(),
        filter: &CellFilter::of(&Filter::new()).unwrap(),
        meter: &own.log.meter("test", ScanLimits::default()),
    };
    let mut used = Used::default();
    let basis = own.digests.gather(&ask, &mut used).await.unwrap();
    assert_eq!((basis.malformed, basis.holes), (2 * (BLOCK - 1), 0));
    // The block that grows lacks nothing.
    assert_eq!((used.0, basis.read), (vec![2, 0], 7 + BLOCK));
}
