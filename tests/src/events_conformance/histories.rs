//! Histories of jobs, workers and schedules.

use std::sync::Arc;

use naq_core::ErrorKind;
use naq_core::config::SubjectLayout;
use naq_core::events::{
    EntityKind, Event, EventHistory, EventQuery, EventQueryExt, EventSinkExt, HistoryRequest,
    JobContext, JobState, ScanLimits,
};
use naq_core::jetstream::JetStream;
use serde_json::json;

use super::support::{Own, at, invalid, refused};

fn sequences(history: &EventHistory) -> Vec<u64> {
    history.events.iter().map(|recorded| recorded.sequence()).collect()
}

pub async fn a_history_tells_a_job_from_its_first_event_to_its_last(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let time = |event: Event, seconds| event.with_timestamp(at(seconds));
    own.log(time(Event::job_enqueued("j", "emails").with_job_name("mail"), 0)).await;
    own.log(time(Event::job_started("other", "w9", "emails"), 1)).await;
    own.log(time(Event::job_started("j", "w1", "emails"), 2)).await;
    own.log(time(Event::job_failed("j", "timed out", 3.0).with_error_type("Timeout"), 5)).await;
    own.log(time(Event::job_retry_scheduled("j", 2), 5)).await;
    own.log(time(Event::job_started("j", "w2", "emails"), 9)).await;
    own.log(time(Event::job_completed("j", 1.5, true), 11)).await;
    let history = own.events.get_event_history("j", 100).await.unwrap();
    assert_eq!(sequences(&history), [1, 3, 4, 5, 6, 7]);
    let summary = history.summary;
    assert_eq!((summary.entity, summary.id.as_str()), (EntityKind::Job, "j"));
    assert_eq!((summary.first, summary.last), (Some(at(0)), Some(at(11))));
    assert_eq!((summary.total_events, summary.truncated), (6, false));
    let job = summary.job;
    assert_eq!((job.state, job.attempts), (Some(JobState::Completed), Some(2)));
    assert_eq!((job.job_name.as_deref(), job.queue.as_deref()), (Some("mail"), Some("emails")));
    assert_eq!((job.worker.as_deref(), job.run_time), (Some("w2"), Some(1.5)));
    assert_eq!(job.queue_wait, Some(4.0));
    assert_eq!(job.last_error.as_deref(), Some("timed out"));
    assert_eq!(job.last_error_type.as_deref(), Some("Timeout"));
}

pub async fn only_the_jobs_own_events_are_read(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log_all((0..20).map(|n| Event::job_paused(format!("noise-{n}")))).await;
    own.foreign("log.other", "no event").await;
    own.foreign("log.j", "no event").await;
    own.log(Event::job_paused("j")).await;
    let two = HistoryRequest::job("j").with_scan(ScanLimits::default().with_max_messages(2));
    let history = own.events.history(two).await.unwrap();
    assert_eq!((sequences(&history), history.summary.malformed), (vec![23], 1));
}

pub async fn a_limit_keeps_the_oldest_or_the_newest(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log_all((0..5).map(|n| Event::job_progress("j", n.to_string()))).await;
    own.log(Event::job_cancelled("j", "enough")).await;
    let history = own.events.get_event_history("j", 2).await.unwrap();
    assert_eq!(sequences(&history), [1, 2]);
    assert_eq!((history.summary.truncated, history.summary.total_events), (true, 6));
    // The summary is of all of them.
    assert_eq!(history.summary.job.state, Some(JobState::Cancelled));
    let newest = HistoryRequest::job("j").with_limit(2).with_from_end(true);
    assert_eq!(sequences(&own.events.history(newest).await.unwrap()), [5, 6]);
    let whole = own.events.get_event_history("j", 6).await.unwrap();
    assert_eq!((whole.events.len(), whole.summary.truncated), (6, false));
}

pub async fn a_range_shows_a_part_and_sums_up_the_whole(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log_all((0..5).map(|n| Event::job_paused("j").with_timestamp(at(n)))).await;
    let range = HistoryRequest::job("j").with_range(Some(at(1)), Some(at(3)));
    let history = own.events.history(range).await.unwrap();
    assert_eq!(sequences(&history), [2, 3, 4]);
    assert_eq!((history.summary.total_events, history.summary.truncated), (5, true));
    assert_eq!(history.summary.last, Some(at(4)));
}

