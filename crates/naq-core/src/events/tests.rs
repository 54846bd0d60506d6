//! Tests of the ports' helpers and forwarding, against a sink that remembers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{
    Event, EventAccount, EventCounters, EventInput, EventReceipt, EventSink, EventSinkExt,
    EventType, FlushReport, JobContext, JobLogger,
};
use crate::{Error, ErrorKind, Result};

/// Accepts every well-formed event and remembers it.
#[derive(Debug, Default)]
struct Remembering {
    events: Mutex<Vec<Event>>,
}

impl Remembering {
    fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, input: EventInput) -> Result<u64> {
        let event = input.into_event()?;
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.push(event);
        Ok(events.len() as u64)
    }
}

#[async_trait]
impl EventSink for Remembering {
    async fn log(&self, event: EventInput) -> Result<()> {
        self.remember(event).map(|_| ())
    }

    fn try_log(&self, event: EventInput) -> Result<()> {
        self.remember(event).map(|_| ())
    }

    async fn log_acked(&self, event: EventInput) -> Result<EventReceipt> {
        let sequence = self.remember(event)?;
        Ok(EventReceipt::new("id".into(), sequence, false))
    }

    async fn log_batch(&self, events: Vec<EventInput>) -> Vec<Result<()>> {
        events.into_iter().map(|event| self.remember(event).map(|_| ())).collect()
    }

    async fn flush(&self, _within: Duration) -> Result<FlushReport> {
        Err(Error::new(ErrorKind::Closed, "flush", "this one only remembers"))
    }

    fn counters(&self) -> EventCounters {
        EventCounters { offered: self.events().len() as u64, ..EventCounters::default() }
    }

    fn account(&self) -> EventAccount {
        EventAccount { counters: self.counters(), ..EventAccount::default() }
    }
}

#[tokio::test]
async fn each_kind_has_a_helper_that_logs_what_its_constructor_makes() -> Result<()> {
    let log = Remembering::default();
    log.log_job_enqueued("j", "q").await?;
    log.log_job_waiting("j", "r").await?;
    log.log_job_started("j", "w", "q").await?;
    log.log_job_progress("j", "m").await?;
    log.log_job_completed("j", 0.5, true).await?;
    log.log_job_failed("j", "e", 0.5).await?;
    log.log_job_retry_scheduled("j", 2).await?;
    log.log_job_scheduled("j", "q").await?;
    log.log_job_cancelled("j", "r").await?;
    log.log_job_paused("j").await?;
    log.log_job_resumed("j").await?;
    log.log_schedule_created("s").await?;
    log.log_schedule_triggered("s", "j").await?;
    log.log_schedule_paused("s").await?;
    log.log_schedule_resumed("s").await?;
    log.log_schedule_cancelled("s").await?;
    log.log_schedule_modified("s").await?;
    log.log_scheduler_error("e").await?;
    log.log_worker_started("w", "q").await?;
    log.log_worker_stopped("w", "q").await?;
    log.log_worker_idle("w").await?;
    log.log_worker_busy("w").await?;
    log.log_worker_heartbeat("w").await?;
    log.log_worker_error("w", "e").await?;
    log.log_message("m").await?;
    log.log_events_lost(3, "r").await?;
    let logged: Vec<_> = log.events().into_iter().map(|event| event.event_type).collect();
    assert_eq!(logged, EventType::KNOWN);
    assert_eq!(log.events()[2], Event::job_started("j", "w", "q"));
    Ok(())
}

#[tokio::test]
async fn an_event_a_string_and_an_object_are_all_logged() -> Result<()> {
    let log = Remembering::default();
    log.log_event(Event::job_paused("j")).await?;
    log.log_event("hello").await?;
    log.try_log_event(serde_json::json!({"type": "job_paused", "job_id": "j"}))?;
    assert_eq!(log.log_event_acked(String::from("x")).await?.sequence, Some(4));
    let results = log.batch_log_events([serde_json::json!({}), serde_json::json!("x")]).await;
    assert!(results.iter().all(Result::is_err), "{results:?}");
    assert_eq!(log.events()[0], log.events()[2]);
    assert_eq!(log.events()[1], Event::log("hello"));
    Ok(())
}

#[tokio::test]
async fn a_sink_behind_pointers_is_the_same_sink() -> Result<()> {
    let inner = Arc::new(Remembering::default());
    let erased: Arc<dyn EventSink> = inner.clone();
    let boxed: Box<dyn EventSink> = Box::new(erased.clone());
    erased.log_job_paused("a").await?;
    boxed.log_job_paused("b").await?;
    boxed.try_log_event("c")?;
    assert_eq!(boxed.log_event_acked("d").await?.sequence, Some(4));
    assert_eq!(boxed.batch_log_events(["e"]).await.len(), 1);
    assert!(boxed.flush(Duration::ZERO).await.is_err());
    assert_eq!(boxed.counters().offered, 5);
    assert_eq!(boxed.account().counters, boxed.counters());
    assert_eq!(inner.events().len(), 5);
    Ok(())
}

