//! How long events are kept, by type, and how much room they take.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use naq_core::config::{RetentionAges, StreamMode};
use naq_core::events::{Event, EventQueryExt, EventStats};
use naq_core::jetstream::{JetStream, Storage, StreamConfig};
use naq_core::{ErrorKind, Timestamp};
use naq_events::EventService;
use naq_events::retention::RetentionStep;

use super::support::{Own, now, refused};
use crate::names;

const HOUR: Duration = Duration::from_secs(3_600);

/// Ages of one and two hours.
fn ages() -> RetentionAges {
    RetentionAges::default()
        .with_age("worker_heartbeat", HOUR)
        .with_age("job_progress", HOUR)
        .with_age("invoice.sent", HOUR)
        .with_age("*", 2 * HOUR)
}

/// Jobs from beginning to end, and what makes noise.
async fn logged(own: &Own, jobs: u64) {
    for job in 0..jobs {
        let id = format!("job.{job}");
        own.log_all([
            Event::job_enqueued(id.as_str(), "q"),
            Event::job_started(id.as_str(), "w", "q"),
            Event::job_progress(id.as_str(), "half"),
            Event::worker_heartbeat("w"),
            Event::new("invoice.sent"),
            match job % 2 {
                0 => Event::job_completed(id.as_str(), 1.0, true),
                _ => Event::job_failed(id.as_str(), "refused", 1.0),
            },
        ])
        .await;
    }
}

async fn applied(service: &EventService) -> Vec<RetentionStep> {
    service.apply_retention(Duration::ZERO).try_collect().await.unwrap()
}

/// How many of each type are left.
async fn left(own: &Own) -> BTreeMap<String, u64> {
    let mut left = BTreeMap::new();
    for message in own.stored().await {
        let kind = message.subject.split('.').nth(1).unwrap().to_owned();
        *left.entry(kind).or_default() += 1;
    }
    left
}

/// What is counted, without what it was counted from.
async fn counted(service: &EventService) -> EventStats {
    let mut stats = service.get_event_stats(None, None).await.unwrap();
    assert_eq!((stats.gone, stats.basis.undecided), (0, 0));
    (stats.basis, stats.stream_size, stats.stream_messages) = Default::default();
    stats.num_subjects = 0;
    stats
}

/// A log that is two hours old but for its last event, a keeper of it at
/// two times, and the time of that event.
async fn old(js: Arc<dyn JetStream>, jobs: u64) -> (Own, Timestamp) {
    let own = Own::new(js).await;
    logged(&own, jobs).await;
    let border = own.log_later_than_all().await;
    (own, border)
}

pub async fn what_is_too_old_by_its_type_goes_and_stays_counted(js: Arc<dyn JetStream>) {
    let (own, border) = old(js, 4).await;
    let service = own.keeping_at(border.saturating_add(HOUR), ages()).await;
    let before = counted(&service).await;
    let steps = applied(&service).await;
    let removed: BTreeMap<_, _> =
        steps.iter().map(|step| (step.event_type.as_deref(), step.removed)).collect();
    assert_eq!(
        removed,
        [(Some("invoice.sent"), 4), (Some("job_progress"), 4), (Some("worker_heartbeat"), 4)]
            .into()
    );
    let left = left(&own).await;
    assert_eq!(
        left.keys().map(String::as_str).collect::<Vec<_>>(),
        ["job_completed", "job_enqueued", "job_failed", "job_started", "log"]
    );
    assert_eq!(counted(&service).await, before);
    // Whoever asks anew finds it in digests, and nothing is missing.
    let another = own.keeping_at(border, ages()).await;
    assert_eq!(counted(&another).await, before);
    assert_eq!(applied(&service).await, [], "all of it is gone");

    let later = own.keeping_at(border.saturating_add(2 * HOUR), ages()).await;
    let steps = applied(&later).await;
    assert_eq!(steps.iter().map(|step| step.removed).sum::<u64>(), 12);
    assert_eq!(steps[0].event_type, None, "what all types have outlived goes at once");
    assert_eq!(own.sequences().await, [25]);
    assert_eq!(counted(&later).await, before);
}

