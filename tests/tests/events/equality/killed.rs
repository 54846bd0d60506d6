//! A keeper that digests over the end of a block and removes what is old is
//! killed behind each number of words with the server, in steps, until it comes
//! to its end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use naq_core::ErrorKind;
use naq_core::clock::ManualClock;
use naq_core::config::RetentionAges;
use naq_core::events::Event;
use naq_core::kv::KvBucketExt;
use naq_core::service::Service;
use naq_memory::MemoryJetStream;
use naq_tests::mortal::Life;
use naq_tests::own_log::Keeps;
use naq_tests::wait;

use super::model::{BLOCK, Model};
use super::story::{BUDGET, PATIENCE, Story};

/// So many messages there are, the half of them in the first block.
const EVENTS: u64 = 60;

/// So many more words each next one has.
const STEP: u64 = 2;

/// The types of events that get too old.
const OLD: [&str; 2] = ["log", "mine"];

pub(super) async fn killed_anywhere(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut words, mut kept_some, mut removed_some) = (random.u64(..STEP), 0, 0);
    while let Some(left) = killed_behind(words, random.fork()).await {
        kept_some += u64::from(left.kept > 0);
        removed_some += u64::from(left.there < EVENTS);
        words += STEP;
    }
    // Keeping and removing take some words each.
    assert!(kept_some > removed_some && removed_some > 0, "{kept_some}, {removed_some}");
}

/// What one leaves that was killed.
struct Left {
    /// How many messages are in digests that it has kept.
    kept: u64,
    /// How many the log has still.
    there: u64,
}

/// Plays one; `None` where it was not killed before its end.
async fn killed_behind(words: u64, random: fastrand::Rng) -> Option<Left> {
    // The server's clock tells how old events are.
    let clock = Arc::new(ManualClock::starting_at(SystemTime::now().into()));
    let js = Arc::new(MemoryJetStream::builder().clock(Arc::clone(&clock) as _).build());
    let mut story = Story::new(js, words);
    (story.random, story.tiers) = (random, None);
    story.own.config.max_msgs = None;
    (story.own.config.digest_hours_after, story.own.config.digest_days_after) = (None, None);
    story.model = Model { begin: BLOCK - EVENTS / 2, ..Model::default() };
    story.keeps = if words.is_multiple_of(2) { Keeps::Indexes } else { Keeps::Digests };
    story.begin().await;
    story.store(0..EVENTS).await;
    clock.advance(Duration::from_secs(60));

    // Each goes by a step of its own; what is no event is stored as one of them.
    let second = Duration::from_secs(1);
    let ages = RetentionAges::default().with_age(OLD[0], second).with_age(OLD[1], second);
    // Its words are counted from its beginning on, or it would come by any number
    // before it is told when it ends.
    let (own, life) = story.mortal(ages.clone());
    life.ends_after(words);
    let lives = async {
        let _service = own.keeper_of(story.keeps).await;
        std::future::pending::<()>().await;
    };
    let has_ended = tokio::select! {
        has_ended = removes_all(&story, &life) => has_ended,
        () = lives => unreachable!("it comes to no end by itself"),
    };
    let is_over = life.is_over();
    life.ends_after(0);
    // What it has removed is in digests that it has kept.
    let kept = story.learn(&[]).await;
    story.model.look(&story.own).await;
    let there = story.own.info().await.state.messages;
    story.ask_fresh(0, &format!("killed behind {words} words")).await.stop(BUDGET).await.unwrap();

    // The next one does the rest, without waiting for the end of the lease.
    match story.own.bucket("naq_keepers").purge(&story.own.config.stream_name).await {
        Err(error) if error.is(ErrorKind::NotFound) => {}
        purged => purged.map(drop).unwrap(),
    }
    let next = story.keeper(ages).await;
    assert!(removes_all(&story, &next.life).await);
    next.service.stop(BUDGET).await.unwrap();
    story.learn(&[]).await;
    story.model.look(&story.own).await;
    let about = format!("the next one behind {words} words");
    story.ask_fresh(1, &about).await.stop(BUDGET).await.unwrap();
    let lacks = story.model.lacks(&story.model.kept());
    assert_eq!(lacks, story.model.begin, "{about}");
    (is_over && !has_ended).then_some(Left { kept, there })
}

/// Waits until a keeper has removed all that is too old, or is at its end before that.
async fn removes_all(story: &Story, life: &Life) -> bool {
    let is_young = |event: &Event| !OLD.contains(&event.event_type.as_str());
    let stored = story.model.all.iter().filter_map(|stored| stored.event.as_ref());
    let (young, mut is_done) = (stored.filter(|event| is_young(event)).count() as u64, false);
    wait::until("all to be removed that is old", PATIENCE, async || {
        is_done = story.own.info().await.state.messages == young;
        is_done || life.is_over()
    })
    .await;
    is_done
}
