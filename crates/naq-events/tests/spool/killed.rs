//! `kill -9` at any instant, again and again on the same spool.

use std::process::Command;

use naq_events::spool::SpoolFsync;
use naq_events::spool::{Spool, SpoolOptions};

use crate::child::start;
use crate::numbers;

const ROUNDS: u64 = 20;

#[tokio::test]
async fn whatever_was_accepted_and_not_settled_survives_kill_9_in_order() {
    let root = tempfile::tempdir().unwrap();
    let seed = std::env::var("NAQ_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}: run again with NAQ_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut next, mut torn) = (1, 0);
    let (mut settling, mut settled) = (0, 0);
    for round in 0..ROUNDS {
        let mut told = start("write", root.path(), next, Command::new);
        let mut accepted = next - 1;
        let mut left = random.u64(1..400);
        while let Some((word, number)) = told.next() {
            match word.as_str() {
                "accepted" => accepted = number,
                "settling" => settling = number,
                "settled" => settled = number,
                word => panic!("the child says {word}"),
            }
            left -= 1;
            if left == 0 {
                told.child.kill().unwrap();
                // What it had told before it died counts too.
                left = u64::MAX;
            }
        }
        drop(told);
        let options = SpoolOptions::default().with_fsync(SpoolFsync::Never);
        let (spool, recovered) = Spool::open(root.path(), options).await.unwrap();
        assert!(recovered.folder.ends_with("1"), "the dead owner's folder is free");
        let kept = numbers(&spool).await;
        let (first, last) = (kept[0], kept[kept.len() - 1]);
        assert!(kept.iter().copied().eq(first..=last), "round {round}: {kept:?}");
        assert!(last >= accepted, "round {round}: {accepted} was accepted, {last} is the last");
        assert!(first > settled, "round {round}: {first} came back, {settled} was settled");
        assert!(first <= settling + 1, "round {round}: {first} is first, {settling} was settling");
        assert_eq!((recovered.corrupt, recovered.lost_marks), (0, 0), "round {round}");
        assert_eq!(spool.status().corrupt, 0, "round {round}");
        torn += recovered.torn;
        next = last + 1;
        spool.close().await.unwrap();
    }
    println!("{next} events, {torn} torn ends");
}
