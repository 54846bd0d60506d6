use naq_core::events::{Event, EventEncoder, EventSubjects};
use naq_core::{ErrorKind, Timestamp};
use proptest::prelude::*;
use tokio::sync::oneshot;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn item(entity: Option<u64>, wants_receipt: bool, may_drop: bool) -> Item {
    let encoder = EventEncoder::new(EventSubjects::default());
    let event = encoder.encode(&Event::new("x"), Timestamp::from_nanos(1)).unwrap();
    let receipt = wants_receipt.then(|| oneshot::channel().0);
    Item { receipt, ..Item::new(event, entity, may_drop) }
}

fn plain(entity: Option<u64>) -> Item {
    item(entity, false, true)
}

fn sent(schedule: &mut Schedule, way: Way) -> Vec<u64> {
    std::iter::from_fn(|| schedule.send_next(way).map(|slot| slot.number - FIRST_NUMBER)).collect()
}

fn accept(schedule: &mut Schedule, item: Item) -> Way {
    schedule.accept(item, Timestamp::default(), 60 * SECOND)
}

#[test]
fn events_of_one_entity_follow_each_other_in_line_without_waiting() {
    let mut schedule = Schedule::new();
    for entity in [Some(1), Some(1), None, Some(1)] {
        assert_eq!(accept(&mut schedule, plain(entity)), Way::Fast);
    }
    assert_eq!(sent(&mut schedule, Way::Fast), [0, 1, 2, 3]);
    assert_eq!(schedule.settle_first(Way::Fast).map(|slot| slot.number), Some(1));
    schedule.recall(Way::Fast);
    accept(&mut schedule, plain(Some(1)));
    assert_eq!(sent(&mut schedule, Way::Fast), [1, 2, 3, 4]);
    assert!(schedule.settle_first(Way::Fast).is_some_and(|slot| slot.in_doubt));
}

#[test]
fn what_wants_a_receipt_waits_for_what_stands_in_line_before_it_and_holds_its_entity() {
    let mut schedule = Schedule::new();
    assert_eq!(accept(&mut schedule, plain(Some(1))), Way::Fast);
    assert_eq!(accept(&mut schedule, item(Some(1), true, true)), Way::Pipeline);
    assert_eq!(accept(&mut schedule, plain(Some(1))), Way::Pipeline, "behind the one before");
    assert_eq!(accept(&mut schedule, plain(Some(2))), Way::Fast, "of another entity");
    assert_eq!(accept(&mut schedule, item(None, true, true)), Way::Pipeline);
    assert_eq!(sent(&mut schedule, Way::Fast), [0, 3]);
    schedule.wake(Duration::ZERO);
    assert_eq!(sent(&mut schedule, Way::Pipeline), [4], "an event of no entity waits for none");
    schedule.settle_first(Way::Fast);
    schedule.wake(Duration::ZERO);
    assert_eq!(sent(&mut schedule, Way::Pipeline), [1]);
    schedule.settle_first(Way::Pipeline);
    schedule.settle_first(Way::Pipeline);
    assert_eq!(sent(&mut schedule, Way::Pipeline), [2]);
    schedule.settle_first(Way::Pipeline);
    assert_eq!(accept(&mut schedule, plain(Some(1))), Way::Fast, "nothing keeps it any more");
}

#[test]
fn without_fast_ingest_the_line_joins_the_queues_in_order() {
    let mut schedule = Schedule::new();
    accept(&mut schedule, plain(Some(1)));
    accept(&mut schedule, plain(Some(2)));
    accept(&mut schedule, item(Some(1), true, true));
    accept(&mut schedule, plain(Some(2)));
    assert_eq!(sent(&mut schedule, Way::Fast), [0, 1, 3]);
    schedule.recall(Way::Fast);
    schedule.go_by(Way::Pipeline);
    assert_eq!(schedule.ready(Way::Fast), 0);
    assert_eq!(sent(&mut schedule, Way::Pipeline), [0, 1]);
    let first = schedule.settle_first(Way::Pipeline).unwrap();
    assert_eq!((first.tries, first.in_doubt), (2, true));
    assert_eq!(sent(&mut schedule, Way::Pipeline), [2]);
    assert_eq!(accept(&mut schedule, plain(Some(9))), Way::Pipeline);
}

