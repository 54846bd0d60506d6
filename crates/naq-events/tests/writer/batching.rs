//! When events are sent.

use super::support::{MS, SECOND, advance, assume, started, within};
use naq_events::prelude::*;

#[tokio::test]
async fn an_idle_writer_sends_at_once() {
    let (service, mut server, clock) = started(assume()).await;
    service.log_job_paused("a").await.unwrap();
    let mut session = server.session().await;
    assert_eq!(session.jobs(1).await, ["a"]);
    // Idle again, after nothing came while it gathered.
    assert!(session.is_quiet());
    advance(&clock, MS).await;
    assert!(session.is_quiet());
    service.log_job_paused("b").await.unwrap();
    assert_eq!(session.jobs(1).await, ["b"]);
}

#[tokio::test]
async fn what_comes_while_it_is_busy_is_gathered_for_a_moment() {
    let (service, mut server, clock) = started(assume()).await;
    service.log_job_paused("a").await.unwrap();
    let mut session = server.session().await;
    session.jobs(1).await;
    assert!(session.is_quiet());
    service.log_job_paused("b").await.unwrap();
    service.log_job_paused("c").await.unwrap();
    assert!(session.is_quiet(), "not even a millisecond has gone");
    advance(&clock, MS).await;
    assert_eq!(session.jobs(2).await, ["b", "c"]);
    assert_eq!(service.counters().batches, 2);
}

#[tokio::test]
async fn a_full_batch_does_not_wait() {
    let (service, mut server, _clock) = started(assume().with_buffer_size(3_usize)).await;
    service.log_job_paused("a").await.unwrap();
    let mut session = server.session().await;
    session.jobs(1).await;
    assert!(session.is_quiet());
    for number in 0..7 {
        service.log_job_paused(&number.to_string()).await.unwrap();
    }
    assert_eq!(session.jobs(7).await.len(), 7);
    assert_eq!(service.counters().batches, 4, "of one, three, three and one");
}

#[tokio::test]
async fn without_a_flush_interval_nothing_is_gathered() {
    let config = assume().with_flush_interval(std::time::Duration::ZERO);
    let (service, mut server, _clock) = started(config).await;
    service.log_job_paused("a").await.unwrap();
    let mut session = server.session().await;
    session.jobs(1).await;
    assert!(session.is_quiet());
    service.log_job_paused("b").await.unwrap();
    assert_eq!(session.jobs(1).await, ["b"]);
}

#[tokio::test]
async fn who_waits_for_an_outcome_hurries_the_writer() {
    let (service, mut server, _clock) = started(assume()).await;
    service.log_job_paused("a").await.unwrap();
    let mut session = server.session().await;
    session.jobs(1).await;
    session.store();
    assert!(session.is_quiet());
    service.log_job_paused("b").await.unwrap();
    let mut flushing = Box::pin(service.flush(SECOND));
    assert!(futures::poll!(&mut flushing).is_pending());
    assert_eq!(session.jobs(1).await, ["b"]);
    session.store();
    assert_eq!(within(flushing).await.unwrap().pending, 0);
}
