//! A spool that takes nothing, or not any more, or that was damaged.

use std::io::{Seek, SeekFrom, Write};

use naq_core::clock::ManualClock;
use naq_core::config::{OverflowPolicy, Size};
use naq_core::events::{EventLoss, LossReason, decode};

use super::*;

/// Little room: the smallest spool that a configuration may ask for.
fn small(dir: &Path) -> EventsConfig {
    let spool = SpoolConfig::in_folder(dir).with_max_bytes(Size::from_mib(1));
    quick(dir).with_spool(spool).with_buffer_max_events(100_usize)
}

fn large() -> Event {
    Event::job_progress("a", "x".repeat(10_000))
}

#[tokio::test]
async fn the_policy_applies_where_the_spool_is_full_and_the_program_lives() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    let config = small(dir.path()).with_overflow(OverflowPolicy::Spool);
    let events = started(&jetstream, config).await;
    jetstream.faults().disconnect();
    let mut accepted = 0;
    let error = loop {
        match events.log_event(large()).await {
            Ok(()) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 1_000, "1 MiB holds no 1,000 events of 10 kB");
        tokio::task::yield_now().await;
    };
    assert_eq!(error.kind(), ErrorKind::LimitReached, "{error:?}");
    until(&events, "the trouble", |counters| counters.spooled > 50).await;
    let counters = events.counters();
    assert_eq!((counters.rejected, counters.failed + counters.unknown), (1, 0));
    jetstream.faults().reconnect();
    until(&events, "the drain", |counters| counters.acked == accepted).await;
    events.log_event(large()).await.unwrap();
    until(&events, "the end", |counters| counters.acked == accepted + 1).await;
}

#[tokio::test]
async fn what_fits_goes_to_a_spool_that_has_no_room_for_all_that_waits() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    let spool = SpoolConfig::in_folder(dir.path()).with_max_bytes(Size::from_mib(1));
    let config = quick(dir.path()).with_spool(spool).with_buffer_max_events(1_000_usize);
    let events = started(&jetstream, config).await;
    jetstream.faults().disconnect();
    // All of it waits before the spool is asked: more than it holds, at once.
    for _ in 0..150 {
        events.try_log_event(large()).unwrap();
    }
    until(&events, "what fits", |counters| counters.spooled > 50).await;
    let counters = events.counters();
    assert_eq!((counters.spooled + counters.pending, counters.rejected), (150, 0));
    jetstream.faults().reconnect();
    until(&events, "the drain", |counters| counters.acked == 150).await;
}

#[tokio::test]
async fn dropping_the_newest_is_counted_where_the_spool_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    let events =
        started(&jetstream, small(dir.path()).with_overflow(OverflowPolicy::DropNewest)).await;
    jetstream.faults().disconnect();
    for _ in 0..400 {
        events.log_event(large()).await.unwrap();
        tokio::task::yield_now().await;
    }
    until(&events, "the trouble", |counters| counters.spooled > 50 && counters.dropped > 0).await;
    jetstream.faults().reconnect();
    until(&events, "the drain", |counters| {
        counters.acked + counters.dropped == 400 && counters.notices > 0
    })
    .await;
    // Those that tell of the losses are stored too.
    let counters = events.counters();
    assert_eq!(counters.offered, 400);
    assert!(stored(&jetstream).await.len() as u64 >= counters.acked + counters.notices);
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_cannot_be_used_is_told_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let connections = SingleJetStream::provider(Arc::new(MemoryJetStream::new()));
    let streams = Arc::new(StreamService::new(Arc::clone(&connections)));
    let clock = Arc::new(SystemClock::new());
    let service = EventService::new(connections, streams, clock, quick(&file)).unwrap();
    let error = service.start().await.unwrap_err();
    assert_eq!(error.operation(), "start");
    assert!(error.get("path").is_some(), "{error:?}");
}

#[tokio::test]
async fn two_services_have_folders_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    let first = started(&jetstream, quick(dir.path())).await;
    let second = started(&jetstream, quick(dir.path())).await;
    jetstream.faults().disconnect();
    log(&first, "a", 0..50).await;
    log(&second, "b", 0..50).await;
    until(&first, "the spool", |counters| counters.spooled == 50).await;
    until(&second, "the spool", |counters| counters.spooled == 50).await;
    jetstream.faults().reconnect();
    until(&first, "the drain", |counters| counters.acked == 50).await;
    until(&second, "the drain", |counters| counters.acked == 50).await;
    for job in ["a", "b"] {
        assert!(numbers(&jetstream, job).await.into_iter().eq(0..50), "{job}");
    }
}

