//! Storing many messages as one batch that is acknowledged by watermarks.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use futures::channel::mpsc;
use futures::{StreamExt, future, stream};
use naq_core::jetstream::{
    Discard, Expected, JetStream, PublishManyOptions, PublishMessage, PublishWay, Published,
};
use naq_core::{BoxStream, Error, ErrorKind, Result};

use super::support::{Own, PATIENCE, collect, invalid, own_config, refused, text};
use crate::{names, wait};

type Answers = BoxStream<'static, Result<Published>>;

/// More messages than a server leaves without an acknowledgement.
const MANY: u64 = 600;

/// So many batches are opened until one is still open when it is closed.
const OPENED: u64 = 20;

/// A stream that takes fast batches, or `None` where the server can't; then it
/// is asserted that it says so.
async fn taking_batches(js: Arc<dyn JetStream>) -> Option<Own> {
    if js.capabilities().fast_ingest {
        return Some(Own::with(js, |config| config.with_allow_batched_publish(true)).await);
    }
    let own = Own::new(js).await;
    let (stored, error) = outcome(collect(own.batch("b", vec![own.message("a", "1")])).await);
    assert_eq!((stored, error.unwrap().kind()), (0, ErrorKind::Unsupported));
    let closed = own.js.close_fast_batch(&own.subject("a"), "b", 2).await;
    refused(closed, ErrorKind::Unsupported);
    assert_eq!(own.state().await.last_sequence, 0);
    None
}

impl Own {
    fn batch(&self, id: &str, messages: Vec<PublishMessage>) -> Answers {
        self.batch_of(PublishWay::fast_batch(id), stream::iter(messages).boxed())
    }

    fn batch_of(&self, way: PublishWay, messages: BoxStream<'static, PublishMessage>) -> Answers {
        self.js.publish_many(messages, PublishManyOptions::default().with_way(way))
    }

    /// This many messages on subject `a`, payloads `1`, `2`, …
    fn numbered(&self, count: u64) -> Vec<PublishMessage> {
        (1..=count).map(|n| self.message("a", &n.to_string())).collect()
    }

    async fn texts(&self) -> Vec<String> {
        self.stored().await.iter().map(|message| text(message).to_owned()).collect()
    }
}

/// How many messages are stored by all answers, and the error that ended them.
fn outcome(answers: Vec<Result<Published>>) -> (u64, Option<Error>) {
    let mut stored = 0;
    let mut ended_by = None;
    for answer in answers {
        assert!(ended_by.is_none(), "an error ends the answers");
        match answer {
            Ok(answer @ Published::Next(count)) if count > 0 => stored += answer.count(),
            Ok(other) => panic!("no answer of a fast batch: {other:?}"),
            Err(error) => ended_by = Some(error),
        }
    }
    (stored, ended_by)
}

/// The sum of the next answers, which must come to `count`.
async fn stored(answers: &mut Answers, count: u64) {
    let mut sum = 0;
    while sum < count {
        let answer = wait::within("an answer", PATIENCE, answers.next()).await;
        sum += answer.expect("the answers go on").unwrap().count();
    }
    assert_eq!(sum, count);
}

fn numbers(count: u64) -> Vec<String> {
    (1..=count).map(|n| n.to_string()).collect()
}

pub async fn a_fast_batch_is_stored_in_order_and_answered_whole(js: Arc<dyn JetStream>) {
    let Some(own) = taking_batches(js).await else { return };
    let (stored, error) = outcome(collect(own.batch("b", own.numbered(9_001))).await);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(stored, 9_001);
    assert_eq!(own.texts().await, numbers(9_001));
}

pub async fn few_messages_of_a_fast_batch_are_answered_while_more_may_come(js: Arc<dyn JetStream>) {
    let Some(own) = taking_batches(js).await else { return };
    let (sender, messages) = mpsc::unbounded();
    let mut answers = own.batch_of(PublishWay::fast_batch("b"), messages.boxed());
    let mut all = own.numbered(65).into_iter();
    for count in [1, 2, 30, 1, 31] {
        for message in all.by_ref().take(count) {
            sender.unbounded_send(message).unwrap();
        }
        stored(&mut answers, count as u64).await;
    }
    drop(sender);
    assert!(wait::within("the end", PATIENCE, answers.next()).await.is_none());
    assert_eq!(own.texts().await, numbers(65));
}

