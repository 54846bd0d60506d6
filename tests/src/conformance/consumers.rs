//! Durable consumers: creating, finding, deleting; where they begin.

use std::sync::Arc;
use std::time::Duration;

use naq_core::ErrorKind;
use naq_core::jetstream::{ConsumerConfig, FetchOptions, JetStream, ReadStart};

use super::support::{Own, collect, invalid, refused};
use crate::names;

impl Own {
    async fn fetched(&self, config: ConsumerConfig) -> Vec<u64> {
        let name = config.name.clone();
        self.js.create_consumer(&self.name, config).await.unwrap();
        let options = FetchOptions::new(100).with_wait(Duration::ZERO);
        let messages = self.js.fetch(&self.name, &name, options).await.unwrap();
        messages.iter().map(|delivered| delivered.message.sequence).collect()
    }
}

pub async fn a_new_consumer_has_everything_before_it(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a"]).await;
    let info = own.js.create_consumer(&own.name, ConsumerConfig::new("c")).await.unwrap();
    assert_eq!((info.stream.as_str(), info.config.name.as_str()), (own.name.as_str(), "c"));
    assert_eq!((info.delivered, info.ack_floor, info.ack_pending), (0, 0, 0));
    assert_eq!((info.redelivered, info.pending), (0, 3));
    assert_eq!(own.js.consumer_info(&own.name, "c").await.unwrap(), info);
    assert_eq!(own.state().await.consumers, 1);
}

pub async fn a_consumer_tells_its_configuration(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let mut config = ConsumerConfig::new("c")
        .with_start(ReadStart::Sequence(5))
        .with_subject(own.subject("a"))
        .with_subject(own.subject("b.>"))
        .with_ack_wait(Duration::from_secs(7))
        .with_max_deliver(4)
        .with_max_ack_pending(50);
    config.description = Some("for people".to_owned());
    config.backoff = vec![Duration::from_secs(7), Duration::from_secs(9)];
    config.inactive_threshold = Duration::from_secs(3_600);
    config.metadata.insert("owner".to_owned(), "tests".to_owned());
    own.js.create_consumer(&own.name, config.clone()).await.unwrap();
    let mut told = own.js.consumer_info(&own.name, "c").await.unwrap().config;
    told.metadata.retain(|key, _| !key.starts_with("_nats."));
    assert!(told.replicas <= 1, "{told:?}");
    told.replicas = config.replicas;
    assert_eq!(told, config);
}

pub async fn creating_an_equal_consumer_again_changes_nothing(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b"]).await;
    let config = || ConsumerConfig::new("c").with_subject(own.subject("a"));
    let first = own.js.create_consumer(&own.name, config()).await.unwrap();
    let one = FetchOptions::new(1);
    assert_eq!(own.js.fetch(&own.name, "c", one).await.unwrap().len(), 1);
    let again = own.js.create_consumer(&own.name, config()).await.unwrap();
    assert_eq!((again.created, again.delivered), (first.created, 1));
}

pub async fn creating_a_consumer_that_differs_is_refused(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let config = ConsumerConfig::new("c");
    let first = own.js.create_consumer(&own.name, config.clone()).await.unwrap();
    let other = config.with_max_deliver(3);
    let error = refused(own.js.create_consumer(&own.name, other).await, ErrorKind::AlreadyExists);
    assert_eq!(error.get("consumer"), Some("c"), "{error:?}");
    assert_eq!(own.js.consumer_info(&own.name, "c").await.unwrap().config, first.config);
}

pub async fn a_consumer_that_is_not_there_is_not_found(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    for error in [
        refused(own.js.consumer_info(&own.name, "c").await, ErrorKind::NotFound),
        refused(own.js.delete_consumer(&own.name, "c").await, ErrorKind::NotFound),
        refused(own.js.fetch(&own.name, "c", FetchOptions::new(1)).await, ErrorKind::NotFound),
    ] {
        assert_eq!(error.get("consumer"), Some("c"), "{error:?}");
        assert_eq!(error.get("stream"), Some(own.name.as_str()), "{error:?}");
    }
    let nobody = names::unique("nobody");
    refused(own.js.consumer_info(&nobody, "c").await, ErrorKind::NotFound);
    refused(own.js.fetch(&nobody, "c", FetchOptions::new(1)).await, ErrorKind::NotFound);
    let listed = collect(own.js.list_consumers(&nobody)).await.remove(0);
    refused(listed, ErrorKind::NotFound);
}

