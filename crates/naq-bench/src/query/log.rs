//! A log as a job queue writes it in a day: the same events for every run of a size.
//!
//! Five events a job on average, most with three and some with hundreds; 20
//! kinds of job in 8 queues; 64 workers; one event in a hundred tells of a
//! failure, of 40 kinds; and a few jobs that recur all day long.

use std::time::Duration;

use fastrand::Rng;
use naq_core::Timestamp;
use naq_core::events::Event;

/// How long the log's events took to happen.
pub(super) const LENGTH: Duration = Duration::from_secs(86_400);

/// How many jobs recur, and how many events each of them has, all over the log.
pub(super) const RECURRING: u64 = 20;
pub(super) const PER_RECURRING: u64 = 200;

/// How many jobs run at the same time.
const AT_ONCE: usize = 500;
const NAMES: u64 = 20;
pub(super) const QUEUES: u64 = 8;
pub(super) const WORKERS: u64 = 64;
/// The most progress events of a job.
const MOST_PROGRESS: u32 = 300;

/// What failed, and why: together 40 kinds of errors.
const DOING: [&str; 8] =
    ["render", "send", "fetch", "resize", "charge", "index", "export", "notify"];
const REASONS: [(&str, &str); 5] = [
    ("TimeoutError", "timed out"),
    ("ConnectionError", "connection reset by peer"),
    ("ParseError", "unexpected token in body"),
    ("RateLimited", "too many requests"),
    ("NotFound", "no such object"),
];

/// The classes of the errors that there are.
pub(super) fn error_types() -> [&'static str; 5] {
    REASONS.map(|(class, _)| class)
}

/// The events of a day, one after another in the order in which they are stored.
pub(super) struct RealisticLog {
    rng: Rng,
    events: u64,
    start: Timestamp,
    next: u64,
    jobs: u64,
    running: Vec<Job>,
}

/// A job under way.
struct Job {
    id: String,
    /// Its kind, which says its queue too.
    name: u64,
    worker: u64,
    attempt: u32,
    /// What is still to happen, the next last.
    script: Vec<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Enqueued,
    Started,
    Progress,
    Failed,
    RetryScheduled,
    Completed,
}

impl RealisticLog {
    /// So many events, the first of which happened at `start`.
    pub(super) fn new(events: u64, start: Timestamp) -> Self {
        Self { rng: Rng::with_seed(7), events, start, next: 0, jobs: 0, running: Vec::new() }
    }

    /// The id of a job that recurs.
    pub(super) fn recurring(number: u64) -> String {
        format!("recurring-{:02}", number % RECURRING)
    }

    /// The id of the nth other job.
    pub(super) fn job(number: u64) -> String {
        format!("job-{number:08}")
    }

    /// How many other jobs there were so far.
    pub(super) const fn jobs(&self) -> u64 {
        self.jobs
    }

    fn begin(&mut self) -> Job {
        let rng = &mut self.rng;
        // The last comes first: a script is taken from its end.
        let mut script = vec![Step::Completed];
        if rng.u8(..10) < 6 {
            let most = f64::from(MOST_PROGRESS);
            let many = (1.0 - rng.f64()).powf(-1.0 / 1.5).min(most);
            script.extend((0..many as u32).map(|_| Step::Progress));
        }
        script.push(Step::Started);
        while rng.u8(..100) < 5 {
            script.extend([Step::RetryScheduled, Step::Failed, Step::Started]);
        }
        script.push(Step::Enqueued);
        let id = Self::job(self.jobs);
        self.jobs += 1;
        // Some kinds are much more frequent than others.
        let name = rng.u64(..NAMES).min(rng.u64(..NAMES));
        Job { id, name, worker: rng.u64(..WORKERS), attempt: 0, script }
    }

    /// The next event of a job that runs; where it was the last, another job begins.
    fn of_running(&mut self) -> Event {
        while self.running.len() < AT_ONCE {
            let job = self.begin();
            self.running.push(job);
        }
        let at = self.rng.usize(..self.running.len());
        let job = &mut self.running[at];
        let step = job.script.pop().unwrap_or(Step::Completed);
        let event = event(&mut self.rng, job, step);
        if self.running[at].script.is_empty() {
            self.running[at] = self.begin();
        }
        event
    }

