//! A durable consumer: where it is, what is out and unanswered, what comes again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use naq_core::Timestamp;
use naq_core::jetstream::{ConsumerConfig, ConsumerInfo, ReadStart};

use super::Moment;
use super::filters::Filters;
use super::store::Store;

/// What a consumer and an unanswered message cost, in bytes: estimates.
const CONSUMER_BYTES: u64 = 2_048;
const PENDING_BYTES: u64 = 192;

/// A message that is delivered and unanswered.
#[derive(Debug, Clone, Copy)]
struct Pending {
    /// Its number among all deliveries when it was delivered first.
    delivery: u64,
    /// When it is due again, on the monotonic clock.
    due: Duration,
}

/// A durable consumer.
#[derive(Debug)]
pub(crate) struct Consumer {
    config: ConsumerConfig,
    filters: Filters,
    created: Timestamp,
    /// The next stream sequence to look at.
    next: u64,
    /// What is delivered before `next`: the last of each subject when it was made.
    listed: VecDeque<u64>,
    /// How many messages that match lie ahead.
    ahead: u64,
    /// How many deliveries there were, and the newest message's sequence.
    deliveries: u64,
    delivered: u64,
    /// Up to which delivery, and which sequence, all is answered.
    floor: (u64, u64),
    pending: BTreeMap<u64, Pending>,
    /// The pending ones by when they are due, but for those that are queued.
    due: BTreeSet<(Duration, u64)>,
    /// What is delivered again as soon as somebody fetches.
    queue: VecDeque<u64>,
    /// How often a message was delivered again.
    again: BTreeMap<u64, u64>,
    /// When somebody fetched last, on the monotonic clock.
    used: Duration,
}

impl Consumer {
    /// A consumer of a settled configuration.
    pub(crate) fn new(config: ConsumerConfig, store: &Store, now: Moment) -> Self {
        let filters = Filters::new(&config.subjects);
        let (first, last) = (store.first(), store.last());
        let mut listed = VecDeque::new();
        let next = match config.start {
            ReadStart::Beginning => first,
            ReadStart::Sequence(sequence) => sequence.max(first),
            ReadStart::Time(time) => store.first_since(time),
            ReadStart::New => last + 1,
            ReadStart::LastPerSubject => {
                listed = filters.last_per_subject(store.subjects());
                // Where there is nothing to list, the last message doesn't match.
                if listed.is_empty() { last.max(first) } else { last + 1 }
            }
        };
        let ahead = filters.count_from(store.subjects(), next) + listed.len() as u64;
        let before = listed.front().copied().unwrap_or(next) - 1;
        Self {
            config,
            filters,
            created: now.wall,
            next,
            listed,
            ahead,
            deliveries: 0,
            delivered: before,
            floor: (0, before),
            pending: BTreeMap::new(),
            due: BTreeSet::new(),
            queue: VecDeque::new(),
            again: BTreeMap::new(),
            used: now.monotonic,
        }
    }

    pub(crate) fn config(&self) -> &ConsumerConfig {
        &self.config
    }

    pub(crate) fn filters(&self) -> &Filters {
        &self.filters
    }

    pub(crate) fn info(&self, stream: &str) -> ConsumerInfo {
        let mut info = ConsumerInfo::new(stream, self.config.clone(), self.created);
        info.delivered = self.delivered;
        info.ack_floor = self.floor.1;
        info.ack_pending = self.pending.len() as u64;
        // One that delivers once delivers nothing again, whatever it counts.
        info.redelivered = match self.config.max_deliver {
            1 => 0,
            _ => self.again.len() as u64,
        };
        info.pending = self.ahead;
        info
    }

    /// About how much memory it takes.
    pub(crate) fn weight(&self) -> u64 {
        CONSUMER_BYTES + self.pending.len() as u64 * PENDING_BYTES
    }

    /// Whether nobody has fetched for so long that it goes.
    pub(crate) fn is_unused(&self, now: Duration) -> bool {
        let threshold = self.config.inactive_threshold;
        !threshold.is_zero() && now.saturating_sub(self.used) >= threshold
    }

