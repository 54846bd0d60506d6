//! Where a job stands, folded from its events: a state machine without I/O.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::events::{Event, EventType};

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum JobState {
    /// Put down for a later time.
    Scheduled,
    /// In its queue.
    Enqueued,
    /// Kept back; the reason is told.
    Waiting,
    /// A worker runs it.
    Running,
    /// Halted for a while.
    Paused,
    /// Failed, and to be tried again.
    Retrying,
    /// Came to a good end.
    Completed,
    /// Failed, and no further try is known.
    Failed,
    /// Called off.
    Cancelled,
}

impl JobState {
    /// The name, as JSON has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Enqueued => "enqueued",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Retrying => "retrying",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more is to be expected of the job.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a job's events say about it, taken together.
///
/// `None` is what no event told. Of a worker's or a schedule's history all
/// fields are `None`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct JobSummary {
    /// Where it stands.
    pub state: Option<JobState>,
    /// How often a worker began to run it, or the highest attempt that an
    /// event names, whichever is more.
    pub attempts: Option<u32>,
    /// The kind of job.
    pub job_name: Option<String>,
    /// The queue it is in, or was taken from.
    pub queue: Option<String>,
    /// The worker that runs it, or ran it last.
    pub worker: Option<String>,
    /// Seconds in the queue before the latest run: as its `job_started` says,
    /// else from the enqueueing, or the retry, to that run.
    pub queue_wait: Option<f64>,
    /// Seconds of the latest run that ended: as its last event says, else
    /// from its start to its end.
    pub run_time: Option<f64>,
    /// The latest error, in words; it stays when a later try comes to a good end.
    pub last_error: Option<String>,
    /// The class of the latest error.
    pub last_error_type: Option<String>,
    /// Why it waits, is paused or was cancelled.
    pub reason: Option<String>,
}

/// Folds a job's events, in stored order, into a [`JobSummary`].
///
/// The state machine is forgiving: it takes any event in any state, because a
/// log may begin in the middle of a job's life, and producers may be late. An
/// event without meaning for the state (`log`, a custom kind, a
/// `worker_busy` that names the job) fills in names and leaves the state.
///
/// ```
/// use naq_core::events::{Event, JobFold, JobState};
/// use naq_core::Timestamp;
///
/// let mut fold = JobFold::new();
/// fold.observe(&Event::job_started("job-1", "worker-1", "emails"), Timestamp::from_nanos(0));
/// fold.observe(&Event::job_completed("job-1", 0.25, true), Timestamp::from_nanos(1));
/// assert_eq!(fold.summary().state, Some(JobState::Completed));
/// assert_eq!(fold.summary().run_time, Some(0.25));
/// ```
#[derive(Debug, Clone, Default)]
pub struct JobFold {
    summary: JobSummary,
    starts: u32,
    queued_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    before_pause: Option<JobState>,
}

impl JobFold {
    /// A job of which nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The summary of what was observed so far.
    #[must_use]
    pub fn summary(&self) -> &JobSummary {
        &self.summary
    }

    /// The summary of what was observed.
    #[must_use]
    pub fn into_summary(self) -> JobSummary {
        self.summary
    }

    /// Takes the next event of the job; `stored_at` stands in for a missing timestamp.
    pub fn observe(&mut self, event: &Event, stored_at: Timestamp) {
        let at = event.timestamp.unwrap_or(stored_at);
        self.note_names(event);
        match event.event_type {
            EventType::JobScheduled => self.enter(JobState::Scheduled),
            EventType::JobEnqueued => {
                self.queued_at = Some(at);
                self.enter(JobState::Enqueued);
            }
            EventType::JobWaiting => self.halt(JobState::Waiting, event),
            EventType::JobStarted => self.start(event, at),
            // Progress of a run whose start is not in the log; after an end it only came late.
            EventType::JobProgress if self.may_run() => self.enter(JobState::Running),
            EventType::JobCompleted => self.finish(event, at),
            EventType::JobFailed => self.finish(event, at),
            EventType::JobRetryScheduled => {
                self.queued_at = Some(at);
                self.enter(JobState::Retrying);
            }
            EventType::JobCancelled => self.halt(JobState::Cancelled, event),
            EventType::JobPaused => {
                if self.summary.state != Some(JobState::Paused) {
                    self.before_pause = self.summary.state;
                }
                self.halt(JobState::Paused, event);
            }
            EventType::JobResumed => self.resume(),
            _ => {}
        }
    }

