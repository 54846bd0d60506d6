//! Fetching from durable consumers, and answering.

use std::sync::Arc;
use std::time::{Duration, Instant};

use naq_core::ErrorKind;
use naq_core::jetstream::{
    AckToken, Acknowledge, ConsumerConfig, ConsumerInfo, ConsumerMessage, FetchOptions, JetStream,
    Retention,
};

use super::support::{Own, PATIENCE, invalid, refused};
use crate::wait;

/// Long enough for redelivery not to come by itself within a topic.
const LONG: Duration = Duration::from_secs(60);
/// Short enough to wait for. What must not take longer has several times as much room:
/// the machine may be busy.
const SHORT: Duration = Duration::from_millis(400);

/// A stream with a consumer `c`.
struct Queue(Own);

impl Queue {
    async fn new(js: Arc<dyn JetStream>, ack_wait: Duration) -> Self {
        Self::with(js, |config| config.with_ack_wait(ack_wait)).await
    }

    async fn with(
        js: Arc<dyn JetStream>,
        configure: impl FnOnce(ConsumerConfig) -> ConsumerConfig,
    ) -> Self {
        let own = Own::new(js).await;
        own.js.create_consumer(&own.name, configure(ConsumerConfig::new("c"))).await.unwrap();
        Self(own)
    }

    /// What comes within the wait.
    async fn fetch(&self, count: usize, wait: Duration) -> Vec<ConsumerMessage> {
        let options = FetchOptions::new(count).with_wait(wait);
        self.0.js.fetch(&self.0.name, "c", options).await.unwrap()
    }

    /// One message, which must come.
    async fn one(&self) -> ConsumerMessage {
        let mut messages = self.fetch(1, PATIENCE).await;
        assert_eq!(messages.len(), 1, "a message was expected");
        messages.remove(0)
    }

    async fn nothing_within(&self, time: Duration) {
        let messages = self.fetch(10, time).await;
        assert!(messages.is_empty(), "{messages:?}");
    }

    async fn answer(&self, delivered: &ConsumerMessage, answer: Acknowledge) {
        self.0.js.acknowledge(&delivered.token, answer).await.unwrap();
    }

    async fn info(&self) -> ConsumerInfo {
        self.0.js.consumer_info(&self.0.name, "c").await.unwrap()
    }

    async fn info_becomes(&self, what: &str, check: impl Fn(&ConsumerInfo) -> bool) {
        wait::until(what, PATIENCE, async || check(&self.info().await)).await;
    }
}

fn sequences(messages: &[ConsumerMessage]) -> Vec<u64> {
    messages.iter().map(|delivered| delivered.message.sequence).collect()
}

pub async fn messages_are_fetched_in_order_and_counted(js: Arc<dyn JetStream>) {
    let queue = Queue::new(js, LONG).await;
    queue.0.store_all(["a", "b", "a", "b", "a"]).await;
    // The server counts what is stored a moment later.
    queue.info_becomes("all to be pending", |info| info.pending == 5).await;
    let first = queue.fetch(2, PATIENCE).await;
    assert_eq!(sequences(&first), [1, 2]);
    let told: Vec<_> = first.iter().map(|m| (m.deliveries, m.pending)).collect();
    assert_eq!(told, [(1, 4), (1, 3)]);
    assert_eq!(first[0].message, queue.0.stored().await[0]);
    assert_eq!(sequences(&queue.fetch(10, Duration::ZERO).await), [3, 4, 5]);
    let info = queue.info().await;
    assert_eq!((info.delivered, info.ack_floor), (5, 0));
    assert_eq!((info.ack_pending, info.pending), (5, 0));
}

pub async fn a_fetch_of_nothing_is_empty(js: Arc<dyn JetStream>) {
    let queue = Queue::new(js, LONG).await;
    let start = Instant::now();
    assert!(queue.fetch(10, Duration::ZERO).await.is_empty());
    assert!(start.elapsed() < Duration::from_secs(3), "it did not wait");
    let start = Instant::now();
    assert!(queue.fetch(10, SHORT).await.is_empty());
    assert!(start.elapsed() >= SHORT.mul_f64(0.9), "it waited {:?}", start.elapsed());
}

pub async fn a_fetch_waits_for_the_first_message(js: Arc<dyn JetStream>) {
    let queue = Arc::new(Queue::new(js, LONG).await);
    let waiting = {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move { queue.fetch(10, PATIENCE).await })
    };
    queue.0.store("a", "x").await;
    let start = Instant::now();
    let fetched = wait::within("the fetch", PATIENCE, waiting).await.unwrap();
    assert_eq!(sequences(&fetched), [1]);
    assert!(start.elapsed() < PATIENCE / 2, "it did not wait for ten");
}

