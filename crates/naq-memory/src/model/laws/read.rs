//! What a read delivers.

use std::collections::VecDeque;
use std::time::Duration;

use naq_core::jetstream::{
    ConsumerConfig, Delivery, FetchOptions, PublishMessage, ReadOptions, ReadStart, StreamConfig,
    Which,
};
use proptest::prelude::*;

use super::naive::Naive;
use super::{FILTERS, SUBJECTS, config, model, moment, op, ops};
use crate::model::{Cursor, Model, Moment, Next};

/// All that a cursor delivers until it has to wait.
fn drain(model: &mut Model, cursor: &mut Cursor, now: Moment) -> Vec<Delivery> {
    let mut out = VecDeque::new();
    loop {
        let next =
            model.read(cursor, now, |cursor, stream| cursor.advance(stream, &mut out)).unwrap();
        if next != Next::More {
            return out.into();
        }
    }
}

fn sequences(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries
        .iter()
        .filter_map(|delivery| match delivery {
            Delivery::Message(message) => Some(message.sequence),
            _ => None,
        })
        .collect()
}

proptest! {
    #[test]
    fn a_read_gives_what_matches_from_its_start(
        ops in ops(60),
        filter in 0..FILTERS.len(),
        start in 0..20_u64,
    ) {
        let config =
            StreamConfig::new("s", ["s.>"]).with_duplicate_window(Duration::from_secs(1));
        let (mut model, mut naive) = (model(&config), Naive::new(config));
        for op in &ops {
            naive.apply(op, 0);
            let _ = op.apply(&mut model, moment(0));
        }
        let options = ReadOptions::default()
            .with_subject(FILTERS[filter])
            .with_start(ReadStart::Sequence(start));
        let mut cursor = model.open("s", &options, moment(0)).unwrap();
        let deliveries = drain(&mut model, &mut cursor, moment(0));
        let mut want = naive.matching(FILTERS[filter]);
        want.retain(|sequence| *sequence >= start);
        prop_assert_eq!(sequences(&deliveries), want);
        let head = Delivery::CaughtUp { sequence: naive.state().last_sequence };
        prop_assert_eq!(deliveries.last(), Some(&head));
    }

    /// Every sequence is examined once: delivered, not matching, a hole, or in a gap.
    #[test]
    fn a_live_read_misses_nothing_and_repeats_nothing(
        config in config(),
        rounds in proptest::collection::vec(proptest::collection::vec(op(), 0..8), 0..12),
        filter in 0..FILTERS.len(),
    ) {
        let (mut model, mut naive) = (model(&config), Naive::new(config));
        let options = ReadOptions::default().with_subject(FILTERS[filter]);
        let mut cursor = model.open("s", &options, moment(0)).unwrap();
        drain(&mut model, &mut cursor, moment(0));
        let mut position = 0;
        for (now, round) in rounds.iter().enumerate() {
            let now = now as u64 * 50;
            for op in round {
                naive.apply(op, now);
                let _ = op.apply(&mut model, moment(now));
            }
            naive.pass_time(now);
            let first = naive.state().first_sequence;
            let deliveries = drain(&mut model, &mut cursor, moment(now));
            let gap = deliveries.iter().find_map(|delivery| match delivery {
                Delivery::Gap { from, to } => Some((*from, *to)),
                _ => None,
            });
            prop_assert_eq!(gap, (first > position + 1).then_some((position + 1, first - 1)));
            let mut want = naive.matching(FILTERS[filter]);
            want.retain(|sequence| *sequence > position);
            prop_assert_eq!(sequences(&deliveries), want);
            position = naive.state().last_sequence;
        }
    }

    /// By the index of few subjects or by a scan: the same.
    #[test]
    fn how_a_filter_is_found_makes_no_difference(
        subjects in proptest::collection::vec(0..SUBJECTS.len(), 300..600),
        many in any::<bool>(),
        filter in 0..FILTERS.len(),
    ) {
        let mut model = model(&StreamConfig::new("s", ["s.>"]));
        let mut want = Vec::new();
        for (at, subject) in subjects.iter().enumerate() {
            // With a token of its own each there are too many subjects for the index.
            let subject = match many {
                true => format!("{}.{at}", SUBJECTS[*subject]),
                false => SUBJECTS[*subject].to_owned(),
            };
            if naq_core::jetstream::subject_matches(FILTERS[filter], &subject) {
                want.push(at as u64 + 1);
            }
            model.publish(PublishMessage::new(subject, ""), moment(0)).unwrap();
        }
        let mut next = 0;
        for want in &want {
            let which = Which::NextBySubject { subject: FILTERS[filter].into(), sequence: next };
            next = model.get("s", &which, moment(0)).unwrap().sequence;
            prop_assert_eq!(next, *want);
            next += 1;
        }
        let config = ConsumerConfig::new("c").with_subject(FILTERS[filter]);
        model.create_consumer("s", config, moment(0)).unwrap();
        let fetched = model.fetch("s", "c", &FetchOptions::new(1_000), moment(0)).unwrap();
        let fetched: Vec<_> = fetched.messages.iter().map(|it| it.message.sequence).collect();
        prop_assert_eq!(&fetched, &want);
        let options = ReadOptions::default().with_subject(FILTERS[filter]);
        let mut cursor = model.open("s", &options, moment(0)).unwrap();
        let deliveries = drain(&mut model, &mut cursor, moment(0));
        prop_assert_eq!(sequences(&deliveries), want);
    }
}
