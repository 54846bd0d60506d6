//! JetStream on a NATS connection.
//!
//! Everything here speaks the wire protocol of JetStream over plain requests:
//! the client's own JetStream layer forgets configuration fields that it
//! doesn't know, waits without deadlines, and can't end a read.

mod ack;
mod ack_subject;
mod api;
mod atomic;
mod consumer_config;
mod consumers;
mod errors;
mod fast_batch;
mod fetch;
mod filters;
mod get;
mod get_many;
mod headers;
mod level;
mod pages;
mod publish;
mod publish_many;
mod pull;
mod read;
mod stream_config;
mod streams;
mod time;

use std::sync::Arc;

use async_trait::async_trait;
use naq_core::jetstream::{
    AckToken, Acknowledge, BatchAck, Capabilities, ConsumerConfig, ConsumerInfo, ConsumerMessage,
    Delivery, FetchOptions, GetMessage, GetMessages, JetStream, ListStreams, PublishAck,
    PublishManyOptions, PublishMessage, PublishWay, Published, PurgeOptions, ReadOptions,
    ServerInfo, ServerVersion, StoredMessage, StreamConfig, StreamInfo, SubjectCounts,
};
use naq_core::{BoxStream, Error, ErrorKind, Result};

pub(crate) use self::fast_batch::Parts;
use self::level::Level;
use crate::guard::TaskGuard;
use crate::nats::Wire;

/// JetStream on one NATS connection.
#[derive(Debug, Clone)]
pub(crate) struct NatsJetStream {
    wire: Arc<Wire>,
    level: Arc<Level>,
    /// What became of fast batches, for who fences them off.
    parts: Arc<Parts>,
    _learner: Arc<TaskGuard>,
}

impl NatsJetStream {
    pub(crate) fn new(wire: Arc<Wire>, parts: Arc<Parts>) -> Self {
        let level = Arc::new(Level::default());
        let learner = level::keep_learning(Arc::clone(&level), Arc::downgrade(&wire));
        let learner = Arc::new(TaskGuard::spawn(learner));
        Self { wire, level, parts, _learner: learner }
    }

    /// What the server that is connected can do.
    fn can(&self) -> Capabilities {
        self.level.capabilities(&self.wire)
    }
}

fn version(wire: &Wire) -> ServerVersion {
    // Before the first connection nothing is known: the oldest promises least.
    wire.client
        .try_server_info()
        .and_then(|info| info.version.parse().ok())
        .unwrap_or(ServerVersion::OLDEST)
}

/// The error of what a later server could do.
fn too_old(wire: &Wire, operation: &'static str, what: &'static str, since: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, operation, "the server is too old for it")
        .with("needs", what)
        .with("server", version(wire).to_string())
        .with_hint(format!("nats-server {since} has it: upgrade, or do without"))
}

/// A name that nobody else takes, without dots.
fn unique_name(wire: &Wire) -> String {
    let inbox = wire.client.new_inbox();
    inbox.rsplit('.').next().unwrap_or_default().to_owned()
}

#[async_trait]
impl JetStream for NatsJetStream {
    fn server_info(&self) -> ServerInfo {
        let info = self.wire.client.server_info();
        let mut told = ServerInfo::new(info.server_name, info.server_id, version(&self.wire));
        told.cluster = info.cluster.filter(|name| !name.is_empty());
        told.max_payload = self.wire.client.max_payload() as u64;
        told.client_id = info.client_id;
        told
    }

    fn capabilities(&self) -> Capabilities {
        self.can()
    }

    async fn publish(&self, message: PublishMessage) -> Result<PublishAck> {
        self.publish_one(message).await
    }

    fn publish_many(
        &self,
        messages: BoxStream<'static, PublishMessage>,
        options: PublishManyOptions,
    ) -> BoxStream<'static, Result<Published>> {
        match options.way {
            PublishWay::Pipeline => publish_many::pipeline(self.clone(), messages),
            PublishWay::FastBatch { id, confirm_start } => {
                fast_batch::publish(self.clone(), messages, id, confirm_start)
            }
        }
    }

    async fn close_fast_batch(
        &self,
        subject: &str,
        batch: &str,
        beyond: u64,
    ) -> Result<Option<u64>> {
        fast_batch::close(self, subject, batch, beyond).await
    }

    async fn publish_atomic(&self, messages: Vec<PublishMessage>) -> Result<BatchAck> {
        self.publish_batch(messages).await
    }

    async fn create_stream(&self, config: StreamConfig) -> Result<StreamInfo> {
        self.create(config).await
    }

    async fn update_stream(&self, config: StreamConfig) -> Result<StreamInfo> {
        self.update(config).await
    }

    async fn stream_info(&self, stream: &str) -> Result<StreamInfo> {
        self.info("stream_info", stream).await
    }

    async fn delete_stream(&self, stream: &str) -> Result<()> {
        self.delete(stream).await
    }

    fn list_streams(&self, options: ListStreams) -> BoxStream<'static, Result<StreamInfo>> {
        self.list(options)
    }

    async fn purge_stream(&self, stream: &str, options: PurgeOptions) -> Result<u64> {
        self.purge(stream, options).await
    }

    async fn subject_counts(
        &self,
        stream: &str,
        filter: &str,
        offset: u64,
    ) -> Result<SubjectCounts> {
        self.counts(stream, filter, offset).await
    }

    async fn get_message(&self, stream: &str, request: GetMessage) -> Result<StoredMessage> {
        self.get_one(stream, request).await
    }

    fn get_messages(
        &self,
        stream: &str,
        request: GetMessages,
    ) -> BoxStream<'static, Result<StoredMessage>> {
        self.get_many(stream, request)
    }

    async fn delete_message(&self, stream: &str, sequence: u64) -> Result<()> {
        self.delete_one(stream, sequence).await
    }

    fn read(&self, stream: &str, options: ReadOptions) -> BoxStream<'static, Result<Delivery>> {
        read::open(self.clone(), stream, options)
    }

    async fn create_consumer(&self, stream: &str, config: ConsumerConfig) -> Result<ConsumerInfo> {
        self.create_durable(stream, config).await
    }

    async fn consumer_info(&self, stream: &str, consumer: &str) -> Result<ConsumerInfo> {
        self.info_of_consumer(stream, consumer).await
    }

    fn list_consumers(&self, stream: &str) -> BoxStream<'static, Result<ConsumerInfo>> {
        self.list_of_consumers(stream)
    }

    async fn delete_consumer(&self, stream: &str, consumer: &str) -> Result<()> {
        self.delete_durable(stream, consumer).await
    }

    async fn fetch(
        &self,
        stream: &str,
        consumer: &str,
        options: FetchOptions,
    ) -> Result<Vec<ConsumerMessage>> {
        self.fetch_batch(stream, consumer, options).await
    }

    async fn acknowledge(&self, token: &AckToken, answer: Acknowledge) -> Result<()> {
        self.answer_delivery(token, answer).await
    }
}
