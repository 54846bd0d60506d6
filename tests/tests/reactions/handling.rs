//! Handing events to handlers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use naq_core::ErrorKind;
use naq_core::events::{Event, Filter};
use naq_core::jetstream::JetStream;
use naq_core::service::Service;
use naq_events::reactions::{
    DeadCause, GroupOrder, GroupStart, Outcome, ReactOptions, Reaction, SelectLetters,
};
use naq_tests::wait;
use tokio::sync::Semaphore;

use crate::support::{Own, PATIENCE, Seen, idle, options};

pub(crate) async fn every_event_that_the_filter_means_is_handled_once(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let slow = Filter::new().event_type("job_completed").field("duration").at_least(2.0);
    let seen = Seen::default();
    let reactor = own.reactions.react("g", slow, seen.done(), options()).await.unwrap();
    let mut wanted = Vec::new();
    for n in 0..50 {
        let sequence = own.log(Event::job_completed(format!("j{n}"), f64::from(n % 4), true)).await;
        own.log(Event::job_started(format!("j{n}"), "w", "q")).await;
        if n % 4 >= 2 {
            wanted.push(sequence);
        }
    }
    seen.reach(wanted.len()).await;
    idle(&own, "g").await;
    let mut handled = seen.sequences();
    handled.sort_unstable();
    assert_eq!(handled, wanted);
    assert!(seen.tries().iter().all(|&tries| tries == 1));
    let counters = reactor.counters();
    // Only the type is chosen by the server, where it can; the duration is checked here.
    let passed_over = if own.js.capabilities().nested_filters { 26 } else { 76 };
    assert_eq!((counters.done, counters.passed_over, counters.failures()), (24, passed_over, 0));
    let first = &seen.recorded()[0];
    assert!(first.event.id.is_some() && first.position.sequence == first.sequence());
}

pub(crate) async fn a_group_goes_on_where_it_stood(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log(Event::job_paused("1")).await;
    let seen = Seen::default();
    let reactor = own.reactions.react("g", Filter::new(), seen.done(), options()).await.unwrap();
    seen.reach(1).await;
    reactor.stop(PATIENCE).await;
    own.log(Event::job_paused("2")).await;
    let again = Seen::default();
    let other = own.another();
    other.react("g", Filter::new(), again.done(), options()).await.unwrap();
    again.reach(1).await;
    assert_eq!((seen.sequences(), again.sequences()), (vec![1], vec![2]));
}

pub(crate) async fn a_group_starts_where_it_is_told(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log(Event::job_paused("1")).await;
    own.log(Event::job_paused("2")).await;
    let all = || Filter::new();
    let (new, third) = (Seen::default(), Seen::default());
    let from = |start| options().with_start(start);
    own.reactions.react("new", all(), new.done(), from(GroupStart::New)).await.unwrap();
    own.reactions.react("two", all(), third.done(), from(GroupStart::Sequence(2))).await.unwrap();
    own.log(Event::job_paused("3")).await;
    new.reach(1).await;
    third.reach(2).await;
    // A group begins its events in their order, and several at a time.
    let mut both = third.recorded();
    both.sort_by_key(|recorded| recorded.sequence());
    let sequences: Vec<u64> = both.iter().map(|recorded| recorded.sequence()).collect();
    assert_eq!((new.sequences(), sequences), (vec![3], vec![2, 3]));
    let stored_at = both[1].stored_at;
    let timed = Seen::default();
    let at = from(GroupStart::Time(stored_at));
    own.reactions.react("timed", all(), timed.done(), at).await.unwrap();
    timed.reach(1).await;
    assert_eq!(timed.sequences(), [3]);
}

pub(crate) async fn two_members_share_the_events(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    for n in 0..200 {
        own.log(Event::job_paused(format!("j{n}"))).await;
    }
    let seen = Seen::default();
    let slowly = |seen: &Seen| {
        let seen = seen.clone();
        move |reaction: Reaction| {
            let seen = seen.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(2)).await;
                seen.note(&reaction);
                Outcome::Done
            }
        }
    };
    let few = options().with_concurrency(2);
    let other = own.another();
    let one = own.reactions.react("g", Filter::new(), slowly(&seen), few.clone()).await.unwrap();
    let two = other.react("g", Filter::new(), slowly(&seen), few).await.unwrap();
    seen.reach(200).await;
    idle(&own, "g").await;
    assert_eq!(seen.sequences().into_iter().collect::<BTreeSet<_>>(), (1..=200).collect());
    assert_eq!(seen.sequences().len(), 200);
    assert!(one.counters().done > 0 && two.counters().done > 0);
}

