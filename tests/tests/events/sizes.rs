//! How much room types take in a log that is too long to be counted.

use std::sync::Arc;

use naq_core::config::Size;
use naq_core::jetstream::{JetStream, PublishMessage, PurgeKeep, PurgeOptions};
use naq_core::service::Service;
use naq_tests::backend::connect;
use naq_tests::behaviours::block_on;
use naq_tests::own_log::{Keeps, OwnLog};
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
    let mut own = OwnLog::new(js, "sizes");
    own.config = own.config.with_max_bytes(Size::from_mib(256));
    let events = own.service(Keeps::Nothing).await;
    let kind = |n: u64| match (n < EVENTS / 2, n % 11, n % 4) {
        (true, 0, _) | (false, _, 0) => "long",
        (true, ..) => "short",
        _ => "gone",
    };
    let root = &own.config.subject_root;
    let messages = (0..EVENTS).map(|n| {
        let kind = kind(n);
        PublishMessage::new(
            format!("{root}.{kind}.{n}"),
            vec![b'x'; if kind == "long" { 300 } else { 30 }],
        )
    });
    own.publish(messages.collect()).await;
    let purge = PurgeOptions::default()
        .with_subject(format!("{root}.gone.>"))
        .with_keep(PurgeKeep::FromSequence(EVENTS - 500));
    own.purge(purge).await;

    let exact = events.event_sizes(true).await.unwrap();
    assert!(exact.is_exact && exact.read == exact.messages);
    let state = own.info().await.state;
    assert_eq!(exact.kinds.iter().map(|kind| kind.bytes).sum::<u64>(), state.bytes);
    own.purge_below(2_000).await;

    // Short enough to be counted; so that it isn't, as many again.
    let more = (0..EVENTS).map(|n| PublishMessage::new(format!("{root}.more.{n}"), "x"));
    own.publish(more.collect()).await;
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
