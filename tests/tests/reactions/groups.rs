//! Managing groups.

use std::sync::Arc;

use naq_core::ErrorKind;
use naq_core::events::{Event, Filter};
use naq_core::jetstream::{ConsumerConfig, GetMessage, JetStream, Which};
use naq_events::reactions::{GroupOrder, GroupSetup, GroupStart, Outcome};
use naq_tests::wait;

use crate::support::{Own, PATIENCE, Seen, idle, options};

pub(crate) async fn a_group_tells_how_it_stands(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    for n in 0..4 {
        own.log(Event::job_paused(format!("j{n}"))).await;
    }
    let seen = Seen::default();
    let stuck = seen.answering(|reaction| match reaction.recorded.sequence() {
        2 => Outcome::Retry(Some(PATIENCE)),
        4 => Outcome::reject("never"),
        _ => Outcome::Done,
    });
    let filter = Filter::new().event_type("job_paused");
    own.reactions.react("g", filter, stuck, options()).await.unwrap();
    let status = wait::some("the group to have done all it can", PATIENCE, async || {
        let status = own.reactions.group("g").await.unwrap();
        let members = status.members.clone().unwrap_or_default();
        (status.dead == 1 && status.lag == 1 && members.len() == 1).then_some(status)
    })
    .await;
    assert_eq!(status.filter.as_deref(), Some(r#"{"type":"job_paused"}"#));
    assert_eq!((status.order, status.paused), ("none", Some(false)));
    assert_eq!((status.in_hand, status.handled_through), (1, 1));
    assert_eq!(status.oldest_unhandled.map(|position| position.sequence), Some(2));
    let stored_at = status.oldest_stored_at.unwrap();
    assert_eq!(stored_at, own.js.get_message(own.stream(), second()).await.unwrap().stored_at);
    assert_eq!(own.reactions.groups().await.unwrap().len(), 1);
    // What its member does now shows with the member's next sign of life.
    let told = wait::some("the rate and the failures", PATIENCE, async || {
        own.log(Event::job_paused("on")).await;
        let status = own.reactions.group("g").await.unwrap();
        (status.rate > 0.0 && status.failures > 0).then_some(status)
    })
    .await;
    // One is being tried again, another is dead.
    assert_eq!((told.failures, told.retrying), (2, 0));
    let member = &told.members.unwrap()[0];
    assert!(member.counters.done >= 2 && member.concurrency == 16, "{member:?}");
}

fn second() -> GetMessage {
    GetMessage::new(Which::Sequence(2))
}

pub(crate) async fn a_paused_group_handles_nothing_until_it_is_resumed(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let seen = Seen::default();
    let reactor = own.reactions.react("g", Filter::new(), seen.done(), options()).await.unwrap();
    own.log(Event::job_paused("1")).await;
    seen.reach(1).await;
    reactor.stop(PATIENCE).await;
    own.reactions.pause_group("g").await.unwrap();
    own.reactions.pause_group("g").await.unwrap();
    assert_eq!(own.reactions.group("g").await.unwrap().paused, Some(true));
    own.log(Event::job_paused("2")).await;
    let other = own.another();
    other.react("g", Filter::new(), seen.done(), options()).await.unwrap();
    // It is at work, and takes nothing.
    wait::until("the member to be listed", PATIENCE, async || {
        own.reactions.group("g").await.unwrap().members.is_some_and(|list| list.len() == 1)
    })
    .await;
    assert_eq!(seen.sequences(), [1]);
    own.reactions.resume_group("g").await.unwrap();
    seen.reach(2).await;
    assert_eq!(seen.sequences(), [1, 2]);
}

pub(crate) async fn a_pause_holds_for_members_that_are_waiting_for_events(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let seen = Seen::default();
    let reactor = own.reactions.react("g", Filter::new(), seen.done(), options()).await.unwrap();
    own.log(Event::job_paused("j")).await;
    seen.reach(1).await;
    own.reactions.pause_group("g").await.unwrap();
    // What its fetches bring that were under way is put off, once it knows.
    let mut last = 1;
    wait::until("an event to be put off", PATIENCE, async || {
        last = own.log(Event::job_paused("j")).await;
        reactor.counters().put_off > 0
    })
    .await;
    let (handled, status) = (seen.sequences(), own.reactions.group("g").await.unwrap());
    assert!(status.lag > 0 && !handled.contains(&last), "{status:?}");
    own.reactions.resume_group("g").await.unwrap();
    seen.reach(usize::try_from(last).unwrap()).await;
    idle(&own, "g").await;
    let mut all = seen.sequences();
    all.sort_unstable();
    assert_eq!(all, (1..=last).collect::<Vec<_>>(), "each once");
}

pub(crate) async fn a_group_is_moved_and_a_dry_run_moves_nothing(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let seen = Seen::default();
    for n in 0..10 {
        own.log(Event::job_paused(format!("j{n}"))).await;
    }
    own.reactions.react("g", Filter::new(), seen.done(), options()).await.unwrap();
    seen.reach(10).await;
    idle(&own, "g").await;
    let to = GroupStart::Sequence(8);
    let asked = own.reactions.seek_group("g", to, true).await.unwrap();
    assert_eq!((asked.events, asked.before, asked.dry_run), (3, 0, true));
    idle(&own, "g").await;
    assert_eq!(seen.sequences().len(), 10);
    let moved = own.reactions.seek_group("g", to, false).await.unwrap();
    assert_eq!((moved.events, moved.dry_run), (3, false));
    seen.reach(13).await;
    let mut again = seen.sequences().split_off(10);
    again.sort_unstable();
    assert_eq!(again, [8, 9, 10]);
    let wrong = own.reactions.seek_group("g", GroupStart::Sequence(0), false).await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::InvalidArgument);
}

pub(crate) async fn another_filter_or_order_is_a_conflict(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let seen = Seen::default();
    let failed = || Filter::new().event_type("job_failed");
    own.reactions.react("g", failed(), seen.done(), options()).await.unwrap();
    own.reactions.react("g", failed(), seen.done(), options()).await.unwrap();
    let other = own.reactions.react("g", Filter::new().job("j"), seen.done(), options()).await;
    let error = other.unwrap_err();
    assert_eq!((error.kind(), error.get("field")), (ErrorKind::Conflict, Some("filter")));
    assert_eq!(error.get("had"), Some(r#"{"type":"job_failed"}"#));
    assert_eq!(error.get("wanted"), Some(r#"{"job_id":"j"}"#));
    let ordered = options().with_order(GroupOrder::Entity);
    let error = own.reactions.react("g", failed(), seen.done(), ordered).await.unwrap_err();
    assert_eq!((error.kind(), error.get("field")), (ErrorKind::Conflict, Some("order")));
}

pub(crate) async fn a_removed_group_ends_its_members(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let seen = Seen::default();
    let reactor = own.reactions.react("g", Filter::new(), seen.done(), options()).await.unwrap();
    own.reactions.remove_group("g").await.unwrap();
    let error = wait::within("the member to end", PATIENCE, reactor.ended()).await;
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    assert!(own.reactions.groups().await.unwrap().is_empty());
}

pub(crate) async fn a_group_that_is_not_there_is_not_found(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let kinds = [
        own.reactions.group("g").await.map(drop),
        own.reactions.pause_group("g").await,
        own.reactions.remove_group("g").await,
        own.reactions.seek_group("g", GroupStart::New, true).await.map(drop),
    ];
    for result in kinds {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::NotFound);
    }
}

pub(crate) async fn a_member_may_use_a_consumer_that_an_operator_made(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let seen = Seen::default();
    let assume = options().with_setup(GroupSetup::Assume);
    let filter = || Filter::new().event_type("job_paused");
    let missing = own.reactions.react("g", filter(), seen.done(), assume.clone()).await;
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
    own.js.create_consumer(own.stream(), ConsumerConfig::new("g")).await.unwrap();
    let reactor = own.reactions.react("g", filter(), seen.done(), assume).await.unwrap();
    own.log(Event::job_resumed("j")).await;
    own.log(Event::job_paused("j")).await;
    seen.reach(1).await;
    assert_eq!(seen.sequences(), [2]);
    wait::until("the other to be passed over", PATIENCE, async || {
        reactor.counters().passed_over == 1
    })
    .await;
}

pub(crate) async fn a_consumer_that_would_lose_events_is_refused(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let twice = ConsumerConfig::new("g").with_max_deliver(2);
    own.js.create_consumer(own.stream(), twice).await.unwrap();
    let assume = options().with_setup(GroupSetup::Assume);
    let refused = own.reactions.react("g", Filter::new(), Seen::default().done(), assume).await;
    let error = refused.unwrap_err();
    assert_eq!((error.kind(), error.get("field")), (ErrorKind::Conflict, Some("max_deliver")));
}

/// Were all that it hands out on fetches that lack something still, each of
/// these would have to give up first: 200 events would take minutes.
pub(crate) async fn a_consumer_that_hands_out_few_at_a_time_keeps_its_members_at_work(
    js: Arc<dyn JetStream>,
) {
    let own = Own::new(js).await;
    let few = ConsumerConfig::new("g").with_max_ack_pending(8);
    own.js.create_consumer(own.stream(), few).await.unwrap();
    let seen = Seen::default();
    let assume = options().with_setup(GroupSetup::Assume);
    let other = own.another();
    own.reactions.react("g", Filter::new(), seen.done(), assume.clone()).await.unwrap();
    other.react("g", Filter::new(), seen.done(), assume).await.unwrap();
    for n in 0..200 {
        own.log(Event::job_paused(format!("j{n}"))).await;
    }
    seen.reach(200).await;
    idle(&own, "g").await;
    assert_eq!(seen.sequences().len(), 200);
}

pub(crate) async fn many_members_of_a_consumer_that_hands_out_few_do_not_wait_for_one_another(
    js: Arc<dyn JetStream>,
) {
    let own = Own::new(js).await;
    let few = ConsumerConfig::new("g").with_max_ack_pending(40);
    own.js.create_consumer(own.stream(), few).await.unwrap();
    let seen = Seen::default();
    let assume = options().with_setup(GroupSetup::Assume);
    let others: Vec<_> = (0..10).map(|_| own.another()).collect();
    for other in &others {
        other.react("g", Filter::new(), seen.done(), assume.clone()).await.unwrap();
    }
    for n in 0..1_000 {
        own.log(Event::job_paused(format!("j{n}"))).await;
    }
    seen.reach(1_000).await;
    idle(&own, "g").await;
    assert_eq!(seen.sequences().len(), 1_000);
}
