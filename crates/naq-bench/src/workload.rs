//! The events that are written: the same for naq and for the raw ways.

use jiff::fmt::temporal::DateTimePrinter;
use naq_core::events::Event;
use serde::Serialize;
use uuid::fmt::Hyphenated;
use uuid::{ContextV7, Timestamp as UuidTime, Uuid};

/// The kinds in turn, as the life of a job has them.
const TYPES: [&str; 5] =
    ["job_enqueued", "job_started", "job_progress", "job_completed", "job_failed"];

/// How many events each job has.
const PER_JOB: u64 = TYPES.len() as u64;

/// The job of the nth event.
fn job(n: u64) -> String {
    format!("job-{:08}", n / PER_JOB)
}

fn event_type(n: u64) -> &'static str {
    TYPES[(n % PER_JOB) as usize]
}

fn worker(n: u64) -> String {
    format!("worker-{:02}", n % 64)
}

/// The nth event, as a program logs it.
pub(crate) fn event(n: u64) -> Event {
    Names::of(n).event(n)
}

/// What a program knows of a job before it logs an event of it.
pub(crate) struct Names {
    job: String,
    worker: String,
}

impl Names {
    /// Those of the nth event.
    pub(crate) fn of(n: u64) -> Self {
        Self { job: job(n), worker: worker(n) }
    }

    /// The nth event.
    pub(crate) fn event(&self, n: u64) -> Event {
        Event::new(event_type(n))
            .with_job_id(self.job.as_str())
            .with_worker_id(self.worker.as_str())
            .with_queue("emails")
            .with_duration(duration(n))
    }
}

fn duration(n: u64) -> f64 {
    (n % 1_000) as f64 / 8.0
}

/// The same event, as a program without naq would serialise it.
#[derive(Serialize)]
struct RawEvent<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    event_type: &'a str,
    timestamp: &'a str,
    service: &'a str,
    service_version: &'a str,
    job_id: &'a str,
    worker_id: &'a str,
    queue: &'a str,
    duration: f64,
}

/// Makes messages of events without naq, as a good user would: one reused
/// buffer, a printer made once, ids from one context.
pub(crate) struct RawEncoder {
    ids: ContextV7,
    printer: DateTimePrinter,
    time: String,
}

/// A message of an event.
pub(crate) struct RawMessage {
    /// Its subject.
    pub(crate) subject: String,
    /// Its id, for who wants one.
    pub(crate) id: String,
    /// Its bytes.
    pub(crate) payload: Vec<u8>,
}

impl RawEncoder {
    pub(crate) fn new() -> Self {
        Self {
            ids: ContextV7::new(),
            printer: DateTimePrinter::new().precision(Some(6)),
            time: String::with_capacity(32),
        }
    }

    /// The message of the nth event, under `root`.
    pub(crate) fn message(&mut self, root: &str, n: u64) -> RawMessage {
        let names = Names::of(n);
        let mut text = [0; Hyphenated::LENGTH];
        let (id, payload) = self.encode(&names, n, &mut text);
        let subject = format!("{root}.{}.{}", event_type(n), names.job);
        RawMessage { subject, id: id.to_owned(), payload }
    }

    /// The bytes of the nth event, of whose job these names are known.
    pub(crate) fn payload(&mut self, names: &Names, n: u64) -> Vec<u8> {
        self.encode(names, n, &mut [0; Hyphenated::LENGTH]).1
    }

    /// Its id and its bytes.
    fn encode<'a>(
        &mut self,
        names: &Names,
        n: u64,
        text: &'a mut [u8; Hyphenated::LENGTH],
    ) -> (&'a str, Vec<u8>) {
        let now = jiff::Timestamp::now();
        self.time.clear();
        // A String takes everything.
        let _ = self.printer.print_timestamp(&now, &mut self.time);
        let (seconds, nanos) = (now.as_second(), now.subsec_nanosecond());
        let time = UuidTime::from_unix(&self.ids, seconds.unsigned_abs(), nanos.unsigned_abs());
        let id = &*Uuid::new_v7(time).hyphenated().encode_lower(text);
        let event = RawEvent {
            id,
            event_type: event_type(n),
            timestamp: &self.time,
            service: "naq",
            service_version: env!("CARGO_PKG_VERSION"),
            job_id: &names.job,
            worker_id: &names.worker,
            queue: "emails",
            duration: duration(n),
        };
        let mut payload = Vec::with_capacity(256);
        // Strings and a finite number can be written.
        let _ = serde_json::to_writer(&mut payload, &event);
        (id, payload)
    }
}

#[cfg(test)]
mod tests {
    use naq_core::Timestamp;
    use naq_core::events::{EventEncoder, EventSubjects, decode};

    use super::*;

    #[test]
    fn both_ways_write_the_same_event() {
        let raw = RawEncoder::new().message("events", 7);
        let encoder = EventEncoder::new(EventSubjects::default());
        let ours = encoder.encode(&event(7), Timestamp::default()).unwrap();
        let (raw_event, our_event) =
            (decode(&raw.payload).unwrap(), decode(ours.payload()).unwrap());
        assert_eq!(raw_event.job_id, our_event.job_id);
        assert_eq!(raw_event.duration, our_event.duration);
        assert_eq!(raw.subject, ours.subject());
        assert_eq!(raw.payload.len(), ours.payload().len());
    }
}
