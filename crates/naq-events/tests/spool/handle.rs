//! The handle and its thread.

use std::sync::Arc;

use naq_core::ErrorKind;
use naq_events::spool::SpoolFsync;
use naq_events::spool::{PositionSet, ReadLimit, Spool, SpoolOptions, SpoolOutcome, SpoolPosition};

use crate::{entries, entry, numbers};

#[tokio::test]
async fn each_policy_keeps_what_it_answered_and_gives_it_back() {
    for fsync in [SpoolFsync::Always, SpoolFsync::Interval, SpoolFsync::Never] {
        let root = tempfile::tempdir().unwrap();
        let options = SpoolOptions::default().with_fsync(fsync);
        let (spool, _) = Spool::open(root.path(), options.clone()).await.unwrap();
        let positions = spool.append(entries(1..=5)).await.unwrap();
        assert_eq!((positions.start().get(), positions.end().get()), (1, 5));
        assert_eq!(spool.status().events, 5);
        let first = PositionSet::run(*positions.start(), *positions.start());
        assert_eq!(spool.settle(first, SpoolOutcome::Acked).await.unwrap(), 1);
        spool.sync().await.unwrap();
        spool.close().await.unwrap();
        let (spool, recovered) = Spool::open(root.path(), options).await.unwrap();
        assert_eq!(recovered.events, 4, "{fsync}");
        assert_eq!(numbers(&spool).await, [2, 3, 4, 5]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_producers_that_wait_for_the_disk_each_get_their_own_positions() {
    let root = tempfile::tempdir().unwrap();
    let options = SpoolOptions::default().with_fsync(SpoolFsync::Always);
    let (spool, _) = Spool::open(root.path(), options).await.unwrap();
    let spool = Arc::new(spool);
    let producers: Vec<_> = (0..8_u64)
        .map(|producer| {
            let spool = Arc::clone(&spool);
            tokio::spawn(async move {
                let mut positions = Vec::new();
                for number in producer * 100..producer * 100 + 25 {
                    positions.push(*spool.append(vec![entry(number)]).await.unwrap().start());
                }
                assert!(positions.is_sorted());
                positions
            })
        })
        .collect();
    let mut all = PositionSet::new();
    for producer in producers {
        all.extend(producer.await.unwrap());
    }
    assert_eq!(all.len(), 200);
    let mut out = numbers(&spool).await;
    let one: Vec<u64> = out.iter().copied().filter(|number| number / 100 == 3).collect();
    assert_eq!(one, (300..325).collect::<Vec<_>>(), "in each producer's order");
    out.sort_unstable();
    assert_eq!(out, (0..8).flat_map(|p| p * 100..p * 100 + 25).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_was_handed_over_without_waiting_is_written_though_the_answer_is_dropped() {
    let root = tempfile::tempdir().unwrap();
    let (spool, _) = Spool::open(root.path(), SpoolOptions::default()).await.unwrap();
    drop(spool.try_append(entries(1..=2)).unwrap());
    let appended = spool.try_append(entries(3..=3)).unwrap().await.unwrap();
    assert_eq!(appended.positions.start().get(), 3);
    assert_eq!(numbers(&spool).await, [1, 2, 3]);
}

#[tokio::test]
async fn a_full_spool_is_told_by_its_kind_and_keeps_what_it_has() {
    let root = tempfile::tempdir().unwrap();
    let small = SpoolOptions::default().with_max_bytes(2_000).with_segment_bytes(500);
    let (spool, _) = Spool::open(root.path(), small).await.unwrap();
    let mut number = 1;
    let error = loop {
        match spool.append(vec![entry(number)]).await {
            Ok(_) => number += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::LimitReached);
    assert_eq!(numbers(&spool).await, (1..number).collect::<Vec<_>>());
}

#[tokio::test]
async fn no_events_and_a_read_of_nothing_are_what_they_seem() {
    let root = tempfile::tempdir().unwrap();
    let (spool, _) = Spool::open(root.path(), SpoolOptions::default()).await.unwrap();
    let error = spool.append(Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let chunk = spool.read(SpoolPosition::START, ReadLimit::default()).await.unwrap();
    assert!(chunk.events.is_empty());
    assert_eq!(spool.status().oldest, None);
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_told_with_a_hint() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Spool::open(file.path().join("spool"), SpoolOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    assert!(error.hint().is_some() && error.get("path").is_some());
}
