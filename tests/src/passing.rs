//! A JetStream that passes every call on to another one, with something between.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use futures::{FutureExt, StreamExt};
use naq_core::jetstream::{
    AckToken, Acknowledge, BatchAck, Capabilities, ConsumerConfig, ConsumerInfo, ConsumerMessage,
    Delivery, FetchOptions, GetMessage, GetMessages, JetStream, ListStreams, PublishAck,
    PublishManyOptions, PublishMessage, Published, PurgeOptions, ReadOptions, ServerInfo,
    StoredMessage, StreamConfig, StreamInfo, SubjectCounts, WhichMany,
};
use naq_core::{BoxStream, Result};

/// What comes between who asks and who answers; nothing unless it says otherwise.
#[async_trait]
pub trait Between: Debug + Send + Sync + 'static {
    /// A call is passed on, or an answer comes back: when this is done.
    async fn passes(&self) {}

    /// A stream is described.
    fn describes(&self, _info: &mut StreamInfo) {}

    /// A message of a stream is handed out; one that is got singly is asked for.
    fn hands_out(&self, _stream: &str, _way: Way) {}

    /// So many messages of a stream are asked for by their sequences.
    fn asks_for(&self, _stream: &str, _sequences: usize) {}
}

/// How messages are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By a reading.
    Read,
    /// By their sequences, many at a time.
    BySequence,
    /// One by one, or by their subjects.
    Otherwise,
}

/// Another JetStream with something between.
#[derive(Debug)]
pub struct Passing<B> {
    inner: Arc<dyn JetStream>,
    between: Arc<B>,
}

impl<B: Between> Passing<B> {
    /// Passes everything on to `inner`.
    pub fn new(inner: Arc<dyn JetStream>, between: B) -> Self {
        Self { inner, between: Arc::new(between) }
    }

    /// What comes between.
    pub fn between(&self) -> &Arc<B> {
        &self.between
    }

    async fn call<T>(&self, call: impl Future<Output = T> + Send) -> T {
        self.between.passes().await;
        let answer = call.await;
        self.between.passes().await;
        answer
    }

    async fn described(
        &self,
        call: impl Future<Output = Result<StreamInfo>> + Send,
    ) -> Result<StreamInfo> {
        let mut info = self.call(call).await?;
        self.between.describes(&mut info);
        Ok(info)
    }

    /// Passes a stream of answers on, and lets `each` have what is in them.
    fn answers<T: Send + 'static>(
        &self,
        answers: BoxStream<'static, Result<T>>,
        each: impl Fn(&B, &mut T) + Send + 'static,
    ) -> BoxStream<'static, Result<T>> {
        let (first, later) = (Arc::clone(&self.between), Arc::clone(&self.between));
        let begun = async move {
            first.passes().await;
            answers
        };
        let passed = begun.flatten_stream().then(move |mut answer| {
            if let Ok(answer) = &mut answer {
                each(&later, answer);
            }
            let between = Arc::clone(&later);
            async move {
                between.passes().await;
                answer
            }
        });
        passed.boxed()
    }
}

#[async_trait]
impl<B: Between> JetStream for Passing<B> {
    fn server_info(&self) -> ServerInfo {
        self.inner.server_info()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn publish(&self, message: PublishMessage) -> Result<PublishAck> {
        self.call(self.inner.publish(message)).await
    }

    fn publish_many(
        &self,
        messages: BoxStream<'static, PublishMessage>,
        options: PublishManyOptions,
    ) -> BoxStream<'static, Result<Published>> {
        self.answers(self.inner.publish_many(messages, options), |_, _| {})
    }

    async fn close_fast_batch(
        &self,
        subject: &str,
        batch: &str,
        beyond: u64,
    ) -> Result<Option<u64>> {
        self.call(self.inner.close_fast_batch(subject, batch, beyond)).await
    }

    async fn publish_atomic(&self, messages: Vec<PublishMessage>) -> Result<BatchAck> {
        self.call(self.inner.publish_atomic(messages)).await
    }

    async fn create_stream(&self, config: StreamConfig) -> Result<StreamInfo> {
        self.described(self.inner.create_stream(config)).await
    }

    async fn update_stream(&self, config: StreamConfig) -> Result<StreamInfo> {
        self.described(self.inner.update_stream(config)).await
    }

    async fn stream_info(&self, stream: &str) -> Result<StreamInfo> {
        self.described(self.inner.stream_info(stream)).await
    }

    async fn delete_stream(&self, stream: &str) -> Result<()> {
        self.call(self.inner.delete_stream(stream)).await
    }

    fn list_streams(&self, options: ListStreams) -> BoxStream<'static, Result<StreamInfo>> {
        self.answers(self.inner.list_streams(options), B::describes)
    }

    async fn purge_stream(&self, stream: &str, options: PurgeOptions) -> Result<u64> {
        self.call(self.inner.purge_stream(stream, options)).await
    }

    async fn subject_counts(
        &self,
        stream: &str,
        filter: &str,
        offset: u64,
    ) -> Result<SubjectCounts> {
        self.call(self.inner.subject_counts(stream, filter, offset)).await
    }

    async fn get_message(&self, stream: &str, request: GetMessage) -> Result<StoredMessage> {
        self.between.hands_out(stream, Way::Otherwise);
        self.call(self.inner.get_message(stream, request)).await
    }

    fn get_messages(
        &self,
        stream: &str,
        request: GetMessages,
    ) -> BoxStream<'static, Result<StoredMessage>> {
        let way = match &request.which {
            WhichMany::Sequences(sequences) => {
                self.between.asks_for(stream, sequences.len());
                Way::BySequence
            }
            _ => Way::Otherwise,
        };
        let of = stream.to_owned();
        let each = move |between: &B, _: &mut StoredMessage| between.hands_out(&of, way);
        self.answers(self.inner.get_messages(stream, request), each)
    }

    async fn delete_message(&self, stream: &str, sequence: u64) -> Result<()> {
        self.call(self.inner.delete_message(stream, sequence)).await
    }

    fn read(&self, stream: &str, options: ReadOptions) -> BoxStream<'static, Result<Delivery>> {
        let of = stream.to_owned();
        let each = move |between: &B, delivery: &mut Delivery| {
            if let Delivery::Message(_) = delivery {
                between.hands_out(&of, Way::Read);
            }
        };
        self.answers(self.inner.read(stream, options), each)
    }

    async fn create_consumer(&self, stream: &str, config: ConsumerConfig) -> Result<ConsumerInfo> {
        self.call(self.inner.create_consumer(stream, config)).await
    }

    async fn consumer_info(&self, stream: &str, consumer: &str) -> Result<ConsumerInfo> {
        self.call(self.inner.consumer_info(stream, consumer)).await
    }

    fn list_consumers(&self, stream: &str) -> BoxStream<'static, Result<ConsumerInfo>> {
        self.answers(self.inner.list_consumers(stream), |_, _| {})
    }

    async fn delete_consumer(&self, stream: &str, consumer: &str) -> Result<()> {
        self.call(self.inner.delete_consumer(stream, consumer)).await
    }

    async fn fetch(
        &self,
        stream: &str,
        consumer: &str,
        options: FetchOptions,
    ) -> Result<Vec<ConsumerMessage>> {
        self.call(self.inner.fetch(stream, consumer, options)).await
    }

    async fn acknowledge(&self, token: &AckToken, answer: Acknowledge) -> Result<()> {
        self.call(self.inner.acknowledge(token, answer)).await
    }
}