pub async fn a_fast_batch_of_nothing_has_no_answers(js: Arc<dyn JetStream>) {
    let Some(own) = taking_batches(js).await else { return };
    assert!(collect(own.batch("b", Vec::new())).await.is_empty());
}

/// Makes a message that is refused.
type Poison = Box<dyn Fn(&Own) -> PublishMessage>;

pub async fn a_refused_message_ends_a_fast_batch_before_it(js: Arc<dyn JetStream>) {
    if taking_batches(Arc::clone(&js)).await.is_none() {
        return;
    }
    let wrong = || Expected::default().with_last_sequence(99);
    let largest = usize::try_from(js.server_info().max_payload).unwrap();
    let mut cases: Vec<(Poison, ErrorKind)> = vec![
        (Box::new(|own| own.message("a", &"x".repeat(101))), ErrorKind::TooLarge),
        (Box::new(|own| own.message("a b", "no subject")), ErrorKind::InvalidArgument),
    ];
    cases.push((
        Box::new(move |own| own.message("a", "x").with_expected(wrong())),
        ErrorKind::Conflict,
    ));
    cases.push((
        Box::new(move |own| PublishMessage::new(own.subject("a"), vec![0; largest + 1])),
        ErrorKind::TooLarge,
    ));
    cases.push((
        Box::new(|_| PublishMessage::new(names::unique("nobody"), "no stream")),
        ErrorKind::NotFound,
    ));
    for (poison, kind) in cases {
        // With messages behind it, and as the last one.
        for behind in [0, 10] {
            let own = Own::with(Arc::clone(&js), |config| {
                config.with_allow_batched_publish(true).with_max_message_size(100)
            })
            .await;
            let mut messages = own.numbered(20);
            messages.push(poison(&own));
            messages.extend(own.numbered(behind));
            let (stored, error) = outcome(collect(own.batch("b", messages)).await);
            let error = error.expect("an error");
            assert_eq!((stored, error.kind()), (20, kind), "{error:?}");
            assert_eq!(own.texts().await, numbers(20));
        }
    }
}

pub async fn a_refused_first_message_stores_nothing_of_a_fast_batch(js: Arc<dyn JetStream>) {
    let Some(own) = taking_batches(js).await else { return };
    let wrong = Expected::default().with_last_sequence(99);
    let nobody = PublishMessage::new(names::unique("nobody"), "no stream");
    for (poison, kind) in [
        (own.message("a", "x").with_expected(wrong), ErrorKind::Conflict),
        (nobody, ErrorKind::NotFound),
        (own.message("a b", "x"), ErrorKind::InvalidArgument),
    ] {
        let mut messages = vec![poison];
        messages.extend(own.numbered(20));
        let (stored, error) = outcome(collect(own.batch(kind_id(kind), messages)).await);
        let error = error.expect("an error");
        assert_eq!((stored, error.kind()), (0, kind), "{error:?}");
    }
    assert_eq!(own.state().await.last_sequence, 0);
}

fn kind_id(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Conflict => "conflict",
        ErrorKind::NotFound => "nobody",
        _ => "other",
    }
}

pub async fn a_full_stream_ends_a_fast_batch(js: Arc<dyn JetStream>) {
    if taking_batches(Arc::clone(&js)).await.is_none() {
        return;
    }
    let own = Own::with(js, |config| {
        config.with_allow_batched_publish(true).with_max_messages(700).with_discard(Discard::New)
    })
    .await;
    let (stored, error) = outcome(collect(own.batch("b", own.numbered(1_000))).await);
    let error = error.expect("an error");
    assert_eq!((stored, error.kind()), (700, ErrorKind::LimitReached), "{error:?}");
    assert_eq!(own.texts().await, numbers(700));
}

