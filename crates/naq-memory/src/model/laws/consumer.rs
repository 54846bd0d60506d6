//! What a consumer owes: everything that matches, again and again until it is done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use naq_core::jetstream::{
    Acknowledge, ConsumerConfig, ConsumerMessage, FetchOptions, PublishMessage, Retention,
    StreamConfig, subject_matches,
};
use proptest::prelude::*;

use super::{FILTERS, SUBJECTS, model, moment};

#[derive(Debug, Clone)]
enum Step {
    Publish(usize),
    Fetch(usize),
    /// Answers the delivery that is this many back.
    Answer(usize, Acknowledge),
    Delete(u64),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let answer = prop_oneof![
        4 => Just(Acknowledge::Done),
        1 => Just(Acknowledge::Terminate { reason: None }),
        1 => Just(Acknowledge::InProgress),
        1 => (0..300_u64).prop_map(|ms| Acknowledge::Retry { after: Duration::from_millis(ms) }),
    ];
    prop_oneof![
        4 => (0..SUBJECTS.len()).prop_map(Step::Publish),
        3 => (1..5_usize).prop_map(Step::Fetch),
        4 => (0..4_usize, answer).prop_map(|(back, answer)| Step::Answer(back, answer)),
        1 => (1..20_u64).prop_map(Step::Delete),
        1 => (1..200_u64).prop_map(Step::Wait),
    ]
}

fn retention() -> impl Strategy<Value = Retention> {
    proptest::sample::select(vec![Retention::Limits, Retention::WorkQueue, Retention::Interest])
}

proptest! {
    #[test]
    fn what_matches_is_delivered_until_it_is_done(
        steps in proptest::collection::vec(step(), 0..80),
        filter in 0..FILTERS.len(),
        retention in retention(),
        most in 1..6_u64,
    ) {
        let filter = FILTERS[filter];
        let mut model = model(&StreamConfig::new("s", ["s.>"]).with_retention(retention));
        let config = ConsumerConfig::new("c")
            .with_subject(filter)
            .with_ack_wait(Duration::from_millis(100))
            .with_max_ack_pending(most);
        model.create_consumer("s", config, moment(0)).unwrap();
        // What is stored, what of it was delivered how often, and what is done.
        let mut stored = BTreeMap::new();
        let mut delivered = BTreeMap::<u64, u64>::new();
        let mut done = BTreeSet::new();
        let mut tokens: Vec<ConsumerMessage> = Vec::new();
        let mut now = 0;
        for step in steps {
            match step {
                Step::Publish(subject) => {
                    let subject = SUBJECTS[subject];
                    let message = PublishMessage::new(subject, "");
                    let ack = model.publish(message, moment(now)).unwrap();
                    if retention != Retention::Interest || subject_matches(filter, subject) {
                        stored.insert(ack.sequence, subject);
                    }
                }
                Step::Fetch(count) => {
                    let fetched =
                        model.fetch("s", "c", &FetchOptions::new(count), moment(now)).unwrap();
                    for it in fetched.messages {
                        let sequence = it.message.sequence;
                        prop_assert!(subject_matches(filter, &it.message.subject));
                        prop_assert!(stored.contains_key(&sequence), "{} is gone", sequence);
                        prop_assert!(!done.contains(&sequence), "{} was done", sequence);
                        let times = delivered.entry(sequence).or_default();
                        *times += 1;
                        prop_assert_eq!(it.deliveries, *times);
                        tokens.push(it);
                    }
                }
                Step::Answer(back, answer) => {
                    let Some(it) = tokens.iter().rev().nth(back) else { continue };
                    model.acknowledge(&it.token, &answer, moment(now)).unwrap();
                    if matches!(answer, Acknowledge::Done | Acknowledge::Terminate { .. }) {
                        done.insert(it.message.sequence);
                        if retention != Retention::Limits {
                            stored.remove(&it.message.sequence);
                        }
                    }
                }
                Step::Delete(sequence) => {
                    if model.delete_message("s", sequence, moment(now)).is_ok() {
                        prop_assert!(stored.remove(&sequence).is_some());
                    }
                }
                Step::Wait(millis) => now += millis,
            }
            let info = model.consumer_info("s", "c", moment(now)).unwrap();
            let matching = || {
                stored.iter().filter(|(_, subject)| subject_matches(filter, subject)).map(|it| *it.0)
            };
            let out = matching()
                .filter(|sequence| delivered.contains_key(sequence) && !done.contains(sequence));
            prop_assert_eq!(info.ack_pending, out.count() as u64);
            prop_assert!(info.ack_pending <= most);
            let ahead = matching().filter(|sequence| !delivered.contains_key(sequence));
            prop_assert_eq!(info.pending, ahead.count() as u64);
            prop_assert!(matching().all(|it| it > info.ack_floor || done.contains(&it)));
            let state = model.stream_info("s", moment(now)).unwrap().state;
            prop_assert_eq!(state.messages, stored.len() as u64);
        }
        // Whoever goes on long enough gets everything done.
        for _ in 0..stored.len() + 1 {
            now += 1_000;
            let all = model.fetch("s", "c", &FetchOptions::new(100), moment(now)).unwrap();
            for it in all.messages {
                model.acknowledge(&it.token, &Acknowledge::Done, moment(now)).unwrap();
                done.insert(it.message.sequence);
            }
        }
        for (sequence, subject) in &stored {
            prop_assert_eq!(subject_matches(filter, subject), done.contains(sequence));
        }
        let info = model.consumer_info("s", "c", moment(now)).unwrap();
        prop_assert_eq!((info.ack_pending, info.pending), (0, 0));
    }
}
