//! A spool held against a plain list, through any steps and any number of crashes.

use proptest::prelude::*;

use super::super::SpoolOutcome;
use super::*;

#[derive(Debug, Clone)]
enum Step {
    Append(u8),
    /// Of what is in it: from this share of it on, so many.
    Send(u8, u8),
    Settle(u8, u8),
    Sync,
    /// The process ends, or closes the spool first.
    Reopen(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u8..12).prop_map(Step::Append),
        3 => (any::<u8>(), 1_u8..12).prop_map(|(from, count)| Step::Send(from, count)),
        4 => (any::<u8>(), 1_u8..20).prop_map(|(from, count)| Step::Settle(from, count)),
        1 => Just(Step::Sync),
        1 => any::<bool>().prop_map(Step::Reopen),
    ]
}

/// An event in the model: its id, and whether it was sent.
type Kept = (u64, bool);

fn contents(log: &mut SpoolLog) -> (Vec<SpoolPosition>, Vec<Kept>) {
    let events = read_all(log);
    let kept = |event: &SpooledEvent| {
        let id = event.event.id().to_string().parse().unwrap();
        (id, matches!(event.state, SpoolState::InDoubt(_)))
    };
    (events.iter().map(|event| event.position).collect(), events.iter().map(kept).collect())
}

/// The part of the list that a step is about.
fn part(length: usize, from: u8, count: u8) -> std::ops::Range<usize> {
    let from = length * usize::from(from) / 256;
    from..(from + usize::from(count)).min(length)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn it_is_a_list_whatever_happens(steps in prop::collection::vec(step(), 1..40)) {
        let root = tempfile::tempdir().unwrap();
        let small = options().with_segment_bytes(1_500);
        let open = || SpoolLog::open(root.path(), small.clone()).unwrap();
        let (mut log, _) = open();
        let mut model: Vec<Kept> = Vec::new();
        let mut number = 0;
        for step in steps {
            let (positions, kept) = contents(&mut log);
            prop_assert_eq!(&kept, &model);
            let chosen = |range: std::ops::Range<usize>| -> PositionSet {
                positions[range].iter().copied().collect()
            };
            match step {
                Step::Append(count) => {
                    let last = number + u64::from(count);
                    log.append(&entries(number + 1..=last)).unwrap();
                    model.extend((number + 1..=last).map(|id| (id, false)));
                    number = last;
                }
                Step::Send(from, count) => {
                    let range = part(model.len(), from, count);
                    log.mark_sent(&chosen(range.clone()), context(1)).unwrap();
                    model[range].iter_mut().for_each(|(_, sent)| *sent = true);
                }
                Step::Settle(from, count) => {
                    let range = part(model.len(), from, count);
                    let news = log.settle(&chosen(range.clone()), SpoolOutcome::Acked);
                    prop_assert_eq!(news, range.len() as u64);
                    model.drain(range);
                }
                Step::Sync => log.sync().unwrap(),
                Step::Reopen(is_closed) => {
                    if is_closed {
                        log.close().unwrap();
                    } else {
                        drop(log);
                    }
                    let recovered;
                    (log, recovered) = open();
                    let sent = model.iter().filter(|(_, sent)| *sent).count();
                    prop_assert_eq!(recovered.events, model.len() as u64);
                    prop_assert_eq!(recovered.in_doubt, sent as u64);
                    prop_assert_eq!(recovered.torn + recovered.corrupt + recovered.lost_marks, 0);
                }
            }
            prop_assert_eq!(log.pending(), model.len() as u64);
            let on_disk: u64 = files(root.path(), "events")
                .iter()
                .chain(&files(root.path(), "marks"))
                .map(|path| std::fs::metadata(path).unwrap().len())
                .sum();
            prop_assert_eq!(log.bytes(), on_disk);
        }
    }
}
