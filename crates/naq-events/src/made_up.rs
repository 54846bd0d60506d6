//! For tests: logs that are as they are told of here.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures::{FutureExt, StreamExt, stream};
use naq_core::clock::ManualClock;
use naq_core::config::EventsConfig;
use naq_core::connection::SingleJetStream;
use naq_core::events::{Event, EventSubjects};
use naq_core::jetstream::{
    Delivery, JetStream, MockJetStream, ReadStart, ReadUntil, ServerInfo, ServerVersion,
    StoredMessage, StreamConfig, StreamInfo, StreamState, Which,
};
use naq_core::kv::{KvStore, MockKvBucket, MockKvStore};
use naq_core::{BoxStream, Error, ErrorKind, Result, Timestamp};
use naq_kv::KvStoreService;
use naq_memory::MemoryJetStream;

use crate::read::{Limits, Log, OpenLog};

/// A log whose stream has three replicas.
pub(crate) fn log_of_three() -> Log {
    let created = Timestamp::from_nanos(1);
    let mut js = MockJetStream::new();
    js.expect_stream_info().returning(move |name| {
        let config = StreamConfig::new(name, ["events.>"]).with_replicas(3);
        Ok(StreamInfo::new(config, StreamState::default(), created))
    });
    js.expect_server_info().returning(|| ServerInfo::new("one", "1", ServerVersion::new(2, 14, 0)));
    let connections = SingleJetStream::provider(Arc::new(js));
    let clock = Arc::new(ManualClock::starting_at(created));
    let limits = Limits::of(&EventsConfig::default());
    Log::new(connections, clock, "events", EventSubjects::default(), limits)
}

