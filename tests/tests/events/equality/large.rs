//! A log of more than one block, whose digests are kept, used and lost.

use std::sync::Arc;

use naq_core::jetstream::JetStream;
use naq_core::kv::KvBucketExt;
use naq_core::service::Service;
use naq_tests::own_log::{DIGESTS, Keeps};

use super::log::Manner;
use super::model::{BLOCK, Model};
use super::story::{BUDGET, Story};

/// A block, and some of the next one.
const EVENTS: u64 = 67_000;

pub(super) async fn large(js: Arc<dyn JetStream>, random: fastrand::Rng) {
    let mut story = Story::new(js, 0);
    story.random = random;
    story.own.config.max_msgs = None;
    (story.model, story.keeps) = (Model::default(), Keeps::Digests);
    story.manner = Manner { apart: 80, malformed: 4_000 };
    story.begin().await;
    story.store(0..EVENTS).await;
    let keeper = story.keeper(Default::default()).await;
    story.stop_keeping(keeper).await;

    let ask = async |story: &mut Story, from_digests: u64, questions: usize, about: &str| {
        let fresh = story.own.service(Keeps::Digests).await;
        let kept = story.model.kept();
        let basis = story.asked(&fresh, &kept, about).everything().await;
        assert_eq!(basis.from_digests, from_digests, "{about}: {basis:?}");
        story.something(&fresh, &kept, questions, about).await;
        fresh.stop(BUDGET).await.unwrap();
    };
    ask(&mut story, EVENTS, 3, "all is there").await;
    story.own.purge_below(60_001).await;
    story.own.purge_type("log").await;
    story.model.look(&story.own).await;
    ask(&mut story, EVENTS, 3, "the beginning is gone").await;

    let [first, second] = &story.own.kept(DIGESTS).await[..] else { panic!("two blocks are kept") };
    assert!(first < second);
    story.own.bucket(DIGESTS).delete(first).await.unwrap();
    let mut kept = vec![true; EVENTS as usize];
    kept[..BLOCK as usize].fill(false);
    story.model.keep(&kept, EVENTS);
    ask(&mut story, EVENTS - BLOCK, 2, "a digest is gone").await;
}
