//! Dead letters.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::TryStreamExt;
use naq_core::ErrorKind;
use naq_core::events::{Event, Filter};
use naq_core::jetstream::{JetStream, PublishMessage, PurgeKeep, PurgeOptions};
use naq_events::reactions::{
    DeadCause, DeadLetter, GroupOrder, GroupStart, Handler, MalformedReaction, Outcome, Reaction,
    SelectLetters,
};
use naq_tests::wait;

use crate::support::{Own, PATIENCE, Seen, idle, options};

async fn letters(own: &Own, select: SelectLetters) -> Vec<DeadLetter> {
    own.reactions.dead_letters(select).try_collect().await.unwrap()
}

async fn one_letter(own: &Own) -> DeadLetter {
    let found = wait::some("a dead letter", PATIENCE, async || {
        letters(own, SelectLetters::default()).await.into_iter().next()
    });
    found.await
}

pub(crate) async fn a_rejected_event_is_kept_byte_for_byte(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let seen = Seen::default();
    let rejects = seen.answering(|_| Outcome::reject("no such\r\norder"));
    let reactor = own.reactions.react("g", Filter::new(), rejects, options()).await.unwrap();
    own.log(Event::job_failed("j", "boom", 1.0)).await;
    let letter = one_letter(&own).await;
    let recorded = &seen.recorded()[0];
    assert_eq!(letter.payload, recorded.payload);
    assert_eq!((letter.position, letter.stored_at), (recorded.position, recorded.stored_at));
    assert_eq!((letter.group.as_str(), letter.subject.as_str()), ("g", recorded.subject.as_str()));
    assert_eq!((letter.cause, letter.tries), (DeadCause::Rejected, 1));
    assert_eq!(letter.reason, "no such  order");
    assert_eq!(letter.event().unwrap(), recorded.event);
    idle(&own, "g").await;
    assert_eq!((reactor.counters().dead, seen.tries()), (1, vec![1]));
}

pub(crate) async fn an_event_that_fails_as_often_as_allowed_is_dead(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let seen = Seen::default();
    let fails = seen.answering(|_| Outcome::retry());
    let thrice = options().with_max_tries(3);
    own.reactions.react("g", Filter::new(), fails, thrice).await.unwrap();
    own.log(Event::job_paused("j")).await;
    let letter = one_letter(&own).await;
    assert_eq!((letter.cause, letter.tries), (DeadCause::TriesExhausted, 3));
    idle(&own, "g").await;
    assert_eq!(seen.tries(), [1, 2, 3]);
}

pub(crate) async fn what_is_no_event_is_dead_by_default(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.foreign("log.x", b"{not json").await;
    own.log(Event::job_paused("j")).await;
    let seen = Seen::default();
    let reactor = own.reactions.react("g", Filter::new(), seen.done(), options()).await.unwrap();
    let letter = one_letter(&own).await;
    assert_eq!((letter.cause, &letter.payload[..]), (DeadCause::Malformed, &b"{not json"[..]));
    assert!(letter.event().is_err() && letter.reason.contains("JSON"), "{letter:?}");
    idle(&own, "g").await;
    assert_eq!((seen.sequences(), reactor.counters().malformed), (vec![2], 1));
}

struct TakesAll(Seen);

#[async_trait]
impl Handler for TakesAll {
    async fn handle(&self, reaction: Reaction) -> Outcome {
        self.0.note(&reaction);
        Outcome::Done
    }

    async fn on_malformed(&self, malformed: MalformedReaction) -> Outcome {
        assert_eq!(&malformed.malformed.payload[..], b"[]");
        Outcome::Done
    }
}

pub(crate) async fn a_handler_may_take_what_is_no_event(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.foreign("log.x", b"[]").await;
    let handler = TakesAll(Seen::default());
    let reactor = own.reactions.react("g", Filter::new(), handler, options()).await.unwrap();
    idle(&own, "g").await;
    assert_eq!((reactor.counters().malformed, reactor.counters().dead), (1, 0));
}

