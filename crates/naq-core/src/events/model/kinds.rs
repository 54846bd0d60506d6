//! A constructor for each kind of event, with what each cannot do without.

use crate::events::{Event, EventType, Text};

impl Event {
    /// A job was put into a queue.
    #[must_use]
    pub fn job_enqueued(job: impl Into<Text>, queue: impl Into<Text>) -> Self {
        Self::new(EventType::JobEnqueued).with_job_id(job).with_queue(queue)
    }

    /// A job cannot run yet, and why: a dependency, a limit, a lock.
    #[must_use]
    pub fn job_waiting(job: impl Into<Text>, reason: impl Into<Text>) -> Self {
        Self::new(EventType::JobWaiting).with_job_id(job).with_reason(reason)
    }

    /// A worker began to run a job.
    #[must_use]
    pub fn job_started(
        job: impl Into<Text>,
        worker: impl Into<Text>,
        queue: impl Into<Text>,
    ) -> Self {
        Self::new(EventType::JobStarted).with_job_id(job).with_worker_id(worker).with_queue(queue)
    }

    /// A running job tells how far it is.
    #[must_use]
    pub fn job_progress(job: impl Into<Text>, message: impl Into<Text>) -> Self {
        Self::new(EventType::JobProgress).with_job_id(job).with_message(message)
    }

    /// A run of a job came to its end after `duration` seconds; with `success`
    /// false it counts as failed.
    #[must_use]
    pub fn job_completed(job: impl Into<Text>, duration: f64, success: bool) -> Self {
        Self::new(EventType::JobCompleted)
            .with_job_id(job)
            .with_duration(duration)
            .with_success(success)
    }

    /// A run of a job failed after `duration` seconds.
    #[must_use]
    pub fn job_failed(job: impl Into<Text>, error: impl Into<Text>, duration: f64) -> Self {
        Self::new(EventType::JobFailed).with_job_id(job).with_error(error).with_duration(duration)
    }

    /// A failed job will be tried again; `attempt` is the number of the coming try.
    #[must_use]
    pub fn job_retry_scheduled(job: impl Into<Text>, attempt: u32) -> Self {
        Self::new(EventType::JobRetryScheduled).with_job_id(job).with_attempt(attempt)
    }

    /// A job was put down to run at a later time.
    #[must_use]
    pub fn job_scheduled(job: impl Into<Text>, queue: impl Into<Text>) -> Self {
        Self::new(EventType::JobScheduled).with_job_id(job).with_queue(queue)
    }

    /// A job was called off, and why.
    #[must_use]
    pub fn job_cancelled(job: impl Into<Text>, reason: impl Into<Text>) -> Self {
        Self::new(EventType::JobCancelled).with_job_id(job).with_reason(reason)
    }

    /// A job was halted for a while.
    #[must_use]
    pub fn job_paused(job: impl Into<Text>) -> Self {
        Self::new(EventType::JobPaused).with_job_id(job)
    }

    /// A paused job goes on.
    #[must_use]
    pub fn job_resumed(job: impl Into<Text>) -> Self {
        Self::new(EventType::JobResumed).with_job_id(job)
    }

    /// A schedule was made.
    #[must_use]
    pub fn schedule_created(schedule: impl Into<Text>) -> Self {
        Self::new(EventType::ScheduleCreated).with_schedule_id(schedule)
    }

    /// A schedule brought forth a job.
    ///
    /// It is stored under the job, so the job's history begins with it.
    #[must_use]
    pub fn schedule_triggered(schedule: impl Into<Text>, job: impl Into<Text>) -> Self {
        Self::new(EventType::ScheduleTriggered).with_schedule_id(schedule).with_job_id(job)
    }

    /// A schedule was halted for a while.
    #[must_use]
    pub fn schedule_paused(schedule: impl Into<Text>) -> Self {
        Self::new(EventType::SchedulePaused).with_schedule_id(schedule)
    }

    /// A paused schedule goes on.
    #[must_use]
    pub fn schedule_resumed(schedule: impl Into<Text>) -> Self {
        Self::new(EventType::ScheduleResumed).with_schedule_id(schedule)
    }

    /// A schedule was called off.
    #[must_use]
    pub fn schedule_cancelled(schedule: impl Into<Text>) -> Self {
        Self::new(EventType::ScheduleCancelled).with_schedule_id(schedule)
    }

    /// A schedule was changed.
    #[must_use]
    pub fn schedule_modified(schedule: impl Into<Text>) -> Self {
        Self::new(EventType::ScheduleModified).with_schedule_id(schedule)
    }

    /// The scheduler itself failed at something.
    #[must_use]
    pub fn scheduler_error(error: impl Into<Text>) -> Self {
        Self::new(EventType::SchedulerError).with_error(error)
    }

    /// A worker came up.
    #[must_use]
    pub fn worker_started(worker: impl Into<Text>, queue: impl Into<Text>) -> Self {
        Self::new(EventType::WorkerStarted).with_worker_id(worker).with_queue(queue)
    }

    /// A worker went down in order.
    #[must_use]
    pub fn worker_stopped(worker: impl Into<Text>, queue: impl Into<Text>) -> Self {
        Self::new(EventType::WorkerStopped).with_worker_id(worker).with_queue(queue)
    }

    /// A worker has nothing to do.
    #[must_use]
    pub fn worker_idle(worker: impl Into<Text>) -> Self {
        Self::new(EventType::WorkerIdle).with_worker_id(worker)
    }

    /// A worker has work.
    #[must_use]
    pub fn worker_busy(worker: impl Into<Text>) -> Self {
        Self::new(EventType::WorkerBusy).with_worker_id(worker)
    }

    /// A worker is alive.
    #[must_use]
    pub fn worker_heartbeat(worker: impl Into<Text>) -> Self {
        Self::new(EventType::WorkerHeartbeat).with_worker_id(worker)
    }

    /// A worker failed at something beside its jobs.
    #[must_use]
    pub fn worker_error(worker: impl Into<Text>, error: impl Into<Text>) -> Self {
        Self::new(EventType::WorkerError).with_worker_id(worker).with_error(error)
    }

    /// A message: what a string becomes when it is logged.
    #[must_use]
    pub fn log(message: impl Into<Text>) -> Self {
        Self::new(EventType::Log).with_message(message)
    }

    /// Events were given up, so many of them, and why: the log has a hole here.
    ///
    /// A service tells it of its own events, with the custom fields `types`
    /// (how many of each type), `first_time` and `last_time` beside `count`. A
    /// program that drops events before it logs them can tell that too.
    #[must_use]
    pub fn events_lost(count: u64, reason: impl Into<Text>) -> Self {
        Self::new(EventType::EventsLost).with_reason(reason).with_field("count", count)
    }

    /// How many events are lost, of an event that tells of some.
    #[must_use]
    pub fn lost_count(&self) -> Option<u64> {
        match self.event_type {
            EventType::EventsLost => self.custom.get("count")?.as_u64(),
            _ => None,
        }
    }
}
