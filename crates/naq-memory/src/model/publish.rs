//! Storing a message: expectations, duplicates, limits, rollups, in the server's order.

use std::time::Duration;

use naq_core::Timestamp;
use naq_core::jetstream::{PublishAck, PurgeKeep, Retention};

use super::refusal::Refusal;
use super::request::{Request, Rollup};
use super::stream::Stream;
use super::wire;

impl Stream {
    /// Stores one message, or answers which one with its id was stored before.
    ///
    /// `room` is how many more bytes all streams together may take.
    pub(crate) fn publish(
        &mut self,
        request: Request,
        room: u64,
        now: Timestamp,
    ) -> Result<PublishAck, Refusal> {
        if self.config.sealed {
            return Err(Refusal::Sealed(self.config.name.clone()));
        }
        self.check_size(&request)?;
        self.check_target(&request)?;
        if let Err(refusal) = self.check_sequences(&request) {
            // As with every JetStream of naq: what was stored by an earlier try is told as a
            // duplicate, not as a conflict with itself.
            return self.stored_before(&request).ok_or(refusal);
        }
        if let Some(sequence) = request.message_id.as_deref().and_then(|id| self.dedupe.find(id)) {
            return Ok(self.ack(sequence, true));
        }
        self.check_last_message_id(&request)?;
        self.check_rollup(&request)?;
        let size = request.size(self.config.storage);
        if size > room {
            return Err(Refusal::MemoryFull);
        }
        if !self.wants(&request.subject) {
            return Ok(self.pass_over(&request, now));
        }
        self.check_room(&request.subject, size, request.rollup.is_some())?;
        let sequence = self.store(request, now);
        Ok(self.ack(sequence, false))
    }

    fn ack(&self, sequence: u64, duplicate: bool) -> PublishAck {
        PublishAck { stream: self.config.name.clone(), sequence, duplicate }
    }

    /// What stands before all else: the stream that is meant, and whether it takes a TTL.
    pub(crate) fn check_target(&self, request: &Request) -> Result<(), Refusal> {
        match &request.expected.stream {
            Some(expected) if *expected != self.config.name => {
                return Err(Refusal::WrongStream {
                    expected: expected.clone(),
                    actual: self.config.name.clone(),
                });
            }
            _ => {}
        }
        if request.ttl.is_some() && !self.config.allow_message_ttl {
            return Err(Refusal::TtlDisabled);
        }
        Ok(())
    }

    /// The expected sequences; the server looks at them before it looks for duplicates.
    fn check_sequences(&self, request: &Request) -> Result<(), Refusal> {
        if let Some(expected) = request.expected.last_subject_sequence {
            let actual = self.last_on(&request.subject);
            if actual != expected {
                return Err(Refusal::WrongLastSequence { actual });
            }
        }
        match request.expected.last_sequence {
            Some(expected) if expected != self.store.last() => {
                Err(Refusal::WrongLastSequence { actual: self.store.last() })
            }
            _ => Ok(()),
        }
    }

    /// The last sequence on a literal subject, 0 for none.
    pub(crate) fn last_on(&self, subject: &str) -> u64 {
        let sequences = self.store.subjects().get(subject);
        sequences.and_then(|sequences| sequences.back().copied()).unwrap_or(0)
    }

    /// The last message on the subject, if it has this message's id.
    fn stored_before(&self, request: &Request) -> Option<PublishAck> {
        let id = request.message_id.as_deref()?;
        let sequence = self.last_on(&request.subject);
        let stored = &self.store.get(sequence)?.message;
        (stored.headers.get(wire::MESSAGE_ID) == Some(id)).then(|| self.ack(sequence, true))
    }

    fn check_last_message_id(&self, request: &Request) -> Result<(), Refusal> {
        match &request.expected.last_message_id {
            Some(expected) if *expected != self.last_message_id => {
                Err(Refusal::WrongLastMessageId { actual: self.last_message_id.clone() })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn check_rollup(&self, request: &Request) -> Result<(), Refusal> {
        match &request.rollup {
            None => Ok(()),
            Some(_) if !self.config.allow_rollup || self.config.deny_purge => {
                Err(Refusal::RollupDenied)
            }
            Some(Ok(_)) => Ok(()),
            Some(Err(value)) => Err(Refusal::invalid(
                "headers",
                format!("must have a Nats-Rollup of `sub` or `all`, not {value:?}"),
            )),
        }
    }

    pub(crate) fn check_size(&self, request: &Request) -> Result<(), Refusal> {
        let (bytes, limit) = (request.bytes(), self.config.max_message_size);
        if limit > 0 && bytes > limit {
            return Err(Refusal::TooLarge { what: "max_message_size", bytes, limit });
        }
        Ok(())
    }

    /// Gives a message that nobody is interested in a sequence and forgets it.
    pub(crate) fn pass_over(&mut self, request: &Request, now: Timestamp) -> PublishAck {
        let sequence = self.store.skip();
        self.remember(request.message_id.as_deref(), sequence, now);
        self.roll_up(request.rollup.as_ref(), &request.subject, 0);
        self.ack(sequence, false)
    }

    /// Stores a message that has passed the checks, and carries out its rollup.
    pub(crate) fn store(&mut self, mut request: Request, now: Timestamp) -> u64 {
        let message_id = request.message_id.take();
        let rollup = request.rollup.take();
        // Where a subject has one message at most no marker can be missed.
        let least_ttl = match self.config.max_messages_per_subject {
            1 => Duration::ZERO,
            _ => Duration::from_secs(self.config.subject_delete_marker_ttl.as_secs()),
        };
        let (message, size, life) = request.into_stored(self.config.storage, least_ttl, now);
        let subject = (rollup.is_some() || self.config.max_messages_per_subject > 0)
            .then(|| message.subject.clone());
        self.tell_consumers(&message.subject);
        let sequence = self.store.append(message, size, life);
        self.remember(message_id.as_deref(), sequence, now);
        if let Some(subject) = subject {
            self.enforce_subject(&subject);
            self.enforce_limits();
            self.roll_up(rollup.as_ref(), &subject, 1);
        } else {
            self.enforce_limits();
        }
        sequence
    }

    fn remember(&mut self, message_id: Option<&str>, sequence: u64, now: Timestamp) {
        self.last_message_id.clear();
        if let Some(id) = message_id {
            self.dedupe.remember(id, sequence, now);
            self.last_message_id.push_str(id);
        }
    }

    fn roll_up(&mut self, rollup: Option<&Result<Rollup, String>>, subject: &str, keep: u64) {
        match rollup {
            Some(Ok(Rollup::Subject)) => {
                self.purge_by(Some(subject), PurgeKeep::Newest(keep));
            }
            Some(Ok(Rollup::All)) => {
                self.purge_by(None, PurgeKeep::Newest(keep));
            }
            Some(Err(_)) | None => {}
        }
    }

    /// Whether a message on a subject is kept: by interest only where some
    /// consumer wants it.
    pub(crate) fn wants(&self, subject: &str) -> bool {
        self.config.retention != Retention::Interest
            || self.consumers.values().any(|consumer| consumer.filters().matches(subject))
    }
}
