//! What a service keeps of blocks that it has read, and what it goes on from.

use std::sync::Arc;
use std::time::Duration;

use naq_core::events::{Event, Position, RecordedEvent};
use naq_core::jetstream::StreamState;
use naq_core::kv::{KvStore, MockKvStore};
use naq_core::{Error, ErrorKind, Timestamp};

use super::digest::{Digest, block_end, block_start};
use super::draft::Draft;
use super::kept::{Digests, Purpose};
use super::store::{DigestStore, Saved};
use crate::made_up::{self, of_a_newer_version};

fn log(sequence: u64) -> RecordedEvent {
    let at = Timestamp::from_nanos(0);
    let payload = serde_json::to_vec(&Event::log("x").with_timestamp(at)).unwrap();
    let position = Position::new(at, sequence);
    RecordedEvent::decode(position, at, "events.log".to_owned(), payload.into()).unwrap()
}

/// A store in this process.
fn kv() -> Arc<dyn KvStore> {
    let js = Arc::new(naq_memory::MemoryJetStream::new());
    Arc::new(naq_kv::KvStoreService::new(naq_core::connection::SingleJetStream::provider(js)))
}

/// Digests whose store is away.
fn without_server() -> Digests {
    let mut kv = MockKvStore::new();
    kv.expect_bucket()
        .returning(|_| Err(Error::new(ErrorKind::Unavailable, "bucket", "the server is away")));
    Digests::new(Arc::new(kv), "events")
}

/// A digest of block 0 that has looked at all through a sequence, where
/// only some are there, and its bytes.
fn digest(seen: impl IntoIterator<Item = u64>, through: u64) -> (Digest, Vec<u8>) {
    let mut draft = Draft::new(Timestamp::from_nanos(0), 0);
    seen.into_iter().for_each(|sequence| draft.observe(&log(sequence)));
    draft.reach(through);
    draft.seal()
}

#[tokio::test]
async fn what_has_seen_more_of_what_is_gone_is_not_replaced_by_what_has_come_further() {
    let store = DigestStore::new(kv(), "events");
    let (early, bytes) = digest(1..=9, 9);
    let saved = store.save(&early, bytes, ((0, 0), (1, 0)), 1).await.unwrap();
    assert_eq!(saved, Saved::Kept);
    // Another one has counted the first two, and found the others gone.
    let (far, bytes) = digest([1, 2].into_iter().chain(10..40), 40);
    assert!(far.extent() > early.extent() && far.holes() > 0);
    let better = store.save(&far, bytes.clone(), ((2, 2), (10, 0)), 1).await.unwrap();
    assert_eq!(better, Saved::Better(Box::new(early.clone())));
    // Made from the one in the store it is the better one, holes or not.
    let (on, bytes) = digest((1..=9).chain(20..40), 40);
    let saved = store.save(&on, bytes, (early.extent(), (10, 0)), 1).await.unwrap();
    assert_eq!(saved, Saved::Kept);
    let stored = store.get(early.created, &[0]).await.unwrap();
    assert_eq!(stored, [Some(on)]);
}

#[tokio::test]
async fn what_has_fewer_holes_and_lacks_what_is_gone_does_not_replace_what_has_come_further() {
    let store = DigestStore::new(kv(), "events");
    let (early, bytes) = digest(1..=10, 10);
    let saved = store.save(&early, bytes, ((0, 0), (1, 0)), 1).await.unwrap();
    assert_eq!(saved, Saved::Kept);
    // Another one has found some of that gone, and counted what went since.
    let (far, bytes) = digest((1..=3).chain(30..=60), 60);
    assert!(far.holes() > early.holes());
    let saved = store.save(&far, bytes, ((0, 0), (55, 0)), 1).await.unwrap();
    assert_eq!(saved, Saved::Kept);
    assert_eq!(store.get(far.created, &[0]).await.unwrap(), [Some(far)]);
    // Nor is one that grows given up for it, though that is what the store has.
    let kv = kv();
    let store = DigestStore::new(Arc::clone(&kv), "events");
    let (early, bytes) = digest(1..=10, 10);
    store.save(&early, bytes, ((0, 0), (1, 0)), 1).await.unwrap();
    let digests = Digests::new(kv, "events");
    let mut growing = digests.begin(early.created, 0, 1, None);
    (1..=3).chain(30..=60).for_each(|sequence| growing.draft().observe(&log(sequence)));
    drop(growing);
    let mut state = StreamState::default();
    (state.first_sequence, state.last_sequence) = (55, 60);
    let found = digests.load(early.created, &[0], &state, Purpose::Question).await.unwrap();
    assert_eq!(found[0].as_ref().map(|it| it.extent()), Some((34, 60)));
}

#[tokio::test]
async fn a_whole_block_that_could_not_be_kept_is_not_taken_for_kept() {
    let created = Timestamp::from_nanos(0);
    let digests = without_server();
    let mut open = digests.begin(created, 0, 1, None);
    open.draft().observe(&log(1));
    open.draft().reach(block_end(0));
    let error = digests.finish(open, 1, Purpose::Question).await.unwrap_err();
    assert!(error.is(ErrorKind::Unavailable));
    let state = StreamState::default();
    for _ in 0..2 {
        // What it comes to is there, and each one to look tries to keep it.
        let found = digests.load(created, &[0], &state, Purpose::Question).await.unwrap();
        assert_eq!(found[0].as_ref().map(|it| it.extent()), Some((1, block_end(0))));
        assert!(digests.kept(created).digest(0, &state).0.is_none());
        let kept = digests.keep_whole(created, 1, Purpose::Question).await;
        assert!(kept.unwrap_err().is(ErrorKind::Unavailable));
    }
}

