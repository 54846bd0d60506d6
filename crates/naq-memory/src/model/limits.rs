//! What a stream lets go: by its limits, by age, by a message's own TTL.

use std::time::Duration;

use naq_core::Timestamp;
use naq_core::jetstream::{Discard, Headers, MESSAGES_PER_SUBJECT, StoredMessage};

use super::refusal::Refusal;
use super::store::Life;
use super::stream::Stream;
use super::wire;

impl Stream {
    /// Refuses a message that a stream which discards new ones has no room for.
    pub(crate) fn check_room(&self, subject: &str, size: u64, rollup: bool) -> Result<(), Refusal> {
        let config = &self.config;
        if config.discard != Discard::New {
            return Ok(());
        }
        let per_subject = config.max_messages_per_subject;
        let on_subject = self.store.subjects().get(subject);
        // At its subject's limit a message replaces another one and needs no room of its own.
        let replaced = on_subject
            .filter(|sequences| per_subject > 0 && sequences.len() as u64 >= per_subject)
            .and_then(|sequences| self.store.get(*sequences.front()?));
        if replaced.is_some() && config.discard_new_per_subject && !rollup {
            return Err(Refusal::StreamFull(MESSAGES_PER_SUBJECT));
        }
        if config.max_messages > 0
            && self.store.messages() >= config.max_messages
            && replaced.is_none()
        {
            return Err(Refusal::StreamFull("messages"));
        }
        if config.max_bytes > 0
            && self.store.bytes() + size > config.max_bytes
            && replaced.is_none_or(|record| record.size < size)
        {
            return Err(Refusal::StreamFull("bytes"));
        }
        Ok(())
    }

    /// Removes what a subject has beyond its limit.
    pub(crate) fn enforce_subject(&mut self, subject: &str) {
        let most = self.config.max_messages_per_subject;
        if most == 0 {
            return;
        }
        while let Some(oldest) = self
            .store
            .subjects()
            .get(subject)
            .filter(|sequences| sequences.len() as u64 > most)
            .and_then(|sequences| sequences.front().copied())
        {
            self.remove(oldest);
        }
    }

    /// Removes the oldest messages beyond the limits of messages and bytes; a
    /// stream that discards new messages keeps what it has.
    pub(crate) fn enforce_limits(&mut self) {
        if self.config.discard == Discard::New {
            return;
        }
        let (messages, bytes) = (self.config.max_messages, self.config.max_bytes);
        while (messages > 0 && self.store.messages() > messages)
            || (bytes > 0 && self.store.bytes() > bytes && self.store.messages() > 0)
        {
            self.remove(self.store.first());
        }
    }

    /// Applies all limits, as after a change of the configuration.
    pub(crate) fn enforce_all(&mut self) {
        if self.config.max_messages_per_subject > 0 {
            let most = self.config.max_messages_per_subject;
            let mut beyond = Vec::new();
            let _: std::ops::ControlFlow<()> = self.store.subjects().visit(">", |_, sequences| {
                let surplus = (sequences.len() as u64).saturating_sub(most);
                beyond
                    .extend(sequences.iter().take(usize::try_from(surplus).unwrap_or(usize::MAX)));
                std::ops::ControlFlow::Continue(())
            });
            for sequence in beyond {
                self.remove(sequence);
            }
        }
        self.enforce_limits();
    }

    /// Removes what its age or its TTL has ended by now, and forgets old message ids.
    ///
    /// Answers whether markers were stored, which are new messages.
    pub(crate) fn expire(&mut self, now: Timestamp) -> bool {
        self.dedupe.forget(self.config.duplicate_window, now);
        let last = self.store.last();
        if !self.config.max_age.is_zero() {
            let oldest = now.saturating_sub(self.config.max_age);
            while let Some((sequence, stored_at)) = self.store.first_ageing(self.ageing_from) {
                self.ageing_from = sequence;
                if stored_at > oldest {
                    break;
                }
                self.end(sequence, now);
            }
        }
        while let Some(sequence) = self.store.next_ended(now) {
            self.end(sequence, now);
        }
        self.store.last() != last
    }

    /// When the next message ends, as far as that stores a marker: otherwise
    /// nobody needs to be told.
    pub(crate) fn next_marker(&self) -> Option<Timestamp> {
        if self.config.subject_delete_marker_ttl.is_zero() {
            return None;
        }
        let age = self.config.max_age;
        let aged = self
            .store
            .first_ageing(self.ageing_from)
            .filter(|_| !age.is_zero())
            .map(|(_, stored_at)| stored_at.saturating_add(age));
        [aged, self.store.next_end()].into_iter().flatten().min()
    }

    /// Removes a message whose time is over; the last one of its subject is
    /// replaced by a marker where the stream is set so.
    fn end(&mut self, sequence: u64, now: Timestamp) {
        let ttl = self.config.subject_delete_marker_ttl;
        let Some(record) = self.store.get(sequence) else { return };
        let subject = &record.message.subject;
        let last_one = self.store.subjects().get(subject).is_some_and(|all| all.len() == 1);
        let is_marker = record.message.headers.get(wire::MARKER_REASON).is_some();
        if ttl.is_zero() || !last_one || is_marker {
            self.remove(sequence);
            return;
        }
        let subject = subject.clone();
        self.remove(sequence);
        self.store_marker(subject, ttl, now);
    }

    fn store_marker(&mut self, subject: String, ttl: Duration, now: Timestamp) {
        let seconds = Duration::from_secs(ttl.as_secs());
        let headers = Headers::new()
            .with(wire::MARKER_REASON, "MaxAge")
            .with(wire::TTL, go_duration(seconds))
            .with(wire::ROLLUP, wire::ROLLUP_SUBJECT);
        let size =
            wire::stored_bytes(self.config.storage, subject.len(), wire::header_bytes(&headers), 0);
        let message = StoredMessage {
            subject,
            sequence: 0,
            stored_at: now,
            headers,
            payload: bytes::Bytes::new(),
        };
        self.tell_consumers(&message.subject);
        self.store.append(message, size, Life::Until(now.saturating_add(seconds)));
        self.last_message_id.clear();
        self.enforce_limits();
    }
}

/// Whole seconds as Go writes a duration: `1h0m5s`.
fn go_duration(duration: Duration) -> String {
    let (hours, minutes, seconds) =
        (duration.as_secs() / 3600, duration.as_secs() / 60 % 60, duration.as_secs() % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}