    /// Somebody fetches.
    pub(crate) fn touch(&mut self, now: Duration) {
        self.used = self.used.max(now);
    }

    /// When the first unanswered message is due again.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.due.first().map(|(due, _)| *due)
    }

    /// A message on a subject is about to be stored.
    pub(crate) fn expect(&mut self, sequence: u64, subject: &str) {
        self.ahead += u64::from(sequence >= self.next && self.filters.matches(subject));
    }

    /// A message has left the stream.
    pub(crate) fn forget(&mut self, sequence: u64, subject: &str) {
        if self.pending.contains_key(&sequence) {
            self.settle(sequence);
        } else if sequence >= self.next {
            self.ahead -= u64::from(self.filters.matches(subject));
        } else if let Ok(at) = self.listed.binary_search(&sequence) {
            self.listed.remove(at);
            self.ahead -= 1;
        }
        self.again.remove(&sequence);
    }

    /// The stream was purged; of what the consumer wants, nothing is left
    /// before `first`.
    pub(crate) fn purged(&mut self, first: u64, store: &Store) {
        let looked_at = match self.listed.is_empty() {
            true => self.next,
            false => self.delivered + 1,
        };
        self.delivered = looked_at.max(first) - 1;
        if self.listed.is_empty() {
            self.next = self.delivered + 1;
        }
        if self.floor.1 < first {
            self.floor.1 = first - 1;
        }
        if self.pending.is_empty() {
            self.again.clear();
            self.floor = (self.deliveries, self.delivered);
        }
        self.ahead =
            self.filters.count_from(store.subjects(), self.next) + self.listed.len() as u64;
        // What was queued to come again waits until it is due once more.
        for sequence in std::mem::take(&mut self.queue) {
            if let Some(pending) = self.pending.get(&sequence) {
                self.due.insert((pending.due, sequence));
            }
        }
    }

    /// Whether a stored message has still to be acknowledged by it.
    pub(crate) fn needs(&self, sequence: u64, subject: &str) -> bool {
        self.filters.matches(subject)
            && (sequence >= self.next
                || self.pending.contains_key(&sequence)
                || self.listed.binary_search(&sequence).is_ok()
                // Given up after too many deliveries: kept for people to look at.
                || self.again.contains_key(&sequence))
    }

    /// Queues what is due again and gives up what was delivered too often.
    pub(crate) fn redeliver_due(&mut self, now: Duration) {
        let mut due = Vec::new();
        while let Some((at, sequence)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, sequence));
            due.push(sequence);
        }
        due.sort_unstable();
        for sequence in due {
            if self.is_used_up(sequence) {
                self.give_up(sequence);
                continue;
            }
            let wait = self.wait(sequence);
            if let Some(pending) = self.pending.get_mut(&sequence) {
                pending.due = now.saturating_add(wait);
            }
            self.queue.push_back(sequence);
        }
    }

    fn is_used_up(&self, sequence: u64) -> bool {
        let most = self.config.max_deliver;
        most > 0 && self.again.get(&sequence).copied().unwrap_or(0) + 1 >= most
    }

    /// No longer waits for an answer, and remembers that there was none.
    fn give_up(&mut self, sequence: u64) {
        let again = self.again.get(&sequence).copied().unwrap_or(0);
        self.settle(sequence);
        self.again.insert(sequence, again);
    }

    /// The next message to be delivered again, with the number of this delivery.
    pub(crate) fn next_again(&mut self) -> Option<(u64, u64)> {
        while let Some(sequence) = self.queue.pop_front() {
            if self.is_used_up(sequence) {
                self.give_up(sequence);
                continue;
            }
            let again = self.again.entry(sequence).or_default();
            *again += 1;
            return Some((sequence, *again + 1));
        }
        None
    }

    /// Puts back what [`next_again`](Self::next_again) took and nobody got.
    pub(crate) fn put_back(&mut self, sequence: u64) {
        self.queue.push_front(sequence);
        if let Some(again) = self.again.get_mut(&sequence) {
            *again -= 1;
            if *again == 0 {
                self.again.remove(&sequence);
            }
        }
    }

    /// The next message that was never delivered, as long as no more than the
    /// limit are unanswered. It is still ahead until [`sent`](Self::sent).
    pub(crate) fn next_new(&mut self, store: &Store) -> Option<u64> {
        if self.pending.len() as u64 >= self.config.max_ack_pending {
            return None;
        }
        if let Some(sequence) = self.listed.front() {
            return Some(*sequence);
        }
        let found = self.filters.next(store, self.next);
        // What doesn't match has been looked at.
        self.next = found.unwrap_or(store.last() + 1).max(self.next);
        found
    }

    /// A message has been handed out; answers the number of the delivery.
    pub(crate) fn sent(&mut self, sequence: u64, now: Duration) -> u64 {
        self.deliveries += 1;
        let delivery = self.pending.get(&sequence).map_or(self.deliveries, |it| it.delivery);
        let due = now.saturating_add(self.wait(sequence));
        if let Some(before) = self.pending.insert(sequence, Pending { delivery, due }) {
            self.due.remove(&(before.due, sequence));
        } else {
            self.ahead -= 1;
            if self.listed.front() == Some(&sequence) {
                self.listed.pop_front();
            } else {
                self.next = sequence + 1;
            }
            self.delivered = self.delivered.max(sequence);
        }
        self.due.insert((due, sequence));
        self.deliveries
    }

    pub(crate) fn ahead(&self) -> u64 {
        self.ahead
    }

    /// How long an answer to the newest delivery of a message may take.
    fn wait(&self, sequence: u64) -> Duration {
        let again = self.again.get(&sequence).copied().unwrap_or(0);
        let at = usize::try_from(again).unwrap_or(usize::MAX);
        let backoff = &self.config.backoff;
        backoff.get(at).or(backoff.last()).copied().unwrap_or(self.config.ack_wait)
    }

    /// A message is done, or never to come again; answers whether it was delivered.
    pub(crate) fn done(&mut self, sequence: u64) -> bool {
        if sequence >= self.next {
            return false;
        }
        self.settle(sequence);
        self.again.remove(&sequence);
        true
    }

    /// A message is to come again, after a while.
    pub(crate) fn retry(&mut self, sequence: u64, after: Duration, now: Duration) {
        let wait = self.wait(sequence);
        let Some(pending) = self.pending.get_mut(&sequence) else { return };
        self.due.remove(&(pending.due, sequence));
        if after.is_zero() {
            if !self.queue.contains(&sequence) {
                self.queue.push_back(sequence);
            }
            return;
        }
        self.queue.retain(|queued| *queued != sequence);
        // The server counts the delay from `ack_wait` back: a backoff adds what it is longer.
        let longer = wait.saturating_sub(self.config.ack_wait);
        pending.due = now.saturating_add(after).saturating_add(longer);
        self.due.insert((pending.due, sequence));
    }

    /// A message is still at work.
    pub(crate) fn in_progress(&mut self, sequence: u64, now: Duration) {
        let due = now.saturating_add(self.wait(sequence));
        if self.queue.contains(&sequence) {
            return;
        }
        if let Some(pending) = self.pending.get_mut(&sequence) {
            self.due.remove(&(pending.due, sequence));
            pending.due = due;
            self.due.insert((due, sequence));
        }
    }

    /// Takes a message off those that are unanswered and moves the floor.
    fn settle(&mut self, sequence: u64) {
        let Some(Pending { delivery, due }) = self.pending.remove(&sequence) else { return };
        self.due.remove(&(due, sequence));
        self.queue.retain(|queued| *queued != sequence);
        if self.pending.is_empty() {
            self.floor = (self.deliveries, self.delivered);
        } else if delivery == self.floor.0 + 1 {
            self.floor = match self.pending.range(sequence + 1..).next() {
                Some((next, pending)) => (pending.delivery - 1, next - 1),
                None => (delivery, sequence),
            };
        }
    }
}
