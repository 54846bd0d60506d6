use naq_core::events::{Event, EventEncoder, EventSubjects};
use naq_core::{ErrorKind, Timestamp};
use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn item(encoder: &EventEncoder, entity: Option<u64>) -> Item {
    let event = encoder.encode(&Event::new("x"), Timestamp::from_nanos(1)).unwrap();
    Item { event, entity, may_drop: true, receipt: None, position: None, on_disk: None }
}

fn trouble() -> Error {
    Error::new(ErrorKind::LimitReached, "publish", "full")
}

/// A schedule with one event for each entity named, all with the same deadline.
fn with(entities: &[Option<u64>]) -> Schedule {
    let encoder = EventEncoder::new(EventSubjects::default());
    let mut schedule = Schedule::new();
    for &entity in entities {
        schedule.accept(item(&encoder, entity), 60 * SECOND);
    }
    schedule
}

fn sent(schedule: &mut Schedule) -> Vec<u64> {
    std::iter::from_fn(|| schedule.send_next().map(|slot| slot.number - FIRST_NUMBER)).collect()
}

#[test]
fn an_entity_has_one_event_under_way_and_others_flow_on() {
    let mut schedule = with(&[Some(1), Some(1), Some(2), None, None, Some(2)]);
    assert_eq!(sent(&mut schedule), [0, 2, 3, 4]);
    schedule.settle_first();
    assert_eq!(sent(&mut schedule), [1]);
    schedule.settle_first();
    assert_eq!(sent(&mut schedule), [5]);
}

#[test]
fn a_refused_event_holds_its_entity_back_until_it_is_settled() {
    let mut schedule = with(&[Some(1), Some(1), Some(2)]);
    assert_eq!(sent(&mut schedule), [0, 2]);
    schedule.rest_first(SECOND, false, trouble());
    schedule.settle_first();
    schedule.wake(Duration::ZERO);
    assert!(sent(&mut schedule).is_empty());
    schedule.wake(SECOND);
    assert_eq!(sent(&mut schedule), [0]);
    assert_eq!(schedule.settle_first().map(|slot| slot.tries), Some(2));
    assert_eq!(sent(&mut schedule), [1]);
}

#[test]
fn recalled_events_are_in_doubt_and_go_again_in_their_order_before_fresh_ones() {
    let mut schedule = with(&[Some(1), Some(2)]);
    sent(&mut schedule);
    let encoder = EventEncoder::new(EventSubjects::default());
    schedule.accept(item(&encoder, Some(3)), 60 * SECOND);
    schedule.recall_sent();
    assert_eq!(sent(&mut schedule), [0, 1, 2]);
    assert!(schedule.settle_first().is_some_and(|slot| slot.in_doubt));
}

#[test]
fn only_unsent_events_are_dropped_oldest_first() {
    let mut schedule = with(&[Some(1), Some(1), Some(2), None]);
    schedule.send_next();
    let mut dropped = || schedule.drop_oldest().map(|slot| slot.number);
    assert_eq!([dropped(), dropped(), dropped(), dropped()], [Some(2), Some(3), Some(4), None]);
    assert_eq!(schedule.under_way(), 1);
}

#[test]
fn an_event_gives_its_turn_away_when_it_is_dropped_or_expires() {
    let mut schedule = with(&[Some(1), Some(1), Some(1)]);
    assert_eq!(schedule.drop_oldest().map(|slot| slot.number), Some(1));
    assert!(schedule.expire(59 * SECOND).is_none());
    assert_eq!(schedule.expire(60 * SECOND).map(|slot| slot.number), Some(2));
    assert_eq!(sent(&mut schedule), [2]);
}

#[test]
fn an_event_under_way_does_not_expire_but_is_seen_to_be_stuck() {
    let mut schedule = with(&[None]);
    schedule.send_next();
    assert!(schedule.expire(60 * SECOND).is_none());
    assert!(!schedule.is_stuck(59 * SECOND) && schedule.is_stuck(60 * SECOND));
    schedule.recall_sent();
    assert!(schedule.expire(60 * SECOND).is_some_and(|slot| slot.in_doubt));
}

#[test]
fn a_rest_ends_at_the_deadline_at_the_latest() {
    let mut schedule = with(&[Some(1)]);
    schedule.send_next();
    schedule.rest_first(90 * SECOND, true, trouble());
    assert_eq!(schedule.next_wake(), Some(60 * SECOND));
    assert!(schedule.expire(60 * SECOND).is_some());
    assert!(schedule.is_empty() && schedule.next_wake().is_none());
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
        let mut schedule = Schedule::new();
        let (mut now, mut left) = (Duration::ZERO, Vec::new());
        let mut stored: Vec<(u64, Option<u64>)> = Vec::new();
        let drain = [Step::Recall, Step::Wake].into_iter().chain(
            std::iter::repeat_n([Step::Send, Step::Stored], 400).flatten(),
        );
        for step in steps.into_iter().chain(drain) {
            match step {
                Step::Accept(entity) => schedule.accept(item(&encoder, entity), now + 9 * SECOND),
                Step::Send => {
                    let sent = schedule.send_next().map(|slot| (slot.number, slot.item.entity));
                    if let Some((number, Some(entity))) = sent {
                        // Nothing earlier of the entity may still be in hand.
                        let earlier = schedule.slots.iter().any(|(_, slot)| {
                            slot.item.entity == Some(entity) && slot.number < number
                        });
                        prop_assert!(!earlier, "{number} overtakes");
                    }
                }
                Step::Stored => {
                    if let Some(slot) = schedule.settle_first() {
                        stored.push((slot.number, slot.item.entity));
                        left.push(slot.number);
                    }
                }
                Step::Refused => schedule.rest_first(now + 2 * SECOND, false, trouble()),
                Step::Recall => schedule.recall_sent(),
                Step::Wake => {
                    now += SECOND;
                    schedule.wake(now);
                }
                Step::DropOldest => left.extend(schedule.drop_oldest().map(|slot| slot.number)),
                Step::Expire => left.extend(schedule.expire(now).map(|slot| slot.number)),
            }
        }
        now += 9 * SECOND;
        schedule.recall_sent();
        left.extend(std::iter::from_fn(|| schedule.expire(now)).map(|slot| slot.number));
        for entity in 0..4 {
            let order: Vec<_> =
                stored.iter().filter(|(_, of)| *of == Some(entity)).map(|(n, _)| *n).collect();
            prop_assert!(order.is_sorted(), "{order:?}");
        }
        left.sort_unstable();
        prop_assert_eq!(left, (FIRST_NUMBER..schedule.accepted()).collect::<Vec<_>>());
        prop_assert!(schedule.is_empty() && schedule.entities.is_empty());
        prop_assert!(schedule.unsent.is_empty() && schedule.resting.is_empty());
        prop_assert_eq!((schedule.ready(), schedule.under_way()), (0, 0));
    }
}
