//! Fetched events on their way to the workers.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::work::Work;

/// A queue of one producer's making that any number of workers take from.
///
/// What bounds it are the feeds: they ask for no more than fits.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Notify,
    drained: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    works: VecDeque<Work>,
    is_closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it is held.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, works: impl IntoIterator<Item = Work>) {
        self.lock().works.extend(works);
        self.filled.notify_last();
    }

    /// How many lie there.
    pub(super) fn len(&self) -> usize {
        self.lock().works.len()
    }

    /// The next one, as soon as there is one; `None` once it is closed. Whoever
    /// won't come back for the next at once wakes another worker for it.
    pub(super) async fn next(&self) -> Option<Work> {
        loop {
            if let Some(work) = self.try_next() {
                return Some(work);
            }
            if self.lock().is_closed {
                // One wakes the next.
                self.filled.notify_last();
                return None;
            }
            self.filled.notified().await;
        }
    }

    /// The next one, if there is one.
    pub(super) fn try_next(&self) -> Option<Work> {
        let (next, left) = {
            let mut waiting = self.lock();
            let next = if waiting.is_closed { None } else { waiting.works.pop_front() };
            (next, waiting.works.len())
        };
        if next.is_some() && (left == 0 || left.is_power_of_two()) {
            self.drained.notify_waiters();
        }
        next
    }

    /// Wakes another worker if there is something for it.
    pub(super) fn wake_next(&self) {
        if self.len() > 0 {
            self.filled.notify_last();
        }
    }

    /// Waits until no more than so many lie there. Whoever waits is woken at
    /// powers of two alone: so it may be up to half of that.
    pub(super) async fn drained_to(&self, most: usize) {
        loop {
            let mut drained = pin!(self.drained.notified());
            drained.as_mut().enable();
            if self.len() <= most {
                return;
            }
            drained.await;
        }
    }

    /// Nothing is handed out any more; gives what still lay there. What comes
    /// later stays.
    pub(super) fn close(&self) -> VecDeque<Work> {
        let rest = {
            let mut waiting = self.lock();
            waiting.is_closed = true;
            std::mem::take(&mut waiting.works)
        };
        self.filled.notify_last();
        rest
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use naq_core::Timestamp;
    use naq_core::jetstream::{AckToken, ConsumerMessage, StoredMessage};

    use super::super::work::{Hand, Source};
    use super::*;

    fn works(hand: &Hand, count: u64) -> Vec<Work> {
        let group = Arc::from("g");
        let source = Source::Log { created: Timestamp::default() };
        let work = |sequence| {
            let message = StoredMessage {
                subject: "events.x".into(),
                sequence,
                stored_at: Timestamp::default(),
                headers: Default::default(),
                payload: Default::default(),
            };
            let token = AckToken::new(sequence.to_string());
            let delivery = ConsumerMessage { message, deliveries: 1, pending: 0, token };
            Work::new(&group, source, delivery, hand, Duration::ZERO).unwrap()
        };
        (1..=count).map(work).collect()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn each_goes_to_one_worker_and_none_stays_while_workers_sleep() {
        let (queue, hand) = (Arc::new(Queue::default()), Hand::default());
        let (taken, mut seen) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..8 {
            let (queue, taken) = (Arc::clone(&queue), taken.clone());
            tokio::spawn(async move {
                while let Some(work) = queue.next().await {
                    queue.wake_next();
                    taken.send(work.position.sequence).unwrap();
                    // One that is busy for long.
                    tokio::task::yield_now().await;
                }
            });
        }
        drop(taken);
        let mut all = Vec::new();
        for round in 0..200 {
            queue.push(works(&hand, round % 7 + 1));
            for _ in 0..round % 7 + 1 {
                all.push(seen.recv().await.unwrap());
            }
        }
        assert_eq!(all.len(), (0..200).map(|round| round % 7 + 1).sum::<u64>() as usize);
        queue.close();
        assert_eq!(seen.recv().await, None, "each worker has ended");
    }

    #[tokio::test]
    async fn whoever_waits_for_room_is_woken_and_a_closed_queue_gives_the_rest() {
        let (queue, hand) = (Queue::default(), Hand::default());
        queue.push(works(&hand, 10));
        let drain = async {
            for _ in 0..7 {
                queue.next().await.unwrap();
            }
        };
        tokio::join!(queue.drained_to(3), drain);
        assert_eq!(queue.len(), 3);
        let rest: Vec<_> = queue.close().iter().map(|work| work.position.sequence).collect();
        assert_eq!(rest, [8, 9, 10]);
        queue.push(works(&hand, 1));
        assert!(queue.next().await.is_none());
    }
}
