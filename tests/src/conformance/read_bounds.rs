//! Where a read begins and where it ends.

use std::sync::Arc;
use std::time::Duration;

use naq_core::Timestamp;
use naq_core::jetstream::{JetStream, PurgeOptions, ReadOptions, ReadStart, ReadUntil};

use super::support::Seen::{CaughtUp, Message};
use super::support::{Own, PATIENCE, text};
use crate::wait;

fn to_head() -> ReadOptions {
    ReadOptions::default().with_until(ReadUntil::Head)
}

pub async fn a_read_to_the_head_gives_all_and_ends(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a"]).await;
    let all = own.read_all(to_head()).await;
    assert_eq!(all, [Message(1), Message(2), Message(3), CaughtUp(3)]);
}

pub async fn a_read_of_an_empty_stream_to_the_head_ends_at_once(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    assert_eq!(own.read_all(to_head()).await, [CaughtUp(0)]);
    own.store_all(["a", "b"]).await;
    own.js.purge_stream(&own.name, PurgeOptions::default()).await.unwrap();
    assert_eq!(own.read_all(to_head()).await, [CaughtUp(2)]);
}

pub async fn the_head_is_where_it_stood_when_the_read_opened(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a"]).await;
    let mut reading = own.read(to_head());
    assert_eq!(reading.next().await, Message(1));
    own.store("a", "later").await;
    assert_eq!(reading.rest().await, [Message(2), Message(3), CaughtUp(3)]);
}

pub async fn a_read_to_the_head_ends_where_the_head_does_not_match(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "b"]).await;
    let only_a = || to_head().with_subject(own.subject("a"));
    assert_eq!(own.read_all(only_a()).await, [Message(1), CaughtUp(3)]);
    assert_eq!(own.read_all(to_head().with_subject(own.subject("c"))).await, [CaughtUp(3)]);
    own.js.delete_message(&own.name, 3).await.unwrap();
    assert_eq!(own.read_all(to_head()).await, [Message(1), Message(2), CaughtUp(3)]);
    assert_eq!(own.read_all(only_a()).await, [Message(1), CaughtUp(3)]);
}

pub async fn a_read_goes_on_live(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store("a", "1").await;
    let mut reading = own.read(ReadOptions::default());
    assert_eq!(reading.next().await, Message(1));
    assert_eq!(reading.next().await, CaughtUp(1));
    for n in 2..=5 {
        own.store("a", &n.to_string()).await;
        assert_eq!(text(&reading.message().await), n.to_string());
    }
}

pub async fn a_read_of_an_empty_stream_is_caught_up_and_waits(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let mut reading = own.read(ReadOptions::default());
    assert_eq!(reading.next().await, CaughtUp(0));
    own.store_all(["a", "b"]).await;
    assert_eq!(reading.next().await, Message(1));
    assert_eq!(reading.next().await, Message(2));
}

pub async fn a_read_starts_at_a_sequence(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a", "b"]).await;
    let from = |sequence| to_head().with_start(ReadStart::Sequence(sequence));
    assert_eq!(own.read_all(from(3)).await, [Message(3), Message(4), CaughtUp(4)]);
    assert_eq!(own.read_all(from(5)).await, [CaughtUp(4)]);
    for all in [0, 1] {
        let seen = own.read_all(from(all)).await;
        assert_eq!(seen, [Message(1), Message(2), Message(3), Message(4), CaughtUp(4)]);
    }
}

pub async fn a_read_starts_at_a_sequence_in_the_future(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b"]).await;
    let mut reading = own.read(ReadOptions::default().with_start(ReadStart::Sequence(5)));
    assert_eq!(reading.next().await, CaughtUp(2));
    own.store_all(["a", "b", "a", "b"]).await;
    assert_eq!(reading.next().await, Message(5));
    assert_eq!(reading.next().await, Message(6));
}

pub async fn a_read_starts_at_a_time(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a"]).await;
    let times: Vec<_> = own.stored().await.iter().map(|message| message.stored_at).collect();
    let nanosecond = Duration::from_nanos(1);
    let from = |time| to_head().with_start(ReadStart::Time(time));
    assert_eq!(own.read_all(from(times[1])).await, [Message(2), Message(3), CaughtUp(3)]);
    let behind_the_second = times[1].saturating_add(nanosecond);
    assert_eq!(own.read_all(from(behind_the_second)).await, [Message(3), CaughtUp(3)]);
    let behind_all = times[2].saturating_add(nanosecond);
    assert_eq!(own.read_all(from(behind_all)).await, [CaughtUp(3)]);
}

pub async fn the_earliest_and_the_latest_time_are_times(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b"]).await;
    let from = |time| to_head().with_start(ReadStart::Time(time));
    for early in [Timestamp::MIN, Timestamp::from_nanos(0)] {
        let all = own.read_all(from(early)).await;
        assert_eq!(all, [Message(1), Message(2), CaughtUp(2)], "{early}");
    }
    assert_eq!(own.read_all(from(Timestamp::MAX)).await, [CaughtUp(2)]);
}