    fn may_run(&self) -> bool {
        self.summary.state.is_none_or(|state| state != JobState::Paused && !state.is_final())
    }

    fn resume(&mut self) {
        match self.summary.state {
            // Where it was before is known unless the log begins with the pause.
            Some(JobState::Paused) | None => {
                let before = self.before_pause.take().unwrap_or(JobState::Enqueued);
                self.enter(before);
            }
            // Resumed without a pause: it goes on as it did.
            Some(_) => {}
        }
    }

    fn enter(&mut self, state: JobState) {
        self.summary.state = Some(state);
        self.summary.reason = None;
    }

    fn halt(&mut self, state: JobState, event: &Event) {
        self.summary.state = Some(state);
        self.summary.reason = event.reason.as_deref().map(str::to_owned);
    }

    fn start(&mut self, event: &Event, at: Timestamp) {
        self.enter(JobState::Running);
        self.starts += 1;
        self.count_attempts(self.starts);
        self.started_at = Some(at);
        let waited = self.queued_at.take().map(|queued| at.since(queued).as_secs_f64());
        self.summary.queue_wait = event.queue_wait.or(waited);
    }

    fn finish(&mut self, event: &Event, at: Timestamp) {
        self.enter(if event.is_failure() { JobState::Failed } else { JobState::Completed });
        let ran = self.started_at.take().map(|started| at.since(started).as_secs_f64());
        self.summary.run_time = event.duration.or(ran);
        self.summary.queue_wait = event.queue_wait.or(self.summary.queue_wait);
    }

    fn note_names(&mut self, event: &Event) {
        let note = |slot: &mut Option<String>, value: Option<&str>| {
            if let Some(value) = value
                && slot.as_deref() != Some(value)
            {
                *slot = Some(value.to_owned());
            }
        };
        note(&mut self.summary.job_name, event.job_name.as_deref());
        note(&mut self.summary.queue, event.queue.as_deref());
        note(&mut self.summary.worker, event.worker_id.as_deref());
        if event.error.is_some() || event.error_type.is_some() {
            self.summary.last_error = event.error.as_deref().map(str::to_owned);
            self.summary.last_error_type = event.error_type.as_deref().map(str::to_owned);
        }
        // The attempt of a scheduled retry is still to come.
        if event.event_type != EventType::JobRetryScheduled
            && let Some(attempt) = event.attempt
        {
            self.count_attempts(attempt);
        }
    }

