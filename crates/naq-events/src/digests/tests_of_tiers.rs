//! Answers from digests that are made coarser, and which ones are.

use std::sync::Arc;
use std::time::Duration;

use naq_core::config::EventsConfig;
use naq_core::events::{Event, StatsRequest};
use naq_core::kv::MockKvStore;
use naq_core::{Error, ErrorKind, Timestamp};

use super::digest::{BLOCK, Digest, block_end, block_start};
use super::draft::Draft;
use super::encode::encode;
use super::hours::Grain;
use super::kept::{Digests, Purpose};
use super::tests_of_answers::{Answer, Gone, Question};
use super::tiers::{Coarsening, MOST, Tiers};

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn coarser_digests_say_what_they_tell_no_more() {
    let [hours, days] = [60, 1_440].map(|minutes| Duration::from_secs(60 * minutes));
    let (mut coarser, mut exact, mut undecided) = (0, 0, 0);
    for seed in 100..112 {
        let mut gone = Gone::new(seed).await;
        let (log, mut truth) = (gone.log(), Vec::new());
        for _ in 0..12 {
            let question = gone.question();
            let answer = question.ask(&log, &gone.asked_nothing()).await;
            truth.push((answer.read_or_not(), question));
        }
        let place = (gone.created, gone.first);
        let config = match seed % 2 {
            0 => gone.config.clone().with_digest_hours_after(hours),
            _ => gone.config.clone().with_digest_days_after(days),
        };
        let (keeper, tiers) = (gone.asked_nothing(), Tiers::of(&config));
        let mut coarsening = Coarsening::default();
        let step = async |coarsening: &mut Coarsening, now| {
            coarsening.step(&keeper, place, now, tiers).await.unwrap()
        };
        assert_eq!(step(&mut coarsening, Timestamp::default()).await, (0, 0), "none is that old");
        coarser += step(&mut coarsening, Timestamp::MAX).await.1;
        // Each is looked at once, and is none the coarser for who looks again.
        assert_eq!(step(&mut coarsening, Timestamp::MAX).await, (0, 0));
        assert_eq!(step(&mut Coarsening::default(), Timestamp::MAX).await.1, 0);

        for (mut expected, question) in truth {
            let mut got = question.ask(&log, &gone.asked_nothing()).await.read_or_not();
            let more = got.basis().undecided;
            undecided += more;
            if let (Answer::Stats(got), Answer::Stats(expected)) = (&got, &expected) {
                let (got, expected) = (got.total_events, expected.total_events);
                assert!(got <= expected && expected <= got + more, "log {seed}: {question:?}");
            }
            // A part of what is together now has the repeats that it must have.
            let repeats = (got.basis().duplicates, expected.basis().duplicates);
            assert!(repeats.0 <= repeats.1, "log {seed}: {question:?}");
            got.basis().duplicates = repeats.1;
            let is_exact = more == 0 && expected.basis().undecided == 0;
            if is_exact || matches!(question, Question::TopErrors(_)) {
                exact += 1;
                assert_eq!(got, expected, "log {seed}: {question:?}");
            }
        }
    }
    let counts = format!("{coarser} made coarser, {exact} exact, {undecided} undecided");
    assert!(coarser > 12 && exact > 50 && undecided > 0, "{counts}");
}

/// Keeps a digest of a block that has seen events at such minutes, and nothing behind them.
async fn keep(gone: &Gone, block: u64, minutes: impl Iterator<Item = i64>) -> Digest {
    let mut draft = Draft::new(gone.created, block);
    for (minute, sequence) in minutes.zip(block_start(block)..) {
        let event = Event::log("x").with_timestamp(gone.at(minute, 0));
        draft.observe(&gone.recorded(sequence, &event));
    }
    let (digest, bytes) = draft.seal();
    let store = gone.asked_nothing();
    store.store().save(&digest, bytes, ((0, 0), (0, 0)), 1).await.unwrap();
    digest
}

/// When each digest that there is has been in the store for so long.
fn after(age: Duration) -> Timestamp {
    Timestamp::from(std::time::SystemTime::now()).saturating_add(age)
}

fn both() -> Tiers {
    let config = EventsConfig::default().with_digest_hours_after(24 * HOUR);
    Tiers::of(&config.with_digest_days_after(48 * HOUR))
}

