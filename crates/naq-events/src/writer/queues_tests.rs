use naq_core::events::{Event, EventEncoder, EventSubjects};
use naq_core::{ErrorKind, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::writer::slot::Item;

const SECOND: Duration = Duration::from_secs(1);

fn item(encoder: &EventEncoder, entity: Option<u64>) -> Item {
    let event = encoder.encode(&Event::new("x"), Timestamp::from_nanos(1)).unwrap();
    Item::new(event, entity, true)
}

fn trouble() -> Error {
    Error::new(ErrorKind::LimitReached, "publish", "full")
}

/// Queues with one event for each entity named, all with the same deadline.
fn with(entities: &[Option<u64>]) -> Queues {
    let encoder = EventEncoder::new(EventSubjects::default());
    let mut queues = Queues::new();
    for (number, &entity) in (0..).zip(entities) {
        queues.accept(
            Slot::new(item(&encoder, entity), number, Timestamp::default(), 60 * SECOND),
            false,
        );
    }
    queues
}

fn sent(queues: &mut Queues) -> Vec<u64> {
    std::iter::from_fn(|| queues.send_next().map(|slot| slot.number)).collect()
}

#[test]
fn an_entity_has_one_event_under_way_and_others_flow_on() {
    let mut queues = with(&[Some(1), Some(1), Some(2), None, None, Some(2)]);
    assert_eq!(sent(&mut queues), [0, 2, 3, 4]);
    queues.settle_first();
    assert_eq!(sent(&mut queues), [1]);
    queues.settle_first();
    assert_eq!(sent(&mut queues), [5]);
}

#[test]
fn a_refused_event_holds_its_entity_back_until_it_is_settled() {
    let mut queues = with(&[Some(1), Some(1), Some(2)]);
    assert_eq!(sent(&mut queues), [0, 2]);
    queues.rest_first(SECOND, false, trouble());
    queues.settle_first();
    queues.wake(Duration::ZERO);
    assert!(sent(&mut queues).is_empty());
    queues.wake(SECOND);
    assert_eq!(sent(&mut queues), [0]);
    assert_eq!(queues.settle_first().map(|slot| slot.tries), Some(2));
    assert_eq!(sent(&mut queues), [1]);
}

#[test]
fn recalled_events_are_in_doubt_and_go_again_in_their_order_before_fresh_ones() {
    let mut queues = with(&[Some(1), Some(2)]);
    sent(&mut queues);
    let encoder = EventEncoder::new(EventSubjects::default());
    queues.accept(Slot::new(item(&encoder, Some(3)), 2, Timestamp::default(), 60 * SECOND), false);
    queues.recall_sent();
    assert_eq!(sent(&mut queues), [0, 1, 2]);
    assert!(queues.settle_first().is_some_and(|slot| slot.in_doubt));
}

#[test]
fn only_unsent_events_are_dropped_oldest_first() {
    let mut queues = with(&[Some(1), Some(1), Some(2), None]);
    queues.send_next();
    assert_eq!(queues.droppable().events, 3);
    let mut dropped = || queues.drop_oldest().map(|slot| slot.number);
    assert_eq!([dropped(), dropped(), dropped(), dropped()], [Some(1), Some(2), Some(3), None]);
    assert_eq!(queues.under_way(), 1);
}

#[test]
fn an_event_gives_its_turn_away_when_it_is_dropped_or_expires() {
    let mut queues = with(&[Some(1), Some(1), Some(1)]);
    assert_eq!(queues.drop_oldest().map(|slot| slot.number), Some(0));
    assert!(queues.expire(59 * SECOND).is_none());
    assert_eq!(queues.expire(60 * SECOND).map(|slot| slot.number), Some(1));
    assert_eq!(sent(&mut queues), [2]);
}

#[test]
fn an_event_under_way_does_not_expire_but_is_seen_to_be_stuck() {
    let mut queues = with(&[None]);
    queues.send_next();
    assert!(queues.expire(60 * SECOND).is_none());
    assert!(!queues.is_stuck(59 * SECOND) && queues.is_stuck(60 * SECOND));
    queues.recall_sent();
    assert!(queues.expire(60 * SECOND).is_some_and(|slot| slot.in_doubt));
}

#[test]
fn a_rest_ends_at_the_deadline_at_the_latest() {
    let mut queues = with(&[Some(1)]);
    queues.send_next();
    queues.rest_first(90 * SECOND, true, trouble());
    assert_eq!(queues.next_wake(), Some(60 * SECOND));
    assert!(queues.expire(60 * SECOND).is_some());
    assert!(queues.is_empty() && queues.next_wake().is_none());
}

#[derive(Debug, Clone)]
enum Step {
    Accept(Option<u64>),
    Send,
    Stored,
    Refused,
    Recall,
    Wake,
    DropOldest,
    Expire,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::option::weighted(0.8, 0_u64..4).prop_map(Step::Accept),
        4 => Just(Step::Send),
        3 => Just(Step::Stored),
        2 => Just(Step::Refused),
        1 => Just(Step::Recall),
        2 => Just(Step::Wake),
        1 => Just(Step::DropOldest),
        1 => Just(Step::Expire),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_an_entity_is_stored_in_order_and_every_event_leaves_once(
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let encoder = EventEncoder::new(EventSubjects::default());
        let mut queues = Queues::new();
        let (mut now, mut left, mut accepted) = (Duration::ZERO, Vec::new(), 0);
        let mut stored: Vec<(u64, Option<u64>)> = Vec::new();
        let drain = [Step::Recall, Step::Wake].into_iter().chain(
            std::iter::repeat_n([Step::Send, Step::Stored], 400).flatten(),
        );
        for step in steps.into_iter().chain(drain) {
            match step {
                Step::Accept(entity) => {
                    let slot = Slot::new(item(&encoder, entity), accepted, Timestamp::default(), now + 9 * SECOND);
                    queues.accept(slot, false);
                    accepted += 1;
                }
                Step::Send => {
                    let sent = queues.send_next().map(|slot| (slot.number, slot.item.entity));
                    if let Some((number, Some(entity))) = sent {
                        // Nothing earlier of the entity may still be in hand.
                        let earlier = queues.slots.iter().any(|(_, queued)| {
                            queued.slot.item.entity == Some(entity) && queued.slot.number < number
                        });
                        prop_assert!(!earlier, "{number} overtakes");
                    }
                }
                Step::Stored => {
                    if let Some(slot) = queues.settle_first() {
                        stored.push((slot.number, slot.item.entity));
                        left.push(slot.number);
                    }
                }
                Step::Refused => queues.rest_first(now + 2 * SECOND, false, trouble()),
                Step::Recall => queues.recall_sent(),
                Step::Wake => {
                    now += SECOND;
                    queues.wake(now);
                }
                Step::DropOldest => left.extend(queues.drop_oldest().map(|slot| slot.number)),
                Step::Expire => left.extend(queues.expire(now).map(|slot| slot.number)),
            }
        }
        now += 9 * SECOND;
        queues.recall_sent();
        left.extend(std::iter::from_fn(|| queues.expire(now)).map(|slot| slot.number));
        for entity in 0..4 {
            let order: Vec<_> =
                stored.iter().filter(|(_, of)| *of == Some(entity)).map(|(n, _)| *n).collect();
            prop_assert!(order.is_sorted(), "{order:?}");
        }
        left.sort_unstable();
        prop_assert_eq!(left, (0..accepted).collect::<Vec<_>>());
        prop_assert!(queues.is_empty() && queues.entities.is_empty());
        prop_assert!(queues.unsent.is_empty() && queues.resting.is_empty());
        prop_assert_eq!((queues.ready(), queues.under_way()), (0, 0));
        prop_assert_eq!(queues.droppable(), Room::NONE);
    }
}
