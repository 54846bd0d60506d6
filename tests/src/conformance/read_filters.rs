//! What of a stream a read gives.

use std::sync::Arc;

use naq_core::jetstream::{
    GetMessage, Headers, JetStream, PurgeKeep, PurgeOptions, ReadOptions, ReadStart, ReadUntil,
    Which,
};

use super::support::Seen::{CaughtUp, Gap, Message};
use super::support::{Own, invalid};

fn to_head() -> ReadOptions {
    ReadOptions::default().with_until(ReadUntil::Head)
}

pub async fn a_read_gives_what_matches_its_filter(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b.1", "a", "b.2", "b.1.x"]).await;
    for (filter, want) in
        [("a", vec![1, 3]), ("b.*", vec![2, 4]), ("b.>", vec![2, 4, 5]), ("*.1", vec![2])]
    {
        let mut want: Vec<_> = want.into_iter().map(Message).collect();
        want.push(CaughtUp(5));
        assert_eq!(own.read_all(to_head().with_subject(own.subject(filter))).await, want);
    }
}

pub async fn several_filters_give_one_order(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b.1", "c", "a", "b.2"]).await;
    let both = to_head().with_subjects(vec![own.subject("a"), own.subject("b.*")]);
    let want = [Message(1), Message(2), Message(4), Message(5), CaughtUp(5)];
    assert_eq!(own.read_all(both.clone()).await, want);
    let later = both.with_start(ReadStart::Sequence(2));
    assert_eq!(own.read_all(later).await, want[1..]);
}

pub async fn a_filter_and_what_lies_below_it_give_all_of_both(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "a", "b", "a.1", "a", "a.1.x"]).await;
    let both = to_head().with_subjects(vec![own.subject("a"), own.subject("a.>")]);
    let want = [1, 2, 4, 5, 6].map(Message);
    assert_eq!(own.read_all(both.clone()).await, [&want[..], &[CaughtUp(6)]].concat());
    let limited = both.with_limit(3).with_start(ReadStart::Sequence(2));
    assert_eq!(own.read_all(limited).await, want[1..4]);
    let above = to_head().with_subjects(vec![own.subject("b"), own.subject("b.>")]);
    assert_eq!(own.read_all(above).await, [Message(3), CaughtUp(6)]);
}

pub async fn several_filters_go_from_the_past_into_the_present(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "a.1", "b", "a", "b"]).await;
    let both = || ReadOptions::default().with_subjects(vec![own.subject("a"), own.subject("a.>")]);
    let mut reading = own.read(both());
    for want in [Message(1), Message(2), Message(4), CaughtUp(5)] {
        assert_eq!(reading.next().await, want);
    }
    own.store_all(["a.2", "b", "a"]).await;
    assert_eq!(reading.next().await, Message(6));
    assert_eq!(reading.next().await, Message(8));
    // A limit, and an end that lies ahead, count for both parts together.
    let mut limited = own.read(both().with_limit(6));
    for want in [1, 2, 4, 6, 8].map(Message) {
        assert_eq!(limited.next().await, want);
    }
    assert_eq!(limited.next().await, CaughtUp(8));
    let mut until = own.read(both().with_until(ReadUntil::Sequence(10)));
    for want in [1, 2, 4, 6, 8].map(Message) {
        assert_eq!(until.next().await, want);
    }
    assert_eq!(until.next().await, CaughtUp(8));
    own.store_all(["a.1", "b", "a"]).await;
    assert_eq!(limited.rest().await, [Message(9)]);
    assert_eq!(until.rest().await, [Message(9)]);
}

