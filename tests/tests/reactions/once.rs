//! Doing something once per event.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use naq_core::events::{Event, Filter};
use naq_core::jetstream::JetStream;
use naq_core::kv::{BucketConfig, KvBucketExt};
use naq_core::token;
use naq_events::reactions::{Doubt, Once, Outcome, Reaction};
use naq_tests::names;

use crate::support::{Own, Seen, idle, options};

/// A reaction to the first event of a log, and marks in a bucket of its own.
async fn reaction(own: &Own) -> (Reaction, Once, Arc<dyn naq_core::kv::KvBucket>) {
    let got = Arc::new(std::sync::Mutex::new(None));
    let keep = {
        let got = Arc::clone(&got);
        move |reaction: Reaction| {
            *got.lock().unwrap() = Some(reaction);
            std::future::ready(Outcome::Done)
        }
    };
    own.log(Event::job_paused("j")).await;
    own.reactions.react("g", Filter::new(), keep, options()).await.unwrap();
    idle(own, "g").await;
    let reaction = got.lock().unwrap().take().unwrap();
    let bucket = own.kv.ensure_bucket(BucketConfig::new(names::unique("once"))).await.unwrap();
    (reaction, Once::new(Arc::clone(&bucket), "g"), bucket)
}

pub(crate) async fn work_that_is_done_is_not_done_again(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let (reaction, once, _) = reaction(&own).await;
    let runs = AtomicUsize::new(0);
    for _ in 0..3 {
        let work = async || {
            runs.fetch_add(1, Ordering::SeqCst);
            Outcome::Done
        };
        assert_eq!(once.run(&reaction, work).await, Outcome::Done);
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

pub(crate) async fn work_that_failed_is_done_again(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let (reaction, once, _) = reaction(&own).await;
    assert_eq!(once.run(&reaction, async || Outcome::retry()).await, Outcome::retry());
    assert_eq!(once.run(&reaction, async || Outcome::Done).await, Outcome::Done);
    let never = async || -> Outcome { panic!("it is done") };
    assert_eq!(once.run(&reaction, never).await, Outcome::Done);
}

pub(crate) async fn doubt_is_left_or_repeated(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let (reaction, once, bucket) = reaction(&own).await;
    // As a process leaves it that dies in the middle of the work.
    let id = reaction.recorded.event.id.as_ref().unwrap().to_string();
    bucket.put(&format!("g.{}", token::encode(&id)), "begun").await.unwrap();
    let leaves = once.clone().with_doubt(Doubt::Leave);
    let never = async || -> Outcome { panic!("it may have been done") };
    assert!(matches!(leaves.run(&reaction, never).await, Outcome::Reject(_)));
    let seen = Seen::default();
    let again = async || {
        seen.note(&reaction);
        Outcome::Done
    };
    assert_eq!(once.run(&reaction, again).await, Outcome::Done);
    assert_eq!(seen.sequences().len(), 1);
}
