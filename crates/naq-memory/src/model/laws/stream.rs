//! What a stream holds and tells.

use naq_core::jetstream::Which;
use proptest::prelude::*;

use super::naive::Naive;
use super::{FILTERS, Op, config, model, moment, ops};
use crate::model::Refusal;

proptest! {
    #[test]
    fn a_stream_holds_what_a_list_would(config in config(), ops in ops(60)) {
        let (mut model, mut naive) = (model(&config), Naive::new(config));
        let mut now = 0;
        for op in &ops {
            if let Op::Wait(millis) = op {
                now += millis;
            }
            let want = naive.apply(op, now);
            let got = op.apply(&mut model, moment(now));
            prop_assert_eq!(got.as_ref().ok().copied(), want, "{:?} {:?}", op, got);
            let info = model.stream_info("s", moment(now)).unwrap();
            prop_assert_eq!(info.state, naive.state(), "after {:?}", op);
        }
        for filter in FILTERS {
            let matching = naive.matching(filter);
            let mut get = |which| match model.get("s", &which, moment(now)) {
                Ok(message) => Some(message.sequence),
                Err(Refusal::NoMessage) => None,
                Err(other) => panic!("{other:?}"),
            };
            let last = get(Which::LastBySubject(filter.to_owned()));
            prop_assert_eq!(last, matching.last().copied(), "last of {}", filter);
            for from in 0..8 {
                let which = Which::NextBySubject { subject: filter.to_owned(), sequence: from };
                let want = matching.iter().copied().find(|sequence| *sequence >= from);
                prop_assert_eq!(get(which), want, "next of {} from {}", filter, from);
            }
            let counts = model.subject_counts("s", filter, 0, moment(now)).unwrap();
            let count: u64 = counts.counts.iter().map(|(_, count)| count).sum();
            prop_assert_eq!(count, matching.len() as u64, "count of {}", filter);
            let from = model.get_from("s", 3, Some(filter), 4, moment(now)).unwrap();
            let want: Vec<_> =
                matching.iter().copied().filter(|sequence| *sequence >= 3).take(4).collect();
            prop_assert_eq!(from.iter().map(|it| it.sequence).collect::<Vec<_>>(), want);
        }
    }

    #[test]
    fn the_account_of_memory_is_that_of_what_is_there(config in config(), ops in ops(60)) {
        let mut model = model(&config);
        let mut now = 0;
        for op in &ops {
            now += match op {
                Op::Wait(millis) => *millis,
                _ => 1,
            };
            // Refusals are part of it.
            let _ = op.apply(&mut model, moment(now));
            let weight: u64 = model.streams.values().map(|stream| stream.weight()).sum();
            prop_assert_eq!(model.used, weight);
        }
        model.delete_stream("s").unwrap();
        prop_assert_eq!(model.used, 0);
    }
}