pub async fn a_fetch_is_bounded_in_bytes(js: Arc<dyn JetStream>) {
    let queue = Queue::new(js, LONG).await;
    for _ in 0..5 {
        queue.0.store("a", &"x".repeat(1_000)).await;
    }
    let options = FetchOptions::new(10).with_wait(SHORT).with_max_bytes(3_500);
    let fetched = queue.0.js.fetch(&queue.0.name, "c", options).await.unwrap();
    assert!((1..=3).contains(&fetched.len()), "{}", fetched.len());
    assert_eq!(queue.fetch(10, Duration::ZERO).await.len(), 5 - fetched.len());
}

pub async fn a_fetch_of_no_messages_is_refused(js: Arc<dyn JetStream>) {
    let queue = Queue::new(js, LONG).await;
    let result = queue.0.js.fetch(&queue.0.name, "c", FetchOptions::new(0)).await;
    invalid(result, "max_messages");
}

pub async fn what_is_done_does_not_come_again(js: Arc<dyn JetStream>) {
    let queue = Queue::new(js, SHORT * 2).await;
    queue.0.store_all(["a", "b"]).await;
    for delivered in queue.fetch(2, PATIENCE).await {
        queue.answer(&delivered, Acknowledge::Done).await;
    }
    queue.info_becomes("the acks to arrive", |info| info.ack_floor == 2).await;
    assert_eq!(queue.info().await.ack_pending, 0);
    queue.nothing_within(SHORT * 4).await;
}

pub async fn a_confirmed_ack_is_there_when_it_returns(js: Arc<dyn JetStream>) {
    let queue = Queue::new(js, LONG).await;
    queue.0.store_all(["a", "b", "a"]).await;
    let fetched = queue.fetch(3, PATIENCE).await;
    queue.answer(&fetched[1], Acknowledge::DoneConfirmed).await;
    let info = queue.info().await;
    assert_eq!((info.ack_floor, info.ack_pending), (0, 2), "acks may come in any order");
    queue.answer(&fetched[0], Acknowledge::DoneConfirmed).await;
    let info = queue.info().await;
    assert_eq!((info.ack_floor, info.ack_pending), (2, 1));
}

pub async fn what_is_not_answered_comes_again(js: Arc<dyn JetStream>) {
    let queue = Queue::new(js, SHORT * 2).await;
    queue.0.store("a", "x").await;
    let first = queue.one().await;
    let start = Instant::now();
    let second = queue.one().await;
    assert!(start.elapsed() >= SHORT / 2, "after {:?}", start.elapsed());
    assert_eq!((first.deliveries, second.deliveries), (1, 2));
    assert_eq!(second.message, first.message);
    assert_eq!(queue.info().await.redelivered, 1);
}

pub async fn a_retry_at_once_comes_at_once(js: Arc<dyn JetStream>) {
    let queue = Queue::new(js, LONG).await;
    queue.0.store_all(["a", "b"]).await;
    let first = queue.one().await;
    queue.answer(&first, Acknowledge::Retry { after: Duration::ZERO }).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let delivered = queue.one().await;
        seen.push((delivered.message.sequence, delivered.deliveries));
    }
    seen.sort_unstable();
    assert_eq!(seen, [(1, 2), (2, 1)]);
}

pub async fn a_retry_with_a_delay_comes_after_it(js: Arc<dyn JetStream>) {
    let queue = Queue::new(js, LONG).await;
    queue.0.store("a", "x").await;
    let first = queue.one().await;
    queue.answer(&first, Acknowledge::Retry { after: SHORT * 3 }).await;
    let start = Instant::now();
    let second = queue.one().await;
    assert_eq!(second.deliveries, 2);
    let waited = start.elapsed();
    assert!((SHORT..PATIENCE).contains(&waited), "after {waited:?}");
}

pub async fn what_is_terminated_never_comes_again(js: Arc<dyn JetStream>) {
    let queue = Queue::new(js, SHORT * 2).await;
    queue.0.store_all(["a", "b"]).await;
    let fetched = queue.fetch(2, PATIENCE).await;
    let reason = Some("not for us".to_owned());
    queue.answer(&fetched[0], Acknowledge::Terminate { reason }).await;
    queue.answer(&fetched[1], Acknowledge::Terminate { reason: None }).await;
    queue.info_becomes("the answers to arrive", |info| info.ack_pending == 0).await;
    queue.nothing_within(SHORT * 4).await;
    assert_eq!(queue.0.state().await.messages, 2, "it stays in the stream");
}

