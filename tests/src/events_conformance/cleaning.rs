//! Removing what is old, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use naq_core::config::StreamMode;
use naq_core::events::{CleanupRequest, Event, EventQuery, EventQueryExt};
use naq_core::jetstream::{JetStream, Storage, StreamConfig};
use naq_core::{ErrorKind, Timestamp};

use super::support::{Own, invalid, now, refused};
use crate::names;

const HOUR: Duration = Duration::from_secs(3_600);

/// A log of `old` events, and as many young ones behind the time that is answered.
async fn halves(own: &Own, old: u64) -> Timestamp {
    own.log_all((0..old).map(|n| Event::job_paused(format!("j{n}")))).await;
    let border = own.log_later_than_all().await;
    own.log_all((1..old).map(|n| Event::job_resumed(format!("j{n}")))).await;
    border
}

pub async fn what_is_older_goes_and_nothing_younger(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let border = halves(&own, 4).await;
    let asking = own.asking_at(border.saturating_add(HOUR)).await;
    let dry = asking.cleanup(CleanupRequest::new(HOUR).with_dry_run(true)).await.unwrap();
    assert_eq!((dry.removed, dry.dry_run, dry.before), (4, true, border));
    assert_eq!(own.sequences().await.len(), 8, "a dry run removes nothing");
    let report = asking.cleanup_old_events(HOUR).await.unwrap();
    assert_eq!((report.removed, report.dry_run, report.before), (4, false, border));
    // The event that was stored at the very time is not older than it.
    assert_eq!(own.sequences().await, [5, 6, 7, 8]);
    assert_eq!(asking.cleanup_old_events(HOUR).await.unwrap().removed, 0);
    assert_eq!(own.sequences().await, [5, 6, 7, 8]);
}

/// Some servers take a purge up to the first sequence for a purge of everything.
pub async fn a_young_log_is_left_alone(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log(Event::job_paused("a")).await;
    own.log(Event::job_paused("b")).await;
    let first = own.stored().await[0].stored_at;
    let asking = own.asking_at(first.saturating_add(HOUR)).await;
    for max_age in [HOUR, 2 * HOUR, Duration::MAX] {
        for request in [
            CleanupRequest::new(max_age),
            CleanupRequest::new(max_age).with_event_type("job_paused"),
            CleanupRequest::new(max_age).with_event_type("job_resumed"),
        ] {
            assert_eq!(asking.cleanup(request.clone()).await.unwrap().removed, 0, "{request:?}");
            let dry = asking.cleanup(request.with_dry_run(true)).await.unwrap();
            assert_eq!(dry.removed, 0);
        }
    }
    assert_eq!(own.sequences().await, [1, 2]);
    assert_eq!(own.events.cleanup_old_events(HOUR).await.unwrap().removed, 0);
    assert_eq!(own.sequences().await, [1, 2]);
}

pub async fn a_first_event_that_is_old_goes_alone(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let border = halves(&own, 1).await;
    let asking = own.asking_at(border.saturating_add(HOUR)).await;
    let dry = asking.cleanup(CleanupRequest::new(HOUR).with_dry_run(true)).await.unwrap();
    assert_eq!((dry.removed, own.sequences().await), (1, vec![1, 2]));
    assert_eq!(asking.cleanup_old_events(HOUR).await.unwrap().removed, 1);
    assert_eq!(own.sequences().await, [2]);
}

pub async fn a_cleanup_by_type_leaves_the_others(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log(Event::log("without an entity")).await;
    own.log(Event::log("with one").with_job_id("j")).await;
    own.log(Event::job_paused("j")).await;
    own.log(Event::new("log.x").with_job_id("j")).await;
    let border = own.log_later_than_all().await;
    own.log(Event::log("young").with_job_id("j")).await;
    let asking = own.asking_at(border.saturating_add(HOUR)).await;
    let request = CleanupRequest::new(HOUR).with_event_type("log");
    let dry = asking.cleanup(request.clone().with_dry_run(true)).await.unwrap();
    assert_eq!((dry.removed, own.sequences().await.len()), (2, 6));
    let report = asking.cleanup(request).await.unwrap();
    assert_eq!((report.removed, report.event_type), (2, Some("log".into())));
    assert_eq!(own.sequences().await, [3, 4, 5, 6]);
}

pub async fn a_log_that_is_old_altogether_is_emptied_and_goes_on(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log_all((0..3).map(|n| Event::log(n.to_string()))).await;
    let asking = own.asking_at(now().saturating_add(HOUR)).await;
    let dry = CleanupRequest::new(Duration::ZERO).with_dry_run(true);
    assert_eq!(asking.cleanup(dry.clone()).await.unwrap().removed, 3);
    assert_eq!(asking.cleanup_old_events(Duration::ZERO).await.unwrap().removed, 3);
    assert_eq!(own.sequences().await, [0_u64; 0]);
    assert_eq!(asking.cleanup_old_events(Duration::ZERO).await.unwrap().removed, 0);
    assert_eq!(asking.cleanup(dry).await.unwrap().removed, 0);
    assert_eq!(own.log(Event::log("new")).await, 4);
}

pub async fn holes_and_foreign_messages_are_counted_as_they_are(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log_all((0..4).map(|n| Event::log(n.to_string()))).await;
    own.foreign("x.y.z", "no event").await;
    own.js.delete_message(&own.name, 2).await.unwrap();
    own.js.delete_message(&own.name, 5).await.unwrap();
    own.foreign("x", "no event").await;
    let border = own.log_later_than_all().await;
    let asking = own.asking_at(border.saturating_add(HOUR)).await;
    let dry = asking.cleanup(CleanupRequest::new(HOUR).with_dry_run(true)).await.unwrap();
    assert_eq!(dry.removed, 4);
    assert_eq!(asking.cleanup_old_events(HOUR).await.unwrap().removed, 4);
    assert_eq!(own.sequences().await, [7]);
}

pub async fn a_log_that_may_not_be_purged_says_so(js: Arc<dyn JetStream>) {
    let name = names::unique("events");
    let kept = StreamConfig::new(name.as_str(), [format!("{name}.>")])
        .with_storage(Storage::Memory)
        .with_deny_purge(true);
    js.create_stream(kept).await.unwrap();
    let own = Own::with(js, |config| {
        config
            .with_stream_name(name.as_str())
            .with_subject_root(name.as_str())
            .with_stream(StreamMode::Assume)
    })
    .await;
    own.log(Event::log("kept")).await;
    let asking = own.asking_at(now().saturating_add(HOUR)).await;
    refused(asking.cleanup_old_events(Duration::ZERO).await, ErrorKind::PermissionDenied);
    assert_eq!(own.sequences().await, [1]);
}

pub async fn a_wrong_cleanup_is_refused_by_field(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log(Event::log("kept")).await;
    let asking = own.asking_at(now().saturating_add(HOUR)).await;
    for event_type in [String::new(), "x".repeat(65)] {
        let request = CleanupRequest::new(Duration::ZERO).with_event_type(event_type);
        invalid(asking.cleanup(request).await, "type");
    }
    assert_eq!(own.sequences().await, [1]);
}
