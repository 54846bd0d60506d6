//! Many stored messages: pipelined single gets, and batched direct gets.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::stream::{self, StreamExt};
use naq_core::jetstream::{
    Consistency, GetMessage, GetMessages, StoredMessage, Which, WhichMany, check_filter,
    check_name, check_subject,
};
use naq_core::{BoxStream, Error, ErrorKind, Result};
use serde_json::{Map, Value};

use super::get::{direct_answer, direct_refusal};
use super::{NatsJetStream, api};
use crate::nats::{Inbox, Request};

const OPERATION: &str = "get_messages";

/// How many single gets are under way at a time.
const PIPELINED: usize = 128;
/// How many messages one batched direct get asks for.
const BATCH: u64 = 1_000;
/// How many bytes it asks for; more comes with the next one.
const BATCH_BYTES: u64 = 8 * 1024 * 1024;

impl NatsJetStream {
    pub(super) fn get_many(
        &self,
        stream: &str,
        request: GetMessages,
    ) -> BoxStream<'static, Result<StoredMessage>> {
        let GetMessages { which, consistency, .. } = request;
        if let Err(error) = check(stream, &which) {
            return stream::iter([Err(error)]).boxed();
        }
        match which {
            WhichMany::Sequences(sequences) => {
                self.each(stream, sequences.into_iter().map(Which::Sequence), consistency)
            }
            WhichMany::LastBySubjects(subjects) => {
                self.each(stream, subjects.into_iter().map(Which::LastBySubject), consistency)
            }
            WhichMany::From { sequence, subject, limit } => {
                let from = From {
                    jetstream: self.clone(),
                    stream: stream.to_owned(),
                    subject: subject.filter(|subject| subject != ">"),
                    next: sequence.max(1),
                    remaining: limit,
                    way: None,
                    consistency,
                    ready: VecDeque::new(),
                };
                from.into_stream()
            }
        }
    }

    /// One result for each, in order; an error other than `NotFound` is the last.
    pub(super) fn each(
        &self,
        stream: &str,
        which: impl Iterator<Item = Which> + Send + 'static,
        consistency: Consistency,
    ) -> BoxStream<'static, Result<StoredMessage>> {
        let jetstream = self.clone();
        let name = stream.to_owned();
        let gets = stream::iter(which).map(move |which| {
            let (jetstream, name) = (jetstream.clone(), name.clone());
            let request = GetMessage::new(which).with_consistency(consistency);
            async move { jetstream.get_one(&name, request).await }
        });
        until_fatal(gets.buffered(PIPELINED).boxed())
    }
}

fn check(stream: &str, which: &WhichMany) -> Result<()> {
    check_name(OPERATION, "stream", stream)?;
    match which {
        WhichMany::Sequences(_) => Ok(()),
        WhichMany::LastBySubjects(subjects) => {
            subjects.iter().try_for_each(|subject| check_subject(OPERATION, subject))
        }
        WhichMany::From { limit: 0, .. } => {
            Err(Error::invalid(OPERATION, "limit", "must be at least 1"))
        }
        WhichMany::From { subject, .. } => {
            subject.iter().try_for_each(|subject| check_filter(OPERATION, subject))
        }
    }
}

/// Ends a stream behind its first error that isn't `NotFound` of a message.
fn until_fatal(
    results: BoxStream<'static, Result<StoredMessage>>,
) -> BoxStream<'static, Result<StoredMessage>> {
    let mut ended = false;
    results
        .take_while(move |result| {
            let take = !ended;
            // A missing stream is the end, not one missing message after another.
            ended = result.as_ref().err().is_some_and(|error| {
                !error.is(ErrorKind::NotFound)
                    || api::has_code(error, super::errors::STREAM_NOT_FOUND)
            });
            std::future::ready(take)
        })
        .boxed()
}

/// How the messages from a sequence on are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By batches, from any replica.
    Batched,
    /// One behind another, from the leader.
    Single,
}

/// Messages from a sequence on.
#[derive(Debug)]
struct From {
    jetstream: NatsJetStream,
    stream: String,
    subject: Option<String>,
    next: u64,
    remaining: u64,
    way: Option<Way>,
    consistency: Consistency,
    ready: VecDeque<StoredMessage>,
}

