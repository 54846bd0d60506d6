//! What goes wrong under a member.

use std::sync::Arc;

use futures::StreamExt;
use naq_core::ErrorKind;
use naq_core::events::{Event, Filter};
use naq_core::jetstream::{ConsumerConfig, JetStream};
use naq_core::service::{HealthState, Service};
use naq_events::EventService;
use naq_events::reactions::{DeadCause, Outcome, SelectLetters};
use naq_tests::wait;

use crate::support::{Own, PATIENCE, Seen, options};

pub(crate) async fn a_log_made_anew_ends_the_member_with_a_conflict(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let seen = Seen::default();
    let reactor = own.reactions.react("g", Filter::new(), seen.done(), options()).await.unwrap();
    own.js.delete_stream(own.stream()).await.unwrap();
    own.js.create_stream(EventService::stream_config(&own.config).unwrap()).await.unwrap();
    let error = wait::within("the member to end", PATIENCE, reactor.ended()).await;
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
    assert_eq!(own.reactions.health().await.state, HealthState::Unhealthy);
}

pub(crate) async fn a_consumer_deleted_under_a_member_ends_it(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let seen = Seen::default();
    let reactor = own.reactions.react("g", Filter::new(), seen.done(), options()).await.unwrap();
    own.log(Event::job_paused("j")).await;
    seen.reach(1).await;
    own.js.delete_consumer(own.stream(), "g").await.unwrap();
    let error = wait::within("the member to end", PATIENCE, reactor.ended()).await;
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    assert!(error.hint().is_some());
    // It is not shown to be at work any more.
    own.js.create_consumer(own.stream(), ConsumerConfig::new("g")).await.unwrap();
    wait::until("the member to sign off", PATIENCE, async || {
        own.reactions.group("g").await.unwrap().members.is_some_and(|members| members.is_empty())
    })
    .await;
    assert_eq!(own.reactions.health().await.state, HealthState::Unhealthy);
}

pub(crate) async fn a_dead_letter_that_can_not_be_stored_keeps_its_event(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let seen = Seen::default();
    let rejects = seen.answering(|_| Outcome::reject("never"));
    let reactor = own.reactions.react("g", Filter::new(), rejects, options()).await.unwrap();
    own.js.delete_stream(&format!("{}_dead", own.stream())).await.unwrap();
    own.log(Event::job_paused("j")).await;
    wait::until("the event to come again", PATIENCE, async || reactor.counters().unburied >= 2)
        .await;
    let status = own.reactions.group("g").await.unwrap();
    assert_eq!((status.lag, reactor.counters().dead), (1, 0));
    // Once there is room again it is dead for what it died of, and not tried again.
    let other = own.another();
    other.react("other", Filter::new(), Seen::default().done(), options()).await.unwrap();
    wait::until("the letter", PATIENCE, async || reactor.counters().dead == 1).await;
    let mut letters = own.reactions.dead_letters(SelectLetters::of_group("g"));
    let letter = letters.next().await.unwrap().unwrap();
    assert_eq!((letter.cause, letter.reason.as_str()), (DeadCause::Rejected, "never"));
    assert_eq!(seen.tries(), [1]);
}
