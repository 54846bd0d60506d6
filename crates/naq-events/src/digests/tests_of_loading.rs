//! What happens in memory while the store is asked is gone on from.

use std::sync::{Arc, Mutex};

use naq_core::Timestamp;
use naq_core::connection::SingleJetStream;
use naq_core::events::{Event, Position, RecordedEvent};
use naq_core::jetstream::StreamState;
use naq_core::kv::{KvStore, MockKvStore};
use naq_kv::KvStoreService;
use naq_memory::MemoryJetStream;

use super::digest::{BLOCK, Digest, block_end};
use super::draft::Draft;
use super::hours::Grain;
use super::kept::{Digests, Purpose};
use super::runs::Run;
use super::store::DigestStore;

const CREATED: Timestamp = Timestamp::from_nanos(0);

fn event(sequence: u64) -> RecordedEvent {
    let payload = serde_json::to_vec(&Event::log("x").with_timestamp(CREATED)).unwrap();
    let (position, subject) = (Position::new(CREATED, sequence), "events.log".to_owned());
    RecordedEvent::decode(position, CREATED, subject, payload.into()).unwrap()
}

/// A digest of block 0 that has looked at all through a sequence, where only
/// so many are there, and its bytes.
fn digest(seen: u64, through: u64) -> (Digest, Vec<u8>) {
    let mut draft = Draft::new(CREATED, 0);
    (1..=seen).for_each(|sequence| draft.observe(&event(sequence)));
    draft.reach(through);
    draft.seal()
}

/// A store in this process.
fn kv() -> Arc<dyn KvStore> {
    let provider = SingleJetStream::provider(Arc::new(MemoryJetStream::new()));
    Arc::new(KvStoreService::new(provider))
}

/// What is done when the store is asked next.
type Meanwhile = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

/// Digests, and what is done when their store is asked next.
fn with_meanwhile(kv: Arc<dyn KvStore>) -> (&'static Digests, Meanwhile) {
    let meanwhile = Meanwhile::default();
    let (mut mock, taken) = (MockKvStore::new(), Arc::clone(&meanwhile));
    mock.expect_bucket().returning(move |name| {
        let meanwhile = taken.lock().unwrap().take();
        meanwhile.into_iter().for_each(|meanwhile| meanwhile());
        kv.bucket(name)
    });
    (Box::leak(Box::new(Digests::new(Arc::new(mock), "events"))), meanwhile)
}

#[tokio::test]
async fn what_a_reading_puts_back_while_the_store_is_asked_is_gone_on_from() {
    // What is in the store, from where on the log is, and what the answer is made from.
    for (stored, first_sequence, expected) in [(0, 1, 0), (3, 1, 0), (0, 8, 9), (3, 8, 9)] {
        let kv = kv();
        if stored > 0 {
            let (theirs, bytes) = digest(stored, stored);
            let store = DigestStore::new(Arc::clone(&kv), "events");
            store.save(&theirs, bytes, ((0, 0), (0, 0)), 1).await.unwrap();
        }
        let (digests, meanwhile) = with_meanwhile(kv);
        let mut growing = digests.begin(CREATED, 0, 1, None);
        (1..=9).for_each(|sequence| growing.draft().observe(&event(sequence)));
        *meanwhile.lock().unwrap() = Some(Box::new(move || drop(growing)));
        let mut state = StreamState::default();
        (state.first_sequence, state.last_sequence) = (first_sequence, 9);
        let found = digests.load(CREATED, &[0], &state, Purpose::Question).await.unwrap();
        assert!(meanwhile.lock().unwrap().is_none(), "the store was asked");
        // What can be read again needs no sealing.
        assert_eq!(found[0].as_ref().map(|it| it.seen), Some(expected));
        let mut next = digests.begin(CREATED, 0, 10, None);
        assert_eq!((next.draft().through(), next.draft().seen()), (9, 9));
    }
}

#[tokio::test]
async fn an_older_digest_is_not_put_over_a_better_one_that_another_question_brings() {
    let kv = kv();
    let (older, bytes) = digest(1, block_end(0));
    let store = DigestStore::new(Arc::clone(&kv), "events");
    store.save(&older, bytes, ((0, 0), (0, 0)), 1).await.unwrap();
    let (digests, meanwhile) = with_meanwhile(kv);
    let better = Arc::new(digest(2, block_end(0)).0);
    let brought = Some(Arc::clone(&better));
    let bring = move || digests.kept(CREATED).insert(0, brought);
    *meanwhile.lock().unwrap() = Some(Box::new(bring));
    let mut state = StreamState::default();
    (state.first_sequence, state.last_sequence) = (block_end(0) + 1, block_end(0));
    for _ in 0..2 {
        let found = digests.load(CREATED, &[0], &state, Purpose::Question).await.unwrap();
        assert_eq!(found, [Some(Arc::clone(&better))]);
    }
}

#[tokio::test]
async fn what_was_removed_while_it_was_fetched_is_not_known_afterwards() {
    let kv = kv();
    let (stored, bytes) = digest(1, block_end(0));
    let store = DigestStore::new(Arc::clone(&kv), "events");
    store.save(&stored, bytes, ((0, 0), (0, 0)), 1).await.unwrap();
    let (digests, meanwhile) = with_meanwhile(kv);
    *meanwhile.lock().unwrap() = Some(Box::new(move || digests.look_again(CREATED, 0)));
    let mut state = StreamState::default();
    (state.first_sequence, state.last_sequence) = (block_end(0) + 1, block_end(0));
    for is_known in [false, true] {
        let found = digests.load(CREATED, &[0], &state, Purpose::Question).await.unwrap();
        assert!(found[0].is_some());
        assert_eq!(digests.kept(CREATED).digest(0, &state).1, is_known);
    }
}

#[test]
fn a_run_is_not_kept_that_was_made_of_what_is_known_no_longer() {
    let digest = Arc::new(Digest { seen: BLOCK, ..digest(1, block_end(0)).0 });
    let run = Arc::new(Run::of(&digest, Grain::Whole));
    let coarser = Some(Arc::new(digest.coarser(Grain::Hour)));
    for (now, is_kept) in [(Some(Arc::clone(&digest)), true), (coarser, false), (None, false)] {
        let digests = Digests::new(kv(), "events");
        let mut kept = digests.kept(CREATED);
        kept.insert(0, now);
        kept.insert_run(run.place, Some(Arc::clone(&run)));
        assert_eq!(kept.run(run.place).is_some(), is_kept);
        kept.forget(0);
        kept.insert_run(run.place, Some(Arc::clone(&run)));
        assert!(kept.run(run.place).is_none());
    }
}
