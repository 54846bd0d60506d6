//! One event in one line.

use naq_core::events::{EntityKind, Event, EventType, RecordedEvent};
use serde_json::Value;

use super::{Paint, View, hole, human, sanitize};

/// The longest name of a kind that naq knows.
const TYPE_WIDTH: usize = 19;

/// Turns events into lines, and says when a new day begins.
#[derive(Debug)]
pub(crate) struct EventLines {
    view: View,
    day: Option<String>,
    /// What all the lines are about, and need not say each.
    about: Option<EntityKind>,
}

impl EventLines {
    /// Lines that say what they are about.
    pub(crate) fn new(view: &View) -> Self {
        Self { view: view.clone(), day: None, about: None }
    }

    /// Lines that are all about one job, worker or schedule.
    pub(crate) fn about(view: &View, kind: EntityKind) -> Self {
        Self { about: Some(kind), ..Self::new(view) }
    }

    /// The line of an event, behind a line for the day where a new one begins.
    pub(crate) fn line(&mut self, recorded: &RecordedEvent) -> String {
        let View { paint, zone, .. } = &self.view;
        let (event, at) = (&recorded.event, recorded.timestamp());
        let day = zone.date(at);
        let mut text = String::new();
        if self.day.as_ref() != Some(&day) {
            text = format!("{}\n", paint.dim(&day));
            self.day = Some(day);
        }
        let clock = zone.clock(at);
        text.push_str(&format!("{}  {}", paint.dim(clock), type_name(event, *paint)));
        if self.about.is_none()
            && let Some((_, id)) = event.entity()
        {
            text.push_str(&format!("  {}", paint.name(sanitize(id))));
        }
        let details = hole::describe(event, zone, *paint)
            .unwrap_or_else(|| describe(event, self.about, *paint));
        if !details.is_empty() {
            text.push_str("  ");
            text.push_str(&details);
        }
        // A kind with nothing behind it is padded for nobody.
        format!("{}\n", text.trim_end())
    }
}

/// The kind, in a colour that says how it went, and so wide that lines stand below each other.
fn type_name(event: &Event, paint: Paint) -> String {
    let name = sanitize(event.event_type.as_str());
    let name = format!("{name:TYPE_WIDTH$}");
    match &event.event_type {
        _ if event.is_failure() => paint.bad(name),
        EventType::WorkerError | EventType::SchedulerError | EventType::EventsLost => {
            paint.bad(name)
        }
        EventType::JobCompleted => paint.good(name),
        EventType::JobRetryScheduled | EventType::JobCancelled | EventType::JobWaiting => {
            paint.warn(name)
        }
        _ => name,
    }
}

/// What the event says beside its kind, in words; of one entity's events, what
/// is not always the same.
fn describe(event: &Event, about: Option<EntityKind>, paint: Paint) -> String {
    let mut words = Vec::new();
    let fact = |words: &mut Vec<String>, name: &str, value: Option<&str>| {
        words.extend(value.map(|value| format!("{} {}", paint.dim(name), sanitize(value))));
    };
    fact(&mut words, "took", event.duration.map(human::seconds).as_deref());
    fact(&mut words, "waited", event.queue_wait.map(human::seconds).as_deref());
    fact(&mut words, "attempt", event.attempt.map(|n| n.to_string()).as_deref());
    if event.success == Some(false) {
        words.push(paint.bad("no success"));
    }
    let error = match (event.error_type.as_deref(), event.error.as_deref()) {
        (Some(class), Some(text)) => Some(format!("{class}: {text}")),
        (class, text) => class.or(text).map(str::to_owned),
    };
    words.extend(error.map(|error| paint.bad(sanitize(&error))));
    words.extend(event.reason.as_deref().map(|text| sanitize(text).into_owned()));
    words.extend(event.message.as_deref().map(|text| sanitize(text).into_owned()));
    if about != Some(EntityKind::Job) {
        fact(&mut words, "name", event.job_name.as_deref());
        fact(&mut words, "queue", event.queue.as_deref());
    }
    let entity = event.entity().map(|(kind, _)| kind);
    let named_elsewhere =
        |kind: EntityKind| about == Some(kind) || about.is_none() && entity == Some(kind);
    for (kind, id) in [
        (EntityKind::Job, &event.job_id),
        (EntityKind::Worker, &event.worker_id),
        (EntityKind::Schedule, &event.schedule_id),
    ] {
        if !named_elsewhere(kind) {
            fact(&mut words, kind.as_str(), id.as_deref());
        }
    }
    for (name, value) in &event.custom {
        let value = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        words.push(format!("{}{}", paint.dim(format!("{}=", sanitize(name))), sanitize(&value)));
    }
    words.join("  ")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use naq_core::Timestamp;
    use naq_core::events::Position;

    use super::*;
    use crate::output::Zone;

    fn recorded(json: &str) -> RecordedEvent {
        let position = Position::new(Timestamp::from_nanos(0), 1);
        let payload = Bytes::copy_from_slice(json.as_bytes());
        RecordedEvent::decode(position, Timestamp::from_nanos(0), "s".to_owned(), payload).unwrap()
    }

    fn view() -> View {
        View { width: None, paint: Paint::plain(), zone: Zone::new(true) }
    }

    #[test]
    fn a_line_says_when_what_about_what_and_how() {
        let mut lines = EventLines::new(&view());
        let event = recorded(
            r#"{"type":"job_failed","timestamp":"2026-11-24T12:30:01.5Z","job_id":"job-7",
                "queue":"emails","worker_id":"w1","attempt":2,"duration":1.5,
                "error":"reset","error_type":"IoError","smtp":{"code":421}}"#,
        );
        assert_eq!(
            lines.line(&event),
            "2026-11-24 UTC\n12:30:01.500  job_failed           job-7  took 1.50 s  attempt 2  \
             IoError: reset  queue emails  worker w1  smtp={\"code\":421}\n"
        );
        assert!(lines.line(&event).starts_with("12:30:01.500"), "the day is said once");
    }

    #[test]
    fn a_history_does_not_repeat_what_it_is_about() {
        let mut lines = EventLines::about(&view(), EntityKind::Job);
        let event = recorded(
            r#"{"type":"job_started","timestamp":"2026-11-24T12:30:01Z","job_id":"job-7",
                "queue":"emails","worker_id":"w1","queue_wait":0.25}"#,
        );
        assert_eq!(
            lines.line(&event).lines().nth(1),
            Some("12:30:01.000  job_started          waited 250 ms  worker w1")
        );
    }

    #[test]
    fn what_an_event_says_can_not_leave_its_line() {
        let mut lines = EventLines::new(&view());
        let event = recorded(
            r#"{"type":"log\u001b[2J","timestamp":"2026-11-24T12:30:01Z","message":"a\nb\u001b[31m",
                "job_id":"x\ry","k\n":"v\u0007"}"#,
        );
        let text = lines.line(&event);
        assert_eq!(text.lines().count(), 2, "{text:?}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }
}
