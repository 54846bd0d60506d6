//! The port to JetStream: what one JetStream-enabled connection can do.
//!
//! `naq-connection` implements it on a NATS server, `naq-memory` in this
//! process; one conformance suite drives both. Tests inject `MockJetStream`
//! (feature `mock`) where failure or the order of calls is what matters.

mod consumer;
mod ext;
mod get;
mod limits;
mod message;
mod publish_many;
mod read;
mod server;
mod stream;
mod subject;

use std::fmt::Debug;

use async_trait::async_trait;

use crate::{BoxStream, Result};

pub use consumer::{
    AckToken, Acknowledge, ConsumerConfig, ConsumerInfo, ConsumerMessage, FetchOptions,
};
pub use ext::JetStreamExt;
pub use get::{
    Consistency, GetMessage, GetMessages, NO_MESSAGE, SubjectCounts, Which, WhichMany,
    is_no_message,
};
pub use limits::{FAST_BATCHES, MESSAGES_PER_SUBJECT, is_out_of_batches, is_subject_full};
pub use message::{
    BatchAck, Expected, Headers, MessageTtl, PublishAck, PublishMessage, StoredMessage,
};
pub use publish_many::{
    MAX_BATCH_ID_BYTES, PublishManyOptions, PublishWay, Published, check_batch_id,
};
pub use read::{Delivery, ReadOptions, ReadStart, ReadUntil};
pub use server::{Capabilities, ServerInfo, ServerVersion};
pub use stream::{
    Compression, Discard, ListStreams, PurgeKeep, PurgeOptions, Retention, Storage, StreamConfig,
    StreamInfo, StreamState,
};
pub use subject::{
    MAX_SUBJECT_BYTES, check_filter, check_name, check_subject, filter_covers, filters_are_nested,
    filters_overlap, subject_matches,
};

