//! Atomic batches: every message is checked against what the ones before it
//! will have changed, then all are stored.

use std::collections::{HashMap, HashSet};

use naq_core::Timestamp;
use naq_core::jetstream::{BatchAck, Discard, MESSAGES_PER_SUBJECT};

use super::refusal::Refusal;
use super::request::{Request, Rollup};
use super::stream::Stream;
use super::wire;

/// The most messages in one batch, as on a server.
pub(crate) const MAX_MESSAGES: usize = 1_000;

/// What the checked messages of a batch will have changed.
#[derive(Debug, Default)]
struct Staged<'a> {
    ids: HashSet<&'a str>,
    on_subject: HashMap<&'a str, u64>,
    messages: u64,
    bytes: u64,
}

impl Stream {
    /// Stores all messages of a batch or none; `id` marks them as belonging together.
    pub(crate) fn publish_atomic(
        &mut self,
        mut batch: Vec<Request>,
        id: &str,
        room: u64,
        now: Timestamp,
    ) -> Result<BatchAck, Refusal> {
        if self.config.sealed {
            return Err(Refusal::Sealed(self.config.name.clone()));
        }
        let count = batch.len();
        for (at, request) in batch.iter_mut().enumerate() {
            request.add_header(wire::BATCH_ID, id.to_owned());
            request.add_header(wire::BATCH_SEQUENCE, (at + 1).to_string());
            if at + 1 == count {
                request.add_header(wire::BATCH_COMMIT, "1".to_owned());
            }
        }
        // A server answers the last message alone: what it refused before makes the batch
        // incomplete.
        let Some((last, others)) = batch.split_last() else { return Err(Refusal::BatchIncomplete) };
        self.check_size(last)?;
        if !self.config.allow_atomic_publish {
            return Err(Refusal::AtomicDisabled);
        }
        if others.iter().any(|request| self.check_size(request).is_err()) {
            return Err(Refusal::BatchIncomplete);
        }
        let mut staged = Staged::default();
        for request in &batch {
            self.stage(request, &mut staged)?;
        }
        if staged.bytes > room {
            return Err(Refusal::MemoryFull);
        }
        for request in batch {
            if self.wants(&request.subject) {
                self.store(request, now);
            } else {
                self.pass_over(&request, now);
            }
        }
        Ok(BatchAck {
            stream: self.config.name.clone(),
            sequence: self.store.last(),
            count: count as u64,
        })
    }

    fn stage<'a>(&self, request: &'a Request, staged: &mut Staged<'a>) -> Result<(), Refusal> {
        if request.expected.last_message_id.is_some() {
            return Err(Refusal::BatchHeader(wire::EXPECTED_LAST_MESSAGE_ID));
        }
        self.check_target(request)?;
        if let Some(id) = request.message_id.as_deref()
            && (!staged.ids.insert(id) || self.dedupe.find(id).is_some())
        {
            return Err(Refusal::BatchDuplicate { id: id.to_owned() });
        }
        self.check_staged_sequences(request, staged)?;
        self.check_rollup(request)?;
        match request.rollup {
            Some(Ok(Rollup::Subject)) if staged.on_subject.contains_key(&*request.subject) => {
                return Err(Refusal::BatchRollup("the first message on its subject"));
            }
            Some(Ok(Rollup::All)) if staged.messages > 0 => {
                return Err(Refusal::BatchRollup("the first message"));
            }
            _ => {}
        }
        let on_subject = staged.on_subject.entry(&request.subject).or_default();
        *on_subject += 1;
        staged.messages += 1;
        staged.bytes += request.size(self.config.storage);
        let on_subject = *on_subject;
        self.check_staged_room(request, on_subject, staged)
    }

    fn check_staged_sequences(
        &self,
        request: &Request,
        staged: &Staged<'_>,
    ) -> Result<(), Refusal> {
        if let Some(expected) = request.expected.last_sequence {
            let actual = self.store.last() + staged.messages;
            // The first message alone may expect a sequence of the stream.
            if expected != actual || staged.messages > 0 {
                return Err(Refusal::WrongLastSequence { actual });
            }
        }
        if let Some(expected) = request.expected.last_subject_sequence {
            let actual = self.last_on(&request.subject);
            if staged.on_subject.contains_key(&*request.subject) || expected != actual {
                return Err(Refusal::WrongLastSequence { actual });
            }
        }
        Ok(())
    }

    /// Room in a stream that discards new messages; a batch gets none by replacing.
    fn check_staged_room(
        &self,
        request: &Request,
        staged_on_subject: u64,
        staged: &Staged<'_>,
    ) -> Result<(), Refusal> {
        let config = &self.config;
        if config.discard != Discard::New {
            return Ok(());
        }
        let over = |limit: u64, total: u64| limit > 0 && total > limit;
        if over(config.max_messages, self.store.messages() + staged.messages) {
            return Err(Refusal::StreamFull("messages"));
        }
        if over(config.max_bytes, self.store.bytes() + staged.bytes) {
            return Err(Refusal::StreamFull("bytes"));
        }
        let on_subject = self.store.subjects().get(&request.subject);
        let on_subject = on_subject.map_or(0, |all| all.len() as u64) + staged_on_subject;
        if config.discard_new_per_subject
            && request.rollup.is_none()
            && over(config.max_messages_per_subject, on_subject)
        {
            return Err(Refusal::StreamFull(MESSAGES_PER_SUBJECT));
        }
        Ok(())
    }
}