#[tokio::test]
async fn a_job_s_logger_puts_all_it_knows_on_each_event() -> Result<()> {
    let inner = Arc::new(Remembering::default());
    let context = JobContext::new("j")
        .with_name("mail")
        .with_queue("q")
        .with_worker("w")
        .with_attempt(2)
        .with_traceparent("t");
    let sink: Arc<dyn EventSink> = inner.clone();
    // A task of its own takes an owned logger along.
    let logger = JobLogger::new(sink, context.clone());
    let task = tokio::spawn(async move {
        logger.enqueued().await?;
        logger.scheduled().await?;
        logger.waiting("r").await?;
        logger.started().await?;
        logger.progress("half").await?;
        logger.message("m").await?;
        logger.completed(1.0, true).await?;
        logger.failed("e", 1.0).await?;
        logger.cancelled("r").await?;
        logger.paused().await?;
        logger.resumed().await?;
        logger.try_event("x")?;
        logger.event_acked(serde_json::json!({"type": "x"})).await
    });
    assert_eq!(task.await.expect("the task doesn't panic")?.sequence, Some(13));
    inner.for_job(context.clone()).event(Event::log("borrowed")).await?;
    assert_eq!(inner.events().len(), 14);
    for event in inner.events() {
        let mut stamped = Event::new(event.event_type.clone())
            .with_job_id("j")
            .with_job_name("mail")
            .with_queue("q")
            .with_worker_id("w")
            .with_attempt(2)
            .with_traceparent("t");
        assert_eq!(context.stamp(Event::new(event.event_type.clone())), stamped);
        // What the event says beside the context is its own.
        (stamped.message, stamped.reason, stamped.error) =
            (event.message.clone(), event.reason.clone(), event.error.clone());
        (stamped.duration, stamped.success) = (event.duration, event.success);
        assert_eq!(event, stamped);
    }
    Ok(())
}

#[tokio::test]
async fn a_retry_tells_its_own_attempt() -> Result<()> {
    let log = Remembering::default();
    let mut logger = log.for_job(JobContext::new("j").with_attempt(1));
    logger.retry_scheduled(2).await?;
    logger.set_attempt(2);
    logger.started().await?;
    let attempts: Vec<_> = log.events().iter().map(|event| event.attempt).collect();
    assert_eq!(attempts, [Some(2), Some(2)]);
    Ok(())
}

#[tokio::test]
async fn what_is_malformed_stays_so_through_a_job_s_logger() {
    let log = Remembering::default();
    let logger = log.for_job(JobContext::new("j"));
    let error = logger.event(serde_json::json!({"no": "type"})).await.unwrap_err();
    assert_eq!(error.get("field"), Some("type"));
}

#[cfg(feature = "mock")]
mod mocked {
    use futures::StreamExt;
    use serde_json::json;

    use super::*;
    use crate::events::{
        EntityKind, EventHistory, EventItem, EventLog, EventQuery, EventQueryExt, Filter,
        HistoryRequest, MockEventLog, MockEventSink, ReadEvents,
    };

    #[tokio::test]
    async fn one_mock_is_sink_and_query() -> Result<()> {
        let mut mock = MockEventLog::new();
        mock.expect_log().times(1).returning(|_| Ok(()));
        mock.expect_history()
            .withf(|request| *request == HistoryRequest::job("j").with_limit(7))
            .returning(|request| Ok(EventHistory::new(request.entity, request.id)));
        let log: Arc<dyn EventLog> = Arc::new(mock);
        let sink: Arc<dyn EventSink> = log.clone();
        let query: Arc<dyn EventQuery> = log;
        sink.log_job_paused("j").await?;
        let history = query.get_event_history("j", 7).await?;
        assert_eq!((history.summary.entity, history.summary.id.as_str()), (EntityKind::Job, "j"));
        Ok(())
    }

    #[tokio::test]
    async fn streaming_takes_a_filter_in_either_form_and_never_ends() {
        let wanted = ReadEvents::live().with_filter(Filter::new().event_type("job_failed"));
        let mut mock = MockEventLog::new();
        mock.expect_read_events().times(2).withf(move |options| *options == wanted).returning(
            |_| Box::pin(futures::stream::iter([Ok(EventItem::Gap { from: 1, to: 2 })])),
        );
        for mut stream in [
            mock.stream_events(json!({"type": "job_failed"})),
            mock.stream_events(Filter::new().event_type("job_failed")),
        ] {
            assert!(matches!(stream.next().await, Some(Ok(EventItem::Gap { from: 1, to: 2 }))));
        }
        // A filter that is wrong asks nobody.
        let refused = mock.stream_events(json!({"a": {"regex": "("}})).collect::<Vec<_>>().await;
        assert!(matches!(&refused[..], [Err(error)] if error.get("field") == Some("a.regex")));
    }

    #[test]
    fn a_sink_alone_can_be_mocked() {
        let mut mock = MockEventSink::new();
        mock.expect_try_log()
            .returning(|_| Err(Error::new(ErrorKind::LimitReached, "log_event", "full")));
        assert!(mock.try_log_event("x").unwrap_err().is(ErrorKind::LimitReached));
    }
}
