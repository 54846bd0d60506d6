//! The position of a read and what it delivers next.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use naq_core::jetstream::{Delivery, ReadOptions, ReadStart, ReadUntil, Retention, StoredMessage};

use super::filters::{Filters, SCANNED_MESSAGES};
use super::refusal::Refusal;
use super::stream::Stream;
use super::subjects::first_from;
use super::wire;

/// How many messages and bytes one batch has at most, and how many messages it looks at.
const BATCH_MESSAGES: usize = 1_024;
const BATCH_BYTES: usize = 8 * 1024 * 1024;
const BATCH_EXAMINED: usize = 8 * 1_024;

/// What to do after a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// There is more already.
    More,
    /// Wait until the stream changes.
    Wait,
    /// The read has come to its end.
    End,
}

/// A read of one stream.
#[derive(Debug)]
pub(crate) struct Cursor {
    pub(crate) stream: String,
    pub(crate) identity: u64,
    filters: Filters,
    headers_only: bool,
    /// Everything up to here has been examined.
    position: u64,
    until: Option<u64>,
    remaining: Option<u64>,
    /// The `CaughtUp` that is still owed.
    head: Option<u64>,
    /// Whether a first sequence that lies further on is a gap: not while what
    /// was asked for is the first message, whichever it is.
    tells_gaps: bool,
    /// The last message of each subject as it stood when the read was opened.
    listed: VecDeque<u64>,
    /// The stream's last sequence at that moment.
    listed_until: u64,
}

impl Cursor {
    /// Opens a read of a stream as it stands.
    pub(crate) fn open(stream: &Stream, options: &ReadOptions) -> Result<Self, Refusal> {
        if options.created.is_some_and(|created| created != stream.created) {
            return Err(Refusal::MadeAnew(stream.config.name.clone()));
        }
        if stream.config.retention == Retention::WorkQueue {
            return Err(Refusal::ReadOfWorkQueue(stream.config.name.clone()));
        }
        let (first, last) = (stream.store.first(), stream.store.last());
        let filters = Filters::new(&options.subjects);
        let mut listed = VecDeque::new();
        let position = match options.start {
            ReadStart::Beginning => first - 1,
            ReadStart::Sequence(sequence) => sequence.max(1) - 1,
            ReadStart::Time(time) => stream.store.first_since(time) - 1,
            ReadStart::New => last,
            ReadStart::LastPerSubject => {
                listed = filters.last_per_subject(stream.store.subjects());
                if listed.is_empty() { last } else { first - 1 }
            }
        };
        let until = match options.until {
            ReadUntil::Never => None,
            ReadUntil::Head => Some(last),
            ReadUntil::Sequence(sequence) => Some(sequence),
        };
        Ok(Self {
            stream: stream.config.name.clone(),
            identity: stream.identity,
            filters,
            headers_only: options.headers_only,
            position,
            until,
            remaining: options.limit,
            head: owed(until, last),
            tells_gaps: matches!(options.start, ReadStart::Sequence(_) | ReadStart::New),
            listed,
            listed_until: last,
        })
    }

    /// Tells that the connection broke and was made anew.
    pub(crate) fn resume(&mut self, stream: &Stream, out: &mut VecDeque<Delivery>) {
        out.push_back(Delivery::Resumed { sequence: self.position });
        self.head = owed(self.until, stream.store.last());
    }

