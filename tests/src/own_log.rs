//! An event log that only one test knows, and the services that are asked about it.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use naq_core::ErrorKind;
use naq_core::clock::{Clock, SystemClock};
use naq_core::config::{EventsConfig, KeeperMode, Size};
use naq_core::connection::SingleJetStream;
use naq_core::events::EventSubjects;
use naq_core::jetstream::{JetStream, PublishMessage, PurgeKeep, PurgeOptions, StreamInfo};
use naq_core::kv::{KeySelection, KvBucket, KvBucketExt, KvStore};
use naq_core::service::Service;
use naq_events::EventService;
use naq_kv::KvStoreService;
use naq_streams::StreamService;

use crate::names;

/// Where digests are kept.
pub const DIGESTS: &str = "naq_digests";

/// Where indexes are kept.
pub const INDEXES: &str = "naq_indexes";

/// A type of event, and a payload.
pub type Payload = (&'static str, Vec<u8>);

/// What a service keeps of its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// Nothing: it reads the log for each answer.
    Nothing,
    /// Digests.
    Digests,
    /// Digests and indexes.
    Indexes,
}

/// A log, to be filled, asked about and damaged.
#[derive(Debug)]
pub struct OwnLog {
    /// Where it is.
    pub js: Arc<dyn JetStream>,
    /// How services are made that ask about it.
    pub config: EventsConfig,
}

impl OwnLog {
    /// One whose stream and subjects have a name of their own, which begins
    /// with `prefix`. Nobody keeps it unless a service is told to.
    pub fn new(js: Arc<dyn JetStream>, prefix: &str) -> Self {
        let name = names::unique(prefix);
        let config = EventsConfig::default()
            .with_stream_name(name.as_str())
            .with_subject_root(name.as_str())
            // A server sets aside what a stream may take.
            .with_max_bytes(Size::from_mib(64))
            .with_keeper(KeeperMode::Off)
            .with_keeper_lease(Duration::from_millis(200));
        Self { js, config }
    }

    /// A service that is started.
    pub async fn service(&self, keeps: Keeps) -> Arc<EventService> {
        self.started(keeps, self.config.clone()).await
    }

    /// A service with digests that is ready to keep the log.
    pub async fn keeper(&self) -> Arc<EventService> {
        self.keeper_of(Keeps::Digests).await
    }

    /// A service that keeps so much, and is ready to keep the log.
    pub async fn keeper_of(&self, keeps: Keeps) -> Arc<EventService> {
        self.started(keeps, self.config.clone().with_keeper(KeeperMode::On)).await
    }

    async fn started(&self, keeps: Keeps, config: EventsConfig) -> Arc<EventService> {
        let service = service(&self.js, Arc::new(SystemClock::new()), config, keeps);
        service.start().await.unwrap();
        service
    }

    /// The key-value store beside the log.
    pub fn kv(&self) -> Arc<dyn KvStore> {
        Arc::new(KvStoreService::new(SingleJetStream::provider(Arc::clone(&self.js))))
    }

    /// A bucket of it.
    pub fn bucket(&self, name: &str) -> Arc<dyn KvBucket> {
        self.kv().bucket(name).unwrap()
    }

    /// The log as the server describes it.
    pub async fn info(&self) -> StreamInfo {
        self.js.stream_info(&self.config.stream_name).await.unwrap()
    }

    /// Its subjects.
    pub fn subjects(&self) -> EventSubjects {
        EventSubjects::new(&self.config.subject_root, self.config.subjects).unwrap()
    }

    /// Stores messages, in order.
    pub async fn publish(&self, messages: Vec<PublishMessage>) {
        let count = messages.len() as u64;
        let published = self.js.publish_many(stream::iter(messages).boxed(), Default::default());
        let stored = published.fold(0, async |sum, result| sum + result.unwrap().count()).await;
        assert_eq!(stored, count);
    }

    /// Stores payloads, each under its type and no entity.
    pub async fn store(&self, events: Vec<Payload>) {
        let root = &self.config.subject_root;
        let message = |(kind, payload)| PublishMessage::new(format!("{root}.{kind}"), payload);
        self.publish(events.into_iter().map(message).collect()).await;
    }

    /// Removes events.
    pub async fn purge(&self, options: PurgeOptions) {
        self.js.purge_stream(&self.config.stream_name, options).await.unwrap();
    }

    /// Removes all below a sequence.
    pub async fn purge_below(&self, sequence: u64) {
        self.purge(PurgeOptions::default().with_keep(PurgeKeep::FromSequence(sequence))).await;
    }

    /// Removes all events of a type.
    pub async fn purge_type(&self, kind: &str) {
        for subject in self.subjects().of_type(kind) {
            self.purge(PurgeOptions::default().with_subject(subject)).await;
        }
    }

    /// The keys under which a bucket keeps objects of the log's blocks, sorted;
    /// none where there is no bucket yet.
    pub async fn kept(&self, bucket: &str) -> Vec<String> {
        let prefix = format!("{}.", self.config.stream_name);
        let keys = self.bucket(bucket).keys(KeySelection::prefix(prefix.as_str()));
        let mut keys: Vec<String> = match keys.try_collect().await {
            Err(error) if error.is(ErrorKind::NotFound) => Vec::new(),
            keys => keys.unwrap(),
        };
        // The list of the indexes is no object of a block.
        keys.retain(|key| !key.ends_with(".indexes"));
        keys.sort();
        keys
    }

    /// Changes a bit of each object that a bucket keeps of the log, or deletes it.
    pub async fn damage(&self, bucket: &str, random: &mut fastrand::Rng) {
        for key in self.kept(bucket).await {
            let bucket = self.bucket(bucket);
            if random.bool() {
                bucket.delete(&key).await.unwrap();
            } else if let Some(entry) = bucket.get(&key).await.unwrap() {
                // Else a keeper has removed it meanwhile.
                let mut damaged = entry.value.to_vec();
                let place = random.usize(..damaged.len());
                damaged[place] ^= 1 << random.u8(..8);
                bucket.put(&key, damaged).await.unwrap();
            }
        }
    }
}

/// A service on a JetStream that keeps so much of its log; not started.
pub fn service(
    js: &Arc<dyn JetStream>,
    clock: Arc<dyn Clock>,
    config: EventsConfig,
    keeps: Keeps,
) -> Arc<EventService> {
    let connections = || SingleJetStream::provider(Arc::clone(js));
    let kv = || Arc::new(KvStoreService::new(connections()));
    let streams = Arc::new(StreamService::new(connections()));
    let service = EventService::new(connections(), streams, clock, config).unwrap();
    Arc::new(match keeps {
        Keeps::Nothing => service,
        Keeps::Digests => service.with_digests(kv()),
        Keeps::Indexes => service.with_digests(kv()).with_indexes(kv()),
    })
}