    fn count_attempts(&mut self, attempts: u32) {
        self.summary.attempts = self.summary.attempts.max(Some(attempts));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(n: i64) -> Timestamp {
        Timestamp::from_nanos(n * 1_000_000_000)
    }

    /// Folds events that happen one second apart.
    fn fold(events: &[Event]) -> JobSummary {
        let mut fold = JobFold::new();
        for (n, event) in (0..).zip(events) {
            fold.observe(event, second(n));
        }
        fold.into_summary()
    }

    #[test]
    fn a_job_s_life_is_told_by_its_last_state() {
        use JobState::{
            Cancelled, Completed, Enqueued, Failed, Paused, Retrying, Running, Scheduled, Waiting,
        };
        let life = [
            (Event::job_scheduled("j", "q"), Scheduled),
            (Event::job_enqueued("j", "q"), Enqueued),
            (Event::job_waiting("j", "lock"), Waiting),
            (Event::job_started("j", "w1", "q"), Running),
            (Event::job_progress("j", "half"), Running),
            (Event::job_failed("j", "boom", 0.5), Failed),
            (Event::job_retry_scheduled("j", 2), Retrying),
            (Event::job_paused("j"), Paused),
            (Event::job_resumed("j"), Retrying),
            (Event::job_started("j", "w2", "q"), Running),
            (Event::log("fine").with_job_id("j"), Running),
            (Event::job_completed("j", 0.25, true), Completed),
            (Event::job_cancelled("j", "too late"), Cancelled),
        ];
        let mut fold = JobFold::new();
        for (n, (event, state)) in (0..).zip(&life) {
            fold.observe(event, second(n));
            assert_eq!(fold.summary().state, Some(*state), "after {}", event.event_type);
        }
    }

    #[test]
    fn waits_and_runs_are_measured_where_no_event_says_them() {
        let summary = fold(&[
            Event::job_enqueued("j", "q"),
            Event::job_started("j", "w", "q"),
            Event::log("still at it").with_job_id("j"),
            Event::new(EventType::JobCompleted).with_job_id("j").with_success(true),
        ]);
        assert_eq!(summary.queue_wait, Some(1.0));
        assert_eq!(summary.run_time, Some(2.0));
    }

    #[test]
    fn what_an_event_says_of_wait_and_run_wins() {
        let summary = fold(&[
            Event::job_enqueued("j", "q"),
            Event::job_started("j", "w", "q").with_queue_wait(0.125),
            Event::job_completed("j", 7.5, true),
        ]);
        assert_eq!(summary.queue_wait, Some(0.125));
        assert_eq!(summary.run_time, Some(7.5));
    }

    #[test]
    fn attempts_are_starts_or_what_events_say() {
        let start = || Event::job_started("j", "w", "q");
        assert_eq!(fold(&[Event::job_enqueued("j", "q")]).attempts, None);
        assert_eq!(fold(&[start(), start()]).attempts, Some(2));
        assert_eq!(fold(&[start().with_attempt(5)]).attempts, Some(5));
        let announced = [start(), Event::job_retry_scheduled("j", 2)];
        assert_eq!(fold(&announced).attempts, Some(1), "the second is still to come");
    }

    #[test]
    fn the_last_error_and_worker_stay() {
        let summary = fold(&[
            Event::job_started("j", "w1", "q"),
            Event::job_failed("j", "boom", 0.5).with_error_type("IoError"),
            Event::job_started("j", "w2", "q"),
            Event::job_completed("j", 0.25, true),
        ]);
        assert_eq!(summary.last_error.as_deref(), Some("boom"));
        assert_eq!(summary.last_error_type.as_deref(), Some("IoError"));
        assert_eq!(summary.worker.as_deref(), Some("w2"));
        assert_eq!(summary.state, Some(JobState::Completed));
    }

    #[test]
    fn a_completion_without_success_is_a_failure() {
        let summary = fold(&[Event::job_completed("j", 1.0, false)]);
        assert_eq!(summary.state, Some(JobState::Failed));
    }

    #[test]
    fn a_reason_is_told_as_long_as_it_holds() {
        let waiting = [Event::job_waiting("j", "rate limit")];
        assert_eq!(fold(&waiting).reason.as_deref(), Some("rate limit"));
        let [waiting] = waiting;
        assert_eq!(fold(&[waiting, Event::job_started("j", "w", "q")]).reason, None);
    }

    #[test]
    fn pausing_twice_still_resumes_to_where_it_was() {
        let summary = fold(&[
            Event::job_started("j", "w", "q"),
            Event::job_paused("j"),
            Event::job_paused("j"),
            Event::job_resumed("j"),
        ]);
        assert_eq!(summary.state, Some(JobState::Running));
    }

    #[test]
    fn what_comes_late_or_without_its_counterpart_does_not_confuse() {
        let late = [Event::job_completed("j", 1.0, true), Event::job_progress("j", "half")];
        assert_eq!(fold(&late).state, Some(JobState::Completed));
        let resumed = [Event::job_started("j", "w", "q"), Event::job_resumed("j")];
        assert_eq!(fold(&resumed).state, Some(JobState::Running));
        assert_eq!(fold(&[Event::job_progress("j", "half")]).state, Some(JobState::Running));
        assert_eq!(fold(&[Event::job_resumed("j")]).state, Some(JobState::Enqueued));
    }

    #[test]
    fn nothing_known_is_nothing_said() {
        assert_eq!(fold(&[]), JobSummary::default());
        let worker = [Event::worker_heartbeat("w")];
        assert_eq!(fold(&worker).state, None);
    }
}
