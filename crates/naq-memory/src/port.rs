//! The port, translated to the model.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use naq_core::jetstream::{
    AckToken, Acknowledge, BatchAck, Capabilities, ConsumerConfig, ConsumerInfo, ConsumerMessage,
    Delivery, FetchOptions, GetMessage, GetMessages, JetStream, ListStreams, PublishAck,
    PublishMessage, PurgeOptions, ReadOptions, ServerInfo, StoredMessage, StreamConfig, StreamInfo,
    SubjectCounts, Which, check_filter, check_name,
};
use naq_core::{BoxStream, Error, ErrorKind, Result};

use crate::memory::MemoryJetStream;
use crate::shared::Effect;
use crate::{getting, publishing, reading};

fn todo_unsupported<T>(operation: &'static str) -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, operation, "not yet"))
}

#[async_trait]
impl JetStream for MemoryJetStream {
    fn server_info(&self) -> ServerInfo {
        ServerInfo::clone(&self.info)
    }

    fn capabilities(&self) -> Capabilities {
        self.abilities()
    }

    async fn publish(&self, message: PublishMessage) -> Result<PublishAck> {
        publishing::one(&self.shared, message).await
    }

    fn publish_many(
        &self,
        messages: BoxStream<'static, PublishMessage>,
    ) -> BoxStream<'static, Result<PublishAck>> {
        publishing::many(Arc::clone(&self.shared), messages)
    }

    async fn publish_atomic(&self, _messages: Vec<PublishMessage>) -> Result<BatchAck> {
        todo_unsupported("publish_atomic")
    }

    async fn create_stream(&self, config: StreamConfig) -> Result<StreamInfo> {
        check_name("create_stream", "name", &config.name)?;
        self.shared
            .run("create_stream", Effect::Change, |state, now| {
                state.model.create_stream(&config, now)
            })
            .await
    }

    async fn update_stream(&self, config: StreamConfig) -> Result<StreamInfo> {
        check_name("update_stream", "name", &config.name)?;
        self.shared
            .run("update_stream", Effect::Change, |state, now| {
                let info = state.model.update_stream(&config, now)?;
                state.tell(&config.name);
                Ok(info)
            })
            .await
    }

    async fn stream_info(&self, stream: &str) -> Result<StreamInfo> {
        check_name("stream_info", "stream", stream)?;
        self.shared
            .run("stream_info", Effect::None, |state, now| state.model.stream_info(stream, now))
            .await
    }

    async fn delete_stream(&self, stream: &str) -> Result<()> {
        check_name("delete_stream", "stream", stream)?;
        self.shared
            .run("delete_stream", Effect::Change, |state, _| {
                state.model.delete_stream(stream)?;
                state.tell(stream);
                Ok(())
            })
            .await
    }

    fn list_streams(&self, options: ListStreams) -> BoxStream<'static, Result<StreamInfo>> {
        let shared = Arc::clone(&self.shared);
        getting::listed(async move {
            let subject = options.subject.as_deref();
            if let Some(subject) = subject {
                check_filter("list_streams", subject)?;
            }
            shared
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
        self.shared
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
        self.shared
            .run("subject_counts", Effect::None, |state, now| {
                state.model.subject_counts(stream, filter, offset, now)
            })
            .await
    }

    async fn get_message(&self, stream: &str, request: GetMessage) -> Result<StoredMessage> {
        check_name("get_message", "stream", stream)?;
        match &request.which {
            Which::Sequence(_) => {}
            Which::LastBySubject(subject) | Which::NextBySubject { subject, .. } => {
                check_filter("get_message", subject)?;
            }
        }
        self.shared
            .run("get_message", Effect::None, |state, now| {
                state.model.get(stream, &request.which, now)
            })
            .await
    }

    fn get_messages(
        &self,
        stream: &str,
        request: GetMessages,
    ) -> BoxStream<'static, Result<StoredMessage>> {
        getting::many(Arc::clone(&self.shared), stream.to_owned(), request.which)
    }

    async fn delete_message(&self, stream: &str, sequence: u64) -> Result<()> {
        check_name("delete_message", "stream", stream)?;
        self.shared
            .run("delete_message", Effect::Change, |state, now| {
                state.model.delete_message(stream, sequence, now)?;
                state.tell(stream);
                Ok(())
            })
            .await
    }

    fn read(&self, stream: &str, options: ReadOptions) -> BoxStream<'static, Result<Delivery>> {
        reading::read(Arc::clone(&self.shared), stream.to_owned(), options)
    }

    async fn create_consumer(
        &self,
        _stream: &str,
        _config: ConsumerConfig,
    ) -> Result<ConsumerInfo> {
        todo_unsupported("create_consumer")
    }

    async fn consumer_info(&self, _stream: &str, _consumer: &str) -> Result<ConsumerInfo> {
        todo_unsupported("consumer_info")
    }

    fn list_consumers(&self, _stream: &str) -> BoxStream<'static, Result<ConsumerInfo>> {
        stream::once(async { todo_unsupported("list_consumers") }).boxed()
    }

    async fn delete_consumer(&self, _stream: &str, _consumer: &str) -> Result<()> {
        todo_unsupported("delete_consumer")
    }

    async fn fetch(
        &self,
        _stream: &str,
        _consumer: &str,
        _options: FetchOptions,
    ) -> Result<Vec<ConsumerMessage>> {
        todo_unsupported("fetch")
    }

    async fn acknowledge(&self, _token: &AckToken, _answer: Acknowledge) -> Result<()> {
        todo_unsupported("acknowledge")
    }
}