pub async fn a_message_id_that_is_known_is_skipped_in_a_fast_batch(js: Arc<dyn JetStream>) {
    let Some(own) = taking_batches(js).await else { return };
    let with_ids = |count| -> Vec<PublishMessage> {
        let messages = own.numbered(count).into_iter().zip(1_u64..);
        messages.map(|(message, n)| message.with_message_id(format!("id-{n}"))).collect()
    };
    for (id, count) in [("b1", 20), ("b2", 20), ("b3", 30), ("b4", MANY), ("b5", MANY)] {
        let (stored, error) = outcome(collect(own.batch(id, with_ids(count))).await);
        assert!(error.is_none(), "{id}: {error:?}");
        assert_eq!(stored, count, "{id}");
    }
    assert_eq!(own.texts().await, numbers(MANY));
}

pub async fn the_first_message_of_a_confirmed_fast_batch_alone_has_its_id(js: Arc<dyn JetStream>) {
    let Some(own) = taking_batches(js).await else { return };
    let messages = own.numbered(MANY).into_iter().zip(1_u64..);
    let messages = messages.map(|(message, n)| message.with_message_id(format!("id-{n}")));
    let way = PublishWay::FastBatch { id: "b".to_owned(), confirm_start: true };
    let messages = stream::iter(messages.collect::<Vec<_>>()).boxed();
    let (count, error) = outcome(collect(own.batch_of(way, messages)).await);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(count, MANY);
    let stored = own.stored().await;
    assert_eq!(stored.iter().map(text).collect::<Vec<_>>(), numbers(MANY));
    let ids: Vec<_> = stored.iter().filter_map(|m| m.headers.get("Nats-Msg-Id")).collect();
    assert_eq!(ids, ["id-1"]);
}

/// Polls until `count` messages are taken, and not once more.
async fn until_taken(answers: &mut Answers, taken: &AtomicU64, count: u64) {
    let polled = poll_fn(|cx| {
        // What is answered already isn't what this is about.
        while let Poll::Ready(answer) = answers.poll_next_unpin(cx) {
            answer.expect("the answers go on").unwrap();
            if taken.load(Ordering::Relaxed) == count {
                return Poll::Ready(());
            }
        }
        match taken.load(Ordering::Relaxed) == count {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    });
    wait::within("the messages to be taken", PATIENCE, polled).await;
}

/// A batch with [`MANY`] messages stored that isn't committed, and where more of it come from.
async fn open_batch(own: &Own, id: &str) -> (Answers, mpsc::UnboundedSender<PublishMessage>) {
    let (sender, messages) = mpsc::unbounded();
    let taken = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&taken);
    let messages = messages.inspect(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    let before = own.state().await.messages;
    let mut answers = own.batch_of(PublishWay::fast_batch(id), messages.boxed());
    for message in own.numbered(MANY) {
        sender.unbounded_send(message).unwrap();
    }
    until_taken(&mut answers, &taken, MANY).await;
    wait::until("the messages to be stored", PATIENCE, async || {
        own.state().await.messages == before + MANY
    })
    .await;
    (answers, sender)
}

/// Opens batches until one is closed before the pause of its messages committed it,
/// `leave` being done to it before that; how often it took, and what `leave` gave.
///
/// An adapter commits a batch whose messages pause. Where other processes hold this
/// one up, the pause is over before the batch can be closed: then there is nothing
/// to close, and all of it is stored.
async fn closed_while_open<T>(
    own: &Own,
    leave: impl Fn(Answers, mpsc::UnboundedSender<PublishMessage>) -> T,
) -> (String, u64, T) {
    for opened in 1..=OPENED {
        let id = format!("b{opened}");
        let (answers, sender) = open_batch(own, &id).await;
        let left = leave(answers, sender);
        let closed = own.js.close_fast_batch(&own.subject("a"), &id, MANY + 1).await.unwrap();
        assert_eq!(own.state().await.messages, opened * MANY);
        match closed {
            Some(stored) => {
                assert_eq!(stored, MANY);
                return (id, opened, left);
            }
            None => continue,
        }
    }
    panic!("each of {OPENED} batches was committed within moments");
}

pub async fn a_closed_fast_batch_tells_what_is_stored_and_takes_no_more(js: Arc<dyn JetStream>) {
    let Some(own) = taking_batches(js).await else { return };
    let (id, opened, (answers, sender)) = closed_while_open(&own, |a, sender| (a, sender)).await;
    let again = own.js.close_fast_batch(&own.subject("a"), &id, MANY + 1).await;
    assert_eq!(again.unwrap(), None);
    for message in own.numbered(10) {
        sender.unbounded_send(message).unwrap();
    }
    let (_, error) = outcome(collect(answers).await);
    let error = error.expect("an error");
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error:?}");
    let stored: Vec<_> = (0..opened).flat_map(|_| numbers(MANY)).collect();
    assert_eq!(own.texts().await, stored);
}