    /// The next event of a job that recurs.
    fn of_recurring(&mut self, number: u64) -> Event {
        let step = match number / RECURRING % 3 {
            0 => Step::Enqueued,
            1 => Step::Started,
            _ => Step::Completed,
        };
        let (id, name) = (Self::recurring(number), number % RECURRING);
        let mut job = Job { id, name, worker: name, attempt: 0, script: Vec::new() };
        event(&mut self.rng, &mut job, step)
    }
}

impl Iterator for RealisticLog {
    type Item = (Event, Timestamp);

    /// The next event, and when it happened.
    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.events {
            return None;
        }
        let number = self.next;
        self.next += 1;
        let apart = LENGTH.as_nanos() as u64 / self.events;
        let nanos = number * apart + self.rng.u64(..apart);
        let at = self.start.saturating_add(Duration::from_nanos(nanos));
        let spacing = (self.events / (RECURRING * PER_RECURRING)).max(1);
        let event = match (number / spacing, number % spacing) {
            (recurring, 0) if recurring < RECURRING * PER_RECURRING => self.of_recurring(recurring),
            _ => self.of_running(),
        };
        Some((event, at))
    }
}

fn event(rng: &mut Rng, job: &mut Job, step: Step) -> Event {
    let kind = match step {
        Step::Enqueued => "job_enqueued",
        Step::Started => "job_started",
        Step::Progress => "job_progress",
        Step::Failed => "job_failed",
        Step::RetryScheduled => "job_retry_scheduled",
        Step::Completed => "job_completed",
    };
    let mut event = Event::new(kind)
        .with_job_id(job.id.as_str())
        .with_job_name(format!("kind_{:02}", job.name))
        .with_queue(format!("queue-{}", job.name % QUEUES));
    if !matches!(step, Step::Enqueued | Step::RetryScheduled) {
        event = event.with_worker_id(format!("worker-{:02}", job.worker));
    }
    // Most are quick and some take very long, more so of some kinds of job.
    let skewed = |rng: &mut Rng, scale: f64| {
        let seconds = scale * (1.0 - rng.f64()).powf(-0.5);
        (seconds * 1e6).round() / 1e6
    };
    let scale = 0.01 * (job.name + 1) as f64;
    match step {
        Step::Started => {
            job.attempt += 1;
            event.with_attempt(job.attempt).with_queue_wait(skewed(rng, 0.05))
        }
        Step::Completed => event.with_duration(skewed(rng, scale)).with_success(true),
        Step::Failed => {
            let (class, reason) = REASONS[rng.usize(..REASONS.len())];
            let doing = DOING[rng.usize(..DOING.len())];
            let number = rng.u32(..);
            event
                .with_duration(skewed(rng, scale))
                .with_success(false)
                .with_error(format!("{doing} of item {number} failed: {reason}"))
                .with_error_type(class)
        }
        _ => event,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn a_day_has_the_shape_that_is_promised() {
        const EVENTS: u64 = 50_000;
        let start = Timestamp::from_nanos(0);
        let mut log = RealisticLog::new(EVENTS, start);
        let mut by_job = BTreeMap::<String, u64>::new();
        let [mut failed, mut events] = [0, 0];
        let [mut names, mut queues, mut workers, mut errors] = [const { BTreeSet::new() }; 4];
        let mut before = start;
        for (event, at) in &mut log {
            assert!(before <= at && at < start.saturating_add(LENGTH));
            before = at;
            events += 1;
            failed += u64::from(event.event_type.as_str() == "job_failed");
            *by_job.entry(event.job_id.as_deref().unwrap().to_owned()).or_default() += 1;
            names.extend(event.job_name.map(|name| name.to_string()));
            queues.extend(event.queue.map(|name| name.to_string()));
            workers.extend(event.worker_id.map(|name| name.to_string()));
            errors.extend(event.error.map(|text| text.replace(|c: char| c.is_ascii_digit(), "")));
        }
        assert_eq!(events, EVENTS);
        assert_eq!([names.len(), queues.len(), workers.len(), errors.len()], [20, 8, 64, 40]);
        assert!((EVENTS / 200..EVENTS / 50).contains(&failed), "{failed} failed");
        for number in 0..RECURRING {
            assert_eq!(by_job[&RealisticLog::recurring(number)], PER_RECURRING);
        }
        let mean = EVENTS as f64 / log.jobs() as f64;
        assert!((4.0..6.0).contains(&mean), "{mean} events a job");
        assert!(*by_job.values().max().unwrap() > 50);
    }
}
