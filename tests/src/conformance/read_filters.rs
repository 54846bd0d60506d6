//! What of a stream a read gives.

use std::sync::Arc;

use naq_core::jetstream::{
    GetMessage, Headers, JetStream, ReadOptions, ReadStart, ReadUntil, Which,
};

use super::support::Seen::{CaughtUp, Message};
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
