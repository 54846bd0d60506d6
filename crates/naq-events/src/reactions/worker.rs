//! A worker: handles one event after the other.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use naq_core::clock::ClockExt;

use super::dispatch::{Dispatcher, Finished};
use super::queue::Queue;

/// What takes less than this is done before another worker has begun.
const QUICK: Duration = Duration::from_micros(20);

/// How many quickly handled events are acknowledged together at most: the last
/// one's acknowledgement keeps the first one's for about a millisecond.
const TOGETHER: usize = 64;

/// Handles one event after the other, until the member stops.
///
/// Handlers that are done at once need no second worker: waking it would take
/// longer than what it is woken for. One is woken as soon as a handler waits, or
/// takes long without waiting. Neither is each of their events acknowledged by
/// itself, which would wake the connection for each; before a handler waits, and
/// when there is nothing more to do, all are.
pub(super) async fn work(queue: Arc<Queue>, dispatcher: Arc<Dispatcher>) {
    let clock = &dispatcher.clock;
    let mut is_quick = false;
    let mut finished = Finished::default();
    loop {
        let next = match queue.try_next() {
            None => {
                dispatcher.acknowledge(&mut finished).await;
                queue.next().await
            }
            next => next,
        };
        let Some(work) = next else { return };
        if !is_quick {
            queue.wake_next();
        }
        let begun = clock.monotonic();
        {
            let mut handling = pin!(dispatcher.handle(work, &mut finished));
            if futures::poll!(&mut handling).is_pending() {
                queue.wake_next();
                handling.await;
            }
        }
        is_quick = clock.elapsed_since(begun) < QUICK;
        if !is_quick || finished.len() >= TOGETHER {
            dispatcher.acknowledge(&mut finished).await;
        }
        // Handlers that never wait must not keep the thread to themselves.
        tokio::task::consume_budget().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::FutureExt;
    use naq_core::Timestamp;
    use naq_core::jetstream::{
        AckToken, Acknowledge, ConsumerMessage, MockJetStream, StoredMessage,
    };
    use tokio::sync::Notify;

    use super::super::handler::{Outcome, Reaction};
    use super::super::work::{Source, Work};
    use super::*;

    fn deliver(dispatcher: &Dispatcher, sequences: impl Iterator<Item = u64>) -> Vec<Work> {
        let source = Source::Log { created: Timestamp::default() };
        let work = |sequence: u64| {
            let message = StoredMessage {
                subject: "events.x".into(),
                sequence,
                stored_at: Timestamp::default(),
                headers: Default::default(),
                payload: r#"{"type":"x"}"#.into(),
            };
            let token = AckToken::new(sequence.to_string());
            let delivery = ConsumerMessage { message, deliveries: 1, pending: 0, token };
            Work::new(&Arc::from("g"), source, delivery, &dispatcher.hand, Duration::ZERO).unwrap()
        };
        sequences.map(work).collect()
    }

    #[tokio::test]
    async fn what_is_done_is_acknowledged_before_a_handler_waits_and_when_nothing_is_left() {
        let acked = Arc::new(Mutex::new(Vec::new()));
        let mut jetstream = MockJetStream::new();
        let seen = Arc::clone(&acked);
        jetstream.expect_acknowledge().returning(move |token, answer| {
            assert_eq!(answer, Acknowledge::Done);
            seen.lock().unwrap().push(token.as_str().to_owned());
            Ok(())
        });
        let go_on = Arc::new(Notify::new());
        let gate = Arc::clone(&go_on);
        let handler = move |reaction: Reaction| {
            let gate = Arc::clone(&gate);
            async move {
                if reaction.recorded.position.sequence == 3 {
                    gate.notified().await;
                }
                Outcome::Done
            }
        };
        let dispatcher = Arc::new(Dispatcher::of_tests(jetstream, handler));
        let queue = Arc::new(Queue::default());
        queue.push(deliver(&dispatcher, 1..=4));
        let mut working = Box::pin(work(Arc::clone(&queue), Arc::clone(&dispatcher)));
        assert!(working.as_mut().now_or_never().is_none(), "it waits in the third one");
        assert_eq!(*acked.lock().unwrap(), ["1", "2"]);
        go_on.notify_one();
        assert!(working.as_mut().now_or_never().is_none(), "it waits for more");
        assert_eq!(*acked.lock().unwrap(), ["1", "2", "3", "4"]);
        // More than are acknowledged together, while there are still more to do.
        let many = TOGETHER as u64 + 10;
        queue.push(deliver(&dispatcher, 5..5 + many));
        assert!(working.as_mut().now_or_never().is_none());
        assert_eq!(acked.lock().unwrap().len() as u64, 4 + many);
        assert_eq!(dispatcher.hand.len(), 0);
        queue.close();
        working.await;
    }
}