pub async fn a_fast_batch_whose_answers_nobody_wants_can_be_closed(js: Arc<dyn JetStream>) {
    let Some(own) = taking_batches(js).await else { return };
    let (_, opened, _sender) = closed_while_open(&own, |answers, sender| {
        drop(answers);
        sender
    })
    .await;
    let (stored, error) = outcome(collect(own.batch("c", own.numbered(3))).await);
    assert!(error.is_none() && stored == 3, "{error:?}");
    assert_eq!(own.state().await.messages, opened * MANY + 3);
}

pub async fn a_fast_batch_that_nobody_knows_can_not_be_closed(js: Arc<dyn JetStream>) {
    let Some(own) = taking_batches(js).await else { return };
    let close = |subject: String| {
        let js = Arc::clone(&own.js);
        async move { js.close_fast_batch(&subject, "nobody", 7).await }
    };
    assert_eq!(close(own.subject("a")).await.unwrap(), None);
    refused(close(names::unique("nobody")).await, ErrorKind::NotFound);
}

pub async fn what_is_no_id_of_a_fast_batch_is_refused(js: Arc<dyn JetStream>) {
    let Some(own) = taking_batches(js).await else { return };
    for id in ["", "a.b", "*", "a b", &"x".repeat(49)] {
        let (stored, error) = outcome(collect(own.batch(id, own.numbered(1))).await);
        invalid(Err::<u64, _>(error.expect("an error")), "batch");
        assert_eq!(stored, 0);
        let subject = own.subject("a");
        invalid(own.js.close_fast_batch(&subject, id, 2).await, "batch");
    }
    assert_eq!(own.state().await.last_sequence, 0);
}

pub async fn a_stream_that_does_not_allow_fast_batches_takes_none(js: Arc<dyn JetStream>) {
    if !js.capabilities().fast_ingest {
        return;
    }
    let (name, config) = own_config();
    js.create_stream(config).await.unwrap();
    let own = Own { js, name };
    let (stored, error) = outcome(collect(own.batch("b", own.numbered(20))).await);
    let error = error.expect("an error");
    assert_eq!((stored, error.kind()), (0, ErrorKind::Unsupported), "{error:?}");
    assert!(error.hint().is_some(), "{error:?}");
    let closed = own.js.close_fast_batch(&own.subject("a"), "b", 2).await;
    refused(closed, ErrorKind::Unsupported);
    assert_eq!(own.state().await.last_sequence, 0);
}

pub async fn fast_batches_on_one_stream_go_side_by_side(js: Arc<dyn JetStream>) {
    let Some(own) = taking_batches(js).await else { return };
    let batches = (0..5).map(|n| {
        let messages = (0..MANY).map(|k| own.message(&n.to_string(), &k.to_string())).collect();
        collect(own.batch(&format!("b{n}"), messages))
    });
    for answers in future::join_all(batches).await {
        let (stored, error) = outcome(answers);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(stored, MANY);
    }
    let stored = own.stored().await;
    for n in 0..5 {
        let subject = own.subject(&n.to_string());
        let of_one = stored.iter().filter(|message| message.subject == subject);
        let numbers: Vec<u64> = of_one.map(|message| text(message).parse().unwrap()).collect();
        assert_eq!(numbers, (0..MANY).collect::<Vec<_>>());
    }
}
