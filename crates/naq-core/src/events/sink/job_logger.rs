//! A logger that knows its job.

use std::ops::Deref;

use crate::Result;
use crate::events::{Event, EventInput, EventReceipt, EventSink, EventType, JobContext};

/// Logs the events of one job, with everything that is known about the job on each.
///
/// Made by [`for_job`](crate::events::EventSinkExt::for_job), or by
/// [`new`](Self::new) around an `Arc<dyn EventSink>` that a task can own.
/// Each method returns when its event is accepted into the buffer and has the
/// errors of [`log`](EventSink::log).
#[derive(Debug, Clone)]
pub struct JobLogger<S> {
    sink: S,
    context: JobContext,
}

impl<S> JobLogger<S>
where
    S: Deref<Target: EventSink> + Sync,
{
    /// A logger for one job around a reference, an `Arc` or a `Box`.
    #[must_use]
    pub fn new(sink: S, context: JobContext) -> Self {
        Self { sink, context }
    }

    /// What it puts on each event.
    #[must_use]
    pub fn context(&self) -> &JobContext {
        &self.context
    }

    /// Sets which try this is, for the events from now on.
    pub fn set_attempt(&mut self, attempt: u32) {
        self.context.attempt = Some(attempt);
    }

    /// Logs any event of the job; what the event says itself stands.
    ///
    /// # Errors
    /// Those of [`log`](EventSink::log).
    pub async fn event(&self, event: impl Into<EventInput> + Send) -> Result<()> {
        self.sink.log(self.stamped(event.into())).await
    }

    /// The same, and waits until it is stored.
    ///
    /// # Errors
    /// Those of [`log_acked`](EventSink::log_acked).
    pub async fn event_acked(&self, event: impl Into<EventInput> + Send) -> Result<EventReceipt> {
        self.sink.log_acked(self.stamped(event.into())).await
    }

    /// The same, if there is room at once; never waits. For drop guards.
    ///
    /// # Errors
    /// Those of [`try_log`](EventSink::try_log).
    pub fn try_event(&self, event: impl Into<EventInput>) -> Result<()> {
        self.sink.try_log(self.stamped(event.into()))
    }

    /// The job was put into its queue.
    ///
    /// # Errors
    /// Those of [`log`](EventSink::log).
    pub async fn enqueued(&self) -> Result<()> {
        // The queue is the context's; an event without one leaves it open.
        self.about(EventType::JobEnqueued).await
    }

    /// The job cannot run yet, and why.
    ///
    /// # Errors
    /// Those of [`log`](EventSink::log).
    pub async fn waiting(&self, reason: &str) -> Result<()> {
        self.event(Event::job_waiting(&self.context.id, reason)).await
    }

    /// The worker began to run the job.
    ///
    /// # Errors
    /// Those of [`log`](EventSink::log).
    pub async fn started(&self) -> Result<()> {
        self.about(EventType::JobStarted).await
    }

    /// The running job tells how far it is.
    ///
    /// # Errors
    /// Those of [`log`](EventSink::log).
    pub async fn progress(&self, message: &str) -> Result<()> {
        self.event(Event::job_progress(&self.context.id, message)).await
    }

    /// The run came to its end after `duration` seconds.
    ///
    /// # Errors
    /// Those of [`log`](EventSink::log).
    pub async fn completed(&self, duration: f64, success: bool) -> Result<()> {
        self.event(Event::job_completed(&self.context.id, duration, success)).await
    }

    /// The run failed after `duration` seconds.
    ///
    /// # Errors
    /// Those of [`log`](EventSink::log).
    pub async fn failed(&self, error: &str, duration: f64) -> Result<()> {
        self.event(Event::job_failed(&self.context.id, error, duration)).await
    }

    /// The job will be tried again; `attempt` is the number of the coming try.
    ///
    /// # Errors
    /// Those of [`log`](EventSink::log).
    pub async fn retry_scheduled(&self, attempt: u32) -> Result<()> {
        self.event(Event::job_retry_scheduled(&self.context.id, attempt)).await
    }

    /// The job was put down to run at a later time.
    ///
    /// # Errors
    /// Those of [`log`](EventSink::log).
    pub async fn scheduled(&self) -> Result<()> {
        self.about(EventType::JobScheduled).await
    }

    /// The job was called off, and why.
    ///
    /// # Errors
    /// Those of [`log`](EventSink::log).
    pub async fn cancelled(&self, reason: &str) -> Result<()> {
        self.event(Event::job_cancelled(&self.context.id, reason)).await
    }

    /// The job was halted for a while.
    ///
    /// # Errors
    /// Those of [`log`](EventSink::log).
    pub async fn paused(&self) -> Result<()> {
        self.event(Event::job_paused(&self.context.id)).await
    }

    /// The paused job goes on.
    ///
    /// # Errors
    /// Those of [`log`](EventSink::log).
    pub async fn resumed(&self) -> Result<()> {
        self.event(Event::job_resumed(&self.context.id)).await
    }

    /// A message about the job: an event of type `log`.
    ///
    /// # Errors
    /// Those of [`log`](EventSink::log).
    pub async fn message(&self, message: &str) -> Result<()> {
        self.event(Event::log(message)).await
    }

    async fn about(&self, event_type: EventType) -> Result<()> {
        self.event(Event::new(event_type)).await
    }

    fn stamped(&self, input: EventInput) -> EventInput {
        input.map(|event| self.context.stamp(event))
    }
}
