//! The laws of revisions, against a bucket written naively.

use std::collections::BTreeMap;
use std::sync::Arc;

use naq_core::connection::SingleJetStream;
use naq_core::kv::{PutMode, RemoveMode};
use naq_kv::prelude::*;
use naq_memory::MemoryJetStream;
use proptest::prelude::*;

const KEYS: [&str; 3] = ["a", "a.b", "c/d"];

/// What is expected of a key: its latest revision, another one, or nothing.
#[derive(Debug, Clone, Copy)]
enum Guess {
    Nothing,
    Right,
    Wrong(u64),
}

#[derive(Debug, Clone)]
enum Step {
    Put(usize, u8),
    Create(usize, u8),
    Update(usize, u8, Guess),
    Remove(usize, RemoveMode, Guess),
}

fn guess() -> impl Strategy<Value = Guess> {
    prop_oneof![Just(Guess::Nothing), Just(Guess::Right), (0..40_u64).prop_map(Guess::Wrong)]
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..KEYS.len();
    let mode = prop_oneof![Just(RemoveMode::Delete), Just(RemoveMode::Purge)];
    prop_oneof![
        (key.clone(), any::<u8>()).prop_map(|(key, value)| Step::Put(key, value)),
        (key.clone(), any::<u8>()).prop_map(|(key, value)| Step::Create(key, value)),
        (key.clone(), any::<u8>(), guess()).prop_map(|(key, v, guess)| Step::Update(key, v, guess)),
        (key, mode, guess()).prop_map(|(key, mode, guess)| Step::Remove(key, mode, guess)),
    ]
}

/// A revision as the naive bucket keeps it.
type Kept = (u64, Option<u8>, KvOperation);

/// A bucket in which every rule is written out.
#[derive(Debug, Default)]
struct Naive {
    history: usize,
    last: u64,
    keys: BTreeMap<&'static str, Vec<Kept>>,
}

impl Naive {
    fn latest(&self, key: &str) -> Option<&Kept> {
        self.keys.get(key)?.last()
    }

    fn revision(&self, key: &str) -> u64 {
        self.latest(key).map_or(0, |(revision, ..)| *revision)
    }

    fn is_live(&self, key: &str) -> bool {
        self.latest(key).is_some_and(|(_, value, _)| value.is_some())
    }

    fn store(&mut self, key: &'static str, value: Option<u8>, operation: KvOperation) -> u64 {
        self.last += 1;
        let kept = self.keys.entry(key).or_default();
        kept.push((self.last, value, operation));
        let surplus = match operation {
            KvOperation::Purge => kept.len() - 1,
            _ => kept.len().saturating_sub(self.history),
        };
        kept.drain(..surplus);
        self.last
    }
}

fn kept(entry: &KvEntry) -> Kept {
    (entry.revision, entry.value.first().copied(), entry.operation)
}

async fn walk(history: u64, steps: Vec<Step>) {
    let jetstream = SingleJetStream::provider(Arc::new(MemoryJetStream::new()));
    let store = KvStoreService::new(jetstream);
    let bucket = store.create_bucket(BucketConfig::new("b").with_history(history)).await.unwrap();
    let mut naive = Naive { history: history as usize, ..Naive::default() };
    for step in steps {
        let (index, guess) = match &step {
            Step::Put(key, _) | Step::Create(key, _) => (*key, Guess::Nothing),
            Step::Update(key, _, guess) | Step::Remove(key, _, guess) => (*key, *guess),
        };
        let key = KEYS[index];
        let expected = match guess {
            Guess::Nothing => None,
            Guess::Right => Some(naive.revision(key)),
            Guess::Wrong(revision) => Some(revision),
        };
        let holds = expected.is_none_or(|revision| revision == naive.revision(key));
        let (answer, allowed, value, operation) = match step {
            Step::Put(_, value) => {
                (bucket.put(key, vec![value]).await, true, Some(value), KvOperation::Put)
            }
            Step::Create(_, value) => {
                let allowed = !naive.is_live(key);
                (bucket.create(key, vec![value]).await, allowed, Some(value), KvOperation::Put)
            }
            Step::Update(_, value, _) => {
                let mode = expected.map_or(PutMode::Overwrite, PutMode::Update);
                let options = PutOptions::default().with_mode(mode);
                let answer = bucket.put_opts(key, vec![value].into(), options).await;
                (answer, holds, Some(value), KvOperation::Put)
            }
            Step::Remove(_, mode, _) => {
                let mut options = RemoveOptions::default().with_mode(mode);
                options.expected = expected;
                let operation = match mode {
                    RemoveMode::Delete => KvOperation::Delete,
                    RemoveMode::Purge => KvOperation::Purge,
                };
                (bucket.remove(key, options).await, holds, None, operation)
            }
        };
        if allowed {
            let revision = naive.store(key, value, operation);
            assert_eq!(answer.unwrap(), revision, "each change has the next revision");
        } else {
            let refused = answer.unwrap_err();
            assert_eq!(refused.get("found"), Some(naive.revision(key).to_string().as_str()));
        }
    }
    for key in KEYS {
        let history: Vec<Kept> = bucket.history(key).await.unwrap().iter().map(kept).collect();
        assert_eq!(history, naive.keys.get(key).cloned().unwrap_or_default());
        let latest = bucket.get_opts(key, GetOptions::default()).await.unwrap();
        assert_eq!(latest.as_ref().map(kept), naive.latest(key).copied());
        assert_eq!(bucket.get(key).await.unwrap().is_some(), naive.is_live(key));
        for (revision, value, operation) in history {
            let entry = bucket.get_revision(key, revision).await.unwrap().unwrap();
            assert_eq!(kept(&entry), (revision, value, operation));
        }
    }
    assert_eq!(bucket.status().await.unwrap().last_revision, naive.last);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn revisions_are_those_of_a_naive_bucket(
        history in 1..5_u64,
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(walk(history, steps));
    }
}
