//! What is known of one batch on the server, without I/O.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::Subject;
use tokio::time::Instant;

use super::FLOW;
use super::parts::Part;
use super::told::Told;
use crate::jetstream::ack::Refusal;

/// How long messages wait for others to fill the flow up, before they are committed.
const LINGER: Duration = Duration::from_millis(5);

/// A batch of fewer messages is committed as soon as no more come.
const FEW: u64 = 8;

/// After so long without progress the server is asked to tell again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// One batch on the server.
#[derive(Debug)]
pub(super) struct Batch {
    part: Part,
    /// Of its first message; commit and questions go there too.
    subject: Subject,
    /// The connection that it went over.
    generation: u64,
    /// How many messages were sent; the number of the last one.
    sent: u64,
    /// All up to this number are stored.
    acked: u64,
    /// The server acknowledges by itself after so many messages.
    every: u64,
    /// Whether the server has the first message.
    is_confirmed: bool,
    /// Whether it was asked to commit.
    is_closing: bool,
    /// Whether the server missed a message.
    has_gap: bool,
    /// Which message was refused, and why.
    refused: Option<(u64, Refusal)>,
    /// The sizes of what isn't acknowledged, and their sum.
    sizes: VecDeque<usize>,
    bytes: usize,
    /// When the acknowledgements last moved, or had to begin to.
    since: Instant,
    /// When the server was last asked to tell again.
    asked: Instant,
}

/// How a batch ended.
#[derive(Debug)]
pub(super) enum End {
    /// All that was sent is stored.
    Whole,
    /// The first message that isn't stored was refused, and none behind it is.
    Refused(Refusal),
    /// The server missed the first message that isn't stored, and has none behind it.
    Gap,
    /// What isn't acknowledged may be stored.
    Doubt,
}

impl Batch {
    /// A batch whose first message, of so many bytes, is being sent.
    pub(super) fn begin(
        part: Part,
        subject: Subject,
        generation: u64,
        bytes: usize,
        now: Instant,
    ) -> Self {
        Self {
            part,
            subject,
            generation,
            sent: 1,
            acked: 0,
            every: FLOW,
            is_confirmed: false,
            is_closing: false,
            has_gap: false,
            refused: None,
            sizes: VecDeque::from([bytes]),
            bytes,
            since: now,
            asked: now,
        }
    }

    /// One more message of so many bytes; its number.
    pub(super) fn append(&mut self, bytes: usize) -> u64 {
        if self.unacked() == 0 {
            self.since = Instant::now();
            self.asked = self.since;
        }
        self.sent += 1;
        self.sizes.push_back(bytes);
        self.bytes += bytes;
        self.sent
    }

    pub(super) fn id(&self) -> &str {
        &self.part.id
    }

    pub(super) fn subject(&self) -> &Subject {
        &self.subject
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// How many messages of the caller's batch are stored, those of earlier parts included.
    pub(super) fn stored(&self) -> u64 {
        self.part.before + self.acked
    }

    pub(super) fn acked(&self) -> u64 {
        self.acked
    }

    pub(super) fn unacked(&self) -> u64 {
        self.sent - self.acked
    }

    /// The bytes of what isn't acknowledged.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.is_confirmed
    }

    /// Whether it takes more messages.
    pub(super) fn is_open(&self) -> bool {
        !self.is_closing && self.refused.is_none()
    }

    /// Notes that it is asked to commit, and gives that word's number.
    pub(super) fn close(&mut self, now: Instant) -> u64 {
        self.is_closing = true;
        self.since = now;
        self.sent + 1
    }

    /// Notes that the server is asked to tell again, and gives that word's number.
    pub(super) fn ask(&mut self, now: Instant) -> u64 {
        self.asked = now;
        self.sent
    }

    /// When it is to be committed if no more messages can be sent until then.
    pub(super) fn commit_due(&self) -> Option<Instant> {
        if self.is_closing {
            return None;
        }
        if self.refused.is_some() {
            // It has ended, or will with this: either way the server says how much is stored.
            return Some(self.since);
        }
        match self.unacked() {
            unacked if unacked >= self.every => None,
            _ if self.sent < FEW => Some(self.since),
            _ => Some(self.since + LINGER),
        }
    }

    /// When the server is to be asked to tell again.
    pub(super) fn ask_due(&self) -> Option<Instant> {
        let waits = self.unacked() > 0 && !self.is_closing;
        waits.then(|| self.since.max(self.asked) + ASK_AGAIN)
    }

    /// When waiting for the server makes no more sense.
    pub(super) fn patience(&self, ack_timeout: Duration) -> Option<Instant> {
        let waits = self.unacked() > 0 || self.is_closing;
        waits.then(|| self.since + ack_timeout)
    }