pub async fn a_read_of_what_is_new_leaves_the_past_away(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b"]).await;
    let new = ReadOptions::default().with_start(ReadStart::New);
    assert_eq!(own.read_all(new.clone().with_until(ReadUntil::Head)).await, [CaughtUp(2)]);
    let mut reading = own.read(new);
    assert_eq!(reading.next().await, CaughtUp(2));
    own.store("a", "new").await;
    assert_eq!(reading.next().await, Message(3));
}

pub async fn a_read_of_the_last_per_subject_goes_on_live(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a", "c", "b"]).await;
    let last = ReadOptions::default().with_start(ReadStart::LastPerSubject);
    let mut reading = own.read(last.clone());
    for want in [Message(3), Message(4), Message(5), CaughtUp(5)] {
        assert_eq!(reading.next().await, want);
    }
    own.store_all(["a", "a"]).await;
    assert_eq!(reading.next().await, Message(6));
    assert_eq!(reading.next().await, Message(7));

    let filtered =
        last.with_until(ReadUntil::Head).with_subjects(vec![own.subject("b"), own.subject("c")]);
    assert_eq!(own.read_all(filtered).await, [Message(4), Message(5), CaughtUp(7)]);
}

pub async fn the_last_per_subject_of_many_subjects(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let count = 2_000;
    let messages = (0..count * 2).map(|n| own.message(&(n % count).to_string(), "x")).collect();
    for ack in own.publish_many(messages).await {
        ack.unwrap();
    }
    let last = to_head().with_start(ReadStart::LastPerSubject);
    let mut want: Vec<_> = (count + 1..=count * 2).map(Message).collect();
    want.push(CaughtUp(count * 2));
    assert_eq!(own.read_all(last).await, want);
}

pub async fn a_read_ends_behind_a_sequence(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a", "b"]).await;
    let until = |sequence| ReadOptions::default().with_until(ReadUntil::Sequence(sequence));
    assert_eq!(own.read_all(until(2)).await, [Message(1), Message(2)]);
    let only_a = until(2).with_subject(own.subject("a"));
    assert_eq!(own.read_all(only_a).await, [Message(1)]);
    let no_match = until(3).with_subject(own.subject("none"));
    assert_eq!(own.read_all(no_match).await, [], "the head is not reached");
    let at_the_head = until(4).with_subject(own.subject("none"));
    assert_eq!(own.read_all(at_the_head).await, [CaughtUp(4)]);
    let behind_its_end = until(2).with_start(ReadStart::Sequence(3));
    assert_eq!(own.read_all(behind_its_end).await, []);
}

pub async fn a_read_waits_for_the_sequence_that_ends_it(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store("a", "1").await;
    let until = ReadOptions::default().with_until(ReadUntil::Sequence(3));
    let mut reading = own.read(until);
    assert_eq!(reading.next().await, Message(1));
    assert_eq!(reading.next().await, CaughtUp(1));
    own.store_all(["a", "b", "a"]).await;
    assert_eq!(reading.rest().await, [Message(2), Message(3)]);
}

pub async fn a_read_ends_behind_a_sequence_that_does_not_match(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let until = ReadOptions::default().with_until(ReadUntil::Sequence(3));
    let mut reading = own.read(until.with_subject(own.subject("a")));
    assert_eq!(reading.next().await, CaughtUp(0));
    own.store_all(["a", "b", "b", "b"]).await;
    assert_eq!(reading.rest().await, [Message(1)]);
}

pub async fn a_limit_ends_a_read(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a", "b", "a"]).await;
    let first = to_head().with_limit(2);
    assert_eq!(own.read_all(first).await, [Message(1), Message(2)]);
    let only_b = ReadOptions::default().with_limit(2).with_subject(own.subject("b"));
    assert_eq!(own.read_all(only_b).await, [Message(2), Message(4)]);
    let more_than_there_are = own.read_all(to_head().with_limit(9)).await;
    assert_eq!(more_than_there_are.len(), 6, "all, and that it is caught up");
}

pub async fn a_live_read_ends_at_its_limit(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let mut reading = own.read(ReadOptions::default().with_limit(2));
    assert_eq!(reading.next().await, CaughtUp(0));
    own.store_all(["a", "b", "a"]).await;
    assert_eq!(reading.rest().await, [Message(1), Message(2)]);
}

pub async fn a_long_stream_is_read_in_order_without_gap_or_repeat(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_many("a", 12_000).await;
    let mut want: Vec<_> = (1..=12_000).map(Message).collect();
    want.push(CaughtUp(12_000));
    assert_eq!(own.read_all(to_head()).await, want);
}

pub async fn a_read_goes_from_the_past_into_the_present_without_a_seam(js: Arc<dyn JetStream>) {
    let own = Arc::new(Own::new(js).await);
    own.store_many("a", 1_000).await;
    let writer = {
        let own = Arc::clone(&own);
        tokio::spawn(async move { own.store_many("a", 2_000).await })
    };
    let mut reading = own.read(ReadOptions::default().with_until(ReadUntil::Sequence(3_000)));
    let mut caught_up = 0;
    let mut next = 1;
    for seen in reading.rest().await {
        match seen {
            Message(sequence) => {
                assert_eq!(sequence, next);
                next += 1;
            }
            CaughtUp(_) => caught_up += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((next, caught_up), (3_001, 1));
    wait::within("the writer", PATIENCE, writer).await.unwrap();
}
