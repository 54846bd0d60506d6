//! A JetStream whose server doesn't say what time it is.

use std::sync::Arc;

use async_trait::async_trait;
use naq_core::jetstream::{
    AckToken, Acknowledge, BatchAck, Capabilities, ConsumerConfig, ConsumerInfo, ConsumerMessage,
    Delivery, FetchOptions, GetMessage, GetMessages, JetStream, ListStreams, PublishAck,
    PublishManyOptions, PublishMessage, Published, PurgeOptions, ReadOptions, ServerInfo,
    StoredMessage, StreamConfig, StreamInfo, SubjectCounts,
};
use naq_core::{BoxStream, Result};

/// Another JetStream, without the times at which it tells of streams: ages go
/// by the clock of who asks, so that a test may have it be later.
#[derive(Debug)]
pub struct Timeless(pub Arc<dyn JetStream>);

#[async_trait]
impl JetStream for Timeless {
    fn server_info(&self) -> ServerInfo {
        self.0.server_info()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn publish(&self, message: PublishMessage) -> Result<PublishAck> {
        self.0.publish(message).await
    }

    fn publish_many(
        &self,
        messages: BoxStream<'static, PublishMessage>,
        options: PublishManyOptions,
    ) -> BoxStream<'static, Result<Published>> {
        self.0.publish_many(messages, options)
    }

    async fn close_fast_batch(
        &self,
        subject: &str,
        batch: &str,
        beyond: u64,
    ) -> Result<Option<u64>> {
        self.0.close_fast_batch(subject, batch, beyond).await
    }

    async fn publish_atomic(&self, messages: Vec<PublishMessage>) -> Result<BatchAck> {
        self.0.publish_atomic(messages).await
    }

    async fn create_stream(&self, config: StreamConfig) -> Result<StreamInfo> {
        self.0.create_stream(config).await
    }

    async fn update_stream(&self, config: StreamConfig) -> Result<StreamInfo> {
        self.0.update_stream(config).await
    }

    async fn stream_info(&self, stream: &str) -> Result<StreamInfo> {
        let mut info = self.0.stream_info(stream).await?;
        info.told_at = None;
        Ok(info)
    }

    async fn delete_stream(&self, stream: &str) -> Result<()> {
        self.0.delete_stream(stream).await
    }

    fn list_streams(&self, options: ListStreams) -> BoxStream<'static, Result<StreamInfo>> {
        self.0.list_streams(options)
    }

    async fn purge_stream(&self, stream: &str, options: PurgeOptions) -> Result<u64> {
        self.0.purge_stream(stream, options).await
    }

    async fn subject_counts(
        &self,
        stream: &str,
        filter: &str,
        offset: u64,
    ) -> Result<SubjectCounts> {
        self.0.subject_counts(stream, filter, offset).await
    }

    async fn get_message(&self, stream: &str, request: GetMessage) -> Result<StoredMessage> {
        self.0.get_message(stream, request).await
    }

    fn get_messages(
        &self,
        stream: &str,
        request: GetMessages,
    ) -> BoxStream<'static, Result<StoredMessage>> {
        self.0.get_messages(stream, request)
    }

    async fn delete_message(&self, stream: &str, sequence: u64) -> Result<()> {
        self.0.delete_message(stream, sequence).await
    }

    fn read(&self, stream: &str, options: ReadOptions) -> BoxStream<'static, Result<Delivery>> {
        self.0.read(stream, options)
    }

    async fn create_consumer(&self, stream: &str, config: ConsumerConfig) -> Result<ConsumerInfo> {
        self.0.create_consumer(stream, config).await
    }

    async fn consumer_info(&self, stream: &str, consumer: &str) -> Result<ConsumerInfo> {
        self.0.consumer_info(stream, consumer).await
    }

    fn list_consumers(&self, stream: &str) -> BoxStream<'static, Result<ConsumerInfo>> {
        self.0.list_consumers(stream)
    }

    async fn delete_consumer(&self, stream: &str, consumer: &str) -> Result<()> {
        self.0.delete_consumer(stream, consumer).await
    }

    async fn fetch(
        &self,
        stream: &str,
        consumer: &str,
        options: FetchOptions,
    ) -> Result<Vec<ConsumerMessage>> {
        self.0.fetch(stream, consumer, options).await
    }

    async fn acknowledge(&self, token: &AckToken, answer: Acknowledge) -> Result<()> {
        self.0.acknowledge(token, answer).await
    }
}