/// A store that has no buckets and makes none, and the replicas of the last
/// one that it was to make.
pub(crate) fn no_store() -> (Arc<dyn KvStore>, Arc<Mutex<Option<u32>>>) {
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

/// When the stream of these logs was made.
pub(crate) const CREATED: Timestamp = Timestamp::from_nanos(1);

/// A log of events of one queue, up to this one, of which those from each of
/// these on were stored anew: the server has lost the ones that it had there.
pub(crate) fn log_anew_from(anew: &'static [u64], last: u64) -> (Log, OpenLog) {
    let message = move |sequence: u64| {
        let times = anew.iter().filter(|from| **from <= sequence).count();
        let mut message = message(sequence);
        message.stored_at = Timestamp::from_nanos(message.stored_at.as_nanos() + times as i64);
        message
    };
    let clock = ManualClock::starting_at(CREATED);
    log_of(last, &clock, message, move |from, to| {
        stream::iter((from..=to).map(move |n| Ok(Delivery::Message(message(n))))).boxed()
    })
}

/// A log of events of one queue, up to this one, whose readings between two
/// sequences are these.
pub(crate) fn log_that_is_read(
    last: u64,
    clock: &ManualClock,
    reading: impl Fn(u64, u64) -> BoxStream<'static, Result<Delivery>> + Send + 'static,
) -> (Log, OpenLog) {
    log_of(last, clock, message, reading)
}

/// The event of one queue at a sequence.
pub(crate) fn message(sequence: u64) -> StoredMessage {
    let event = Event::new("x").with_queue("q").with_timestamp(CREATED);
    StoredMessage {
        subject: "events.x".to_owned(),
        sequence,
        stored_at: Timestamp::from_nanos(2),
        headers: Default::default(),
        payload: serde_json::to_vec(&event).unwrap().into(),
    }
}

fn log_of(
    last: u64,
    clock: &ManualClock,
    message: impl Fn(u64) -> StoredMessage + Send + 'static,
    reading: impl Fn(u64, u64) -> BoxStream<'static, Result<Delivery>> + Send + 'static,
) -> (Log, OpenLog) {
    let mut state = StreamState::default();
    (state.first_sequence, state.last_sequence) = (1, last);
    let info = StreamInfo::new(StreamConfig::new("events", ["events.>"]), state, CREATED);
    let mut js = MockJetStream::new();
    js.expect_server_info().returning(|| ServerInfo::new("", "", ServerVersion::new(2, 14, 0)));
    let told = info.clone();
    js.expect_stream_info().returning(move |_| Ok(told.clone()));
    js.expect_get_message().returning(move |_, get| match get.which {
        Which::Sequence(sequence) | Which::NextBySubject { sequence, .. } => Ok(message(sequence)),
        other => panic!("asked for {other:?}"),
    });
    js.expect_read().returning(move |_, options| match (options.start, options.until) {
        (ReadStart::Sequence(from), ReadUntil::Sequence(to)) => reading(from, to),
        other => panic!("asked for {other:?}"),
    });
    let js: Arc<dyn JetStream> = Arc::new(js);
    let clock = Arc::new(clock.clone());
    let limits = Limits::of(&EventsConfig::default());
    let connections = SingleJetStream::provider(Arc::clone(&js));
    let log = Log::new(connections, clock, "events", EventSubjects::default(), limits);
    (log, OpenLog::of(js, info, CREATED).in_turn(1))
}

/// A store in this process.
pub(crate) fn memory_store() -> Arc<dyn KvStore> {
    let js = Arc::new(MemoryJetStream::new());
    Arc::new(KvStoreService::new(SingleJetStream::provider(js)))
}

/// A digest as another version of naq may have made it, which this one can't read.
pub(crate) fn of_a_newer_version(digest: &[u8]) -> Vec<u8> {
    let (content, _) = digest.split_last_chunk::<4>().unwrap();
    let mut newer = content.to_vec();
    newer[4] = u8::MAX;
    newer.extend_from_slice(&crc32c::crc32c(&newer).to_le_bytes());
    newer
}

/// A store of buckets whose digests nobody may put anything in, as long as that is so.
pub(crate) fn without_right(js: &MemoryJetStream, is_denied: &Arc<AtomicBool>) -> Arc<dyn KvStore> {
    let inner = KvStoreService::new(SingleJetStream::provider(Arc::new(js.clone())));
    let inner: Arc<dyn KvStore> = Arc::new(inner);
    let (store, is_denied) = (Arc::clone(&inner), Arc::clone(is_denied));
    let mut kv = MockKvStore::new();
    kv.expect_ensure_bucket()
        .returning(move |config| store.ensure_bucket(config).now_or_never().unwrap());
    kv.expect_bucket().returning(move |name| {
        let bucket = inner.bucket(name)?;
        if name != "naq_digests" {
            return Ok(bucket);
        }
        let (is_denied, put, got) = (Arc::clone(&is_denied), Arc::clone(&bucket), bucket);
        let mut bucket = MockKvBucket::new();
        bucket.expect_put_opts().returning(move |key, value, options| {
            if is_denied.load(Ordering::Relaxed) {
                return Err(Error::new(ErrorKind::PermissionDenied, "put", "may not"));
            }
            put.put_opts(key, value, options).now_or_never().unwrap()
        });
        bucket
            .expect_get_many()
            .returning(move |keys, consistency| got.get_many(keys, consistency));
        Ok(Arc::new(bucket))
    });
    Arc::new(kv)
}

/// A way to a log that counts how often that is read.
pub(crate) fn counting(js: &MemoryJetStream, reads: &Arc<AtomicU64>) -> Arc<dyn JetStream> {
    let (told, read, reads) = (js.clone(), js.clone(), Arc::clone(reads));
    let mut counting = MockJetStream::new();
    let server = js.server_info();
    counting.expect_server_info().returning(move || server.clone());
    counting
        .expect_stream_info()
        .returning(move |stream| told.stream_info(stream).now_or_never().unwrap());
    let got = js.clone();
    counting
        .expect_get_message()
        .returning(move |stream, message| got.get_message(stream, message).now_or_never().unwrap());
    counting.expect_read().returning(move |stream, options| {
        reads.fetch_add(1, Ordering::Relaxed);
        read.read(stream, options)
    });
    Arc::new(counting)
}