#[tokio::test]
async fn a_damaged_record_is_set_aside_and_counted_and_the_others_are_stored() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    let events = started(&jetstream, quick(dir.path())).await;
    jetstream.faults().disconnect();
    log(&events, "a", 0..30).await;
    events.stop(Duration::ZERO).await.unwrap();
    let folder = dir.path().join("1");
    let segment = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let segment = segment.into_iter().find(|path| path.extension().is_some_and(|e| e == "events"));
    let segment = segment.unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&segment, &bytes).unwrap();

    jetstream.faults().reconnect();
    let events = started(&jetstream, quick(dir.path())).await;
    // The event that tells of the hole is stored too.
    until(&events, "the drain", |counters| counters.acked == 29 && counters.notices == 1).await;
    let counters = events.counters();
    assert_eq!((counters.failed, counters.corrupt, counters.notices), (1, 1, 1));
    assert_eq!(numbers(&jetstream, "a").await.len(), 29);
    let told = stored(&jetstream).await.into_iter().find_map(|message| {
        let event = decode(&message.payload).unwrap();
        Some((event.lost_count()?, event.reason?.to_string()))
    });
    assert_eq!(told, Some((1, "corrupt".to_owned())));
    let account = events.account();
    assert_eq!(
        (account.losses, account.untold),
        (vec![EventLoss::new(LossReason::Corrupt, "other", 1)], 0)
    );
    assert_eq!(std::fs::read_dir(folder.join("quarantine")).unwrap().count(), 1);
}

#[tokio::test]
async fn what_cannot_be_read_is_counted_and_told_and_what_stands_behind_it_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let (jetstream, clock) = (MemoryJetStream::new(), Arc::new(ManualClock::new()));
    let events = started_by(&jetstream, small(dir.path()), Arc::clone(&clock) as _).await;
    jetstream.faults().disconnect();
    for spooled in [20, 40] {
        for _ in 0..20 {
            events.try_log_event(large()).unwrap();
        }
        until(&events, "the spool", |counters| {
            clock.advance(Duration::from_millis(50));
            counters.spooled == spooled
        })
        .await;
    }
    // The first of two segments: each takes a quarter of a megabyte.
    std::fs::remove_file(dir.path().join("1/00000000000000000001.events")).unwrap();
    jetstream.faults().reconnect();
    until(&events, "the drain", |counters| {
        clock.advance(Duration::from_millis(50));
        counters.spooled + counters.pending == 0 && counters.notices == 1
    })
    .await;
    let counters = events.counters();
    assert_eq!((counters.acked, counters.failed, counters.corrupt), (20, 20, 20));
    assert_eq!(stored(&jetstream).await.len() as u64, counters.acked + counters.notices);
    let account = events.account();
    assert_eq!(
        (account.losses, account.untold),
        (vec![EventLoss::new(LossReason::Corrupt, "other", 20)], 0)
    );
}

#[tokio::test]
async fn a_damaged_notice_of_losses_is_told_again_and_the_account_stays_whole() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    let config = quick(dir.path())
        .with_overflow(OverflowPolicy::DropNewest)
        .with_buffer_max_events(100_usize);
    let events = started(&jetstream, config).await;
    jetstream.faults().disconnect();
    // Nothing is written meanwhile: this is the only thread.
    for _ in 0..300 {
        events.try_log_event(Event::job_progress("a", "x")).unwrap();
    }
    assert_eq!(events.counters().dropped, 200);
    // The event that tells of it goes to the spool too, behind the others.
    let path = dir.path().join("1/00000000000000000001.events");
    let notice = b"events_lost";
    let mut at = None;
    until(&events, "the notice in the spool", |counters| {
        at = std::fs::read(&path)
            .ok()
            .and_then(|bytes| bytes.windows(notice.len()).position(|found| found == notice));
        counters.spooled == 100 && at.is_some()
    })
    .await;
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(at.unwrap() as u64)).unwrap();
    file.write_all(b"E").unwrap();
    drop(file);

    jetstream.faults().reconnect();
    until(&events, "the end", |counters| {
        (counters.acked, counters.notices, counters.pending + counters.spooled) == (100, 1, 0)
    })
    .await;
    let (counters, account) = (events.counters(), events.account());
    assert_eq!((counters.corrupt, counters.failed, account.untold), (1, 0, 0));
    let told: Vec<_> = stored(&jetstream)
        .await
        .iter()
        .filter_map(|message| decode(&message.payload).unwrap().lost_count())
        .collect();
    assert_eq!(told, [200]);
    let dropped = EventLoss::new(LossReason::DropNewest, "job_progress", 200);
    assert_eq!(account.losses, [dropped]);
    log(&events, "b", 0..10).await;
    until(&events, "what comes later", |counters| counters.acked == 110).await;
    events.stop(SECOND).await.unwrap();
}
