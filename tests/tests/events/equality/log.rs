//! Random events, and what is none.

use std::ops::Range;

use naq_core::Timestamp;
use naq_core::events::{Event, EventSubjects};
use naq_core::jetstream::PublishMessage;

pub(super) const KINDS: [&str; 5] = ["job_started", "job_completed", "job_failed", "log", "mine"];

/// Messages of errors, and what they are without what varies.
pub(super) const ERRORS: [(&str, &str); 3] = [
    ("no route to host ", "no route to host #"),
    ("timeout after 30.5 s in row ", "timeout after # s in row #"),
    ("bad row 0xbeef12", "bad row <id>"),
];

/// 20 seconds into a minute.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos((1_700_000_000 + seconds) * 1_000_000_000)
}

/// How the events of a log come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// So many milliseconds from one to the next.
    pub(super) apart: i64,
    /// One message of so many is no event.
    pub(super) malformed: u64,
}

impl Manner {
    /// Events that are told apart, or so many in a minute that they aren't.
    pub(super) fn some(random: &mut fastrand::Rng) -> Self {
        let apart = *random.choice(&[2_000, 2_000, 300, 2]).unwrap();
        Self { apart, malformed: 60 }
    }
}

/// The messages with these numbers: a few late ones, clocks that are ten years
/// off, events without a time, losses that are told, and what is no event.
pub(super) fn messages(
    random: &mut fastrand::Rng,
    subjects: &EventSubjects,
    numbers: Range<u64>,
    manner: Manner,
) -> Vec<PublishMessage> {
    numbers.map(|n| message(random, subjects, n, manner)).collect()
}

fn message(
    random: &mut fastrand::Rng,
    subjects: &EventSubjects,
    n: u64,
    manner: Manner,
) -> PublishMessage {
    if random.u64(..manner.malformed) == 0 {
        return PublishMessage::new(subjects.build("mine", Some("m")), "no event");
    }
    let event = event(random, n, manner.apart);
    let subject = subjects.build(event.event_type.as_str(), event.job_id.as_deref());
    PublishMessage::new(subject, serde_json::to_vec(&event).unwrap())
}

fn event(random: &mut fastrand::Rng, n: u64, apart: i64) -> Event {
    let late = match random.u16(..1_000) {
        0..=3 => -315_360_000,
        4..=7 => 315_360_000,
        8..=40 => -random.i64(0..7_200),
        _ => 0,
    };
    let millis = n.cast_signed() * apart + random.i64(0..5);
    let time = at(late).as_nanos() + millis * 1_000_000;
    if random.u16(..200) == 0 {
        return Event::new("events_lost")
            .with_timestamp(Timestamp::from_nanos(time))
            .with_field("count", random.u64(1..9));
    }
    let kind = *random.choice(&KINDS).unwrap();
    let mut event = Event::new(kind);
    if random.u8(..100) > 0 {
        event = event.with_timestamp(Timestamp::from_nanos(time));
    }
    if kind != "log" {
        // A few jobs have most of the events.
        let job = (random.f64().powi(4) * 300.0) as u16;
        event = event.with_job_id(format!("job-{job}"));
        event = event.with_worker_id(format!("w{}", random.u8(..5)));
        event.queue = (random.u8(..9) > 0).then(|| format!("queue-{}", skewed(random)).into());
        event.job_name = (random.u8(..5) > 0).then(|| format!("name-{}", skewed(random)).into());
        event.queue_wait = (random.u8(..3) > 0).then(|| random.f64() * 3.0);
    }
    if kind == "job_completed" {
        event = event.with_duration(random.f64() * 100.0).with_success(random.u8(..) > 40);
    }
    if kind == "job_failed" {
        let (error, _) = ERRORS[random.usize(..ERRORS.len())];
        let error = if error.ends_with(' ') { format!("{error}{n}") } else { error.to_owned() };
        event = event.with_error(error).with_success(false);
        event.duration = random.bool().then_some(0.25);
        event.error_type = random.bool().then(|| "IoError".into());
    }
    event
}

/// 0 mostly, 4 at most.
fn skewed(random: &mut fastrand::Rng) -> u8 {
    random.u8(..5).min(random.u8(..5)).min(random.u8(..5))
}
