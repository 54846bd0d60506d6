//! The port, translated to the model.

use std::sync::Arc;

use async_trait::async_trait;
use naq_core::jetstream::{
    AckToken, Acknowledge, BatchAck, Capabilities, ConsumerConfig, ConsumerInfo, ConsumerMessage,
    Delivery, FetchOptions, GetMessage, GetMessages, JetStream, ListStreams, PublishAck,
    PublishManyOptions, PublishMessage, PublishWay, Published, PurgeKeep, PurgeOptions,
    ReadOptions, ServerInfo, StoredMessage, StreamConfig, StreamInfo, SubjectCounts, Which,
    check_filter, check_name,
};
use naq_core::{BoxStream, Error, Result};

use crate::memory::MemoryJetStream;
use crate::session::{Effect, about};
use crate::{fast_batches, fetching, getting, publishing, reading};

#[async_trait]
impl JetStream for MemoryJetStream {
    fn server_info(&self) -> ServerInfo {
        ServerInfo::clone(&self.info)
    }

    fn capabilities(&self) -> Capabilities {
        self.abilities()
    }

    async fn publish(&self, message: PublishMessage) -> Result<PublishAck> {
        publishing::one(&self.session, message).await
    }

    fn publish_many(
        &self,
        messages: BoxStream<'static, PublishMessage>,
        options: PublishManyOptions,
    ) -> BoxStream<'static, Result<Published>> {
        match options.way {
            PublishWay::Pipeline => publishing::many(Arc::clone(&self.session), messages),
            PublishWay::FastBatch { id, confirm_start } => {
                fast_batches::publish(Arc::clone(&self.session), messages, id, confirm_start)
            }
        }
    }

    async fn close_fast_batch(
        &self,
        subject: &str,
        batch: &str,
        _beyond: u64,
    ) -> Result<Option<u64>> {
        fast_batches::close(&self.session, subject, batch).await
    }

    async fn publish_atomic(&self, messages: Vec<PublishMessage>) -> Result<BatchAck> {
        publishing::batch(&self.session, messages).await
    }

    async fn create_stream(&self, config: StreamConfig) -> Result<StreamInfo> {
        check_name("create_stream", "stream", &config.name)?;
        self.session
            .run("create_stream", Effect::Change, |state, now| {
                state.model.create_stream(&config, now)
            })
            .await
    }

    async fn update_stream(&self, config: StreamConfig) -> Result<StreamInfo> {
        check_name("update_stream", "stream", &config.name)?;
        self.session
            .run("update_stream", Effect::Change, |state, now| {
                let info = state.model.update_stream(&config, now)?;
                state.tell(&config.name);
                Ok(info)
            })
            .await
    }

    async fn stream_info(&self, stream: &str) -> Result<StreamInfo> {
        check_name("stream_info", "stream", stream)?;
        self.session
            .run("stream_info", Effect::None, |state, now| state.model.stream_info(stream, now))
            .await
    }

    async fn delete_stream(&self, stream: &str) -> Result<()> {
        check_name("delete_stream", "stream", stream)?;
        self.session
            .run("delete_stream", Effect::Change, |state, _| {
                state.model.delete_stream(stream)?;
                state.tell(stream);
                Ok(())
            })
            .await
    }

    fn list_streams(&self, options: ListStreams) -> BoxStream<'static, Result<StreamInfo>> {
        let session = Arc::clone(&self.session);
        getting::listed(async move {
            let subject = options.subject.as_deref();
            if let Some(subject) = subject {
                check_filter("list_streams", subject)?;
            }
            session
                .run("list_streams", Effect::None, |state, now| {
                    Ok(state.model.list_streams(subject, now))
                })
                .await
        })
    }

    async fn purge_stream(&self, stream: &str, options: PurgeOptions) -> Result<u64> {
        check_name("purge_stream", "stream", stream)?;
        if let Some(subject) = &options.subject {
            check_filter("purge_stream", subject)?;
        }
        if matches!(options.keep, PurgeKeep::FromSequence(0 | 1)) {
            return Ok(0);
        }
        self.session
            .run("purge_stream", Effect::Change, |state, now| {
                let purged = state.model.purge(stream, &options, now)?;
                state.tell(stream);
                Ok(purged)
            })
            .await
    }

    async fn subject_counts(
        &self,
        stream: &str,
        filter: &str,
        offset: u64,
    ) -> Result<SubjectCounts> {
        check_name("subject_counts", "stream", stream)?;
        check_filter("subject_counts", filter)?;
        self.session
            .run("subject_counts", Effect::None, |state, now| {
                state.model.subject_counts(stream, filter, offset, now)
            })
            .await
    }

    async fn get_message(&self, stream: &str, request: GetMessage) -> Result<StoredMessage> {
        check_name("get_message", "stream", stream)?;
        match &request.which {
            Which::Sequence(0) => {
                return Err(Error::invalid("get_message", "sequence", "must be at least 1"));
            }
            Which::Sequence(_) => {}
            Which::LastBySubject(subject) | Which::NextBySubject { subject, .. } => {
                check_filter("get_message", subject)?;
            }
        }
        self.session
            .run("get_message", Effect::None, |state, now| {
                state.model.get(stream, &request.which, now)
            })
            .await
            .map_err(|error| getting::about_which(about(error, "stream", stream), &request.which))
    }

    fn get_messages(
        &self,
        stream: &str,
        request: GetMessages,
    ) -> BoxStream<'static, Result<StoredMessage>> {
        getting::many(Arc::clone(&self.session), stream.to_owned(), request.which)
    }

    async fn delete_message(&self, stream: &str, sequence: u64) -> Result<()> {
        check_name("delete_message", "stream", stream)?;
        self.session
            .run("delete_message", Effect::Change, |state, now| {
                state.model.delete_message(stream, sequence, now)?;
                state.tell(stream);
                Ok(())
            })
            .await
            .map_err(|error| about(error, "stream", stream).with("sequence", sequence.to_string()))
    }

    fn read(&self, stream: &str, options: ReadOptions) -> BoxStream<'static, Result<Delivery>> {
        reading::read(Arc::clone(&self.session), stream.to_owned(), options)
    }

    async fn create_consumer(&self, stream: &str, config: ConsumerConfig) -> Result<ConsumerInfo> {
        check_name("create_consumer", "stream", stream)?;
        self.session
            .run("create_consumer", Effect::Change, |state, now| {
                state.model.create_consumer(stream, config, now)
            })
            .await
            .map_err(|error| about(error, "stream", stream))
    }

    async fn consumer_info(&self, stream: &str, consumer: &str) -> Result<ConsumerInfo> {
        check_name("consumer_info", "stream", stream)?;
        check_name("consumer_info", "consumer", consumer)?;
        self.session
            .run("consumer_info", Effect::None, |state, now| {
                state.model.consumer_info(stream, consumer, now)
            })
            .await
    }

    fn list_consumers(&self, stream: &str) -> BoxStream<'static, Result<ConsumerInfo>> {
        let (session, stream) = (Arc::clone(&self.session), stream.to_owned());
        getting::listed(async move {
            check_name("list_consumers", "stream", &stream)?;
            session
                .run("list_consumers", Effect::None, |state, now| {
                    state.model.list_consumers(&stream, now)
                })
                .await
        })
    }

    async fn delete_consumer(&self, stream: &str, consumer: &str) -> Result<()> {
        check_name("delete_consumer", "stream", stream)?;
        check_name("delete_consumer", "consumer", consumer)?;
        self.session
            .run("delete_consumer", Effect::Change, |state, now| {
                state.model.delete_consumer(stream, consumer, now)?;
                state.tell(stream);
                Ok(())
            })
            .await
    }

    async fn fetch(
        &self,
        stream: &str,
        consumer: &str,
        options: FetchOptions,
    ) -> Result<Vec<ConsumerMessage>> {
        fetching::fetch(&self.session, stream, consumer, options).await
    }

    async fn acknowledge(&self, token: &AckToken, answer: Acknowledge) -> Result<()> {
        fetching::acknowledge(&self.session, token, &answer).await
    }
}