impl From {
    fn into_stream(self) -> BoxStream<'static, Result<StoredMessage>> {
        stream::unfold(Some(Box::new(self)), |from| async move {
            let mut from = from?;
            match from.next().await {
                Ok(Some(message)) => Some((Ok(message), Some(from))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<StoredMessage>> {
        if let Some(message) = self.ready.pop_front() {
            return Ok(Some(message));
        }
        if self.remaining == 0 {
            return Ok(None);
        }
        let way = match self.way {
            Some(way) => way,
            None => self.choose().await?,
        };
        match way {
            Way::Batched => self.fetch_batch().await?,
            Way::Single => self.fetch_single().await?,
        }
        Ok(self.ready.pop_front())
    }

    /// Batches where the server has them and the answer is the leader's word, or needn't be.
    async fn choose(&mut self) -> Result<Way> {
        let is_batched = self.jetstream.can().batched_direct_get
            && match self.consistency {
                // Where nobody answers a direct get, the batch tells, and single gets follow.
                Consistency::Any => true,
                Consistency::Leader => {
                    let info = self.jetstream.info(OPERATION, &self.stream).await?;
                    info.config.allow_direct == Some(true) && info.config.replicas == Some(1)
                }
            };
        let way = if is_batched { Way::Batched } else { Way::Single };
        self.way = Some(way);
        Ok(way)
    }

    async fn fetch_single(&mut self) -> Result<()> {
        let subject = self.subject.clone().unwrap_or_else(|| ">".to_owned());
        let which = Which::NextBySubject { subject, sequence: self.next };
        let request = GetMessage::new(which).with_consistency(self.consistency);
        match self.jetstream.get_one(&self.stream, request).await {
            Ok(message) => {
                self.take(message);
                Ok(())
            }
            Err(error)
                if error.is(ErrorKind::NotFound)
                    && !api::has_code(&error, super::errors::STREAM_NOT_FOUND) =>
            {
                self.remaining = 0;
                Ok(())
            }
            Err(error) => Err(error.in_operation(OPERATION)),
        }
    }

    async fn fetch_batch(&mut self) -> Result<()> {
        let wire = Arc::clone(&self.jetstream.wire);
        let batch = self.remaining.min(BATCH);
        let mut body = Map::new();
        body.insert("seq".into(), self.next.into());
        body.insert("batch".into(), batch.into());
        body.insert("max_bytes".into(), BATCH_BYTES.into());
        if let Some(subject) = &self.subject {
            body.insert("next_by_subj".into(), subject.clone().into());
        }
        let subject = format!("{}.DIRECT.GET.{}", api::PREFIX, self.stream);
        let mut inbox = Inbox::open(&wire, OPERATION, wire.request_deadline()).await?;
        let reply = inbox.reply(0);
        let request = Request {
            subject: subject.clone().into(),
            headers: None,
            payload: Value::Object(body).to_string().into(),
        };
        wire.send(OPERATION, request, Some(reply), wire.request_deadline()).await?;
        let mut got = 0;
        loop {
            // Each message moves the deadline: the server may have much to send.
            let message = inbox.message(OPERATION, &subject, wire.request_deadline()).await;
            let message = match message {
                Ok(message) => message,
                // What came before a break is good; the next batch tells what is wrong.
                Err(error) if got > 0 && error.is(ErrorKind::Unavailable) => return Ok(()),
                Err(error) => return Err(error.with("stream", &self.stream)),
            };
            let pending = message
                .headers
                .as_ref()
                .and_then(|headers| headers.get("Nats-Num-Pending"))
                .and_then(|value| value.as_str().parse::<u64>().ok());
            match message.status.map(|status| (status, status.as_u16())) {
                None => {
                    self.take(direct_answer(message)?);
                    got += 1;
                }
                // End of batch.
                Some((_, 204)) => {
                    if pending == Some(0) || got == 0 {
                        self.remaining = 0;
                    }
                    return Ok(());
                }
                Some((_, 404)) => {
                    self.remaining = 0;
                    return Ok(());
                }
                // Direct gets were switched off meanwhile, or the stream is gone: the API tells.
                Some((_, 503)) => {
                    self.way = Some(Way::Single);
                    return Box::pin(self.fetch_single()).await;
                }
                Some((status, _)) => {
                    let error: Error = direct_refusal(status, message.description.as_deref());
                    return Err(error.in_operation(OPERATION).with("stream", &self.stream));
                }
            }
        }
    }

    fn take(&mut self, message: StoredMessage) {
        self.next = message.sequence.saturating_add(1);
        self.remaining = self.remaining.saturating_sub(1);
        self.ready.push_back(message);
    }
}
