//! What the stream holds, read by a consumer and by direct get.
//!
//! Both speak to the server without naq: what naq wrote isn't judged by what
//! naq reads.

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::{DirectGetErrorKind, Stream};
use bytes::Bytes;
use futures::StreamExt;

use crate::wait;

/// What no read of a test's stream takes.
const READ_DEADLINE: Duration = Duration::from_secs(120);
/// How many messages are asked for at a time.
const BATCH: usize = 500;

/// One stored message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// Where it is.
    pub sequence: u64,
    /// Its subject.
    pub subject: String,
    /// The id by which the server knows it.
    pub message_id: Option<String>,
    /// Its bytes.
    pub payload: Bytes,
}

/// The whole stream, twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Readings {
    /// As a consumer delivers it.
    pub by_consumer: Vec<Found>,
    /// As the server answers for one sequence after the other.
    pub by_get: Vec<Found>,
}

impl Readings {
    /// Reads a stream as it stands.
    ///
    /// # Panics
    /// When it can't be read within two minutes.
    pub async fn of(client: &Client, stream: &str) -> Self {
        let stream = async_nats::jetstream::new(client.clone()).get_stream(stream).await.unwrap();
        let state = stream.cached_info().state.clone();
        let last = state.last_sequence;
        let consumed = by_consumer(&stream, last, state.messages);
        let by_consumer = wait::within("the consumer's reading", READ_DEADLINE, consumed).await;
        let got = by_get(&stream, state.first_sequence, last);
        let by_get = wait::within("the reading by get", READ_DEADLINE, got).await;
        Self { by_consumer, by_get }
    }
}

async fn by_consumer(stream: &Stream, last: u64, messages: u64) -> Vec<Found> {
    if messages == 0 {
        return Vec::new();
    }
    let config = pull::Config {
        ack_policy: AckPolicy::None,
        inactive_threshold: Duration::from_secs(30),
        ..pull::Config::default()
    };
    let consumer = stream.create_consumer(config).await.unwrap();
    let mut all = Vec::new();
    loop {
        let mut batch = consumer.fetch().max_messages(BATCH).messages().await.unwrap();
        while let Some(message) = batch.next().await {
            let message = message.unwrap();
            let info = message.info().unwrap();
            let (sequence, pending) = (info.stream_sequence, info.pending);
            let message_id =
                message.headers.as_ref().and_then(|headers| headers.get("Nats-Msg-Id"));
            all.push(Found {
                sequence,
                subject: message.subject.to_string(),
                message_id: message_id.map(ToString::to_string),
                payload: message.payload.clone(),
            });
            if pending == 0 || sequence >= last {
                return all;
            }
        }
    }
}

async fn by_get(stream: &Stream, first: u64, last: u64) -> Vec<Found> {
    // One answer a message on every version; several under way, in order.
    let sequences = futures::stream::iter(first.max(1)..=last);
    let answers = sequences.map(|sequence| stream.direct_get(sequence)).buffered(64);
    let found = answers.filter_map(async |answer| match answer {
        Ok(message) => Some(Found {
            sequence: message.sequence,
            subject: message.subject.to_string(),
            message_id: message.headers.get("Nats-Msg-Id").map(ToString::to_string),
            payload: message.payload,
        }),
        Err(error) if error.kind() == DirectGetErrorKind::NotFound => None,
        Err(error) => panic!("a direct get: {error}"),
    });
    found.collect().await
}