#[test]
fn the_oldest_that_may_be_dropped_goes_wherever_it_stands() {
    let mut schedule = Schedule::new();
    for (entity, wants_receipt, may_drop) in [
        (Some(1), false, true),
        (Some(2), false, false),
        (Some(3), true, true),
        (Some(4), false, true),
        (Some(5), false, true),
    ] {
        accept(&mut schedule, item(entity, wants_receipt, may_drop));
    }
    assert_eq!(schedule.send_next(Way::Fast).map(|slot| slot.number), Some(1));
    let mut dropped = || schedule.drop_oldest().map(|slot| slot.number);
    assert_eq!([dropped(), dropped(), dropped(), dropped()], [Some(3), Some(4), Some(5), None]);
    assert_eq!(schedule.ready(Way::Fast), 1);
    assert_eq!(sent(&mut schedule, Way::Fast), [1]);
}

#[test]
fn a_deadline_holds_in_line_and_in_the_queues() {
    let mut schedule = Schedule::new();
    accept(&mut schedule, plain(Some(1)));
    accept(&mut schedule, item(Some(2), true, true));
    schedule.send_next(Way::Fast);
    assert!(schedule.is_stuck(60 * SECOND) && !schedule.is_stuck(59 * SECOND));
    assert_eq!(schedule.expire(60 * SECOND).map(|slot| slot.number), Some(2));
    schedule.recall(Way::Fast);
    assert_eq!(schedule.expire(60 * SECOND).map(|slot| slot.number), Some(1));
    assert!(schedule.is_empty() && schedule.oldest_deadline().is_none());
}

#[derive(Debug, Clone)]
enum Step {
    Accept(Option<u64>, bool, bool),
    Send(Way),
    Stored(Way),
    /// The first one is refused for good.
    Failed(Way),
    /// The first one is refused for the moment.
    Refused(Way),
    Recall(Way),
    GoBy(Way),
    Wake,
    DropOldest,
    Expire,
}

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![Just(Way::Fast), Just(Way::Pipeline)]
}

fn step() -> impl Strategy<Value = Step> {
    let accept = (prop::option::weighted(0.8, 0_u64..4), prop::bool::weighted(0.2), any::<bool>());
    prop_oneof![
        4 => accept.prop_map(|(entity, receipt, drop)| Step::Accept(entity, receipt, drop)),
        4 => way().prop_map(Step::Send),
        3 => way().prop_map(Step::Stored),
        1 => way().prop_map(Step::Failed),
        1 => way().prop_map(Step::Refused),
        1 => way().prop_map(Step::Recall),
        1 => way().prop_map(Step::GoBy),
        2 => Just(Step::Wake),
        1 => Just(Step::DropOldest),
        1 => Just(Step::Expire),
    ]
}