/// One JetStream-enabled connection.
///
/// Every call has a deadline of the implementation's configuration. A question
/// that got no answer is `Timeout`, a change that got none is
/// `OutcomeUnknown`; no connection or no responder is `Unavailable`. A missing
/// stream, consumer or message is `NotFound`, a missing right
/// `PermissionDenied`, an option that the server or the stream cannot honour
/// `Unsupported`, a closed connection `Closed`. Names and subjects are checked
/// before anything is sent (`InvalidArgument`). A refusal by the server has its
/// number as `error_code` in the context; a missing message has [`NO_MESSAGE`]
/// there, so that it can be told from a missing stream ([`is_no_message`]).
///
/// Dropping the future of a change after it was polled leaves its outcome
/// unknown; dropping a stream ends what it holds on the server.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait JetStream: Debug + Send + Sync + 'static {
    /// What the server that is connected, or was last, tells of itself.
    fn server_info(&self) -> ServerInfo;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Stores one message and waits for the acknowledgement.
    ///
    /// Idempotent with a message id within the stream's duplicate window.
    ///
    /// # Errors
    /// `TooLarge` (before sending, where the server's limit is known),
    /// `Conflict` (an expectation did not hold), `LimitReached` (a full stream
    /// that discards new messages, or its subject alone ([`is_subject_full`]),
    /// an account's limit), `NotFound` (no stream takes the subject),
    /// `OutcomeUnknown` (sent, and the ack lost).
    async fn publish(&self, message: PublishMessage) -> Result<PublishAck>;

    /// Stores many messages: the way to the broker's full speed.
    ///
    /// Answers come in the order of the messages. Messages are taken from the
    /// stream only as acknowledgements make room (bounded in flight) and sent
    /// in their order. Dropping the answer stops taking; what was sent may be
    /// stored.
    ///
    /// By [`PublishWay::Pipeline`] each message has one answer, `One` or an
    /// error, and one failure doesn't stop the rest.
    ///
    /// By [`PublishWay::FastBatch`] messages that are stored are answered by
    /// `Next`. An error is about the next message that has no answer yet, and
    /// ends the answers. After `OutcomeUnknown` and `Unavailable` (the
    /// connection broke, the server forgot the batch, no acknowledgement in
    /// time) each message without an answer may be stored, as long as none
    /// before it is missing: message ids or
    /// [`close_fast_batch`](Self::close_fast_batch) settle it. After any other
    /// error neither the message nor any behind it is stored. Once `messages`
    /// has ended and all of them are answered, so does the answer.
    ///
    /// # Errors
    /// Those of [`publish`](Self::publish) for a message; for a fast batch
    /// also `Unsupported` where server or stream can't take it,
    /// `InvalidArgument` for its id, and `LimitReached` where the server has
    /// too many under way.
    fn publish_many(
        &self,
        messages: BoxStream<'static, PublishMessage>,
        options: PublishManyOptions,
    ) -> BoxStream<'static, Result<Published>>;

    /// Fences a fast batch off, and says how many of its first messages are
    /// stored; `None` where the server doesn't know the batch (any more).
    ///
    /// After `Some` nothing more of the batch is stored, however late it
    /// arrives. `subject` is one that the batch's stream takes, `beyond` more
    /// than there were messages in the batch. A server knows a batch until it
    /// has ended or 10 s have passed without a sign of it, and forgets all of
    /// them when it stops.
    ///
    /// # Errors
    /// `Unsupported` where server or stream takes no fast batches;
    /// `InvalidArgument` for the id.
    async fn close_fast_batch(
        &self,
        subject: &str,
        batch: &str,
        beyond: u64,
    ) -> Result<Option<u64>>;

    /// Stores all messages or none; readers see all of them or none.
    ///
    /// At most 1,000 messages, all for one stream that allows atomic batches.
    ///
    /// # Errors
    /// `Unsupported` where server or stream cannot; `Conflict` where an
    /// expectation fails or a message id is known already (nothing is stored).
    async fn publish_atomic(&self, messages: Vec<PublishMessage>) -> Result<BatchAck>;

    /// Creates a stream; creating it again with an equal configuration changes nothing.
    ///
    /// # Errors
    /// `AlreadyExists` for a stream of that name that differs; `Conflict` for
    /// subjects that another stream takes.
    async fn create_stream(&self, config: StreamConfig) -> Result<StreamInfo>;

    /// Changes what is set in `config`; the rest stays as the server has it,
    /// what naq doesn't know of included.
    ///
    /// # Errors
    /// `NotFound`; `InvalidArgument` for what the server refuses to change.
    async fn update_stream(&self, config: StreamConfig) -> Result<StreamInfo>;

    /// A stream's configuration and state.
    async fn stream_info(&self, stream: &str) -> Result<StreamInfo>;

    /// Deletes a stream with all its messages and consumers.
    async fn delete_stream(&self, stream: &str) -> Result<()>;

    /// All streams, or those with a subject that overlaps a filter, by name.
    fn list_streams(&self, options: ListStreams) -> BoxStream<'static, Result<StreamInfo>>;

    /// Removes messages and says how many.
    async fn purge_stream(&self, stream: &str, options: PurgeOptions) -> Result<u64>;

    /// One page of how many messages there are on each subject that matches
    /// `filter`, and the stream as [`stream_info`](Self::stream_info) tells it.
    ///
    /// Costs the server's memory and time in proportion to the subjects that
    /// match: a million take ten seconds.
    async fn subject_counts(
        &self,
        stream: &str,
        filter: &str,
        offset: u64,
    ) -> Result<SubjectCounts>;

    /// One stored message.
    async fn get_message(&self, stream: &str, request: GetMessage) -> Result<StoredMessage>;

    /// Many stored messages, in the order that [`WhichMany`] says.
    ///
    /// For `Sequences` and `LastBySubjects` there is one result each; one
    /// that isn't there is `NotFound` and the rest goes on. After any other
    /// error the stream ends.
    fn get_messages(
        &self,
        stream: &str,
        request: GetMessages,
    ) -> BoxStream<'static, Result<StoredMessage>>;

    /// Removes one message by its sequence.
    async fn delete_message(&self, stream: &str, sequence: u64) -> Result<()>;

    /// Reads a stream in order; see [`Delivery`] for what comes.
    ///
    /// Survives reconnects and the loss of its consumer by itself and says so.
    /// At most a bounded number of messages and bytes is fetched ahead of the
    /// reader. The first error ends it: `NotFound` (the stream was deleted, or
    /// isn't there), `Conflict` (it was made anew, or isn't the one of
    /// [`ReadOptions::created`]), `PermissionDenied`, `InvalidArgument`.
    fn read(&self, stream: &str, options: ReadOptions) -> BoxStream<'static, Result<Delivery>>;

    /// Creates a durable consumer; creating it again with an equal configuration changes nothing.
    ///
    /// # Errors
    /// `AlreadyExists` for a consumer of that name that differs.
    async fn create_consumer(&self, stream: &str, config: ConsumerConfig) -> Result<ConsumerInfo>;

    /// A consumer's configuration and state.
    async fn consumer_info(&self, stream: &str, consumer: &str) -> Result<ConsumerInfo>;

    /// The durable and ephemeral consumers of a stream, by name.
    fn list_consumers(&self, stream: &str) -> BoxStream<'static, Result<ConsumerInfo>>;

    /// Deletes a consumer.
    async fn delete_consumer(&self, stream: &str, consumer: &str) -> Result<()>;

    /// Fetches messages from a consumer; none within the wait is an empty answer.
    async fn fetch(
        &self,
        stream: &str,
        consumer: &str,
        options: FetchOptions,
    ) -> Result<Vec<ConsumerMessage>>;

    /// Answers a delivery.
    async fn acknowledge(&self, token: &AckToken, answer: Acknowledge) -> Result<()>;
}