pub async fn a_plan_says_what_goes_to_the_byte_and_removes_nothing(js: Arc<dyn JetStream>) {
    let (own, border) = old(js, 3).await;
    own.foreign("x.y.z", "no event").await;
    for hours in [1, 2] {
        let service = own.keeping_at(border.saturating_add(hours * HOUR), ages()).await;
        let before = own.info().await.state;
        let plan = service.plan_retention().await.unwrap();
        assert_eq!((plan.first_sequence, plan.last_sequence), (before.first_sequence, 20));
        assert_eq!(own.info().await.state.messages, before.messages, "a plan removes nothing");
        let steps = applied(&service).await;
        let after = own.info().await.state;
        assert_eq!(steps.iter().map(|step| step.removed).sum::<u64>(), plan.events, "{plan:?}");
        assert_eq!(before.messages - after.messages, plan.events);
        assert_eq!(before.bytes - after.bytes, plan.bytes, "{plan:?}");
        let planned = |name: &str| {
            let kind = plan.kinds.iter().find(|kind| kind.event_type.as_deref() == Some(name));
            kind.map(|kind| (kind.events, kind.age))
        };
        let expected = if hours == 1 { 3 } else { 0 };
        assert_eq!(planned("worker_heartbeat"), Some((expected, 3_600.0)));
        assert_eq!(planned("job_started"), (hours == 2).then_some((3, 7_200.0)));
        let again = service.plan_retention().await.unwrap();
        assert_eq!((again.events, again.digested_through), (0, 20));
    }
    // What is no event was stored later than the border.
    assert_eq!(own.sequences().await, [19, 20]);
}

pub async fn a_job_s_end_goes_after_what_came_before_it(js: Arc<dyn JetStream>) {
    let (own, border) = old(js, 4).await;
    let ages = RetentionAges::default()
        .with_age("job_failed", 2 * HOUR)
        .with_age("invoice.sent", 3 * HOUR)
        .with_age("*", HOUR);
    let service = own.keeping_at(border.saturating_add(2 * HOUR), ages).await;
    let mut steps = service.apply_retention(Duration::ZERO);
    let mut order = Vec::new();
    while let Some(step) = steps.next().await {
        order.push(step.unwrap().event_type.unwrap());
        let left = left(&own).await;
        let has = |kind: &str| left.contains_key(kind);
        let has_begun = has("job_enqueued") || has("job_started") || has("job_progress");
        assert!(!has_begun || (has("job_completed") && has("job_failed")), "{left:?}");
    }
    assert_eq!(order[order.len() - 2..], ["job_completed", "job_failed"]);
    assert_eq!(left(&own).await, [("invoice=2Esent".to_owned(), 4)].into());
}

pub async fn two_that_remove_at_once_do_no_harm(js: Arc<dyn JetStream>) {
    let (own, border) = old(js, 5).await;
    let at = border.saturating_add(HOUR);
    let (one, two) = (own.keeping_at(at, ages()).await, own.keeping_at(at, ages()).await);
    let before = counted(&one).await;
    let (first, second) = tokio::join!(applied(&one), applied(&two));
    let removed: u64 = first.iter().chain(&second).map(|step| step.removed).sum();
    assert_eq!(removed, 15);
    assert_eq!(own.sequences().await.len(), 16);
    assert_eq!(counted(&one).await, before);
    assert_eq!(counted(&two).await, before);
}

/// Whoever has counted a part in its own memory has not counted what came
/// behind it, and went before it asked again: another one has.
pub async fn who_asks_now_and_then_misses_nothing_that_was_removed_between(js: Arc<dyn JetStream>) {
    let (own, border) = old(js, 2).await;
    let at = border.saturating_add(2 * HOUR);
    let (asking, removing) = (own.keeping_at(at, ages()).await, own.keeping_at(at, ages()).await);
    let mut total = 13;
    assert_eq!(counted(&asking).await.total_events, total);
    for _ in 0..3 {
        logged(&own, 2).await;
        total += 12;
        let later = now().saturating_add(2 * HOUR);
        let later = own.keeping_at(later, ages()).await;
        let removed: u64 = applied(&later).await.iter().map(|step| step.removed).sum();
        assert!(removed > 0);
        assert_eq!(counted(&asking).await.total_events, total);
        assert_eq!(counted(&removing).await.total_events, total);
        let another = own.keeping_at(at, ages()).await;
        assert_eq!(counted(&another).await.total_events, total);
    }
}

/// What another one keeps may lack what was gone before it began: it has come
/// further, and is the worse one all the same.
pub async fn who_has_counted_more_than_is_kept_goes_on_from_that(js: Arc<dyn JetStream>) {
    let (own, border) = old(js, 4).await;
    let asking = own.keeping_at(border, ages()).await;
    assert_eq!(counted(&asking).await.total_events, 25);
    own.purge_below(10).await;
    logged(&own, 2).await;
    let another = own.keeping_at(border, ages()).await;
    assert_eq!(applied(&another).await, []);
    let stats = another.get_event_stats(None, None).await.unwrap();
    assert_eq!((stats.basis.holes, stats.total_events), (9, 28));
    assert_eq!(counted(&asking).await.total_events, 37);
}