pub(crate) async fn two_groups_get_every_event_each(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let (one, two) = (Seen::default(), Seen::default());
    own.reactions.react("one", Filter::new(), one.done(), options()).await.unwrap();
    own.reactions.react("two", Filter::new(), two.done(), options()).await.unwrap();
    for n in 0..10 {
        own.log(Event::job_paused(format!("j{n}"))).await;
    }
    for seen in [one, two] {
        seen.reach(10).await;
        assert_eq!(seen.sequences().into_iter().collect::<BTreeSet<_>>(), (1..=10).collect());
    }
}

pub(crate) async fn a_retry_comes_again_with_its_tries_counted(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let seen = Seen::default();
    let third_time = seen
        .answering(|reaction| if reaction.tries < 3 { Outcome::retry() } else { Outcome::Done });
    let reactor = own.reactions.react("g", Filter::new(), third_time, options()).await.unwrap();
    own.log(Event::job_paused("j")).await;
    seen.reach(3).await;
    idle(&own, "g").await;
    assert_eq!((seen.sequences(), seen.tries()), (vec![1, 1, 1], vec![1, 2, 3]));
    assert_eq!((reactor.counters().done, reactor.counters().retried), (1, 2));
}

pub(crate) async fn a_try_past_its_deadline_has_failed(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let seen = Seen::default();
    let hangs_once = {
        let seen = seen.clone();
        move |reaction: Reaction| {
            seen.note(&reaction);
            async move {
                if reaction.tries == 1 {
                    std::future::pending::<()>().await;
                }
                Outcome::Done
            }
        }
    };
    let soon = options().with_deadline(Duration::from_millis(50));
    let reactor = own.reactions.react("g", Filter::new(), hangs_once, soon).await.unwrap();
    own.log(Event::job_paused("j")).await;
    seen.reach(2).await;
    idle(&own, "g").await;
    assert_eq!(seen.tries(), [1, 2]);
    assert_eq!((reactor.counters().timed_out, reactor.counters().done), (1, 1));
}

pub(crate) async fn a_panic_fails_one_try_alone(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let seen = Seen::default();
    let panics_once = seen.answering(|reaction| {
        let is_first = reaction.tries == 1 && reaction.recorded.sequence() == 1;
        assert!(!is_first, "on purpose");
        Outcome::Done
    });
    let reactor = own.reactions.react("g", Filter::new(), panics_once, options()).await.unwrap();
    own.log(Event::job_paused("1")).await;
    own.log(Event::job_paused("2")).await;
    seen.reach(3).await;
    idle(&own, "g").await;
    assert_eq!((reactor.counters().panicked, reactor.counters().done), (1, 2));
}

pub(crate) async fn long_work_is_not_given_to_another_member(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let seen = Seen::default();
    let slowly = |seen: &Seen| {
        let seen = seen.clone();
        move |reaction: Reaction| {
            seen.note(&reaction);
            async {
                tokio::time::sleep(Duration::from_millis(2_500)).await;
                Outcome::Done
            }
        }
    };
    let short = options().with_ack_wait(Duration::from_secs(1));
    let other = own.another();
    own.reactions.react("g", Filter::new(), slowly(&seen), short.clone()).await.unwrap();
    other.react("g", Filter::new(), slowly(&seen), short).await.unwrap();
    own.log(Event::job_paused("j")).await;
    idle(&own, "g").await;
    assert_eq!((seen.sequences(), seen.tries()), (vec![1], vec![1]));
}

pub(crate) async fn events_of_one_entity_are_handled_in_order_through_retries(
    js: Arc<dyn JetStream>,
) {
    let own = Own::new(js).await;
    for n in 0..30 {
        own.log(Event::job_progress("j", n.to_string())).await;
    }
    let done = Seen::default();
    let sometimes = |done: &Seen| {
        let done = done.clone();
        move |reaction: Reaction| {
            let fails = reaction.tries == 1 && reaction.recorded.sequence().is_multiple_of(5);
            if !fails {
                done.note(&reaction);
            }
            std::future::ready(if fails { Outcome::retry() } else { Outcome::Done })
        }
    };
    let ordered = options().with_order(GroupOrder::Entity);
    let other = own.another();
    own.reactions.react("g", Filter::new(), sometimes(&done), ordered.clone()).await.unwrap();
    other.react("g", Filter::new(), sometimes(&done), ordered).await.unwrap();
    done.reach(30).await;
    assert_eq!(done.sequences(), (1..=30).collect::<Vec<_>>());
}

