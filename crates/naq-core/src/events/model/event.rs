//! What happened: one event, as a program logs it and as a reader gets it.

use serde_json::{Map, Value};

use crate::Timestamp;
use crate::events::{EntityKind, EventId, EventType, Text};

/// One event.
///
/// Make one with the constructor of its kind ([`Event::job_started`] and the
/// others, or [`Event::new`]), and add what else is known with the `with_*`
/// setters. What a service stamps (id, timestamp, service, version) is left
/// `None`; where the caller set it, it stands, and the caller's value is
/// never changed.
///
/// Nothing is checked until the event is logged. The rules are those of
/// [`EventEncoder::encode`](crate::events::EventEncoder::encode).
///
/// ```
/// use naq_core::events::Event;
///
/// let event = Event::job_failed("job-1", "connection reset", 0.25)
///     .with_queue("emails")
///     .with_error_type("IoError")
///     .with_field("smtp_code", 421);
/// assert_eq!(event.duration, Some(0.25));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// What happened; `type` on the wire, 1 to 64 bytes.
    pub event_type: EventType,
    /// Its identity; naq gives it a UUIDv7.
    pub id: Option<EventId>,
    /// When it happened; naq gives it the time at which it was logged.
    pub timestamp: Option<Timestamp>,
    /// Which program told it; naq writes `naq`.
    pub service: Option<Text>,
    /// The version of that program; naq writes its own.
    pub service_version: Option<Text>,
    /// The job, 1 to 256 bytes.
    pub job_id: Option<Text>,
    /// The worker, 1 to 256 bytes.
    pub worker_id: Option<Text>,
    /// The queue.
    pub queue: Option<Text>,
    /// The schedule, 1 to 256 bytes.
    pub schedule_id: Option<Text>,
    /// The kind of job, such as `send_invoice`: what "which jobs fail" asks for.
    pub job_name: Option<Text>,
    /// Which try of the job this is, from 1.
    pub attempt: Option<u32>,
    /// How long the run took, in seconds; finite and not negative.
    pub duration: Option<f64>,
    /// How long the job stood in its queue before it ran, in seconds; finite and not negative.
    pub queue_wait: Option<f64>,
    /// Whether the run came to a good end.
    pub success: Option<bool>,
    /// What went wrong, in words.
    pub error: Option<Text>,
    /// What went wrong, as a class: the name of an error's type.
    pub error_type: Option<Text>,
    /// Why: of waiting, cancelling, pausing, retrying.
    pub reason: Option<Text>,
    /// A message for people.
    pub message: Option<Text>,
    /// The W3C trace context this belongs to.
    pub traceparent: Option<Text>,
    /// Every other field, in the order in which it was added or read.
    pub custom: Map<String, Value>,
}

impl Event {
    /// An event of a kind, known or not, with nothing else set.
    #[must_use]
    pub fn new(event_type: impl Into<EventType>) -> Self {
        Self {
            event_type: event_type.into(),
            id: None,
            timestamp: None,
            service: None,
            service_version: None,
            job_id: None,
            worker_id: None,
            queue: None,
            schedule_id: None,
            job_name: None,
            attempt: None,
            duration: None,
            queue_wait: None,
            success: None,
            error: None,
            error_type: None,
            reason: None,
            message: None,
            traceparent: None,
            custom: Map::new(),
        }
    }

    /// What the event is stored under: its job, else its worker, else its schedule.
    #[must_use]
    pub fn entity(&self) -> Option<(EntityKind, &str)> {
        [EntityKind::Job, EntityKind::Worker, EntityKind::Schedule]
            .into_iter()
            .find_map(|kind| Some((kind, self.entity_id(kind)?)))
    }

    /// The id it names for an entity of that kind, if it names one.
    #[must_use]
    pub fn entity_id(&self, kind: EntityKind) -> Option<&str> {
        match kind {
            EntityKind::Job => self.job_id.as_deref(),
            EntityKind::Worker => self.worker_id.as_deref(),
            EntityKind::Schedule => self.schedule_id.as_deref(),
        }
    }

    /// Whether the run it tells of failed: a `job_failed`, or a `success` of `false`.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.event_type == EventType::JobFailed || self.success == Some(false)
    }

    /// Sets the identity; a second event of the same id within the stream's
    /// duplicate window is stored once.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<EventId>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets when it happened; text keeps microseconds.
    #[must_use]
    pub fn with_timestamp(mut self, timestamp: impl Into<Timestamp>) -> Self {
        self.timestamp = Some(timestamp.into());
        self
    }

    /// Sets which try of the job this is, from 1.
    #[must_use]
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        self.attempt = Some(attempt);
        self
    }

    /// Sets how long the run took, in seconds.
    #[must_use]
    pub fn with_duration(mut self, seconds: f64) -> Self {
        self.duration = Some(seconds);
        self
    }

    /// Sets how long the job stood in its queue before it ran, in seconds.
    #[must_use]
    pub fn with_queue_wait(mut self, seconds: f64) -> Self {
        self.queue_wait = Some(seconds);
        self
    }

    /// Sets whether the run came to a good end.
    #[must_use]
    pub fn with_success(mut self, success: bool) -> Self {
        self.success = Some(success);
        self
    }

    /// Adds a custom field, or replaces it in its place.
    ///
    /// The names of the fields above are refused when the event is logged: set
    /// those by their own setters.
    #[must_use]
    pub fn with_field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.custom.insert(name.into(), value.into());
        self
    }
}

macro_rules! text_setters {
    ($($setter:ident => $field:ident, $doc:literal;)*) => {
        impl Event {
            $(
                #[doc = $doc]
                #[must_use]
                pub fn $setter(mut self, $field: impl Into<Text>) -> Self {
                    self.$field = Some($field.into());
                    self
                }
            )*
        }
    };
}

text_setters! {
    with_service => service, "Sets which program tells it, in place of `naq`.";
    with_service_version => service_version, "Sets the version of the program that tells it.";
    with_job_id => job_id, "Sets the job.";
    with_worker_id => worker_id, "Sets the worker.";
    with_queue => queue, "Sets the queue.";
    with_schedule_id => schedule_id, "Sets the schedule.";
    with_job_name => job_name, "Sets the kind of job, such as `send_invoice`.";
    with_error => error, "Sets what went wrong, in words.";
    with_error_type => error_type, "Sets what went wrong, as a class.";
    with_reason => reason, "Sets why.";
    with_message => message, "Sets a message for people.";
    with_traceparent => traceparent, "Sets the W3C trace context.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_stored_under_its_job_before_its_worker_before_its_schedule() {
        let event = Event::new("x").with_schedule_id("s");
        assert_eq!(event.entity(), Some((EntityKind::Schedule, "s")));
        let event = event.with_worker_id("w");
        assert_eq!(event.entity(), Some((EntityKind::Worker, "w")));
        let event = event.with_job_id("j");
        assert_eq!(event.entity(), Some((EntityKind::Job, "j")));
        assert_eq!(Event::new("x").entity(), None);
    }

    #[test]
    fn a_completed_run_without_success_is_a_failure() {
        assert!(Event::job_completed("j", 1.0, false).is_failure());
        assert!(Event::job_failed("j", "x", 1.0).is_failure());
        assert!(!Event::job_completed("j", 1.0, true).is_failure());
        assert!(!Event::job_started("j", "w", "q").is_failure());
    }
}