/// So few events came before it was asked last that it has not put them
/// together with the others, and they are gone when it is asked again.
pub async fn the_newest_that_were_counted_stay_counted(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log_all((0..40).map(|n| Event::new(format!("kind-{n}")))).await;
    let asking = own.keeping_at(now(), ages()).await;
    let mut total = 40;
    assert_eq!(counted(&asking).await.total_events, total);
    for _ in 0..3 {
        let sequence = own.log(Event::worker_heartbeat("w")).await;
        total += 1;
        assert_eq!(counted(&asking).await.total_events, total);
        own.purge_below(sequence + 1).await;
        assert_eq!(counted(&asking).await.total_events, total);
    }
    let sequence = own.log(Event::log("x")).await;
    own.log(Event::worker_heartbeat("w")).await;
    assert_eq!(counted(&asking).await.total_events, total + 2);
    own.js.delete_message(&own.name, sequence).await.unwrap();
    assert_eq!(counted(&asking).await.total_events, total + 2);
}

pub async fn nothing_has_an_age_unless_it_is_given_one(js: Arc<dyn JetStream>) {
    let (own, border) = old(js, 2).await;
    let at = border.saturating_add(100 * HOUR);
    let service = own.keeping_at(at, RetentionAges::default()).await;
    assert_eq!(service.plan_retention().await.unwrap().kinds, []);
    assert_eq!(applied(&service).await, []);
    let ages = RetentionAges::default().with_age("worker_heartbeat", HOUR);
    let service = own.keeping_at(at, ages).await;
    assert_eq!(service.plan_retention().await.unwrap().events, 2);
    assert_eq!(applied(&service).await.len(), 1);
    assert_eq!(own.sequences().await.len(), 11);
}

pub async fn a_clock_that_is_ahead_of_the_server_s_removes_nothing_early(js: Arc<dyn JetStream>) {
    let (own, border) = old(js, 2).await;
    let tomorrow = border.saturating_add(24 * HOUR);
    let service = own.keeping(Arc::clone(&own.js), tomorrow, ages()).await;
    let plan = service.plan_retention().await.unwrap();
    assert!(plan.events == 0 && plan.now < tomorrow, "{plan:?}");
    assert_eq!(applied(&service).await, []);
    let report = service.cleanup_old_events(HOUR).await.unwrap();
    assert_eq!((report.removed, report.before < border), (0, true), "{report:?}");
    assert_eq!(own.info().await.state.messages, 13);
    // One that is behind removes late.
    let yesterday = border.saturating_sub(24 * HOUR);
    let service = own.keeping(Arc::clone(&own.js), yesterday, ages()).await;
    assert_eq!(service.plan_retention().await.unwrap().now, yesterday);
}

pub async fn a_log_that_may_not_be_purged_keeps_everything(js: Arc<dyn JetStream>) {
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
    own.log(Event::worker_heartbeat("w")).await;
    let service = own.keeping_at(now().saturating_add(3 * HOUR), ages()).await;
    let step = service.apply_retention(Duration::ZERO).next().await.unwrap();
    refused(step, ErrorKind::PermissionDenied);
    assert_eq!(own.sequences().await, [1]);
    // Without digests nothing is there to keep what goes.
    let step = own.events.apply_retention(Duration::ZERO).next().await.unwrap();
    refused(step, ErrorKind::Unsupported);
}

pub async fn the_room_of_each_type_is_the_server_s_own_count(js: Arc<dyn JetStream>) {
    let (own, _) = old(Arc::clone(&js), 3).await;
    own.foreign("x.y.z", "no event").await;
    let gone = own.stored().await.remove(6);
    own.js.delete_message(&own.name, gone.sequence).await.unwrap();
    let state = own.info().await.state;
    let sizes = own.events.event_sizes(false).await.unwrap();
    assert!(sizes.is_exact, "a short log is counted");
    assert_eq!((sizes.messages, sizes.bytes, sizes.read), (state.messages, state.bytes, 19));
    assert_eq!(sizes.kinds.iter().map(|kind| kind.events).sum::<u64>(), state.messages);
    assert_eq!(sizes.kinds.iter().map(|kind| kind.bytes).sum::<u64>(), state.bytes, "{sizes:?}");
    assert!(sizes.kinds.is_sorted_by(|a, b| a.bytes >= b.bytes));
    let of = |name: Option<&str>| {
        let kind = sizes.kinds.iter().find(|kind| kind.event_type.as_deref() == name);
        kind.map(|kind| kind.events)
    };
    for (token, name) in [("invoice=2Esent", "invoice.sent"), ("job_enqueued", "job_enqueued")] {
        let is_gone = gone.subject.split('.').nth(1) == Some(token);
        assert_eq!(of(Some(name)), Some(3 - u64::from(is_gone)), "{name}");
    }
    assert_eq!((of(None), of(Some("x"))), (Some(1), None));
    let empty = Own::new(js).await;
    let sizes = empty.events.event_sizes(true).await.unwrap();
    assert_eq!((sizes.messages, sizes.kinds.len(), sizes.is_exact), (0, 0, true));
}
