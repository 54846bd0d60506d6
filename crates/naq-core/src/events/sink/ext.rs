//! The log's helpers: one for each kind of event, with the constructors' arguments.

use std::future::Future;

use crate::Result;
use crate::events::{Event, EventInput, EventReceipt, EventSink, JobContext, JobLogger};

macro_rules! helpers {
    ($($name:ident = $kind:ident($($arg:ident: $type:ty),*), $doc:literal;)*) => {
        /// What every [`EventSink`] offers beside the port: also a mock and a trait object.
        ///
        /// Each helper returns when its event is accepted into the buffer, as
        /// [`log`](EventSink::log) does, and has its errors. The arguments are
        /// those of the constructor of the same kind on [`Event`].
        pub trait EventSinkExt: EventSink {
            /// Accepts an event, a string or a JSON object into the buffer.
            ///
            /// # Errors
            /// Those of [`log`](EventSink::log).
            fn log_event(
                &self,
                event: impl Into<EventInput>,
            ) -> impl Future<Output = Result<()>> + Send {
                self.log(event.into())
            }

            /// Accepts an event, a string or a JSON object and waits until it is
            /// stored, or in the spool.
            ///
            /// # Errors
            /// Those of [`log_acked`](EventSink::log_acked).
            fn log_event_acked(
                &self,
                event: impl Into<EventInput>,
            ) -> impl Future<Output = Result<EventReceipt>> + Send {
                self.log_acked(event.into())
            }

            /// Accepts an event, a string or a JSON object if there is room at
            /// once; never waits.
            ///
            /// # Errors
            /// Those of [`try_log`](EventSink::try_log).
            fn try_log_event(&self, event: impl Into<EventInput>) -> Result<()> {
                self.try_log(event.into())
            }

            /// Accepts events in order, with a result for each; a bad one
            /// doesn't stop the rest.
            fn batch_log_events<E: Into<EventInput>>(
                &self,
                events: impl IntoIterator<Item = E>,
            ) -> impl Future<Output = Vec<Result<()>>> + Send {
                self.log_batch(events.into_iter().map(Into::into).collect())
            }

            /// A logger for one job, which puts all that is known about it on
            /// each of its events.
            fn for_job(&self, context: JobContext) -> JobLogger<&Self> {
                JobLogger::new(self, context)
            }

            $(
                #[doc = $doc]
                ///
                /// # Errors
                /// Those of [`log`](EventSink::log).
                fn $name(&self, $($arg: $type),*) -> impl Future<Output = Result<()>> + Send {
                    self.log(Event::$kind($($arg),*).into())
                }
            )*
        }
    };
}

helpers! {
    log_job_enqueued = job_enqueued(job: &str, queue: &str), "A job was put into a queue.";
    log_job_waiting = job_waiting(job: &str, reason: &str), "A job cannot run yet, and why.";
    log_job_started = job_started(job: &str, worker: &str, queue: &str),
        "A worker began to run a job.";
    log_job_progress = job_progress(job: &str, message: &str),
        "A running job tells how far it is.";
    log_job_completed = job_completed(job: &str, duration: f64, success: bool),
        "A run of a job came to its end after `duration` seconds.";
    log_job_failed = job_failed(job: &str, error: &str, duration: f64),
        "A run of a job failed after `duration` seconds.";
    log_job_retry_scheduled = job_retry_scheduled(job: &str, attempt: u32),
        "A failed job will be tried again; `attempt` is the number of the coming try.";
    log_job_scheduled = job_scheduled(job: &str, queue: &str),
        "A job was put down to run at a later time.";
    log_job_cancelled = job_cancelled(job: &str, reason: &str), "A job was called off, and why.";
    log_job_paused = job_paused(job: &str), "A job was halted for a while.";
    log_job_resumed = job_resumed(job: &str), "A paused job goes on.";
    log_schedule_created = schedule_created(schedule: &str), "A schedule was made.";
    log_schedule_triggered = schedule_triggered(schedule: &str, job: &str),
        "A schedule brought forth a job.";
    log_schedule_paused = schedule_paused(schedule: &str), "A schedule was halted for a while.";
    log_schedule_resumed = schedule_resumed(schedule: &str), "A paused schedule goes on.";
    log_schedule_cancelled = schedule_cancelled(schedule: &str), "A schedule was called off.";
    log_schedule_modified = schedule_modified(schedule: &str), "A schedule was changed.";
    log_scheduler_error = scheduler_error(error: &str),
        "The scheduler itself failed at something.";
    log_worker_started = worker_started(worker: &str, queue: &str), "A worker came up.";
    log_worker_stopped = worker_stopped(worker: &str, queue: &str),
        "A worker went down in order.";
    log_worker_idle = worker_idle(worker: &str), "A worker has nothing to do.";
    log_worker_busy = worker_busy(worker: &str), "A worker has work.";
    log_worker_heartbeat = worker_heartbeat(worker: &str), "A worker is alive.";
    log_worker_error = worker_error(worker: &str, error: &str),
        "A worker failed at something beside its jobs.";
    log_message = log(message: &str), "A message: an event of type `log`.";
    log_events_lost = events_lost(count: u64, reason: &str),
        "Events were given up before they were logged, so many of them, and why.";
}

impl<T: EventSink + ?Sized> EventSinkExt for T {}
