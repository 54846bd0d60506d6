//! For tests: a log of three replicas, and what is asked for of a bucket that
//! isn't there yet.

use std::sync::{Arc, Mutex};

use naq_core::clock::ManualClock;
use naq_core::config::EventsConfig;
use naq_core::connection::SingleJetStream;
use naq_core::events::EventSubjects;
use naq_core::jetstream::{MockJetStream, StreamConfig, StreamInfo, StreamState};
use naq_core::kv::{KvStore, MockKvStore};
use naq_core::{Error, ErrorKind, Timestamp};
use naq_kv::KvStoreService;
use naq_memory::MemoryJetStream;

use crate::read::{Limits, Log};

/// A log whose stream has three replicas.
pub(crate) fn log() -> Log {
    let created = Timestamp::from_nanos(1);
    let mut js = MockJetStream::new();
    js.expect_stream_info().returning(move |name| {
        let config = StreamConfig::new(name, ["events.>"]).with_replicas(3);
        Ok(StreamInfo::new(config, StreamState::default(), created))
    });
    let connections = SingleJetStream::provider(Arc::new(js));
    let clock = Arc::new(ManualClock::starting_at(created));
    let limits = Limits::of(&EventsConfig::default());
    Log::new(connections, clock, "events", EventSubjects::default(), limits)
}

/// A store that has no buckets and makes none, and the replicas of the last
/// one that it was to make.
pub(crate) fn store() -> (Arc<dyn KvStore>, Arc<Mutex<Option<u32>>>) {
    let empty = SingleJetStream::provider(Arc::new(MemoryJetStream::new()));
    let (empty, asked) = (KvStoreService::new(empty), Arc::new(Mutex::new(None)));
    let mut kv = MockKvStore::new();
    kv.expect_bucket().returning(move |name| empty.bucket(name));
    let asks = Arc::clone(&asked);
    kv.expect_ensure_bucket().returning(move |config| {
        *asks.lock().unwrap() = config.replicas;
        Err(Error::new(ErrorKind::Unavailable, "ensure_bucket", "none is made here"))
    });
    (Arc::new(kv), asked)
}
