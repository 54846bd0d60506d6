//! The stream of events while the demo runs, and how far it is: all from the log.

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt;
use indicatif::ProgressBar;
use naq_core::Result;
use naq_core::events::{Event, EventItem, EventQuery, EventType, Filter, ReadEvents, ReadStart};
use tokio::time::Instant;

use super::TEMPLATE;
use super::run::{ATTEMPTS, Run};
use crate::commands::{Context, progress, tail};
use crate::output::{Notes, Zone, human, sanitize};

/// How long the last events may take to come.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How many lines of one type may come at once, and then each second: what can be followed.
const LINES: f64 = 3.0;

/// Watches one run through the log.
pub(super) struct Live {
    filter: Filter,
    bar: ProgressBar,
    notes: Notes,
    zone: Zone,
    width: Option<u16>,
    running_workers: usize,
    found: u64,
    finished: u64,
    failed: u64,
    paces: HashMap<EventType, Pace>,
    left_out: u64,
}

impl Live {
    /// The view of a run of so many workers.
    pub(super) fn new(context: &Context, run: &Run, workers: usize) -> Self {
        let notes = context.notes;
        let width = notes.width();
        Self {
            filter: Filter::new().queue(run.queue()),
            bar: progress::bar(notes, Some(0), TEMPLATE),
            notes,
            zone: context.output.view().zone.clone(),
            width,
            running_workers: workers,
            found: 0,
            finished: 0,
            failed: 0,
            paces: HashMap::new(),
            left_out: 0,
        }
    }

    /// Shows the run's events from a sequence on, until its workers have
    /// stopped and its jobs are done. Not in this order: events of different
    /// jobs and workers may be stored in another one than that of logging.
    pub(super) async fn watch(&mut self, events: &dyn EventQuery, from: u64) -> Result<()> {
        let options = ReadEvents::live()
            .with_start(ReadStart::Sequence(from))
            .with_filter(self.filter.clone());
        let mut items = events.read_events(options);
        while (self.running_workers > 0 || self.finished < self.found)
            && let Some(item) = items.next().await
        {
            match item? {
                EventItem::Event(recorded) => {
                    self.count(&recorded.event);
                    self.show(&recorded.event, &self.zone.clock(recorded.timestamp()));
                }
                other => {
                    if let Some(note) = tail::note(&other) {
                        self.line(&self.notes.paint().warn(note));
                    }
                }
            }
        }
        self.tell_left_out();
        self.bar.finish_and_clear();
        Ok(())
    }

    fn count(&mut self, event: &Event) {
        match event.event_type {
            EventType::JobEnqueued => self.found += 1,
            EventType::JobCompleted | EventType::JobCancelled => self.finished += 1,
            EventType::JobFailed => {
                self.failed += 1;
                self.finished += u64::from(event.attempt >= Some(ATTEMPTS));
            }
            EventType::WorkerStopped => {
                self.running_workers = self.running_workers.saturating_sub(1);
            }
            _ => return,
        }
        self.bar.set_length(self.found);
        self.bar.set_position(self.finished);
        if self.failed > 0 {
            let failures = human::counted(self.failed, "failed run");
            self.bar.set_message(self.notes.paint().bad(failures));
        }
    }

    fn show(&mut self, event: &Event, clock: &str) {
        let pace = self.paces.entry(event.event_type.clone()).or_insert_with(Pace::new);
        if !pace.allows() {
            self.left_out += 1;
            return;
        }
        self.tell_left_out();
        let paint = self.notes.paint();
        let name = format!("{:19}", event.event_type.as_str());
        let name = match event.event_type {
            EventType::JobCompleted => paint.good(name),
            EventType::JobFailed => paint.bad(name),
            EventType::JobRetryScheduled | EventType::JobCancelled => paint.warn(name),
            _ => name,
        };
        self.line(&format!("{}  {name}  {}", paint.dim(clock), in_short(event)));
    }

    fn tell_left_out(&mut self) {
        if self.left_out > 0 {
            let events = human::counted(std::mem::take(&mut self.left_out), "event");
            self.line(&self.notes.paint().dim(format!("… {events} more")));
        }
    }

    fn line(&self, line: &str) {
        let line = match self.width {
            Some(width) => console::truncate_str(line, usize::from(width), "…"),
            None => line.into(),
        };
        self.bar.suspend(|| self.notes.line(&line));
    }
}

/// What matters of an event of this run, so short that it fits on a line.
fn in_short(event: &Event) -> String {
    let mut words: Vec<String> = Vec::new();
    let short = |id: &str| id.rsplit('-').next().unwrap_or(id).to_owned();
    words.extend(event.job_id.as_deref().map(|id| format!("job {}", short(id))));
    words.extend(event.worker_id.as_deref().map(|id| format!("by {}", short(id))));
    words.extend(event.duration.map(|took| format!("in {}", human::seconds(took))));
    words.extend(event.queue_wait.map(|waited| format!("after {}", human::seconds(waited))));
    words.extend(event.error.as_deref().map(str::to_owned));
    let file = event.custom.get("file").and_then(|file| file.as_str());
    words.extend(file.map(str::to_owned));
    sanitize(&words.join("  ")).into_owned()
}

/// A pace that can be followed: some at once, and then so many a second.
struct Pace {
    allowance: f64,
    since: Instant,
}

impl Pace {
    fn new() -> Self {
        Self { allowance: LINES, since: Instant::now() }
    }

    fn allows(&mut self) -> bool {
        let earned = self.since.elapsed().as_secs_f64() * LINES;
        self.since = Instant::now();
        self.allowance = (self.allowance + earned).min(LINES);
        let allows = self.allowance >= 1.0;
        if allows {
            self.allowance -= 1.0;
        }
        allows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn some_lines_come_at_once_and_then_so_many_a_second() {
        let mut pace = Pace::new();
        let at_once = (0..100).filter(|_| pace.allows()).count();
        assert_eq!(at_once, 3);
        tokio::time::advance(Duration::from_millis(700)).await;
        assert_eq!((0..100).filter(|_| pace.allows()).count(), 2);
    }

    #[test]
    fn an_event_is_told_in_short() {
        let event = Event::job_failed("demo-x-7", "no text\u{1b}[1m", 0.002)
            .with_worker_id("demo-x-w2")
            .with_field("file", "a/b.png");
        assert_eq!(in_short(&event), "job 7  by w2  in 2.00 ms  no text  a/b.png");
    }
}
