//! Answers from digests that are made coarser, and which ones are.

use std::time::Duration;

use naq_core::Timestamp;
use naq_core::config::EventsConfig;
use naq_core::events::{Event, StatsRequest};

use super::digest::{BLOCK, Digest, block_start};
use super::draft::Draft;
use super::encode::encode;
use super::hours::Grain;
use super::tests_of_answers::{Answer, Gone, Question};
use super::tiers::{Coarsening, MOST, Tiers};

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn coarser_digests_say_what_they_tell_no_more() {
    let [hours, days] = [60, 1_440].map(|minutes| Duration::from_secs(60 * minutes));
    let (mut exact, mut undecided) = (0, 0);
    for seed in 100..112 {
        let mut gone = Gone::new(seed).await;
        let (log, mut truth) = (gone.log(), Vec::new());
        for _ in 0..12 {
            let question = gone.question();
            truth.push((question.ask(&log, &gone.asked_nothing()).await, question));
        }
        let place = (gone.created, block_start(gone.blocks));
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
        let (looked_at, made) = step(&mut coarsening, Timestamp::MAX).await;
        assert!(looked_at > 0 && made > 0, "log {seed}: {made} of {looked_at}");
        // Each is looked at once, and is none the coarser for who looks again.
        assert_eq!(step(&mut coarsening, Timestamp::MAX).await, (0, 0));
        assert_eq!(step(&mut Coarsening::default(), Timestamp::MAX).await.1, 0);

        for (mut expected, question) in truth {
            let mut got = question.ask(&log, &gone.asked_nothing()).await;
            let more = got.basis().undecided;
            undecided += more;
            if let (Answer::Stats(got), Answer::Stats(expected)) = (&got, &expected) {
                let (got, expected) = (got.total_events, expected.total_events);
                assert!(got <= expected && expected <= got + more, "log {seed}: {question:?}");
            }
            let is_exact = more == 0 && expected.basis().undecided == 0;
            if is_exact || matches!(question, Question::TopErrors(_)) {
                exact += 1;
                assert_eq!(got, expected, "log {seed}: {question:?}");
            }
        }
    }
    assert!(exact > 50 && undecided > 0, "{exact} exact, {undecided} undecided");
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
    store.store().save(&digest, bytes, (0, 0), 1).await.unwrap();
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
