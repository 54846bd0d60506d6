//! Messages that live for a time of their own, and the markers behind them.

use std::sync::Arc;
use std::time::Duration;

use naq_core::ErrorKind;
use naq_core::jetstream::{JetStream, JetStreamExt, MessageTtl};

use super::support::{Own, PATIENCE, invalid, now, own_config, refused, text};
use crate::wait;

const SECOND: Duration = Duration::from_secs(1);

/// A stream that allows TTLs, or `None` where the
/// server can't; then it is asserted that it says so.
async fn allowing_ttl(js: Arc<dyn JetStream>) -> Option<Own> {
    if js.capabilities().message_ttl {
        return Some(Own::with(js, |config| config.with_allow_message_ttl(true)).await);
    }
    let (name, config) = own_config();
    let error = refused(
        js.create_stream(config.clone().with_allow_message_ttl(true)).await,
        ErrorKind::Unsupported,
    );
    assert!(error.hint().is_some(), "{error:?}");
    refused(js.stream_info(&name).await, ErrorKind::NotFound);

    js.create_stream(config).await.unwrap();
    let own = Own { js, name };
    let message = own.message("a", "x").with_ttl(MessageTtl::After(SECOND));
    refused(own.js.publish(message).await, ErrorKind::Unsupported);
    assert_eq!(own.state().await.last_sequence, 0);
    None
}

pub async fn a_message_goes_when_its_ttl_has_passed(js: Arc<dyn JetStream>) {
    let Some(own) = allowing_ttl(js).await else { return };
    own.store("a", "stays").await;
    own.js.publish(own.message("a", "goes").with_ttl(MessageTtl::After(SECOND))).await.unwrap();
    let stored_at = own.js.find_sequence(&own.name, 2).await.unwrap().unwrap().stored_at;
    wait::until("the message to go", PATIENCE, async || {
        own.js.find_sequence(&own.name, 2).await.unwrap().is_none()
    })
    .await;
    assert!(now().since(stored_at) >= SECOND, "it went too early");
    assert_eq!(own.sequences().await, [1]);
    assert_eq!(own.state().await.last_sequence, 2);
}

pub async fn a_message_that_never_expires_outlives_the_maximum_age(js: Arc<dyn JetStream>) {
    let Some(_) = allowing_ttl(Arc::clone(&js)).await else { return };
    let own =
        Own::with(js, |config| config.with_allow_message_ttl(true).with_max_age(SECOND)).await;
    own.js.publish(own.message("a", "never").with_ttl(MessageTtl::Never)).await.unwrap();
    own.store("a", "ages").await;
    wait::until("the other to age", PATIENCE, async || own.state().await.messages == 1).await;
    assert_eq!(own.stored().await.iter().map(text).collect::<Vec<_>>(), ["never"]);
}

pub async fn the_maximum_age_wins_over_a_longer_ttl(js: Arc<dyn JetStream>) {
    let Some(_) = allowing_ttl(Arc::clone(&js)).await else { return };
    let own =
        Own::with(js, |config| config.with_allow_message_ttl(true).with_max_age(SECOND)).await;
    let ttl = MessageTtl::After(Duration::from_secs(3_600));
    own.js.publish(own.message("a", "long").with_ttl(ttl)).await.unwrap();
    wait::until("it to age", PATIENCE, async || own.state().await.messages == 0).await;
}

pub async fn a_ttl_that_is_no_whole_number_of_seconds_is_refused(js: Arc<dyn JetStream>) {
    let Some(own) = allowing_ttl(js).await else { return };
    for millis in [0, 1, 999, 1_500] {
        let ttl = MessageTtl::After(Duration::from_millis(millis));
        invalid(own.js.publish(own.message("a", "x").with_ttl(ttl)).await, "ttl");
    }
    assert_eq!(own.state().await.last_sequence, 0);
}

pub async fn a_stream_that_does_not_allow_ttls_takes_no_message_with_one(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    for ttl in [MessageTtl::After(SECOND), MessageTtl::Never] {
        let message = own.message("a", "x").with_ttl(ttl);
        let error = refused(own.js.publish(message).await, ErrorKind::Unsupported);
        assert!(error.hint().is_some(), "{error:?}");
    }
    assert_eq!(own.state().await.last_sequence, 0);
}

pub async fn a_marker_stands_where_the_last_message_of_a_subject_aged_away(js: Arc<dyn JetStream>) {
    let Some(_) = allowing_ttl(Arc::clone(&js)).await else {
        let (name, config) = own_config();
        let config = config.with_subject_delete_marker_ttl(SECOND);
        refused(js.create_stream(config).await, ErrorKind::Unsupported);
        refused(js.stream_info(&name).await, ErrorKind::NotFound);
        return;
    };
    let own = Own::with(js, |config| {
        config
            .with_allow_message_ttl(true)
            .with_allow_rollup(true)
            .with_subject_delete_marker_ttl(Duration::from_secs(3_600))
            .with_max_age(SECOND)
    })
    .await;
    own.store("a", "x").await;
    let marker = wait::some("the marker", PATIENCE, async || {
        own.js.find_sequence(&own.name, 2).await.unwrap()
    })
    .await;
    assert_eq!(marker.subject, own.subject("a"));
    assert_eq!(marker.headers.get("Nats-Marker-Reason"), Some("MaxAge"), "{marker:?}");
    assert!(marker.payload.is_empty());
    assert_eq!(own.sequences().await, [2]);
}
