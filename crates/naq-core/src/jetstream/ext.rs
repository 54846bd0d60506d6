//! What is convenient on top of the port.

use std::future::Future;

use futures::StreamExt;

use crate::{BoxStream, Error, ErrorKind, Result};

use super::{
    Consistency, Delivery, GetMessage, JetStream, PublishAck, PublishManyOptions, PublishMessage,
    PublishWay, Published, ReadOptions, ReadUntil, StoredMessage, StreamInfo, Which, is_no_message,
};

/// Conveniences for every [`JetStream`], mocks and trait objects included.
pub trait JetStreamExt: JetStream {
    /// A stream's info, or `None` where there is no such stream.
    fn find_stream(&self, stream: &str) -> impl Future<Output = Result<Option<StreamInfo>>> + Send {
        async move { found(self.stream_info(stream).await, |error| error.is(ErrorKind::NotFound)) }
    }

    /// The message with a sequence, from the leader, or `None` where it is gone.
    ///
    /// # Errors
    /// `NotFound` where the stream isn't there.
    fn find_sequence(
        &self,
        stream: &str,
        sequence: u64,
    ) -> impl Future<Output = Result<Option<StoredMessage>>> + Send {
        let request = GetMessage::new(Which::Sequence(sequence));
        async move { found(self.get_message(stream, request).await, is_no_message) }
    }

    /// The last message on a subject, or `None` where there is none.
    ///
    /// # Errors
    /// `NotFound` where the stream isn't there.
    fn find_last(
        &self,
        stream: &str,
        subject: &str,
        consistency: Consistency,
    ) -> impl Future<Output = Result<Option<StoredMessage>>> + Send {
        let request =
            GetMessage::new(Which::LastBySubject(subject.to_owned())).with_consistency(consistency);
        async move { found(self.get_message(stream, request).await, is_no_message) }
    }

    /// Stores messages one behind another and stops at the first failure.
    ///
    /// For tests and small amounts; [`publish_each`](Self::publish_each) is the fast way.
    fn publish_all(
        &self,
        messages: Vec<PublishMessage>,
    ) -> impl Future<Output = Result<Vec<u64>>> + Send {
        async move {
            let mut sequences = Vec::with_capacity(messages.len());
            for message in messages {
                sequences.push(self.publish(message).await?.sequence);
            }
            Ok(sequences)
        }
    }

    /// Stores many messages, pipelined: one result each, in their order.
    ///
    /// [`JetStream::publish_many`] by the way [`PublishWay::Pipeline`].
    fn publish_each(
        &self,
        messages: BoxStream<'static, PublishMessage>,
    ) -> BoxStream<'static, Result<PublishAck>> {
        let options = PublishManyOptions::default().with_way(PublishWay::Pipeline);
        self.publish_many(messages, options).map(acknowledged).boxed()
    }

    /// All messages that a read until the head gives.
    ///
    /// Holds them in memory: set a limit where the stream may be long.
    fn read_to_head(
        &self,
        stream: &str,
        options: ReadOptions,
    ) -> impl Future<Output = Result<Vec<StoredMessage>>> + Send {
        let mut deliveries = self.read(stream, options.with_until(ReadUntil::Head));
        async move {
            let mut messages = Vec::new();
            while let Some(delivery) = deliveries.next().await {
                if let Delivery::Message(message) = delivery? {
                    messages.push(message);
                }
            }
            Ok(messages)
        }
    }
}

impl<J: JetStream + ?Sized> JetStreamExt for J {}

/// Turns the errors that say that it isn't there into `None`.
fn found<T>(result: Result<T>, missing: impl Fn(&Error) -> bool) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The acknowledgement of one message of a pipeline.
fn acknowledged(answer: Result<Published>) -> Result<PublishAck> {
    match answer? {
        Published::One(ack) => Ok(ack),
        Published::Next(_) => Err(Error::new(
            ErrorKind::Unexpected,
            "publish_many",
            "a pipeline answered several messages as one",
        )),
    }
}
