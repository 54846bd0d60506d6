//! What a program knows about the job it runs.

use crate::events::{Event, Text};

/// What a [`JobLogger`](crate::events::JobLogger) puts on each of a job's events.
///
/// The helpers of the log know little of their job; with its name, queue,
/// worker and attempt on every event, statistics can be grouped by them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobContext {
    /// The job, 1 to 256 bytes.
    pub id: Text,
    /// The kind of job.
    pub name: Option<Text>,
    /// The queue it came from.
    pub queue: Option<Text>,
    /// The worker that runs it.
    pub worker: Option<Text>,
    /// Which try this is, from 1.
    pub attempt: Option<u32>,
    /// The W3C trace context it runs in.
    pub traceparent: Option<Text>,
}

impl JobContext {
    /// The context of a job of which only the id is known.
    #[must_use]
    pub fn new(id: impl Into<Text>) -> Self {
        Self {
            id: id.into(),
            name: None,
            queue: None,
            worker: None,
            attempt: None,
            traceparent: None,
        }
    }

    /// Sets the kind of job.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<Text>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the queue it came from.
    #[must_use]
    pub fn with_queue(mut self, queue: impl Into<Text>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// Sets the worker that runs it.
    #[must_use]
    pub fn with_worker(mut self, worker: impl Into<Text>) -> Self {
        self.worker = Some(worker.into());
        self
    }

    /// Sets which try this is, from 1.
    #[must_use]
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        self.attempt = Some(attempt);
        self
    }

    /// Sets the W3C trace context it runs in.
    #[must_use]
    pub fn with_traceparent(mut self, traceparent: impl Into<Text>) -> Self {
        self.traceparent = Some(traceparent.into());
        self
    }

    /// Puts on `event` what it doesn't say itself; what it says stands.
    #[must_use]
    pub fn stamp(&self, mut event: Event) -> Event {
        let fill = |field: &mut Option<Text>, value: &Option<Text>| {
            if field.is_none() {
                field.clone_from(value);
            }
        };
        event.job_id.get_or_insert_with(|| self.id.clone());
        fill(&mut event.job_name, &self.name);
        fill(&mut event.queue, &self.queue);
        fill(&mut event.worker_id, &self.worker);
        fill(&mut event.traceparent, &self.traceparent);
        event.attempt = event.attempt.or(self.attempt);
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_fills_what_the_event_leaves_open_and_nothing_else() {
        let context = JobContext::new("job-1").with_name("mail").with_queue("q").with_attempt(2);
        let event = context.stamp(Event::log("hello").with_queue("other"));
        assert_eq!(event.job_id.as_deref(), Some("job-1"));
        assert_eq!(event.job_name.as_deref(), Some("mail"));
        assert_eq!(event.queue.as_deref(), Some("other"));
        assert_eq!(event.worker_id, None);
        assert_eq!(event.attempt, Some(2));
    }
}