    /// Delivers what is there, at most a batch.
    pub(crate) fn advance(&mut self, stream: &Stream, out: &mut VecDeque<Delivery>) -> Next {
        let mut batch = Batch { out, messages: 0, bytes: 0, examined: 0 };
        if self.remaining == Some(0) {
            return Next::End;
        }
        let first = stream.store.first();
        if self.tells_gaps && first > self.position.saturating_add(1) && !self.is_over() {
            let to = self.until.map_or(first - 1, |until| until.min(first - 1));
            batch.out.push_back(Delivery::Gap { from: self.position + 1, to });
            self.position = to;
        }
        let whole = if self.listed.is_empty() {
            self.deliver_live(stream, &mut batch)
        } else {
            self.deliver_listed(stream, &mut batch)
        };
        // Where all is examined or something was delivered, it is known where the read stands.
        self.tells_gaps |= self.listed.is_empty() && (whole || batch.messages > 0);
        if self.head.is_some_and(|head| self.position >= head)
            && let Some(sequence) = self.head.take()
        {
            batch.out.push_back(Delivery::CaughtUp { sequence });
        }
        if self.is_over() || self.remaining == Some(0) {
            Next::End
        } else if whole {
            Next::Wait
        } else {
            Next::More
        }
    }

    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| self.position >= until)
    }

    /// What was listed at the opening; answers false, for there is always the rest.
    fn deliver_listed(&mut self, stream: &Stream, batch: &mut Batch<'_>) -> bool {
        while let Some(sequence) = self.listed.front().copied() {
            if self.until.is_some_and(|until| sequence > until) {
                self.listed.clear();
                break;
            }
            if batch.is_full() || self.remaining == Some(0) {
                return false;
            }
            self.listed.pop_front();
            if sequence > self.position
                && let Some(record) = stream.store.get(sequence)
            {
                self.deliver(&record.message, batch);
            }
        }
        if self.remaining == Some(0) {
            return false;
        }
        let end = self.until.unwrap_or(u64::MAX);
        self.position = self.position.max(self.listed_until.min(end));
        false
    }

    /// Answers whether everything that is there has been examined.
    fn deliver_live(&mut self, stream: &Stream, batch: &mut Batch<'_>) -> bool {
        let last = stream.store.last();
        let end = self.until.map_or(last, |until| until.min(last));
        if self.position >= end {
            return true;
        }
        if end - self.position > SCANNED_MESSAGES as u64
            && let Some(subjects) = self.filters.indexed(stream.store.subjects())
        {
            let mut next = BinaryHeap::new();
            for (at, sequences) in subjects.iter().enumerate() {
                next.extend(
                    first_from(sequences, self.position + 1).map(|found| Reverse((found, at))),
                );
            }
            while let Some(Reverse((sequence, at))) = next.pop() {
                if sequence > end {
                    break;
                }
                if batch.is_full() || self.remaining == Some(0) {
                    return false;
                }
                if let Some(record) = stream.store.get(sequence) {
                    self.deliver(&record.message, batch);
                }
                next.extend(
                    first_from(subjects[at], sequence + 1).map(|found| Reverse((found, at))),
                );
            }
        } else {
            for (sequence, record) in stream.store.from(self.position + 1) {
                if sequence > end {
                    break;
                }
                if batch.is_full() || self.remaining == Some(0) {
                    return false;
                }
                batch.examined += 1;
                if self.filters.matches(&record.message.subject) {
                    self.deliver(&record.message, batch);
                }
                self.position = sequence;
            }
        }
        self.position = end;
        end == last
    }

    fn deliver(&mut self, message: &StoredMessage, batch: &mut Batch<'_>) {
        let mut message = message.clone();
        self.position = message.sequence;
        if self.headers_only {
            message.headers.append(wire::MESSAGE_SIZE, message.payload.len().to_string());
            message.payload = bytes::Bytes::new();
        }
        batch.messages += 1;
        batch.bytes += message.payload.len() + message.subject.len();
        self.remaining = self.remaining.map(|remaining| remaining - 1);
        batch.out.push_back(Delivery::Message(message));
    }
}

/// The `CaughtUp` of a read; one that ends before it never is caught up.
fn owed(until: Option<u64>, last: u64) -> Option<u64> {
    until.is_none_or(|until| until >= last).then_some(last)
}

struct Batch<'a> {
    out: &'a mut VecDeque<Delivery>,
    messages: usize,
    bytes: usize,
    examined: usize,
}

impl Batch<'_> {
    fn is_full(&self) -> bool {
        self.messages >= BATCH_MESSAGES
            || self.bytes >= BATCH_BYTES
            || self.examined >= BATCH_EXAMINED
    }
}
