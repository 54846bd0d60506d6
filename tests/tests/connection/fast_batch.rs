//! Fast batches through breaks and refusals: what is answered is stored, and what is stored is a prefix.

use std::time::Duration;

use futures::channel::mpsc;
use futures::{StreamExt, stream};
use naq_connection::ConnectionService;
use naq_core::config::ServerConfig;
use naq_core::connection::{ConnectionProvider, ServerRef};
use naq_core::jetstream::{
    JetStream, JetStreamExt, PublishManyOptions, PublishMessage, PublishWay, Published,
    ReadOptions, StreamConfig,
};
use naq_core::{BoxStream, Error, ErrorKind, Result};
use naq_tests::proxy::{Direction, FaultProxy};
use naq_tests::server::{NatsServer, User};
use naq_tests::wait;

use crate::{PATIENCE, connect_to, quick};

async fn make_stream(jetstream: &dyn JetStream, name: &str) {
    let config = StreamConfig::new(name, [format!("{name}.>")]).with_allow_batched_publish(true);
    jetstream.create_stream(config).await.unwrap();
}

fn batch(
    jetstream: &dyn JetStream,
    id: &str,
    messages: impl futures::Stream<Item = PublishMessage> + Send + 'static,
) -> BoxStream<'static, Result<Published>> {
    let options = PublishManyOptions::default().with_way(PublishWay::fast_batch(id));
    jetstream.publish_many(messages.boxed(), options)
}

/// How many messages are answered as stored, and the error that ended the answers.
async fn outcome(answers: BoxStream<'static, Result<Published>>) -> (u64, Option<Error>) {
    let answers = wait::within("all answers", PATIENCE, answers.collect::<Vec<_>>()).await;
    let stored = answers.iter().filter_map(|answer| answer.as_ref().ok()).map(Published::count);
    let stored = stored.sum();
    (stored, answers.into_iter().find_map(Result::err))
}

fn numbered(stream: &str, count: usize) -> Vec<PublishMessage> {
    (0..count).map(|n| PublishMessage::new(format!("{stream}.{}", n % 7), n.to_string())).collect()
}

