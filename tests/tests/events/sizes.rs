//! How much room types take in a log that is too long to be counted.

use std::sync::Arc;

use futures::{StreamExt, stream};
use naq_core::config::{EventsConfig, Size};
use naq_core::jetstream::{JetStream, PublishMessage, PurgeKeep, PurgeOptions};
use naq_core::service::Service;
use naq_tests::backend::connect;
use naq_tests::behaviours::block_on;
use naq_tests::events_conformance::service;
use naq_tests::names;
use naq_tests::server::shared;

const EVENTS: u64 = 100_000;

#[test]
fn a_long_log_is_estimated_from_samples_in_memory() {
    block_on(is_estimated(super::memory()));
}

#[test]
fn a_long_log_is_estimated_from_samples_on_a_server() {
    block_on(async { is_estimated(connect(&shared().await.url()).await).await });
}

/// A first half of ten short events to a long one, and a second half of long
/// ones, of which three quarters are gone.
async fn is_estimated(js: Arc<dyn JetStream>) {
    let name = names::unique("sizes");
    let config = EventsConfig::default()
        .with_stream_name(name.as_str())
        .with_subject_root(name.as_str())
        .with_max_bytes(Size::from_mib(256));
    let events = service(Arc::clone(&js), Arc::new(naq_core::clock::SystemClock::new()), config);
    events.start().await.unwrap();
    let kind = |n: u64| match (n < EVENTS / 2, n % 11, n % 4) {
        (true, 0, _) | (false, _, 0) => "long",
        (true, ..) => "short",
        _ => "gone",
    };
    let root = name.clone();
    let messages = (0..EVENTS).map(move |n| {
        let kind = kind(n);
        PublishMessage::new(
            format!("{root}.{kind}.{n}"),
            vec![b'x'; if kind == "long" { 300 } else { 30 }],
        )
    });
    let published = js.publish_many(stream::iter(messages).boxed(), Default::default());
    let stored = published.fold(0, async |sum, result| sum + result.unwrap().count()).await;
    assert_eq!(stored, EVENTS);
    let purge = PurgeOptions::default()
        .with_subject(format!("{name}.gone.>"))
        .with_keep(PurgeKeep::FromSequence(EVENTS - 500));
    js.purge_stream(&name, purge).await.unwrap();

    let exact = events.event_sizes(true).await.unwrap();
    assert!(exact.is_exact && exact.read == exact.messages);
    let state = js.stream_info(&name).await.unwrap().state;
    assert_eq!(exact.kinds.iter().map(|kind| kind.bytes).sum::<u64>(), state.bytes);
    js.purge_stream(&name, PurgeOptions::default().with_keep(PurgeKeep::FromSequence(2_000)))
        .await
        .unwrap();

    // Short enough to be counted; so that it isn't, as many again.
    let root = name.clone();
    let more = (0..EVENTS).map(move |n| PublishMessage::new(format!("{root}.more.{n}"), "x"));
    let published = js.publish_many(stream::iter(more).boxed(), Default::default());
    assert_eq!(published.fold(0, async |sum, result| sum + result.unwrap().count()).await, EVENTS);
    let (exact, guess) =
        (events.event_sizes(true).await.unwrap(), events.event_sizes(false).await.unwrap());
    assert!(!guess.is_exact && guess.read < guess.messages / 4, "{}", guess.read);
    assert_eq!((guess.messages, guess.bytes), (exact.messages, exact.bytes));
    for kind in exact.kinds.iter().filter(|kind| kind.events > 1_000) {
        let found = guess.kinds.iter().find(|it| it.event_type == kind.event_type).unwrap();
        for (found, kind) in [(found.events, kind.events), (found.bytes, kind.bytes)] {
            let error = found.abs_diff(kind) as f64 / kind as f64;
            assert!(error < 0.1, "{found} for {kind} in {guess:?}, {exact:?}");
        }
    }
    events.stop(std::time::Duration::from_secs(5)).await.unwrap();
}