pub async fn an_event_that_is_stored_twice_is_shown_once(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log(Event::job_started("j", "w", "q")).await;
    let again = own.stored().await.remove(0).payload;
    own.foreign("job_started.j", again).await;
    own.foreign("job_paused.j", json!({"type": "job_paused", "job_id": "j"}).to_string()).await;
    own.foreign("job_paused.j", json!({"type": "job_paused", "job_id": "j"}).to_string()).await;
    let history = own.events.get_event_history("j", 100).await.unwrap();
    // Events without an id are all different.
    assert_eq!(sequences(&history), [1, 3, 4]);
    assert_eq!((history.summary.duplicates, history.summary.total_events), (1, 3));
    assert_eq!(history.summary.job.attempts, Some(1));
}

pub async fn a_job_a_worker_and_a_schedule_of_one_name_are_told_apart(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log(Event::job_started("x", "w", "q")).await;
    own.log(Event::worker_started("x", "q")).await;
    own.log(Event::schedule_created("x")).await;
    own.log(Event::job_started("j", "x", "q")).await;
    own.log(Event::schedule_triggered("x", "x")).await;
    let of = async |kind| own.events.get_entity_history(kind, "x").await.unwrap();
    let job = of(EntityKind::Job).await;
    assert_eq!((sequences(&job), job.summary.includes_mentions), (vec![1, 5], true));
    let worker = of(EntityKind::Worker).await;
    assert_eq!((sequences(&worker), worker.summary.includes_mentions), (vec![2], false));
    assert_eq!(worker.summary.job, Default::default());
    let schedule = of(EntityKind::Schedule).await;
    // The schedule's trigger is stored under the job, which happens to have its name.
    assert_eq!((sequences(&schedule), schedule.summary.includes_mentions), (vec![3, 5], false));
}

pub async fn a_log_without_entities_in_its_subjects_has_the_mentions(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| config.with_subjects(SubjectLayout::Type)).await;
    own.log(Event::worker_started("w", "q")).await;
    own.log(Event::job_started("j", "w", "q")).await;
    own.log(Event::job_started("j", "other", "q")).await;
    assert_eq!(own.stored().await[1].subject, format!("{}.job_started", own.name));
    let worker = own.events.get_entity_history(EntityKind::Worker, "w").await.unwrap();
    assert_eq!((sequences(&worker), worker.summary.includes_mentions), (vec![1, 2], true));
    let job = own.events.get_event_history("j", 9).await.unwrap();
    assert_eq!(sequences(&job), [2, 3]);
}

pub async fn an_id_of_which_there_is_no_event_has_an_empty_history(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log(Event::job_paused("j")).await;
    let history = own.events.get_event_history("k", 100).await.unwrap();
    let mut expected = EventHistory::new(EntityKind::Job, "k");
    expected.summary.includes_mentions = true;
    assert_eq!(history, expected);
}

pub async fn a_job_logger_stamps_what_it_knows(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let context = JobContext::new("j")
        .with_name("invoice")
        .with_queue("billing")
        .with_worker("w1")
        .with_attempt(2);
    let job = own.events.for_job(context);
    job.started().await.unwrap();
    job.progress("half").await.unwrap();
    job.completed(0.5, true).await.unwrap();
    let history = own.events.get_event_history("j", 9).await.unwrap();
    assert_eq!(history.events.len(), 3);
    for recorded in &history.events {
        let event = &recorded.event;
        assert_eq!(event.job_name.as_deref(), Some("invoice"));
        assert_eq!(event.queue.as_deref(), Some("billing"));
        assert_eq!((event.worker_id.as_deref(), event.attempt), (Some("w1"), Some(2)));
    }
    assert_eq!(history.summary.job.attempts, Some(2));
}

pub async fn a_history_that_may_not_read_enough_says_where_it_stopped(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log_all((0..5).map(|_| Event::job_paused("j"))).await;
    let limited = |most| {
        let scan = ScanLimits::default().with_max_messages(most);
        own.events.history(HistoryRequest::job("j").with_limit(1).with_scan(scan))
    };
    let error = refused(limited(4).await, ErrorKind::LimitReached);
    assert_eq!(error.get("stopped_at_sequence"), Some("5"), "{error:?}");
    assert!(error.hint().is_some());
    assert_eq!(limited(5).await.unwrap().summary.total_events, 5);
}

pub async fn a_wrong_history_is_refused_by_field(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    invalid(own.events.get_event_history("", 1).await, "job_id");
    invalid(own.events.get_event_history(&"x".repeat(257), 1).await, "job_id");
    invalid(own.events.get_event_history("j", 0).await, "limit");
    invalid(own.events.get_entity_history(EntityKind::Worker, "").await, "worker_id");
    invalid(own.events.get_entity_history(EntityKind::Schedule, "").await, "schedule_id");
    let backwards = HistoryRequest::job("j").with_range(Some(at(1)), Some(at(0)));
    invalid(own.events.history(backwards).await, "end_time");
}