forward_port! {
    JetStream {
        plain {
            server_info() -> ServerInfo;
            capabilities() -> Capabilities;
            publish_many(messages: BoxStream<'static, PublishMessage>, options: PublishManyOptions)
                -> BoxStream<'static, Result<Published>>;
            list_streams(options: ListStreams) -> BoxStream<'static, Result<StreamInfo>>;
            get_messages(stream: &str, request: GetMessages)
                -> BoxStream<'static, Result<StoredMessage>>;
            read(stream: &str, options: ReadOptions) -> BoxStream<'static, Result<Delivery>>;
            list_consumers(stream: &str) -> BoxStream<'static, Result<ConsumerInfo>>;
        }
        boxed {
            publish[](message: PublishMessage) -> Result<PublishAck>;
            close_fast_batch['a, 'b](subject: &'a str, batch: &'b str, beyond: u64)
                -> Result<Option<u64>>;
            publish_atomic[](messages: Vec<PublishMessage>) -> Result<BatchAck>;
            create_stream[](config: StreamConfig) -> Result<StreamInfo>;
            update_stream[](config: StreamConfig) -> Result<StreamInfo>;
            stream_info['a](stream: &'a str) -> Result<StreamInfo>;
            delete_stream['a](stream: &'a str) -> Result<()>;
            purge_stream['a](stream: &'a str, options: PurgeOptions) -> Result<u64>;
            subject_counts['a, 'b](stream: &'a str, filter: &'b str, offset: u64)
                -> Result<SubjectCounts>;
            get_message['a](stream: &'a str, request: GetMessage) -> Result<StoredMessage>;
            delete_message['a](stream: &'a str, sequence: u64) -> Result<()>;
            create_consumer['a](stream: &'a str, config: ConsumerConfig) -> Result<ConsumerInfo>;
            consumer_info['a, 'b](stream: &'a str, consumer: &'b str) -> Result<ConsumerInfo>;
            delete_consumer['a, 'b](stream: &'a str, consumer: &'b str) -> Result<()>;
            fetch['a, 'b](stream: &'a str, consumer: &'b str, options: FetchOptions)
                -> Result<Vec<ConsumerMessage>>;
            acknowledge['a](token: &'a AckToken, answer: Acknowledge) -> Result<()>;
        }
    }
}
