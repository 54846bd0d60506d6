//! `spool.mode = "always"`: accepted means on disk.

use naq_core::config::SpoolMode;

use super::*;

fn always(dir: &Path) -> EventsConfig {
    quick(dir).with_spool(SpoolConfig::in_folder(dir).with_mode(SpoolMode::Always))
}

#[tokio::test]
async fn an_accepted_event_is_on_disk_whether_the_server_is_there_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    let events = started(&jetstream, always(dir.path())).await;
    jetstream.faults().block();
    for number in 0..20_u64 {
        events.log_job_progress("a", &number.to_string()).await.unwrap();
        let counters = events.counters();
        assert_eq!((counters.pending, counters.spooled), (0, number + 1));
    }
    jetstream.faults().unblock();
    until(&events, "the drain", |counters| counters.acked == 20).await;
    assert!(numbers(&jetstream, "a").await.into_iter().eq(0..20));
}

#[tokio::test]
async fn a_receipt_waits_for_the_server_as_long_as_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    let events = started(&jetstream, always(dir.path())).await;
    let receipt = events.log_event_acked(Event::job_progress("a", "0")).await.unwrap();
    assert_eq!(receipt.sequence, Some(1));
    jetstream.faults().disconnect();
    let receipt = events.log_event_acked(Event::job_progress("a", "1")).await.unwrap();
    assert!(receipt.is_spooled());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_share_the_disk_and_keep_their_orders() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    let events = started(&jetstream, always(dir.path())).await;
    let jobs = ["a", "b", "c", "d"];
    let tasks = jobs.map(|job| {
        let events = Arc::clone(&events);
        tokio::spawn(async move { log(&events, job, 0..200).await })
    });
    for task in tasks {
        task.await.unwrap();
    }
    until(&events, "the end", |counters| counters.acked == 800).await;
    for job in jobs {
        assert!(numbers(&jetstream, job).await.into_iter().eq(0..200), "{job}");
    }
}
