//! A JetStream that counts the messages which it hands out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::StreamExt;
use naq_core::jetstream::{
    AckToken, Acknowledge, BatchAck, Capabilities, ConsumerConfig, ConsumerInfo, ConsumerMessage,
    Delivery, FetchOptions, GetMessage, GetMessages, JetStream, ListStreams, PublishAck,
    PublishManyOptions, PublishMessage, Published, PurgeOptions, ReadOptions, ServerInfo,
    StoredMessage, StreamConfig, StreamInfo, SubjectCounts, WhichMany,
};
use naq_core::{BoxStream, Result};

/// Another one with counters; what is read of other streams than this one isn't counted.
#[derive(Debug)]
pub struct Counting {
    inner: Arc<dyn JetStream>,
    stream: String,
    /// Messages that readings delivered.
    read: Arc<AtomicU64>,
    /// Messages that were asked for by their sequences, among others.
    by_sequence: Arc<AtomicU64>,
    /// Messages that were got in another way.
    otherwise: Arc<AtomicU64>,
}

/// How many messages were handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// By readings.
    pub read: u64,
    /// By their sequences, many at a time.
    pub by_sequence: u64,
    /// One by one, or by their subjects.
    pub otherwise: u64,
}

impl Counting {
    /// Counts what is read of a stream.
    pub fn new(inner: Arc<dyn JetStream>, stream: &str) -> Self {
        let (read, by_sequence, otherwise) = Default::default();
        Self { inner, stream: stream.to_owned(), read, by_sequence, otherwise }
    }

    /// What was handed out since it was asked last.
    pub fn take(&self) -> Count {
        let take = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        Count {
            read: take(&self.read),
            by_sequence: take(&self.by_sequence),
            otherwise: take(&self.otherwise),
        }
    }

    /// Counts what a stream of answers hands out of the counted stream.
    fn counted<T: Send + 'static>(
        &self,
        stream: &str,
        counter: &Arc<AtomicU64>,
        answers: BoxStream<'static, Result<T>>,
        is_message: impl Fn(&T) -> bool + Send + 'static,
    ) -> BoxStream<'static, Result<T>> {
        if stream != self.stream {
            return answers;
        }
        let counter = Arc::clone(counter);
        answers
            .inspect(move |answer| {
                if answer.as_ref().is_ok_and(&is_message) {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            })
            .boxed()
    }
}

#[async_trait]
impl JetStream for Counting {
    fn server_info(&self) -> ServerInfo {
        self.inner.server_info()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn publish(&self, message: PublishMessage) -> Result<PublishAck> {
        self.inner.publish(message).await
    }

    fn publish_many(
        &self,
        messages: BoxStream<'static, PublishMessage>,
        options: PublishManyOptions,
    ) -> BoxStream<'static, Result<Published>> {
        self.inner.publish_many(messages, options)
    }

    async fn close_fast_batch(
        &self,
        subject: &str,
        batch: &str,
        beyond: u64,
    ) -> Result<Option<u64>> {
        self.inner.close_fast_batch(subject, batch, beyond).await
    }

    async fn publish_atomic(&self, messages: Vec<PublishMessage>) -> Result<BatchAck> {
        self.inner.publish_atomic(messages).await
    }

    async fn create_stream(&self, config: StreamConfig) -> Result<StreamInfo> {
        self.inner.create_stream(config).await
    }

    async fn update_stream(&self, config: StreamConfig) -> Result<StreamInfo> {
        self.inner.update_stream(config).await
    }

    async fn stream_info(&self, stream: &str) -> Result<StreamInfo> {
        self.inner.stream_info(stream).await
    }

    async fn delete_stream(&self, stream: &str) -> Result<()> {
        self.inner.delete_stream(stream).await
    }

    fn list_streams(&self, options: ListStreams) -> BoxStream<'static, Result<StreamInfo>> {
        self.inner.list_streams(options)
    }

    async fn purge_stream(&self, stream: &str, options: PurgeOptions) -> Result<u64> {
        self.inner.purge_stream(stream, options).await
    }

    async fn subject_counts(
        &self,
        stream: &str,
        filter: &str,
        offset: u64,
    ) -> Result<SubjectCounts> {
        self.inner.subject_counts(stream, filter, offset).await
    }

    async fn get_message(&self, stream: &str, request: GetMessage) -> Result<StoredMessage> {
        if stream == self.stream {
            self.otherwise.fetch_add(1, Ordering::Relaxed);
        }
        self.inner.get_message(stream, request).await
    }

    fn get_messages(
        &self,
        stream: &str,
        request: GetMessages,
    ) -> BoxStream<'static, Result<StoredMessage>> {
        let counter = match request.which {
            WhichMany::Sequences(_) => &self.by_sequence,
            _ => &self.otherwise,
        };
        self.counted(stream, counter, self.inner.get_messages(stream, request), |_| true)
    }

    async fn delete_message(&self, stream: &str, sequence: u64) -> Result<()> {
        self.inner.delete_message(stream, sequence).await
    }

    fn read(&self, stream: &str, options: ReadOptions) -> BoxStream<'static, Result<Delivery>> {
        let is_message = |delivery: &Delivery| matches!(delivery, Delivery::Message(_));
        self.counted(stream, &self.read, self.inner.read(stream, options), is_message)
    }

    async fn create_consumer(&self, stream: &str, config: ConsumerConfig) -> Result<ConsumerInfo> {
        self.inner.create_consumer(stream, config).await
    }

    async fn consumer_info(&self, stream: &str, consumer: &str) -> Result<ConsumerInfo> {
        self.inner.consumer_info(stream, consumer).await
    }

    fn list_consumers(&self, stream: &str) -> BoxStream<'static, Result<ConsumerInfo>> {
        self.inner.list_consumers(stream)
    }

    async fn delete_consumer(&self, stream: &str, consumer: &str) -> Result<()> {
        self.inner.delete_consumer(stream, consumer).await
    }

    async fn fetch(
        &self,
        stream: &str,
        consumer: &str,
        options: FetchOptions,
    ) -> Result<Vec<ConsumerMessage>> {
        self.inner.fetch(stream, consumer, options).await
    }

    async fn acknowledge(&self, token: &AckToken, answer: Acknowledge) -> Result<()> {
        self.inner.acknowledge(token, answer).await
    }
}
