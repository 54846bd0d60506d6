//! A stream on three servers of which one lags behind: nothing of what the others have is passed over.

use std::sync::Arc;

use futures::{StreamExt, stream};
use naq_core::jetstream::{
    Delivery, JetStream, PublishMessage, ReadOptions, ReadStart, ReadUntil, StreamConfig,
};
use naq_core::{ErrorKind, Result};
use naq_tests::backend;
use naq_tests::faults::{PATIENCE, Round, rounds};
use naq_tests::server::{Cluster, NatsServer, User, Version};
use naq_tests::wait;

/// How many subjects the messages have in turn.
const SUBJECTS: u64 = 10;
/// How many messages are read at a time.
const READ: u64 = 200;

/// A cluster where one may do everything, and another one what every reader needs.
async fn cluster(version: Version) -> Cluster {
    let reader = User::new("reader", "secret")
        .may_publish([
            "$JS.API.STREAM.INFO.S",
            "$JS.API.CONSUMER.CREATE.S.>",
            "$JS.API.CONSUMER.MSG.NEXT.S.*",
            "$JS.API.CONSUMER.DELETE.S.*",
        ])
        .may_subscribe(["_INBOX.>"]);
    let server = NatsServer::builder()
        .version(version)
        .user(User::new("all", "secret"))
        .user(reader)
        .config("no_auth_user: all");
    Cluster::of(server).await
}

/// Stores messages of these numbers.
async fn store(js: &dyn JetStream, numbers: std::ops::Range<u64>) {
    let count = numbers.end - numbers.start;
    let message =
        |number| PublishMessage::new(format!("s.{}", number % SUBJECTS), vec![b'x'; 1_000]);
    let messages = stream::iter(numbers.map(message)).boxed();
    let published = js.publish_many(messages, Default::default());
    let stored = published.fold(0, async |sum, result| sum + result.unwrap().count()).await;
    assert_eq!(stored, count);
}

/// What is read up to the sequence `last`, whose subject is the one of its number.
async fn read(
    js: &dyn JetStream,
    start: ReadStart,
    last: u64,
    subjects: &[u64],
) -> Result<Vec<u64>> {
    let options = ReadOptions::default()
        .with_start(start)
        .with_until(ReadUntil::Sequence(last))
        .with_subjects(subjects.iter().map(|subject| format!("s.{subject}")).collect());
    let mut reading = js.read("S", options);
    let mut sequences = Vec::new();
    while let Some(delivery) = reading.next().await {
        match delivery? {
            Delivery::Message(message) => sequences.push(message.sequence),
            gap @ Delivery::Gap { .. } => panic!("{gap:?}"),
            Delivery::CaughtUp { .. } | Delivery::Resumed { .. } => {}
        }
    }
    Ok(sequences)
}

/// Reads the end in every manner: how many of them were whole. None ends short.
async fn read_in_each_manner(js: &dyn JetStream, last: u64) -> usize {
    let first = last - READ + 1;
    let mut whole = 0;
    for subjects in [&[][..], &[7], &[2, 3]] {
        let is_asked =
            |number: &u64| subjects.is_empty() || subjects.contains(&(number % SUBJECTS));
        let wanted: Vec<_> = (first..=last).filter(is_asked).collect();
        whole += is_whole(read(js, ReadStart::Sequence(first), last, subjects).await, &wanted);
    }
    let wanted: Vec<_> = (last - SUBJECTS + 1..=last).collect();
    let snapshot = read(js, ReadStart::LastPerSubject, last, &[]).await;
    // Of a replica that lags the ones before may come too.
    let ending = snapshot.map(|snapshot| snapshot[snapshot.len().saturating_sub(10)..].to_vec());
    whole + is_whole(ending, &wanted)
}

/// 1 for one that is whole; an error that says why is no short answer.
fn is_whole(got: Result<Vec<u64>>, wanted: &[u64]) -> usize {
    match got {
        Ok(got) => {
            assert_eq!(got, wanted);
            1
        }
        Err(error) => {
            let kind = error.kind();
            assert!(matches!(kind, ErrorKind::Timeout | ErrorKind::Unavailable), "{error}");
            0
        }
    }
}

/// One server is killed, much is stored on the others, and it comes back: while it
/// catches up, everything is read again and again.
async fn catch_up(round: &mut Round, version: Version) {
    let mut cluster = cluster(version).await;
    let url = cluster.server(0).url();
    let js = backend::connect(&url).await;
    let config = StreamConfig::new("S", ["s.>"]).with_replicas(3_u32);
    js.create_stream(config).await.unwrap();
    cluster.healed("S").await;
    let leader = cluster.leader(0, "S").await;
    let writer = backend::connect(&cluster.server(leader).url()).await;
    let reader = backend::connect(&cluster.server(leader).url_as("reader", "secret")).await;
    let last = round.choose(100_000, 400_000);
    store(&*writer, 1..1_001).await;
    let tail = tokio::spawn(follow(Arc::clone(&reader), last));

    let follower = (leader + 1 + round.random.usize(..2)) % 3;
    cluster.server_mut(follower).kill();
    store(&*writer, 1_001..last + 1).await;
    cluster.server_mut(follower).restart().await;
    let (mut whole, mut reads) = (0, 0);
    while reads < round.choose(400, 4_000) {
        let js = if reads % 3 == 0 { &reader } else { &writer };
        whole += read_in_each_manner(&**js, last).await;
        reads += 4;
    }
    assert!(whole > reads / 2, "{whole} of {reads}");
    wait::within("the tail", PATIENCE, tail).await.unwrap();
}

/// Follows the stream up to a sequence: each message comes once, and in order.
async fn follow(js: Arc<dyn JetStream>, last: u64) {
    let mut reading = js.read("S", ReadOptions::default());
    let mut sequence = 0;
    while sequence < last {
        match reading.next().await.unwrap().unwrap() {
            Delivery::Message(message) => {
                assert_eq!(message.sequence, sequence + 1);
                sequence = message.sequence;
            }
            gap @ Delivery::Gap { .. } => panic!("{gap:?}"),
            Delivery::CaughtUp { .. } | Delivery::Resumed { .. } => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_catches_up_ends_no_read_short() {
    rounds("replica behind", async |mut round| catch_up(&mut round, Version::LATEST).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_catches_up_ends_no_read_short_on_the_oldest_server() {
    rounds("replica behind", async |mut round| catch_up(&mut round, Version::V2_10).await).await;
}
