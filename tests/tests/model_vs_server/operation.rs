//! What is done to the stream.

use naq_core::jetstream::{Consistency, PurgeKeep};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any as anything};
use proptest::{prop_oneof, sample};

/// Sequences that are there, that were, and that will be.
const SEQUENCES: u64 = 40;
const TAILS: [&str; 4] = ["a", "b", "b.c", "d.e.f"];
const FILTERS: [&str; 7] = ["a", "b", "b.*", ">", "*", "d.>", "none"];

/// One operation of the port.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Publish(Draft),
    PublishMany(Vec<Draft>),
    PublishAtomic(Vec<Draft>),
    Delete(u64),
    Purge {
        filter: Option<&'static str>,
        keep: PurgeKeep,
    },
    Get(Wanted, Consistency),
    GetSequences(Vec<u64>, Consistency),
    GetLasts(Vec<&'static str>, Consistency),
    GetFrom {
        sequence: u64,
        filter: Option<&'static str>,
        limit: u64,
        consistency: Consistency,
    },
    Counts {
        filter: &'static str,
        offset: u64,
    },
    Read {
        start: Start,
        until: Option<u64>,
        filters: Vec<&'static str>,
        limit: Option<u64>,
    },
    Info,
    Update(Change),
    CreateConsumer {
        start: Start,
        filter: Option<&'static str>,
        max_ack_pending: u64,
    },
    DeleteConsumer,
    ConsumerInfo,
    Fetch(usize),
    /// Answers one of the deliveries that came.
    Done(sample::Index),
}

/// A message to publish.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) tail: &'static str,
    pub(crate) size: usize,
    pub(crate) id: Option<u8>,
    pub(crate) expected: Expectation,
    pub(crate) rollup: Option<&'static str>,
}

#[derive(Debug, Clone)]
pub(crate) enum Expectation {
    Nothing,
    Last(u64),
    LastOfSubject(u64),
    LastId(u8),
}

#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    Sequence(u64),
    Last(&'static str),
    Next(&'static str, u64),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Start {
    Beginning,
    Sequence(u64),
    New,
    LastPerSubject,
}

#[derive(Debug, Clone)]
pub(crate) enum Change {
    MaxMessages(u64),
    MaxMessagesPerSubject(u64),
    MaxBytes(u64),
    AllowDirect(bool),
}

fn draft() -> impl Strategy<Value = Draft> {
    let expected = prop_oneof![
        6 => Just(Expectation::Nothing),
        1 => (0..SEQUENCES).prop_map(Expectation::Last),
        1 => (0..SEQUENCES / 2).prop_map(Expectation::LastOfSubject),
        1 => (0..6_u8).prop_map(Expectation::LastId),
    ];
    let rollup = option::weighted(0.08, sample::select(vec!["sub", "all", "nonsense"]));
    (sample::select(&TAILS[..]), 0..400_usize, option::of(0..6_u8), expected, rollup)
        .prop_map(|(tail, size, id, expected, rollup)| Draft { tail, size, id, expected, rollup })
}

fn filter() -> impl Strategy<Value = &'static str> {
    sample::select(&FILTERS[..])
}

fn consistency() -> impl Strategy<Value = Consistency> {
    prop_oneof![Just(Consistency::Leader), Just(Consistency::Any)]
}

/// Where a durable consumer begins: a server loses its way where the last message of a subject
/// is gone before a consumer of the last per subject came to it.
fn consumer_start() -> impl Strategy<Value = Start> {
    prop_oneof![Just(Start::Beginning), (0..SEQUENCES).prop_map(Start::Sequence), Just(Start::New),]
}

fn start() -> impl Strategy<Value = Start> {
    prop_oneof![
        Just(Start::Beginning),
        (0..SEQUENCES).prop_map(Start::Sequence),
        Just(Start::New),
        Just(Start::LastPerSubject),
    ]
}

fn sequence() -> impl Strategy<Value = u64> {
    1..SEQUENCES
}

/// Any operation; most of them publish.
pub(crate) fn any() -> impl Strategy<Value = Operation> {
    let keep = prop_oneof![
        Just(PurgeKeep::Nothing),
        (0..4_u64).prop_map(PurgeKeep::Newest),
        (0..SEQUENCES).prop_map(PurgeKeep::FromSequence),
    ];
    let wanted = prop_oneof![
        sequence().prop_map(Wanted::Sequence),
        filter().prop_map(Wanted::Last),
        (filter(), 0..SEQUENCES).prop_map(|(filter, from)| Wanted::Next(filter, from)),
    ];
    let change = prop_oneof![
        (0..8_u64).prop_map(Change::MaxMessages),
        (0..3_u64).prop_map(Change::MaxMessagesPerSubject),
        (0..2_000_u64).prop_map(Change::MaxBytes),
        anything::<bool>().prop_map(Change::AllowDirect),
    ];
    let publishing = prop_oneof![
        5 => draft().prop_map(Operation::Publish),
        1 => vec(draft(), 0..6).prop_map(Operation::PublishMany),
        1 => vec(draft(), 0..5).prop_map(Operation::PublishAtomic),
    ];
    let removing = prop_oneof![
        sequence().prop_map(Operation::Delete),
        (option::of(filter()), keep).prop_map(|(filter, keep)| Operation::Purge { filter, keep }),
        change.prop_map(Operation::Update),
    ];
    let getting = prop_oneof![
        (wanted, consistency()).prop_map(|(wanted, by)| Operation::Get(wanted, by)),
        (vec(sequence(), 0..5), consistency())
            .prop_map(|(sequences, by)| Operation::GetSequences(sequences, by)),
        (vec(sample::select(&TAILS[..]), 0..4), consistency())
            .prop_map(|(tails, by)| Operation::GetLasts(tails, by)),
        (0..SEQUENCES, option::of(filter()), 1..8_u64, consistency()).prop_map(
            |(sequence, filter, limit, consistency)| Operation::GetFrom {
                sequence,
                filter,
                limit,
                consistency
            }
        ),
        (filter(), 0..4_u64).prop_map(|(filter, offset)| Operation::Counts { filter, offset }),
        Just(Operation::Info),
        (start(), option::of(sequence()), vec(filter(), 0..3), option::of(1..6_u64)).prop_map(
            |(start, until, filters, limit)| Operation::Read { start, until, filters, limit }
        ),
    ];
    let consuming = prop_oneof![
        2 => (consumer_start(), option::of(filter()), 0..4_u64).prop_map(
            |(start, filter, max_ack_pending)| Operation::CreateConsumer {
                start,
                filter,
                max_ack_pending
            }
        ),
        1 => Just(Operation::DeleteConsumer),
        2 => Just(Operation::ConsumerInfo),
        4 => (1..5_usize).prop_map(Operation::Fetch),
        4 => anything::<sample::Index>().prop_map(Operation::Done),
    ];
    prop_oneof![8 => publishing, 3 => removing, 5 => getting, 4 => consuming]
}

impl Operation {
    /// All that there is to see of a stream.
    pub(crate) fn inventory() -> Vec<Self> {
        let read = |start, filters| Self::Read { start, until: None, filters, limit: None };
        vec![
            Self::Info,
            read(Start::Beginning, Vec::new()),
            read(Start::Sequence(1), vec!["b.*", "a"]),
            read(Start::LastPerSubject, Vec::new()),
            Self::Counts { filter: ">", offset: 0 },
            Self::ConsumerInfo,
            Self::Fetch(100),
        ]
    }
}