/// What was sent by a way, as its server sees it: a batch is a prefix of it,
/// and of a pipeline each may be stored.
#[derive(Debug, Default)]
struct Stored(Vec<(u64, Option<u64>)>);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_happens_an_entity_is_stored_in_order_and_every_event_leaves_once(
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut schedule = Schedule::new();
        let (mut now, mut left) = (Duration::ZERO, Vec::new());
        let mut stored = Stored::default();
        let rounds = [Step::Send(Way::Fast), Step::Stored(Way::Fast), Step::Wake,
            Step::Send(Way::Pipeline), Step::Stored(Way::Pipeline)];
        let drain = [Step::Recall(Way::Fast), Step::Recall(Way::Pipeline)]
            .into_iter()
            .chain(std::iter::repeat_n(rounds, 400).flatten());
        for step in steps.into_iter().chain(drain) {
            match step {
                Step::Accept(entity, receipt, may_drop) => {
                    let item = item(entity, receipt, may_drop);
                    schedule.accept(item, Timestamp::default(), now + 1_000 * SECOND);
                }
                Step::Send(way) => {
                    schedule.send_next(way);
                }
                Step::Stored(way) => {
                    if let Some(slot) = schedule.settle_first(way) {
                        stored.0.push((slot.number, slot.item.entity));
                        left.push(slot.number);
                    }
                    schedule.wake(now);
                }
                Step::Failed(way) => {
                    left.extend(schedule.settle_first(way).map(|slot| slot.number));
                    // Nothing behind it is stored.
                    schedule.line().recall(false);
                }
                Step::Refused(Way::Fast) => schedule.line().recall(false),
                Step::Refused(Way::Pipeline) => {
                    let trouble = Error::new(ErrorKind::LimitReached, "publish", "full");
                    schedule.rest_first(now + 2 * SECOND, false, trouble);
                }
                Step::Recall(way) => schedule.recall(way),
                Step::GoBy(way) => {
                    schedule.recall(Way::Fast);
                    schedule.recall(Way::Pipeline);
                    schedule.go_by(way);
                }
                Step::Wake => {
                    now += SECOND;
                    schedule.wake(now);
                }
                Step::DropOldest => left.extend(schedule.drop_oldest().map(|slot| slot.number)),
                Step::Expire => left.extend(schedule.expire(now).map(|slot| slot.number)),
            }
            let all = schedule.line.slots().chain(schedule.queues.slots());
            let droppable = all.map(Room::by_dropping).fold(Room::NONE, |sum, one| sum + one);
            prop_assert_eq!(schedule.droppable(), droppable);
        }
        prop_assert!(schedule.is_empty(), "{schedule:?}");
        for entity in 0..4 {
            let order: Vec<_> =
                stored.0.iter().filter(|(_, of)| *of == Some(entity)).map(|(n, _)| *n).collect();
            prop_assert!(order.is_sorted(), "{order:?}");
        }
        left.sort_unstable();
        prop_assert_eq!(left, (FIRST_NUMBER..schedule.accepted()).collect::<Vec<_>>());
        prop_assert_eq!((schedule.ready(Way::Fast), schedule.ready(Way::Pipeline)), (0, 0));
    }
}

#[test]
fn the_oldest_number_is_the_smallest_in_whatever_order_a_spool_gives_them_back() {
    let mut schedule = Schedule::new();
    for number in [50, 51, 10, 11] {
        let slot = Slot::new(plain(None), number, Timestamp::default(), 60 * SECOND);
        assert_eq!(schedule.admit(slot), Way::Fast);
    }
    assert_eq!(schedule.oldest_number(), Some(10));
    assert_eq!(sent(&mut schedule, Way::Fast).len(), 4);
    let mut oldest = Vec::new();
    while schedule.settle_first(Way::Fast).is_some() {
        oldest.push(schedule.oldest_number());
    }
    assert_eq!(oldest, [Some(10), Some(10), Some(11), None]);
    for number in [60, 61] {
        schedule.admit(Slot::new(plain(None), number, Timestamp::default(), 60 * SECOND));
    }
    assert_eq!(schedule.oldest_number(), Some(60));
}

#[test]
fn what_was_sent_before_is_not_dropped_though_it_comes_back_behind_others() {
    let mut schedule = Schedule::new();
    let (tried, fresh) = (schedule.next_number(), schedule.next_number());
    for (number, tries) in [(tried, 1), (fresh, 0)] {
        let slot = Slot::new(plain(None), number, Timestamp::default(), SECOND);
        assert_eq!(schedule.admit(Slot { tries, ..slot }), Way::Fast);
    }
    assert_eq!(schedule.drop_oldest().map(|slot| slot.number), Some(fresh));
    assert!(schedule.drop_oldest().is_none());
}