pub async fn several_filters_begin_and_end_where_one_does(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b.1", "c", "a", "b.2"]).await;
    let stored = own.stored().await;
    let both = || to_head().with_subjects(vec![own.subject("a"), own.subject("b.*")]);
    let since = |n: usize| both().with_start(ReadStart::Time(stored[n].stored_at));
    assert_eq!(own.read_all(since(3)).await, [Message(4), Message(5), CaughtUp(5)]);
    let until = |sequence| both().with_until(ReadUntil::Sequence(sequence));
    assert_eq!(own.read_all(until(4)).await, [Message(1), Message(2), Message(4)]);
    let behind = both().with_start(ReadStart::Sequence(9));
    assert_eq!(own.read_all(behind).await, [CaughtUp(5)]);
    assert_eq!(own.read_all(both().with_limit(2)).await, [Message(1), Message(2)]);
    let last = both().with_start(ReadStart::LastPerSubject);
    assert_eq!(own.read_all(last).await, [Message(2), Message(4), Message(5), CaughtUp(5)]);
    let keep = PurgeOptions::default().with_keep(PurgeKeep::FromSequence(4));
    own.js.purge_stream(&own.name, keep).await.unwrap();
    let from_2 = both().with_start(ReadStart::Sequence(2));
    assert_eq!(own.read_all(from_2).await, [Gap(2, 3), Message(4), Message(5), CaughtUp(5)]);
}

pub async fn many_messages_of_several_filters_come_in_one_order(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let tails = ["a", "b", "c.1", "c.2", "d"];
    let messages = (1..=12_000).map(|n| own.message(tails[n % 5], "x")).collect();
    for ack in own.publish_many(messages).await {
        ack.unwrap();
    }
    let filters = ["a", "b", "c.*"].map(|tail| own.subject(tail)).into();
    let mut want: Vec<_> = (1..=12_000).filter(|n| n % 5 != 4).map(Message).collect();
    want.push(CaughtUp(12_000));
    assert!(own.read_all(to_head().with_subjects(filters)).await == want);
}

pub async fn filters_that_overlap_are_refused(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store("a", "x").await;
    for pair in [["a", ">"], ["a", "a"], ["*.b", "a.*"]] {
        let subjects = pair.map(|tail| own.subject(tail)).into();
        let error = own.read(to_head().with_subjects(subjects)).error().await;
        invalid::<()>(Err(error), "subjects");
    }
}

pub async fn what_is_no_filter_is_refused(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    for filter in ["", "a..b", ">.a", "a b", "a\r\nb"] {
        let error = own.read(to_head().with_subject(filter)).error().await;
        invalid::<()>(Err(error), "subject");
    }
}

pub async fn a_filter_that_no_subject_of_the_stream_matches_gives_nothing(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b"]).await;
    let elsewhere = to_head().with_subject("quite.another.subject");
    assert_eq!(own.read_all(elsewhere).await, [CaughtUp(2)]);
}

pub async fn a_live_read_gives_what_matches_its_filters(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let filters = vec![own.subject("a"), own.subject("c.*")];
    let mut reading = own.read(ReadOptions::default().with_subjects(filters));
    assert_eq!(reading.next().await, CaughtUp(0));
    own.store_all(["a", "b", "c.1", "b", "a"]).await;
    for want in [1, 3, 5] {
        assert_eq!(reading.next().await, Message(want));
    }
}

pub async fn a_read_of_headers_alone_leaves_the_payloads_away(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let headers = Headers::new().with("Kind", "test");
    own.js.publish(own.message("a", "payload").with_headers(headers)).await.unwrap();
    own.store("a", "no headers").await;
    let mut reading = own.read(to_head().with_headers_only(true));
    let first = reading.message().await;
    assert!(first.payload.is_empty());
    assert_eq!(first.headers.get("Kind"), Some("test"));
    assert_eq!(first.headers.get("Nats-Msg-Size"), Some("7"));
    let second = reading.message().await;
    assert!(second.payload.is_empty());
    assert_eq!(second.headers.get("Nats-Msg-Size"), Some("10"));
    assert_eq!(reading.rest().await, [CaughtUp(2)]);
}

pub async fn a_read_gives_messages_whole(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let headers = Headers::new().with("Kind", "test");
    let message = own.message("a", "payload").with_headers(headers.clone());
    own.js.publish(message.with_message_id("id")).await.unwrap();
    let read = own.read(to_head()).message().await;
    let request = GetMessage::new(Which::Sequence(1));
    assert_eq!(read, own.js.get_message(&own.name, request).await.unwrap());
    assert_eq!(read.headers.get("Kind"), Some("test"));
}

pub async fn a_limit_of_none_gives_nothing(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store("a", "x").await;
    assert_eq!(own.read_all(ReadOptions::default().with_limit(0)).await, []);
}