/// How many messages are stored, which must be the first ones, in order.
async fn stored_prefix(jetstream: &dyn JetStream, stream: &str) -> u64 {
    let stored = jetstream.read_to_head(stream, ReadOptions::default()).await.unwrap();
    for (n, message) in stored.iter().enumerate() {
        assert_eq!(message.payload, n.to_string().as_bytes());
    }
    stored.len() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_break_a_prefix_is_stored_and_closing_the_batch_tells_how_much() {
    const MESSAGES: usize = 20_000;
    let server = NatsServer::start().await;
    let observer = connect_to(&server.url(), quick()).await.jetstream();
    let proxy = FaultProxy::start(server.address()).await;
    let jetstream = connect_to(&proxy.url(), quick()).await.jetstream();
    let mut told = 0;
    for (round, direction) in
        [Direction::ToServer, Direction::ToClient].into_iter().cycle().take(6).enumerate()
    {
        let name = format!("S{round}");
        make_stream(&*observer, &name).await;
        // Somewhere inside a message or an acknowledgement, another place each round.
        match direction {
            Direction::ToServer => proxy.cut_after(direction, 300_000 + 77 * round as u64),
            Direction::ToClient => proxy.cut_after(direction, 700 + 77 * round as u64),
        }
        let messages = stream::iter(numbered(&name, MESSAGES));
        let (answered, error) = outcome(batch(&*jetstream, &name, messages)).await;
        let error = error.expect("it was cut");
        let passing = [ErrorKind::OutcomeUnknown, ErrorKind::Unavailable];
        assert!(passing.contains(&error.kind()), "{error:?}");
        let subject = format!("{name}.0");
        let closed = wait::some("the batch to be closed", PATIENCE, async || {
            jetstream.close_fast_batch(&subject, &name, MESSAGES as u64 + 1).await.ok()
        })
        .await;
        let stored = stored_prefix(&*observer, &name).await;
        assert!(answered <= stored, "{answered} of {stored}");
        if let Some(closed) = closed {
            assert_eq!(closed, stored);
            told += 1;
        }
    }
    assert!(told > 0, "no batch was known to the server any more");
}

/// Sends seven messages as two batches of the server's: few messages are
/// committed by themselves, and what comes next is another batch with another id.
async fn several_parts(
    sender: &mpsc::UnboundedSender<PublishMessage>,
    messages: &mut impl Iterator<Item = PublishMessage>,
    answers: &mut BoxStream<'static, Result<Published>>,
) {
    for count in [3, 4] {
        for message in messages.by_ref().take(count) {
            sender.unbounded_send(message).unwrap();
        }
        let mut stored = 0;
        while stored < count as u64 {
            let answer = wait::within("an answer", PATIENCE, answers.next()).await;
            stored += answer.unwrap().unwrap().count();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_had_committed_counts_when_a_batch_is_closed() {
    let server = NatsServer::start().await;
    let observer = connect_to(&server.url(), quick()).await.jetstream();
    let proxy = FaultProxy::start(server.address()).await;
    let jetstream = connect_to(&proxy.url(), quick()).await.jetstream();
    make_stream(&*observer, "S").await;
    let (sender, messages) = mpsc::unbounded();
    let mut all = numbered("S", 700).into_iter();
    let mut answers = batch(&*jetstream, "b", messages);
    several_parts(&sender, &mut all, &mut answers).await;
    // These arrive, while no answer gets through.
    proxy.black_hole(Direction::ToClient);
    for message in all {
        sender.unbounded_send(message).unwrap();
    }
    let (outcome, ()) = tokio::join!(outcome(answers), async {
        wait::until("the messages to be stored", PATIENCE, async || {
            observer.stream_info("S").await.unwrap().state.messages == 700
        })
        .await;
        proxy.reset();
        proxy.heal();
    });
    assert_eq!(outcome.1.unwrap().kind(), ErrorKind::OutcomeUnknown);
    let closed = wait::some("the batch to be closed", PATIENCE, async || {
        jetstream.close_fast_batch("S.0", "b", 701).await.ok()
    })
    .await;
    assert_eq!(closed, Some(700));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_leaves_a_fast_batch_in_doubt_within_its_deadline() {
    let server = NatsServer::start().await;
    let config = quick().with_ack_timeout(Duration::from_millis(500));
    let jetstream = connect_to(&server.url(), config).await.jetstream();
    make_stream(&*jetstream, "S").await;
    let (sender, messages) = mpsc::unbounded();
    let mut answers = batch(&*jetstream, "b", messages);
    sender.unbounded_send(numbered("S", 1).remove(0)).unwrap();
    let first = wait::within("an answer", PATIENCE, answers.next()).await.unwrap();
    assert_eq!(first.unwrap(), Published::Next(1));
    server.pause().await;
    sender.unbounded_send(PublishMessage::new("S.0", "1")).unwrap();
    let (stored, error) = outcome(answers).await;
    server.resume();
    assert_eq!((stored, error.unwrap().kind()), (0, ErrorKind::OutcomeUnknown));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_forgets_the_batch_and_what_was_answered_is_there() {
    let mut server = NatsServer::start().await;
    let jetstream = connect_to(&server.url(), quick()).await.jetstream();
    make_stream(&*jetstream, "S").await;
    let (sender, messages) = mpsc::unbounded();
    let mut answers = batch(&*jetstream, "b", messages);
    for message in numbered("S", 1_000) {
        sender.unbounded_send(message).unwrap();
    }
    let first = wait::within("an answer", PATIENCE, answers.next()).await.unwrap();
    let answered = first.unwrap().count();
    server.kill();
    let (more, error) = outcome(answers).await;
    let kind = error.unwrap().kind();
    assert!([ErrorKind::OutcomeUnknown, ErrorKind::Unavailable].contains(&kind), "{kind:?}");
    server.restart().await;
    let closed = wait::some("the batch to be closed", PATIENCE, async || {
        jetstream.close_fast_batch("S.0", "b", 1_001).await.ok()
    })
    .await;
    assert_eq!(closed, None);
    assert!(stored_prefix(&*jetstream, "S").await >= answered + more);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_connection_a_fast_batch_is_unavailable_at_its_deadline() {
    let mut server = NatsServer::start().await;
    let config = quick().with_ack_timeout(Duration::from_millis(300));
    let jetstream = connect_to(&server.url(), config).await.jetstream();
    make_stream(&*jetstream, "S").await;
    server.kill();
    wait::until("the break to be noticed", PATIENCE, async || {
        jetstream.stream_info("S").await.is_err_and(|error| error.is(ErrorKind::Unavailable))
    })
    .await;
    let (stored, error) = outcome(batch(&*jetstream, "b", stream::iter(numbered("S", 9)))).await;
    assert_eq!((stored, error.unwrap().kind()), (0, ErrorKind::Unavailable));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_the_right_to_publish_it_ends_a_fast_batch() {
    let user = User::new("producer", "p").may_publish(["S.0", "S.1"]).may_subscribe(["_INBOX.>"]);
    let server = NatsServer::builder().user(User::new("admin", "a")).user(user).start().await;
    let admin = connect_to(&server.url_as("admin", "a"), quick()).await.jetstream();
    make_stream(&*admin, "S").await;
    let jetstream = connect_to(&server.url_as("producer", "p"), quick()).await.jetstream();
    // The third message goes to S.2, or the first one.
    for (skip, stored) in [(0, 2), (2, 0)] {
        let messages = stream::iter(numbered("S", 100).into_iter().skip(skip));
        let (answered, error) = outcome(batch(&*jetstream, &format!("b{skip}"), messages)).await;
        let error = error.unwrap();
        assert_eq!((answered, error.kind()), (stored, ErrorKind::PermissionDenied), "{error:?}");
        assert_eq!(error.get("subject"), Some("S.2"));
    }
    assert_eq!(admin.stream_info("S").await.unwrap().state.messages, 2);
}

/// A service whose default server is behind the proxy.
fn service_through(proxy: &FaultProxy, ack_timeout: Duration) -> ConnectionService {
    let server = ServerConfig::default().with_url(proxy.url());
    let config = quick().with_ack_timeout(ack_timeout).with_server(server);
    ConnectionService::new(Vec::new(), config)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_fenced_off_over_another_connection_and_what_comes_late_is_not_stored() {
    let server = NatsServer::start().await;
    let observer = connect_to(&server.url(), quick()).await.jetstream();
    let proxy = FaultProxy::start(server.address()).await;
    let service = service_through(&proxy, PATIENCE);
    let jetstream = service.get_jetstream(&ServerRef::Default).await.unwrap();
    make_stream(&*observer, "S").await;
    let (sender, messages) = mpsc::unbounded();
    let mut all = numbered("S", 1_000).into_iter();
    let mut answers = batch(&*jetstream, "b", messages);
    several_parts(&sender, &mut all, &mut answers).await;
    // These arrive and stay uncommitted; the rest stays in the network.
    proxy.black_hole(Direction::ToClient);
    let sending = tokio::spawn(async move { outcome(answers).await });
    for message in all.by_ref().take(600) {
        sender.unbounded_send(message).unwrap();
    }
    let stored = async || observer.stream_info("S").await.unwrap().state.messages;
    wait::until("the messages to be stored", PATIENCE, async || stored().await == 607).await;
    let passed = proxy.passed(Direction::ToServer);
    proxy.black_hole(Direction::ToServer);
    for message in all.by_ref().take(300) {
        sender.unbounded_send(message).unwrap();
    }

    // Another connection of the same program, to another address of the same server.
    let direct = service.get_jetstream(&ServerRef::Url(server.url())).await.unwrap();
    let closed = direct.close_fast_batch("S.0", "b", 1_001).await.unwrap();
    assert_eq!(closed, Some(607));
    assert_eq!(proxy.passed(Direction::ToServer), passed, "the rest is still under way");
    proxy.heal();
    let (_, error) = wait::within("the batch's end", PATIENCE, sending).await.unwrap();
    assert_eq!(error.unwrap().kind(), ErrorKind::OutcomeUnknown);
    // Behind all that the old connection had sent.
    let ack = jetstream.publish(PublishMessage::new("S.0", "607")).await.unwrap();
    assert_eq!(ack.sequence, 608);
    assert_eq!(stored_prefix(&*observer, "S").await, 608);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_comes_late_is_recognised_by_its_id_and_nothing_comes_behind_it() {
    let server = NatsServer::start().await;
    let observer = connect_to(&server.url(), quick()).await.jetstream();
    let proxy = FaultProxy::start(server.address()).await;
    let service = service_through(&proxy, Duration::from_secs(1));
    let jetstream = service.get_jetstream(&ServerRef::Default).await.unwrap();
    make_stream(&*observer, "S").await;
    proxy.black_hole(Direction::ToServer);
    let messages: Vec<_> = (0..50)
        .map(|n| PublishMessage::new("S.0", n.to_string()).with_message_id(format!("id-{n}")))
        .collect();
    let way = PublishWay::FastBatch { id: "b".to_owned(), confirm_start: true };
    let options = PublishManyOptions::default().with_way(way);
    let answers = jetstream.publish_many(stream::iter(messages.clone()).boxed(), options);
    let sending = tokio::spawn(async move { outcome(answers).await });
    let direct = service.get_jetstream(&ServerRef::Url(server.url())).await.unwrap();
    // It may not have begun to send yet; either way the server never heard of it.
    assert_eq!(direct.close_fast_batch("S.0", "b", 51).await.unwrap(), None);
    let (stored, error) = sending.await.unwrap();
    assert_eq!((stored, error.unwrap().kind()), (0, ErrorKind::OutcomeUnknown));
    // So all are sent again, the first one under its id.
    assert_eq!(direct.publish(messages[0].clone()).await.unwrap().sequence, 1);
    proxy.heal();
    let late = wait::some("the late start to be answered", PATIENCE, async || {
        jetstream.publish(messages[1].clone()).await.ok()
    })
    .await;
    assert_eq!(late.sequence, 2);
    assert_eq!(stored_prefix(&*observer, "S").await, 2);
}
