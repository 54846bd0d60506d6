//! The server's fast ingest over the NATS client's public API (ADR-50): the
//! reply subject of each message carries the batch's protocol.

use std::fmt::Write as _;
use std::time::Duration;

use async_nats::{HeaderMap, Subject};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde::Deserialize;
use tokio::time::timeout;

use super::Target;
use crate::Outcome;
use crate::workload::RawEncoder;

/// How often the server is asked to acknowledge at most, in messages.
const FLOW: u64 = 500;

/// How many messages may be beyond the last acknowledgement.
const WINDOW: u64 = 8 * FLOW;

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Told {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    seq: u64,
    count: Option<u64>,
    error: Option<serde_json::Value>,
}

/// Stores all events as one batch that a gap would end.
pub(super) async fn ingest(target: &Target, events: u64, with_id: bool) -> Outcome {
    let client = &target.client;
    let inbox = client.new_inbox();
    let batch = uuid::Uuid::now_v7().simple();
    let mut answers = client.subscribe(format!("{inbox}.>")).await?;
    let mut replies = Replies::new(format!("{inbox}.{batch}.{FLOW}.fail."));
    let mut encoder = RawEncoder::new();
    let mut acked = 0;
    for n in 1..=events {
        let message = encoder.message(&target.root, n - 1);
        // Start, append, and with the last one commit.
        let op = if n == events { 2 } else { u64::from(n > 1) };
        let reply = replies.subject(n, op)?;
        let payload = Bytes::from(message.payload);
        if with_id {
            let mut headers = HeaderMap::new();
            headers.insert(async_nats::header::NATS_MESSAGE_ID, message.id.as_str());
            client.publish_with_reply_and_headers(message.subject, reply, headers, payload).await?;
        } else {
            client.publish_with_reply(message.subject, reply, payload).await?;
        }
        // The first message is acknowledged by itself: the batch is known.
        let mut await_one = n == 1;
        while await_one || n - acked >= WINDOW {
            let answer = timeout(PATIENCE, answers.next()).await?.ok_or("the inbox ended")?;
            acked = acked.max(read(&answer.payload)?.seq);
            await_one = false;
        }
    }
    loop {
        let answer = timeout(PATIENCE, answers.next()).await?.ok_or("the inbox ended")?;
        if let Some(count) = read(&answer.payload)?.count {
            return if count == events { Ok(()) } else { Err(format!("{count} stored").into()) };
        }
    }
}

/// Reply subjects, written into chunks: one allocation for many.
struct Replies {
    prefix: String,
    chunk: BytesMut,
}

impl Replies {
    const CHUNK: usize = 16 * 1024;

    fn new(prefix: String) -> Self {
        Self { prefix, chunk: BytesMut::new() }
    }

    fn subject(&mut self, number: u64, op: u64) -> Outcome<Subject> {
        let room = self.prefix.len() + 32;
        if self.chunk.capacity() < room {
            self.chunk.reserve(Self::CHUNK);
        }
        self.chunk.extend_from_slice(self.prefix.as_bytes());
        write!(self.chunk, "{number}.{op}.$FI")?;
        Ok(Subject::from_utf8(self.chunk.split().freeze())?)
    }
}

fn read(payload: &[u8]) -> Outcome<Told> {
    let told: Told = serde_json::from_slice(payload)?;
    match (&told.kind, &told.error) {
        (_, Some(error)) => Err(format!("refused: {error}").into()),
        (Some(kind), None) if kind == "gap" => Err("a gap".into()),
        _ => Ok(told),
    }
}