#[tokio::test]
async fn an_incomplete_digest_is_told_that_the_rest_is_gone_before_it_gets_coarser() {
    let gone = Gone::blocks(1).await;
    let minute = gone.at(0, 0).as_nanos() / 60_000_000_000;
    let to_next_hour = 60 - minute.rem_euclid(60);
    let events = 3_000;
    let seen = keep(&gone, 0, (0..events).map(|n| to_next_hour + n % 60)).await;
    assert_eq!((seen.seen, seen.through), (3_000, 3_000));
    let (keeper, place) = (gone.asked_nothing(), (gone.created, block_start(1)));
    let made = Coarsening::default().step(&keeper, place, after(25 * HOUR), both()).await.unwrap();
    assert_eq!(made, (1, 1));

    // Half of the hour: which of its events are in it nobody can tell any more.
    let half = gone.at(to_next_hour + 30, 0);
    let question = Question::Stats(StatsRequest::default().with_range(Some(half), None));
    let (log, asked_before) = (gone.log(), gone.asked_nothing());
    for digests in [&asked_before, &asked_before, &keeper, &gone.asked_nothing()] {
        let Answer::Stats(answer) = question.ask(&log, digests).await else { unreachable!() };
        let basis = answer.basis;
        assert_eq!((answer.total_events, basis.undecided, basis.holes), (0, 3_000, BLOCK - 3_000));
    }
    let stored = gone.asked_nothing().stored(gone.created, &[0]).await.unwrap();
    assert_eq!(stored[0].as_ref().map(|it| (it.grain, it.seen)), Some((Grain::Hour, 3_000)));
}

#[tokio::test]
async fn digests_that_get_no_shorter_keep_nobody_else_from_getting_coarser() {
    let short = MOST as u64;
    let gone = Gone::blocks(short + 1).await;
    for block in 0..short {
        keep(&gone, block, 0..1).await;
    }
    keep(&gone, short, 0..40).await;
    let (keeper, place) = (gone.asked_nothing(), (gone.created, block_start(short + 1)));
    let mut coarsening = Coarsening::default();
    // Those that stay are looked at again when they may be made coarser still,
    // by when they themselves were kept.
    for (age, looked_at, made) in
        [(25, MOST, 0), (25, 1, 1), (25, 0, 0), (47, 0, 0), (49, MOST, 0), (49, 1, 0), (999, 0, 0)]
    {
        let step = coarsening.step(&keeper, place, after(age * HOUR), both()).await.unwrap();
        assert_eq!(step, (looked_at, made), "after {age} hours");
    }
}

#[tokio::test]
async fn what_a_keeper_removes_is_answered_from_no_longer_where_digests_age() {
    let gone = Gone::blocks(2).await;
    for block in 0..2 {
        let partial = keep(&gone, block, 0..60).await;
        let whole = Digest { seen: BLOCK, through: block_end(block), ..partial };
        gone.asked_nothing()
            .store()
            .save(&whole, encode(&whole), ((0, 0), (0, 0)), 1)
            .await
            .unwrap();
    }
    let aging = gone.asked_nothing().with_ages(Some(Duration::ZERO));
    let lasting = gone.asked_nothing().with_ages(Some(100 * HOUR));
    let (log, question) = (gone.log(), Question::Stats(StatsRequest::default()));
    let ask = async |digests: &Digests| {
        let Answer::Stats(answer) = question.ask(&log, digests).await else { unreachable!() };
        (answer.total_events, answer.basis.from_digests)
    };
    // At last it is answered from both put together.
    for _ in 0..3 {
        assert_eq!((ask(&aging).await, ask(&lasting).await), ((120, 2 * BLOCK), (120, 2 * BLOCK)));
    }
    let (keeper, first) = (gone.asked_nothing(), block_start(1));
    let removed = keeper.remove_old(gone.created, first, Timestamp::MAX).await.unwrap();
    assert_eq!(removed, (1, false));
    assert_eq!((ask(&aging).await, ask(&lasting).await), ((60, BLOCK), (120, 2 * BLOCK)));
}

#[tokio::test]
async fn what_nobody_else_may_have_is_kept_for_good() {
    let gone = Gone::blocks(1).await;
    let mut kv = MockKvStore::new();
    kv.expect_bucket().returning(|_| {
        Err(Error::new(ErrorKind::PermissionDenied, "bucket", "these credentials may not"))
    });
    let own = Digests::new(Arc::new(kv), "events").with_ages(Some(Duration::ZERO));
    let mut growing = own.begin(gone.created, 0, 1, None);
    growing.draft().malformed(1);
    growing.draft().reach(BLOCK);
    own.finish(growing, 1, Purpose::Question).await.unwrap();
    let state = gone.log().open("test").await.unwrap().info.state;
    for _ in 0..2 {
        let found = own.load(gone.created, &[0], &state, Purpose::Question).await.unwrap();
        assert_eq!(found[0].as_ref().map(|digest| digest.seen), Some(1));
    }
}