pub async fn a_deleted_consumer_is_gone(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store("a", "x").await;
    own.js.create_consumer(&own.name, ConsumerConfig::new("c")).await.unwrap();
    own.js.delete_consumer(&own.name, "c").await.unwrap();
    refused(own.js.consumer_info(&own.name, "c").await, ErrorKind::NotFound);
    assert_eq!(own.state().await.consumers, 0);
    assert_eq!(own.fetched(ConsumerConfig::new("c")).await, [1], "made anew, it begins anew");
}

pub async fn consumers_are_listed_by_name(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    assert!(collect(own.js.list_consumers(&own.name)).await.is_empty());
    for name in ["b", "c", "a"] {
        own.js.create_consumer(&own.name, ConsumerConfig::new(name)).await.unwrap();
    }
    let listed = collect(own.js.list_consumers(&own.name)).await;
    let names: Vec<_> = listed.into_iter().map(|info| info.unwrap().config.name).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

pub async fn names_that_no_consumer_can_have_are_refused(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    for name in ["", "a.b", "a b", "a*", ">", "a/b", "a\\b", "a\r\nb"] {
        let created = own.js.create_consumer(&own.name, ConsumerConfig::new(name)).await;
        invalid(created, "consumer");
        invalid(own.js.consumer_info(&own.name, name).await, "consumer");
        invalid(own.js.delete_consumer(&own.name, name).await, "consumer");
        invalid(own.js.fetch(&own.name, name, FetchOptions::new(1)).await, "consumer");
    }
    assert_eq!(own.state().await.consumers, 0);
}

pub async fn a_consumer_begins_where_it_was_told(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a", "b"]).await;
    let third = own.stored().await[2].stored_at;
    for (name, start, want) in [
        ("beginning", ReadStart::Beginning, vec![1, 2, 3, 4]),
        ("sequence", ReadStart::Sequence(2), vec![2, 3, 4]),
        ("time", ReadStart::Time(third), vec![3, 4]),
        ("new", ReadStart::New, vec![]),
        ("last", ReadStart::LastPerSubject, vec![3, 4]),
    ] {
        let config = ConsumerConfig::new(name).with_start(start);
        assert_eq!(own.fetched(config).await, want, "{name}");
    }
    own.store("a", "5").await;
    let options = FetchOptions::new(10);
    let new = own.js.fetch(&own.name, "new", options).await.unwrap();
    assert_eq!(new[0].message.sequence, 5);
}

pub async fn a_consumer_gives_what_matches_its_filters(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b.1", "c", "b.2"]).await;
    let one = ConsumerConfig::new("one").with_subject(own.subject("b.*"));
    assert_eq!(own.fetched(one).await, [2, 4]);
    let two =
        ConsumerConfig::new("two").with_subject(own.subject("a")).with_subject(own.subject("b.2"));
    assert_eq!(own.fetched(two).await, [1, 4]);
    let nested = ConsumerConfig::new("nested")
        .with_subject(own.subject("b"))
        .with_subject(own.subject("b.>"));
    if own.js.capabilities().nested_filters {
        own.store_all(["b", "a", "b.2.x"]).await;
        assert_eq!(own.fetched(nested).await, [2, 4, 5, 7]);
    } else {
        refused(own.js.create_consumer(&own.name, nested).await, ErrorKind::Unsupported);
    }
    let overlapping = ConsumerConfig::new("bad")
        .with_subject(own.subject("b.1"))
        .with_subject(own.subject("b.*"));
    invalid(own.js.create_consumer(&own.name, overlapping).await, "subjects");
    let broken = ConsumerConfig::new("bad").with_subject("a..b");
    invalid(own.js.create_consumer(&own.name, broken).await, "subject");
}

pub async fn a_consumer_that_nobody_uses_goes(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let mut config = ConsumerConfig::new("c");
    config.inactive_threshold = Duration::from_millis(500);
    own.js.create_consumer(&own.name, config).await.unwrap();
    crate::wait::until("the consumer to go", super::support::PATIENCE, async || {
        own.state().await.consumers == 0
    })
    .await;
}
