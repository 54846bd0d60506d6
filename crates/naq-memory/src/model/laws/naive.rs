//! A stream as one would write it without a thought for speed: a list.

use std::time::Duration;

use naq_core::Timestamp;
use naq_core::jetstream::{Discard, PurgeKeep, StreamConfig, StreamState, subject_matches};

use super::Op;

/// A stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) sequence: u64,
    pub(super) subject: &'static str,
    size: u64,
    at: u64,
    id: Option<u8>,
}

/// A stream that is a list.
#[derive(Debug)]
pub(super) struct Naive {
    config: StreamConfig,
    pub(super) kept: Vec<Kept>,
    last: u64,
    last_at: Option<u64>,
    ids: Vec<(u8, u64, u64)>,
}

impl Naive {
    pub(super) fn new(config: StreamConfig) -> Self {
        Self { config, kept: Vec::new(), last: 0, last_at: None, ids: Vec::new() }
    }

    /// Lets go what is too old at a time in milliseconds.
    pub(super) fn pass_time(&mut self, now: u64) {
        let age = millis(self.config.max_age);
        self.kept.retain(|kept| age == 0 || now - kept.at < age);
        let window = millis(self.config.duplicate_window);
        self.ids.retain(|(_, _, at)| now - at < window);
    }

    /// Does it at a time in milliseconds; `None` where it is refused.
    pub(super) fn apply(&mut self, op: &Op, now: u64) -> Option<u64> {
        self.pass_time(now);
        match op {
            Op::Publish { subject, size, id, expect } => {
                self.publish(subject, *size, *id, *expect, now)
            }
            Op::Purge { filter, keep } => Some(self.purge(filter.unwrap_or(">"), *keep)),
            Op::Delete(sequence) => {
                let at = self.kept.iter().position(|kept| kept.sequence == *sequence)?;
                self.kept.remove(at);
                Some(0)
            }
            Op::Wait(_) => Some(0),
        }
    }

    fn publish(
        &mut self,
        subject: &'static str,
        size: usize,
        id: Option<u8>,
        expect: Option<u64>,
        now: u64,
    ) -> Option<u64> {
        let headers = [
            id.map(|id| format!("Nats-Msg-Id: {id}\r\n")),
            expect.map(|last| format!("Nats-Expected-Last-Subject-Sequence: {last}\r\n")),
        ];
        let headers: usize = headers.iter().flatten().map(String::len).sum();
        let block = if headers == 0 { 0 } else { headers + "NATS/1.0\r\n\r\n".len() + 4 };
        let size = (subject.len() + size + block + 30) as u64;
        let on_subject: Vec<_> =
            self.kept.iter().filter(|kept| kept.subject == subject).cloned().collect();
        let last_here = on_subject.last().map_or(0, |kept| kept.sequence);
        if expect.is_some_and(|expect| expect != last_here) {
            // What an earlier try stored is a duplicate, not a conflict with itself.
            return on_subject
                .last()
                .filter(|last| id.is_some() && last.id == id)
                .map(|it| it.sequence);
        }
        if let Some((_, sequence, _)) = self.ids.iter().find(|(known, _, _)| Some(*known) == id) {
            return Some(*sequence);
        }
        let per_subject = limit(self.config.max_messages_per_subject);
        let (messages, bytes) = (limit(self.config.max_messages), limit(self.config.max_bytes));
        let total: u64 = self.kept.iter().map(|kept| kept.size).sum();
        if self.config.discard == Some(Discard::New) {
            let full = on_subject.len() as u64 >= per_subject;
            let room = if full { on_subject[0].size } else { 0 };
            if full && self.config.discard_new_per_subject == Some(true)
                || !full && self.kept.len() as u64 >= messages
                || total + size > bytes && (!full || room < size)
            {
                return None;
            }
        }
        self.last += 1;
        self.last_at = Some(now);
        self.kept.push(Kept { sequence: self.last, subject, size, at: now, id });
        if let Some(id) = id {
            self.ids.push((id, self.last, now));
        }
        if on_subject.len() as u64 >= per_subject {
            self.kept.retain(|kept| kept.sequence != on_subject[0].sequence);
        }
        while self.kept.len() as u64 > messages
            || self.kept.iter().map(|kept| kept.size).sum::<u64>() > bytes && !self.kept.is_empty()
        {
            self.kept.remove(0);
        }
        Some(self.last)
    }

    fn purge(&mut self, filter: &str, keep: PurgeKeep) -> u64 {
        let matching = self.matching(filter);
        let goes = |at: usize, sequence: u64| match keep {
            PurgeKeep::Nothing => true,
            PurgeKeep::Newest(count) => ((matching.len() - at) as u64) > count,
            PurgeKeep::FromSequence(from) => sequence < from,
        };
        let gone: Vec<u64> = matching
            .iter()
            .enumerate()
            .filter(|(at, sequence)| goes(*at, **sequence))
            .map(|(_, sequence)| *sequence)
            .collect();
        self.kept.retain(|kept| !gone.contains(&kept.sequence));
        gone.len() as u64
    }

    /// The sequences of what matches.
    pub(super) fn matching(&self, filter: &str) -> Vec<u64> {
        self.kept
            .iter()
            .filter(|kept| subject_matches(filter, kept.subject))
            .map(|kept| kept.sequence)
            .collect()
    }

    pub(super) fn state(&self) -> StreamState {
        let stamp = |at| Timestamp::from_nanos(0).saturating_add(Duration::from_millis(at));
        let mut subjects: Vec<_> = self.kept.iter().map(|kept| kept.subject).collect();
        subjects.sort_unstable();
        subjects.dedup();
        let mut state = StreamState::default();
        state.messages = self.kept.len() as u64;
        state.bytes = self.kept.iter().map(|kept| kept.size).sum();
        state.first_sequence = self.kept.first().map_or(self.last + 1, |kept| kept.sequence);
        state.first_time = self.kept.first().map(|kept| stamp(kept.at));
        state.last_sequence = self.last;
        state.last_time = self.last_at.map(stamp);
        state.num_subjects = subjects.len() as u64;
        state.num_deleted = self.last + 1 - state.first_sequence - state.messages;
        state
    }
}

fn limit(limit: Option<u64>) -> u64 {
    limit.filter(|limit| *limit > 0).unwrap_or(u64::MAX)
}

fn millis(span: Option<Duration>) -> u64 {
    u64::try_from(span.unwrap_or_default().as_millis()).unwrap()
}