pub async fn work_in_progress_is_not_delivered_again(js: Arc<dyn JetStream>) {
    let queue = Queue::new(js, SHORT * 4).await;
    queue.0.store("a", "x").await;
    let first = queue.one().await;
    let start = Instant::now();
    while start.elapsed() < SHORT * 7 {
        queue.answer(&first, Acknowledge::InProgress).await;
        queue.nothing_within(SHORT / 2).await;
    }
    assert_eq!(queue.one().await.deliveries, 2, "and then it is again");
}

pub async fn a_message_comes_at_most_so_often(js: Arc<dyn JetStream>) {
    let queue = Queue::with(js, |config| config.with_ack_wait(SHORT / 2).with_max_deliver(3)).await;
    queue.0.store("a", "x").await;
    for delivery in 1..=3 {
        assert_eq!(queue.one().await.deliveries, delivery);
    }
    queue.nothing_within(SHORT * 2).await;
    assert_eq!(queue.info().await.delivered, 1);
}

pub async fn no_more_than_so_many_are_out_at_once(js: Arc<dyn JetStream>) {
    let queue = Queue::with(js, |config| config.with_ack_wait(LONG).with_max_ack_pending(2)).await;
    queue.0.store_all(["a", "b", "a", "b"]).await;
    let fetched = queue.fetch(10, SHORT).await;
    assert_eq!(sequences(&fetched), [1, 2]);
    queue.nothing_within(SHORT).await;
    queue.answer(&fetched[0], Acknowledge::DoneConfirmed).await;
    assert_eq!(sequences(&queue.fetch(10, SHORT).await), [3]);
}

pub async fn redeliveries_wait_as_the_backoff_says(js: Arc<dyn JetStream>) {
    let queue = Queue::with(js, |mut config| {
        config.backoff = vec![SHORT / 4, SHORT * 4];
        config.max_deliver = 5;
        config
    })
    .await;
    queue.0.store("a", "x").await;
    assert_eq!(queue.one().await.deliveries, 1);
    let start = Instant::now();
    assert_eq!(queue.one().await.deliveries, 2);
    let first = start.elapsed();
    assert_eq!(queue.one().await.deliveries, 3);
    let second = start.elapsed() - first;
    assert!(second >= SHORT, "first {first:?}, second {second:?}");
}

pub async fn an_answer_given_twice_does_no_harm(js: Arc<dyn JetStream>) {
    let queue = Queue::new(js, LONG).await;
    queue.0.store_all(["a", "b"]).await;
    let fetched = queue.fetch(2, PATIENCE).await;
    queue.answer(&fetched[0], Acknowledge::DoneConfirmed).await;
    queue.answer(&fetched[0], Acknowledge::Done).await;
    queue.answer(&fetched[0], Acknowledge::Retry { after: Duration::ZERO }).await;
    queue.answer(&fetched[1], Acknowledge::DoneConfirmed).await;
    let info = queue.info().await;
    assert_eq!((info.ack_floor, info.ack_pending), (2, 0));
    queue.nothing_within(Duration::ZERO).await;
}

pub async fn a_token_that_no_delivery_gave_is_refused(js: Arc<dyn JetStream>) {
    for text in ["", "nonsense", "a.b", "\r\n"] {
        let result = js.acknowledge(&AckToken::new(text), Acknowledge::Done).await;
        invalid(result, "token");
    }
}

pub async fn a_work_queue_lets_what_is_done_go(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| config.with_retention(Retention::WorkQueue)).await;
    own.js.create_consumer(&own.name, ConsumerConfig::new("c")).await.unwrap();
    let queue = Queue(own);
    queue.0.store_all(["a", "b"]).await;
    let first = queue.one().await;
    queue.answer(&first, Acknowledge::DoneConfirmed).await;
    wait::until("the message to go", PATIENCE, async || queue.0.state().await.messages == 1).await;
    assert_eq!(queue.0.state().await.first_sequence, 2);
    let second = queue.0.js.create_consumer(&queue.0.name, ConsumerConfig::new("d")).await;
    refused(second, ErrorKind::Unsupported);
}

pub async fn a_stream_by_interest_keeps_what_somebody_waits_for(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| config.with_retention(Retention::Interest)).await;
    own.store("a", "nobody waits").await;
    assert_eq!(own.state().await.messages, 0);
    for name in ["c", "d"] {
        own.js.create_consumer(&own.name, ConsumerConfig::new(name)).await.unwrap();
    }
    assert_eq!(own.store("a", "two wait").await, 2);
    assert_eq!(own.state().await.messages, 1);
    for name in ["c", "d"] {
        let fetched = own.js.fetch(&own.name, name, FetchOptions::new(1)).await.unwrap();
        assert_eq!(own.state().await.messages, 1);
        own.js.acknowledge(&fetched[0].token, Acknowledge::DoneConfirmed).await.unwrap();
    }
    wait::until("the message to go", PATIENCE, async || own.state().await.messages == 0).await;
}
