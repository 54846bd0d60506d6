//! Storing many messages, pipelined.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{StreamExt, stream};
use naq_core::ErrorKind;
use naq_core::jetstream::{Expected, JetStream, JetStreamExt, PublishMessage};

use super::support::{Own, PATIENCE, refused, sequences, text};
use crate::{names, wait};

pub async fn answers_come_in_the_order_of_the_messages(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let messages = (1..=3_000).map(|n: u64| own.message("a", &n.to_string())).collect();
    for (ack, sequence) in own.publish_many(messages).await.into_iter().zip(1..) {
        let ack = ack.unwrap();
        assert_eq!((ack.stream.as_str(), ack.sequence), (own.name.as_str(), sequence));
    }
    let stored = own.stored().await;
    assert_eq!(stored.len(), 3_000);
    assert!(stored.iter().all(|message| text(message) == message.sequence.to_string()));
}

pub async fn no_messages_give_no_answers(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    assert!(own.publish_many(Vec::new()).await.is_empty());
}

pub async fn a_failure_does_not_stop_the_rest(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| config.with_max_message_size(100)).await;
    let wrong = Expected::default().with_last_sequence(99);
    let too_large = usize::try_from(own.js.server_info().max_payload).unwrap() + 1;
    let mut answers = own
        .publish_many(vec![
            own.message("a", "1"),
            own.message("a b", "no subject"),
            PublishMessage::new(names::unique("nobody"), "no stream"),
            own.message("a", "2"),
            own.message("a", "wrong expectation").with_expected(wrong),
            own.message("a", &"x".repeat(200)),
            PublishMessage::new(own.subject("a"), vec![0; too_large]),
            own.message("a", "3"),
        ])
        .await
        .into_iter();
    let mut next = || answers.next().unwrap();
    assert_eq!(next().unwrap().sequence, 1);
    refused(next(), ErrorKind::InvalidArgument);
    refused(next(), ErrorKind::NotFound);
    assert_eq!(next().unwrap().sequence, 2);
    refused(next(), ErrorKind::Conflict);
    refused(next(), ErrorKind::TooLarge);
    refused(next(), ErrorKind::TooLarge);
    assert_eq!(next().unwrap().sequence, 3);
    assert!(answers.next().is_none());
    assert_eq!(own.stored().await.iter().map(text).collect::<Vec<_>>(), ["1", "2", "3"]);
}

pub async fn a_message_id_that_comes_twice_is_stored_once(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let ids = ["a", "b", "a", "c", "b"];
    let messages = ids.map(|id| own.message("x", id).with_message_id(id)).into();
    let answers: Vec<_> = own
        .publish_many(messages)
        .await
        .into_iter()
        .map(|ack| ack.map(|ack| (ack.sequence, ack.duplicate)).unwrap())
        .collect();
    assert_eq!(answers, [(1, false), (2, false), (1, true), (3, false), (2, true)]);
    assert_eq!(own.sequences().await, [1, 2, 3]);
}

pub async fn messages_for_several_streams_go_each_to_its_own(js: Arc<dyn JetStream>) {
    let (one, two) = (Own::new(Arc::clone(&js)).await, Own::new(js).await);
    let messages = vec![one.message("a", "1"), two.message("a", "2"), one.message("a", "3")];
    let answers: Vec<_> = one
        .publish_many(messages)
        .await
        .into_iter()
        .map(|ack| ack.map(|ack| (ack.stream, ack.sequence)).unwrap())
        .collect();
    assert_eq!(answers, [(one.name.clone(), 1), (two.name.clone(), 1), (one.name.clone(), 2)]);
}

pub async fn messages_are_taken_only_as_answers_make_room(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let subject = own.subject("a");
    let endless = stream::repeat_with(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        PublishMessage::new(subject.clone(), "x")
    });

    let mut answers = own.js.publish_each(endless.boxed());
    for sequence in 1..=100 {
        let ack = wait::within("an ack", PATIENCE, answers.next()).await.unwrap().unwrap();
        assert_eq!(ack.sequence, sequence);
    }
    let ahead = taken.load(Ordering::Relaxed);
    assert!(ahead < 50_000, "{ahead} messages were taken for 100 answers that were read");

    drop(answers);
    let at_the_drop = taken.load(Ordering::Relaxed);
    // A question behind it is answered when what was on its way has been stored.
    let stored = sequences(&own.stored().await);
    assert_eq!(taken.load(Ordering::Relaxed), at_the_drop, "a dropped answer takes no more");
    assert!((100..=at_the_drop).contains(&stored.len()), "{} of {at_the_drop}", stored.len());
}
