//! Publishing many through refusals and breaks: every message is answered, in order, and once.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use naq_core::ErrorKind;
use naq_core::jetstream::{
    Expected, JetStream, JetStreamExt, PublishMessage, ReadOptions, StreamConfig,
};
use naq_tests::proxy::{Direction, FaultProxy};
use naq_tests::server::{NatsServer, User};
use naq_tests::wait;
use tokio::time::Instant;

use crate::{PATIENCE, connect_to, make_stream, numbered, quick};

/// The ids of all stored messages, in their order.
async fn stored_ids(jetstream: &dyn JetStream) -> Vec<usize> {
    let stored = jetstream.read_to_head("S", ReadOptions::default()).await.unwrap();
    stored.iter().map(|m| m.headers.get("Nats-Msg-Id").unwrap().parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_break_every_message_is_answered_and_what_is_repeated_is_stored_once() {
    const MESSAGES: usize = 20_000;
    let server = NatsServer::start().await;
    let proxy = FaultProxy::start(server.address()).await;
    let jetstream = connect_to(&proxy.url(), quick()).await.jetstream();
    make_stream(&*jetstream).await;

    let mut open: Vec<usize> = (0..MESSAGES).collect();
    let mut rounds = 0;
    while !open.is_empty() {
        // Somewhere inside a message, another place each round; later rounds go through.
        if rounds < 5 {
            proxy.cut_after(Direction::ToServer, 150_000 + 77 * rounds);
        }
        rounds += 1;
        let sent = open.clone();
        let messages = stream::iter(sent.clone().into_iter().map(numbered)).boxed();
        let answers = wait::within(
            "all answers",
            PATIENCE,
            jetstream.publish_each(messages).collect::<Vec<_>>(),
        )
        .await;
        assert_eq!(answers.len(), sent.len());
        open.clear();
        for (n, answer) in sent.into_iter().zip(answers) {
            if let Err(error) = answer {
                let passing = [ErrorKind::OutcomeUnknown, ErrorKind::Unavailable];
                assert!(passing.contains(&error.kind()), "{error:?}");
                open.push(n);
            }
        }
    }
    assert!(rounds > 1, "nothing was cut");
    let ids = stored_ids(&*jetstream).await;
    assert_eq!(ids.len(), MESSAGES);
    assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), (0..MESSAGES).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_at_a_break_is_answered_promptly_and_the_rest_waits_for_the_repair() {
    let server = NatsServer::start().await;
    let proxy = FaultProxy::start(server.address()).await;
    let config = quick().with_ack_timeout(PATIENCE);
    let jetstream = connect_to(&proxy.url(), config).await.jetstream();
    make_stream(&*jetstream).await;
    let (send, messages) = tokio::sync::mpsc::unbounded_channel();
    let messages = stream::unfold(messages, |mut messages| async move {
        messages.recv().await.map(|message| (message, messages))
    });
    let mut acks = jetstream.publish_each(messages.boxed());
    proxy.black_hole(Direction::ToClient);
    let before = proxy.passed(Direction::ToServer);
    send.send(numbered(1)).unwrap();
    let (answer, ()) =
        tokio::join!(wait::within("the answer", Duration::from_secs(5), acks.next()), async {
            wait::until("the message to be on its way", PATIENCE, async || {
                proxy.passed(Direction::ToServer) > before
            })
            .await;
            proxy.refuse(true);
            proxy.reset();
        });
    assert_eq!(answer.unwrap().unwrap_err().kind(), ErrorKind::OutcomeUnknown);

    send.send(numbered(2)).unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(100), acks.next()).await;
    assert!(waiting.is_err(), "{waiting:?}");
    proxy.heal();
    wait::within("the answer", PATIENCE, acks.next()).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_connection_messages_are_unavailable_at_their_deadline_all_together() {
    let mut server = NatsServer::start().await;
    let config = quick().with_ack_timeout(Duration::from_millis(500));
    let jetstream = connect_to(&server.url(), config).await.jetstream();
    make_stream(&*jetstream).await;
    server.kill();
    wait::until("the break to be noticed", PATIENCE, async || {
        jetstream.publish(numbered(0)).await.unwrap_err().is(ErrorKind::Unavailable)
    })
    .await;
    let start = Instant::now();
    let messages = stream::iter((0..1_000).map(numbered)).boxed();
    let answers: Vec<_> = jetstream.publish_each(messages).collect().await;
    assert_eq!(answers.len(), 1_000);
    for answer in answers {
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_messages_without_the_right_are_refused_within_seconds() {
    let server = NatsServer::builder()
        .user(User::new("admin", "a"))
        .user(User::new("half", "h").may_publish(["s.ok.>"]))
        .start()
        .await;
    let admin = connect_to(&server.url_as("admin", "a"), quick()).await.jetstream();
    make_stream(&*admin).await;
    let config = quick().with_ack_timeout(PATIENCE);
    let jetstream = connect_to(&server.url_as("half", "h"), config).await.jetstream();
    let start = Instant::now();
    // Each its own subject, as each job has.
    let messages = (0..1_000).map(|n| PublishMessage::new(format!("s.no.{n}"), "x"));
    let answers: Vec<_> = jetstream.publish_each(stream::iter(messages).boxed()).collect().await;
    for (n, answer) in answers.into_iter().enumerate() {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error:?}");
        assert_eq!(error.get("subject"), Some(format!("s.no.{n}").as_str()));
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());

    let messages = (0..100).map(|n| {
        let group = if n % 10 == 3 { "no" } else { "ok" };
        PublishMessage::new(format!("s.{group}.{n}"), "x")
    });
    let answers: Vec<_> = jetstream.publish_each(stream::iter(messages).boxed()).collect().await;
    let refused: Vec<usize> = (0..100).filter(|n| answers[*n].is_err()).collect();
    assert_eq!(refused, (0..100).filter(|n| n % 10 == 3).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_compare_and_set_in_a_pipeline_is_told_that_it_won() {
    let server = NatsServer::start().await;
    let jetstream = connect_to(&server.url(), quick()).await.jetstream();
    make_stream(&*jetstream).await;
    let create = |id: &str| {
        PublishMessage::new("s.key", "x")
            .with_message_id(id)
            .with_expected(Expected::default().with_last_subject_sequence(0))
    };
    let messages = stream::iter([create("one"), create("one"), create("two")]).boxed();
    let answers: Vec<_> = jetstream.publish_each(messages).collect().await;
    assert_eq!(answers[0].as_ref().unwrap().sequence, 1);
    let repeated = answers[1].as_ref().unwrap();
    assert_eq!((repeated.sequence, repeated.duplicate), (1, true));
    assert_eq!(answers[2].as_ref().unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_in_flight_are_bounded_and_large_messages_pass() {
    let server = NatsServer::start().await;
    let jetstream = connect_to(&server.url(), quick()).await.jetstream();
    jetstream.create_stream(StreamConfig::new("S", ["s.>"])).await.unwrap();
    let payload = bytes::Bytes::from(vec![b'x'; 1_000_000]);
    let messages = (0..60).map(move |n| PublishMessage::new(format!("s.{n}"), payload.clone()));
    let answers: Vec<_> = jetstream.publish_each(stream::iter(messages).boxed()).collect().await;
    let sequences: Vec<u64> = answers.into_iter().map(|answer| answer.unwrap().sequence).collect();
    assert_eq!(sequences, (1..=60).collect::<Vec<_>>());
}