pub(crate) async fn a_replay_goes_to_its_group_alone(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let (seen, other) = (Seen::default(), Seen::default());
    // Fails in the log, and is done when it comes from the dead.
    let mends =
        seen.answering(
            |reaction| {
                if reaction.is_replay { Outcome::Done } else { Outcome::reject("not yet") }
            },
        );
    own.reactions.react("g", Filter::new().job("j"), mends, options()).await.unwrap();
    own.reactions.react("other", Filter::new(), other.done(), options()).await.unwrap();
    own.log(Event::job_paused("j")).await;
    let letter = one_letter(&own).await;
    own.reactions.replay_dead(letter.sequence).await.unwrap();
    seen.reach(2).await;
    let (first, again) = (&seen.recorded()[0], &seen.recorded()[1]);
    assert_eq!(first, again, "the same event, place and time");
    assert_eq!((seen.tries(), other.sequences()), (vec![1, 1], vec![1]));
    assert!(letters(&own, SelectLetters::default()).await.is_empty());
    let log = own.js.stream_info(own.stream()).await.unwrap();
    assert_eq!(log.state.messages, 1, "the log got nothing");
    let gone = own.reactions.replay_dead(letter.sequence).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
}

pub(crate) async fn a_replay_that_nobody_would_be_handed_is_refused(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let rejects = Seen::default().answering(|_| Outcome::reject("never"));
    let reactor = own.reactions.react("g", Filter::new(), rejects, options()).await.unwrap();
    own.log(Event::job_paused("1")).await;
    own.log(Event::job_paused("2")).await;
    idle(&own, "g").await;
    reactor.stop(PATIENCE).await;
    let all = letters(&own, SelectLetters::default()).await;
    // The first waits for a member; then the group is removed.
    own.reactions.replay_dead(all[0].sequence).await.unwrap();
    own.reactions.remove_group("g").await.unwrap();
    let error = own.reactions.replay_dead(all[1].sequence).await.unwrap_err();
    assert_eq!((error.kind(), error.get("group")), (ErrorKind::NotFound, Some("g")));
    assert_eq!(letters(&own, SelectLetters::default()).await, all[1..], "the letter stays");
    // A new group of that name has nothing to do with it.
    let (seen, other) = (Seen::default(), own.another());
    let new = options().with_start(GroupStart::New);
    other.react("g", Filter::new(), seen.done(), new).await.unwrap();
    own.log(Event::job_paused("3")).await;
    seen.reach(1).await;
    idle(&own, "g").await;
    assert_eq!(seen.sequences(), [3]);
    // Which can be handed what died before it was made.
    own.reactions.replay_dead(all[1].sequence).await.unwrap();
    seen.reach(2).await;
    assert_eq!(seen.sequences(), [3, all[1].position.sequence]);
}