#[tokio::test]
async fn a_block_that_another_version_has_digested_is_known_here_and_not_taken_for_kept() {
    let (kv, created) = (kv(), Timestamp::from_nanos(0));
    let store = DigestStore::new(Arc::clone(&kv), "events");
    let (theirs, bytes) = digest(1..=9, 9);
    store.save(&theirs, of_a_newer_version(&bytes), ((0, 0), (0, 0)), 1).await.unwrap();
    let digests = Digests::new(Arc::clone(&kv), "events").with_ages(Some(Duration::ZERO));
    let mut open = digests.begin(created, 0, 1, None);
    open.draft().observe(&log(1));
    open.draft().reach(block_end(0));
    digests.finish(open, 1, Purpose::Question).await.unwrap();
    // It has left the log, and nobody else can tell what was counted.
    let mut state = StreamState::default();
    (state.first_sequence, state.last_sequence) = (block_start(1), block_start(1));
    let others = Digests::new(kv, "events");
    for _ in 0..2 {
        let found = digests.load(created, &[0], &state, Purpose::Question).await.unwrap();
        assert_eq!(found[0].as_ref().map(|it| it.extent()), Some((1, block_end(0))));
        let found = others.load(created, &[0], &state, Purpose::Question).await.unwrap();
        assert_eq!(found, [None]);
    }
}

#[tokio::test]
async fn what_nobody_has_asked_for_does_not_stay_in_memory() {
    let created = Timestamp::from_nanos(0);
    let digests = Digests::new(kv(), "events");
    let state = StreamState::default();
    let in_memory = || digests.kept(created).len();
    for block in 0..3 {
        let mut open = digests.begin(created, block, block_start(block), None);
        open.draft().observe(&log(block_start(block)));
        open.draft().reach(block_end(block));
        digests.finish(open, 1, Purpose::Keeping).await.unwrap();
    }
    let found = digests.load(created, &[0, 1, 2], &state, Purpose::Keeping).await.unwrap();
    assert_eq!((found.iter().flatten().count(), in_memory()), (3, 0));
    let found = digests.load(created, &[0, 1], &state, Purpose::Question).await.unwrap();
    assert_eq!((found.iter().flatten().count(), in_memory()), (2, 2));
}

#[tokio::test]
async fn a_draft_that_has_come_less_far_than_what_was_seen_is_not_gone_on_from() {
    let created = Timestamp::from_nanos(0);
    let digests = Digests::new(Arc::new(MockKvStore::new()), "events");
    let mut far = digests.begin(created, 0, 1, None);
    (1..=9).for_each(|sequence| far.draft().observe(&log(sequence)));
    let seen = far.draft().seal().0;
    // A slower question puts back less than another one has seen.
    let mut near = digests.begin(created, 0, 1, None);
    (1..=5).for_each(|sequence| near.draft().observe(&log(sequence)));
    digests.finish(near, 1, Purpose::Question).await.unwrap();

    let mut open = digests.begin(created, 0, 10, Some(&seen));
    assert_eq!((open.draft().through(), open.draft().seen()), (9, 9));
    let mut other = digests.begin(created, 0, 6, None);
    assert_eq!((other.draft().through(), other.draft().seen()), (5, 5));
}

#[tokio::test]
async fn what_a_reading_that_is_given_up_has_counted_is_gone_on_from() {
    let created = made_up::CREATED;
    let (_, log_of_all) = made_up::log_anew_from(&[], 20);
    let digests = Digests::new(kv(), "events");
    let mut given_up = digests.begin(created, 0, 1, None);
    (1..=9).for_each(|sequence| given_up.draft().observe(&log(sequence)));
    drop(given_up);
    let mut next = digests.begin(created, 0, 10, None);
    assert_eq!((next.draft().through(), next.draft().seen()), (9, 9));
    // Nor is it lost where the next one comes no further, or at a stop.
    drop(next);
    assert!(!digests.has(&log_of_all, 1..2).await.unwrap());
    digests.checkpoint(created, 1).await.unwrap();
    let has = async |to| digests.has(&log_of_all, 1..to).await.unwrap();
    assert_eq!([has(10).await, has(11).await], [true, false]);
    let stored = digests.stored(created, &[0]).await.unwrap();
    assert_eq!(stored[0].as_ref().map(|digest| digest.extent()), Some((9, 9)));
}

#[tokio::test]
async fn what_was_not_looked_up_after_a_loss_is_looked_up_by_the_next_question() {
    let created = Timestamp::from_nanos(0);
    let digests = without_server();
    let mut open = digests.begin(created, 0, 1, None);
    (1..=3).for_each(|sequence| open.draft().observe(&log(sequence)));
    drop(open);
    let mut state = StreamState::default();
    let unchanged = digests.load(created, &[0], &state, Purpose::Question).await.unwrap();
    assert!(unchanged[0].is_some());
    // Another service may have counted what has left the log meanwhile.
    (state.first_sequence, state.last_sequence) = (8, 9);
    for _ in 0..2 {
        let asked = digests.load(created, &[0], &state, Purpose::Question).await;
        assert!(asked.unwrap_err().is(ErrorKind::Unavailable));
    }
}
