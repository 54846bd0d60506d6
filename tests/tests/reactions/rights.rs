//! A member that may fetch and answer, and make nothing.

use async_nats::jetstream::consumer::{AckPolicy, pull, push};
use futures::TryStreamExt;
use naq_core::ErrorKind;
use naq_core::events::{Event, Filter};
use naq_core::jetstream::ConsumerConfig;
use naq_events::reactions::{
    DeadCause, DeadLetter, GroupOrder, GroupSetup, Outcome, SelectLetters,
};
use naq_tests::server::{NatsServer, User};
use naq_tests::{backend, wait};

use crate::support::{Own, PATIENCE, Seen, options};

/// What docs/reactions.md gives a member that makes nothing.
const MEMBER: [&str; 5] = [
    "$JS.API.STREAM.INFO.events",
    "$JS.API.CONSUMER.INFO.events.*",
    "$JS.API.CONSUMER.MSG.NEXT.events.*",
    "$JS.ACK.events.>",
    "events_dead.>",
];

/// A server with one who may everything, and one who may only handle; a log of
/// the admin's, and the same log as the member sees it.
async fn both() -> (NatsServer, Own, Own) {
    let server = NatsServer::builder()
        .user(User::new("admin", "a"))
        .user(User::new("member", "m").may_publish(MEMBER).may_subscribe(["_INBOX.>"]))
        .start()
        .await;
    let admin = Own::named(backend::connect(&server.url_as("admin", "a")).await, "events").await;
    let member = admin.seen_by(backend::connect(&server.url_as("member", "m")).await);
    (server, admin, member)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_right_to_make_a_consumer_the_refusal_says_what_to_do() {
    let (_server, admin, member) = both().await;
    let seen = Seen::default();
    let asked = member.reactions.react("g", Filter::new(), seen.done(), options());
    let error = wait::within("a refusal", PATIENCE, asked).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error:?}");
    assert_eq!(error.get("group"), Some("g"));
    assert!(error.get("subject").unwrap().starts_with("$JS.API.CONSUMER.CREATE.events.g"));
    assert!(error.hint().unwrap().contains("GroupSetup::Assume"), "{error:?}");
    // Nor where the consumer is there and the streams beside the log are not.
    admin.js.create_consumer("events", ConsumerConfig::new("g")).await.unwrap();
    let asked = member.reactions.react("g", Filter::new(), seen.done(), options());
    let error = wait::within("a refusal", PATIENCE, asked).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error:?}");
    assert!(error.hint().unwrap().contains("GroupSetup::Assume"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_an_operator_made_is_enough_to_handle_and_to_bury() {
    let (_server, admin, member) = both().await;
    // An admin's member made the streams, and has gone.
    let other = admin.reactions.react("other", Filter::new(), Seen::default().done(), options());
    other.await.unwrap().stop(PATIENCE).await;
    admin.js.create_consumer("events", ConsumerConfig::new("g")).await.unwrap();
    let seen = Seen::default();
    let third = seen.answering(|reaction| match reaction.recorded.sequence() {
        2 if reaction.tries == 1 => Outcome::retry(),
        3 => Outcome::reject("never"),
        _ => Outcome::Done,
    });
    let assume = options().with_setup(GroupSetup::Assume);
    let ordered = assume.clone().with_order(GroupOrder::Entity);
    let refused = member.reactions.react("g", Filter::new(), seen.done(), ordered).await;
    let error = refused.unwrap_err();
    assert_eq!((error.kind(), error.get("field")), (ErrorKind::Conflict, Some("order")));
    assert!(error.hint().unwrap().contains("max_ack_pending"), "{error:?}");
    let reactor = member.reactions.react("g", Filter::new(), third, assume).await.unwrap();
    for n in 0..3 {
        admin.log(Event::job_paused(format!("j{n}"))).await;
    }
    seen.reach(4).await;
    let read = || admin.reactions.dead_letters(SelectLetters::default()).try_collect();
    wait::until("the dead letter", PATIENCE, async || {
        let letters: Vec<DeadLetter> = read().await.unwrap();
        letters.len() == 1 && letters[0].cause == DeadCause::Rejected
    })
    .await;
    wait::until("the group to be idle", PATIENCE, async || {
        admin.reactions.group("g").await.is_ok_and(|status| status.lag == 0)
    })
    .await;
    let counters = reactor.counters();
    assert_eq!((counters.done, counters.retried, counters.dead), (2, 1, 1), "{counters:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operators_consumer_that_would_lose_events_is_refused() {
    let server = NatsServer::start().await;
    let own = Own::new(backend::connect(&server.url()).await).await;
    let context = async_nats::jetstream::new(server.client().await);
    let stream = context.get_stream(own.stream()).await.unwrap();
    for (policy, name) in [(AckPolicy::None, "none"), (AckPolicy::All, "all")] {
        let durable_name = Some(name.to_owned());
        let config = pull::Config { durable_name, ack_policy: policy, ..pull::Config::default() };
        stream.create_consumer(config).await.unwrap();
    }
    let pushes = push::Config {
        durable_name: Some("push".to_owned()),
        deliver_subject: "elsewhere".to_owned(),
        ..push::Config::default()
    };
    stream.create_consumer(pushes).await.unwrap();
    let assume = options().with_setup(GroupSetup::Assume);
    for (group, field) in [("none", "ack_policy"), ("all", "ack_policy"), ("push", "deliver")] {
        let seen = Seen::default();
        let refused = own.reactions.react(group, Filter::new(), seen.done(), assume.clone()).await;
        let error = refused.unwrap_err();
        assert_eq!((error.kind(), error.get("field")), (ErrorKind::Conflict, Some(field)));
    }
}