pub(crate) async fn what_leaves_no_room_for_its_cause_stays_in_the_log(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let limit = usize::try_from(own.js.server_info().max_payload).unwrap();
    let payload = vec![b'x'; limit];
    let subject = format!("{}.log.x", own.config.subject_root);
    own.js.publish(PublishMessage::new(subject, payload.clone())).await.unwrap();
    let ordered = options().with_order(GroupOrder::Entity);
    let seen = Seen::default();
    own.reactions.react("g", Filter::new(), seen.done(), ordered).await.unwrap();
    own.log(Event::job_paused("j")).await;
    // It keeps nothing behind it waiting.
    seen.reach(1).await;
    let letter = one_letter(&own).await;
    assert_eq!((letter.cause, letter.is_kept), (DeadCause::Malformed, false));
    assert!(letter.payload == payload, "byte for byte");
    own.reactions.replay_dead(letter.sequence).await.unwrap();
    let again = wait::some("it to be dead again", PATIENCE, async || {
        let all = letters(&own, SelectLetters::default()).await;
        all.into_iter().find(|again| again.sequence > letter.sequence)
    })
    .await;
    assert!(again.payload == payload && again.position == letter.position);
    let gone = PurgeOptions::default().with_keep(PurgeKeep::FromSequence(3));
    own.js.purge_stream(own.stream(), gone).await.unwrap();
    let lost = own.reactions.dead_letter(again.sequence).await.unwrap();
    assert!(lost.payload.is_empty() && !lost.is_kept);
    let error = own.reactions.replay_dead(again.sequence).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

pub(crate) async fn replays_of_a_group_in_order_come_one_at_a_time(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let under_way = Arc::new(AtomicUsize::new(0));
    let seen = Seen::default();
    let handler = {
        let seen = seen.clone();
        move |reaction: Reaction| {
            let (seen, under_way) = (seen.clone(), Arc::clone(&under_way));
            async move {
                if !reaction.is_replay {
                    return Outcome::reject("not yet");
                }
                assert_eq!(under_way.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
                tokio::time::sleep(Duration::from_millis(20)).await;
                under_way.fetch_sub(1, Ordering::SeqCst);
                seen.note(&reaction);
                Outcome::Done
            }
        }
    };
    let ordered = options().with_order(GroupOrder::Entity);
    let reactor = own.reactions.react("g", Filter::new(), handler, ordered).await.unwrap();
    for n in 0..4 {
        own.log(Event::job_progress("j", n.to_string())).await;
    }
    idle(&own, "g").await;
    for letter in letters(&own, SelectLetters::default()).await {
        own.reactions.replay_dead(letter.sequence).await.unwrap();
    }
    seen.reach(4).await;
    assert_eq!((seen.sequences(), reactor.counters().panicked), (vec![1, 2, 3, 4], 0));
}

pub(crate) async fn a_dropped_letter_is_gone(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let seen = Seen::default();
    let rejects = seen.answering(|_| Outcome::reject("never"));
    own.reactions.react("g", Filter::new(), rejects, options()).await.unwrap();
    for n in 0..3 {
        own.log(Event::job_paused(format!("j{n}"))).await;
    }
    idle(&own, "g").await;
    let all = letters(&own, SelectLetters::default()).await;
    own.reactions.drop_dead(all[0].sequence).await.unwrap();
    assert_eq!(letters(&own, SelectLetters::default()).await, all[1..]);
    let again = own.reactions.drop_dead(all[0].sequence).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotFound);
    assert_eq!(own.reactions.drop_all_dead("g").await.unwrap(), 2);
    assert_eq!(own.reactions.drop_all_dead("g").await.unwrap(), 0);
}

pub(crate) async fn a_letter_that_was_dropped_is_kept_anew_when_its_event_comes_again(
    js: Arc<dyn JetStream>,
) {
    let own = Own::new(js).await;
    let rejects = Seen::default().answering(|_| Outcome::reject("never"));
    own.reactions.react("g", Filter::new(), rejects, options()).await.unwrap();
    own.log(Event::job_paused("j")).await;
    let first = one_letter(&own).await;
    own.reactions.drop_dead(first.sequence).await.unwrap();
    own.reactions.seek_group("g", GroupStart::Beginning, false).await.unwrap();
    let again = one_letter(&own).await;
    assert!(again.sequence > first.sequence);
    assert_eq!(again.position, first.position);
    // While it is there, one letter is enough.
    own.reactions.seek_group("g", GroupStart::Beginning, false).await.unwrap();
    idle(&own, "g").await;
    assert_eq!(letters(&own, SelectLetters::default()).await.len(), 1);
}

pub(crate) async fn letters_are_selected_by_group_type_cause_and_time(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    for group in ["a", "b"] {
        let rejects = Seen::default().answering(|_| Outcome::reject("never"));
        own.reactions.react(group, Filter::new(), rejects, options()).await.unwrap();
    }
    own.log(Event::job_paused("j")).await;
    own.log(Event::job_failed("j", "e", 1.0)).await;
    idle(&own, "a").await;
    idle(&own, "b").await;
    let count = async |select| letters(&own, select).await.len();
    assert_eq!(count(SelectLetters::default()).await, 4);
    assert_eq!(count(SelectLetters::of_group("a")).await, 2);
    assert_eq!(count(SelectLetters::of_group("a").with_event_type("job_failed")).await, 1);
    assert_eq!(count(SelectLetters::default().with_cause(DeadCause::Rejected)).await, 4);
    assert_eq!(count(SelectLetters::default().with_cause(DeadCause::NoOutcome)).await, 0);
    let last = letters(&own, SelectLetters::default()).await.last().unwrap().died_at;
    let before = SelectLetters::default().with_range(None, Some(last));
    let from = SelectLetters::default().with_range(Some(last), None);
    assert_eq!(count(before).await + count(from.clone()).await, 4);
    assert!(count(from).await >= 1);
    assert_eq!(own.reactions.group("a").await.unwrap().dead, 2);
}

pub(crate) async fn no_letters_are_an_empty_answer(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    assert!(letters(&own, SelectLetters::default()).await.is_empty());
    let wrong = own.reactions.dead_letters(SelectLetters::of_group("*"));
    let error = wrong.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!((error.kind(), error.get("field")), (ErrorKind::InvalidArgument, Some("group")));
    let none = own.reactions.dead_letter(1).await.unwrap_err();
    assert_eq!(none.kind(), ErrorKind::NotFound);
}