pub(crate) async fn a_stop_finishes_what_is_under_way_and_gives_back_the_rest(
    js: Arc<dyn JetStream>,
) {
    let own = Own::new(js).await;
    for n in 0..6 {
        own.log(Event::job_paused(format!("j{n}"))).await;
    }
    let (begun, may_end) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let handler = {
        let (begun, may_end) = (Arc::clone(&begun), Arc::clone(&may_end));
        move |_: Reaction| {
            let (begun, may_end) = (Arc::clone(&begun), Arc::clone(&may_end));
            async move {
                begun.fetch_add(1, Ordering::SeqCst);
                may_end.acquire().await.unwrap().forget();
                Outcome::Done
            }
        }
    };
    // Nothing comes of the ack wait's end here.
    let two = options().with_concurrency(2).with_ack_wait(Duration::from_secs(600));
    let reactor = own.reactions.react("g", Filter::new(), handler, two).await.unwrap();
    wait::until("two to be under way", PATIENCE, async || begun.load(Ordering::SeqCst) == 2).await;
    // One of the two ends in time, the other never does.
    may_end.add_permits(1);
    let report = reactor.stop(Duration::from_millis(300)).await;
    assert_eq!(reactor.counters().done, 1, "{report:?}");
    assert!(report.pending >= 1, "{report:?}");
    assert_eq!(reactor.ended().await.kind(), ErrorKind::Closed);
    // What was given back comes at once.
    let rest = Seen::default();
    let other = own.another();
    other.react("g", Filter::new(), rest.done(), options()).await.unwrap();
    rest.reach(5).await;
    idle(&own, "g").await;
    assert_eq!(rest.sequences().len(), 5);
    // The service has nothing left to stop.
    assert!(own.reactions.stop(PATIENCE).await.unwrap().is_clean());
    let late = own.reactions.react("g", Filter::new(), rest.done(), options()).await;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Closed);
}

pub(crate) async fn what_a_member_was_given_and_did_not_begin_is_handled_all_the_same(
    js: Arc<dyn JetStream>,
) {
    let own = Own::new(js).await;
    for n in 0..6 {
        own.log(Event::job_paused(format!("j{n}"))).await;
    }
    let one_try = options().with_max_tries(1).with_concurrency(2);
    let begun = Seen::default();
    let reactor = own.reactions.react("g", Filter::new(), begun.hanging(), one_try.clone()).await;
    begun.reach(2).await;
    wait::until("it to be given more than it has begun", PATIENCE, async || {
        own.reactions.group("g").await.is_ok_and(|status| status.in_hand > 2)
    })
    .await;
    reactor.unwrap().stop(Duration::ZERO).await;
    let (done, other) = (Seen::default(), own.another());
    other.react("g", Filter::new(), done.done(), one_try).await.unwrap();
    idle(&own, "g").await;
    let all: BTreeSet<_> = done.sequences().into_iter().collect();
    assert_eq!(all, (1..=6).collect());
    assert_eq!(own.reactions.group("g").await.unwrap().dead, 0);
}

pub(crate) async fn an_event_whose_member_dies_each_time_is_dead_after_its_tries(
    js: Arc<dyn JetStream>,
) {
    let own = Own::new(js).await;
    own.log(Event::job_paused("j")).await;
    let twice = options().with_max_tries(2).with_ack_wait(Duration::from_secs(1));
    let begun = Seen::default();
    for turn in 1..=2 {
        let other = own.another();
        other.react("g", Filter::new(), begun.hanging(), twice.clone()).await.unwrap();
        begun.reach(turn).await;
        // Dropped with its service: nothing is given back.
        drop(other);
    }
    own.reactions.react("g", Filter::new(), begun.hanging(), twice).await.unwrap();
    idle(&own, "g").await;
    let mut letters = own.reactions.dead_letters(SelectLetters::default());
    let letter = letters.next().await.unwrap().unwrap();
    assert_eq!(letter.cause, DeadCause::NoOutcome, "{letter:?}");
    assert_eq!(begun.sequences().len(), 2, "no third try");
}

pub(crate) async fn wrong_groups_filters_and_options_are_refused_by_field(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let seen = Seen::default();
    let field = async |group: &str, filter: Filter, options: ReactOptions| {
        let error = own.reactions.react(group, filter, seen.done(), options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error:?}");
        error.get("field").map(ToOwned::to_owned)
    };
    assert_eq!(field("a.b", Filter::new(), options()).await.as_deref(), Some("group"));
    let broken = Filter::new().field("error").matches("(");
    assert_eq!(field("g", broken, options()).await.as_deref(), Some("error.regex"));
    let none = options().with_max_tries(0);
    assert_eq!(field("g", Filter::new(), none).await.as_deref(), Some("max_tries"));
    assert!(own.reactions.groups().await.unwrap().is_empty(), "nothing was made");
}
