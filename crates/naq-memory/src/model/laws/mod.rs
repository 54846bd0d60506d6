//! The model against naive ones, on random operations.

mod batch;
mod consumer;
mod naive;
mod read;
mod stream;

use std::time::Duration;

use naq_core::Timestamp;
use naq_core::jetstream::{Discard, PublishMessage, PurgeKeep, PurgeOptions, StreamConfig};
use proptest::prelude::*;

use crate::MemoryLimits;

use super::{Model, Moment, Refusal};

/// Subjects that share tokens at every depth.
const SUBJECTS: [&str; 6] = ["s.a", "s.b", "s.a.x", "s.b.x", "s.a.y", "s.c.x.y"];
/// Filters that match some, all or none of them.
const FILTERS: [&str; 8] = ["s.>", ">", "s.*", "s.a", "s.*.x", "s.a.>", "s.*.*.y", "t.>"];

fn moment(millis: u64) -> Moment {
    let since = Duration::from_millis(millis);
    Moment { wall: Timestamp::from_nanos(0).saturating_add(since), monotonic: since }
}

/// A model with one stream `s`.
fn model(config: &StreamConfig) -> Model {
    let mut model = Model::new(crate::VERSION, MemoryLimits::default());
    model.create_stream(config, moment(0)).unwrap();
    model
}

fn subject() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&SUBJECTS[..])
}

fn filter() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&FILTERS[..])
}

/// A limit that is off as often as not.
fn limit(most: u64) -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1..=most]
}

fn config() -> impl Strategy<Value = StreamConfig> {
    (limit(6), limit(3), limit(400), limit(50), any::<bool>(), any::<bool>()).prop_map(
        |(messages, per_subject, bytes, age, new, refuse)| {
            let config = StreamConfig::new("s", ["s.>"])
                .with_max_messages(messages)
                .with_max_messages_per_subject(per_subject)
                .with_max_bytes(bytes)
                .with_max_age(Duration::from_millis(age * 100))
                .with_duplicate_window(Duration::from_millis(if age == 0 { 500 } else { 100 }));
            if new {
                config
                    .with_discard(Discard::New)
                    .with_discard_new_per_subject(refuse && per_subject > 0)
            } else {
                config
            }
        },
    )
}

/// What is done to a stream.
#[derive(Debug, Clone)]
enum Op {
    Publish { subject: &'static str, size: usize, id: Option<u8>, expect: Option<u64> },
    Purge { filter: Option<&'static str>, keep: PurgeKeep },
    Delete(u64),
    Wait(u64),
}

impl Op {
    fn message(subject: &str, size: usize, id: Option<u8>, expect: Option<u64>) -> PublishMessage {
        let mut message = PublishMessage::new(subject, vec![b'x'; size]);
        message.message_id = id.map(|id| id.to_string());
        message.expected.last_subject_sequence = expect;
        message
    }

    fn apply(&self, model: &mut Model, now: Moment) -> Result<u64, Refusal> {
        match self {
            Self::Publish { subject, size, id, expect } => {
                let message = Self::message(subject, *size, *id, *expect);
                model.publish(message, now).map(|ack| ack.sequence)
            }
            Self::Purge { filter, keep } => {
                let mut options = PurgeOptions::default().with_keep(*keep);
                options.subject = filter.map(str::to_owned);
                model.purge("s", &options, now)
            }
            Self::Delete(sequence) => model.delete_message("s", *sequence, now).map(|()| 0),
            Self::Wait(_) => Ok(0),
        }
    }
}

fn op() -> impl Strategy<Value = Op> {
    let publish = (
        subject(),
        0..40_usize,
        proptest::option::weighted(0.3, 0..4_u8),
        proptest::option::weighted(0.2, 0..10_u64),
    )
        .prop_map(|(subject, size, id, expect)| Op::Publish { subject, size, id, expect });
    let keep = prop_oneof![
        Just(PurgeKeep::Nothing),
        (0..4_u64).prop_map(PurgeKeep::Newest),
        (0..30_u64).prop_map(PurgeKeep::FromSequence),
    ];
    let purge = (proptest::option::of(filter()), keep)
        .prop_map(|(filter, keep)| Op::Purge { filter, keep });
    prop_oneof![
        8 => publish,
        1 => purge,
        1 => (1..20_u64).prop_map(Op::Delete),
        1 => (0..300_u64).prop_map(Op::Wait),
    ]
}

fn ops(most: usize) -> impl Strategy<Value = Vec<Op>> {
    proptest::collection::vec(op(), 0..most)
}