    /// Takes what the server tells, and says how the batch ended if it did.
    pub(super) fn take(&mut self, told: Told, now: Instant) -> Option<End> {
        match told {
            Told::Ack { number, every } => {
                self.is_confirmed = true;
                self.every = every.max(1);
                self.progress(number, now);
                None
            }
            Told::Gap => {
                self.has_gap = true;
                None
            }
            Told::Refused { number, refusal } => {
                self.refuse(number, refusal);
                None
            }
            Told::Done { count } => {
                self.progress(count, now);
                Some(self.end())
            }
            Told::Unknown => Some(self.end()),
            Told::NotTaken { number, refusal, is_message: true } => {
                self.refuse(number, refusal);
                // Without its first message there is no batch.
                (number <= 1).then(|| self.end())
            }
            Told::NotTaken { is_message: false, .. } => Some(self.end()),
        }
    }

    fn progress(&mut self, number: u64, now: Instant) {
        let number = number.min(self.sent);
        if number <= self.acked {
            return;
        }
        for _ in self.acked..number {
            self.bytes -= self.sizes.pop_front().unwrap_or_default();
        }
        self.acked = number;
        self.since = now;
    }

    fn refuse(&mut self, number: u64, refusal: Refusal) {
        if self.refused.as_ref().is_none_or(|(first, _)| number < *first) {
            self.refused = Some((number, refusal));
        }
    }

    fn end(&mut self) -> End {
        match self.refused.take() {
            Some((number, refusal)) if number == self.acked + 1 => End::Refused(refusal),
            _ if self.unacked() == 0 && self.is_closing => End::Whole,
            _ if self.has_gap => End::Gap,
            _ => End::Doubt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jetstream::errors::ApiError;

    fn batch(messages: u64) -> Batch {
        let part = Part { id: "b".into(), before: 10 };
        let mut batch = Batch::begin(part, "a".into(), 1, 100, Instant::now());
        for _ in 1..messages {
            batch.append(100);
        }
        batch
    }

    fn refusal() -> Refusal {
        Refusal::Api(ApiError { code: 400, err_code: 10_054, description: String::new() })
    }

    #[test]
    fn acknowledgements_move_forward_alone_and_never_beyond_what_was_sent() {
        let (mut batch, now) = (batch(700), Instant::now());
        for (told, stored) in [(0, 10), (500, 510), (300, 510), (9_999, 710)] {
            assert!(batch.take(Told::Ack { number: told, every: 500 }, now).is_none());
            assert_eq!(batch.stored(), stored);
        }
        assert_eq!((batch.unacked(), batch.bytes()), (0, 0));
    }

    #[test]
    fn a_committed_batch_is_whole_and_one_that_ends_by_itself_is_not() {
        let now = Instant::now();
        let mut whole = batch(3);
        whole.close(now);
        assert!(matches!(whole.take(Told::Done { count: 3 }, now), Some(End::Whole)));
        let mut ended = batch(3);
        assert!(matches!(ended.take(Told::Done { count: 3 }, now), Some(End::Doubt)));
        let mut forgotten = batch(3);
        forgotten.close(now);
        assert!(matches!(forgotten.take(Told::Unknown, now), Some(End::Doubt)));
    }

    #[test]
    fn a_refusal_counts_once_all_before_it_is_stored() {
        let now = Instant::now();
        let mut refused = batch(5);
        let third = Told::NotTaken { number: 3, refusal: refusal(), is_message: true };
        assert!(refused.take(third, now).is_none());
        assert!(!refused.is_open() && refused.commit_due().is_some());
        assert!(refused.take(Told::Gap, now).is_none());
        assert!(matches!(refused.take(Told::Done { count: 2 }, now), Some(End::Refused(_))));
        assert_eq!(refused.stored(), 12);

        let mut vanished = batch(5);
        vanished.take(Told::Refused { number: 3, refusal: refusal() }, now);
        assert!(matches!(vanished.take(Told::Unknown, now), Some(End::Doubt)));

        let mut first = batch(5);
        let told = Told::NotTaken { number: 1, refusal: refusal(), is_message: true };
        assert!(matches!(first.take(told, now), Some(End::Refused(_))));
    }

    #[test]
    fn a_commit_is_due_where_no_acknowledgement_comes_by_itself() {
        let few = batch(2);
        assert_eq!(few.commit_due(), Some(few.since));
        let some = batch(20);
        assert_eq!(some.commit_due(), Some(some.since + LINGER));
        let mut many = batch(600);
        assert_eq!(many.commit_due(), None);
        many.take(Told::Ack { number: 500, every: 500 }, Instant::now());
        assert!(many.commit_due().is_some());
        many.close(Instant::now());
        assert_eq!(many.commit_due(), None);
    }
}
