//! The log's answers about a run, for people.

use std::path::Path;

use naq_core::config::ConnectionConfig;
use naq_core::events::{EventHistory, EventType};

use super::answers::Answers;
use crate::commands::analytics::durations;
use crate::commands::history::timeline;
use crate::commands::query::rows;
use crate::commands::stats::groups;
use crate::output::{Grid, View, human};

/// The report; `command` is how a command on the same server begins.
pub(super) fn text(
    answers: &Answers,
    view: &View,
    folder: &Path,
    server: Option<&str>,
    command: &str,
) -> String {
    let place = server.map_or_else(|| "in memory".to_owned(), |url| format!("on {url}"));
    let paint = view.paint;
    let title = format!("naq demo of the files under {}, {place}", folder.display());
    let mut report = Report { view, text: format!("\n{}\n", paint.strong(title)) };
    report.section("What the log counted", &counts(answers, view));
    report.section("How it went", &outcome(answers, view));
    report.section("How long a completed run took", &durations(view, &answers.measures()));
    report.section("How runs of each kind ended (`naq query`)", &kinds(answers, view));
    report.section("What failed most (`naq errors`)", &errors(answers, view));
    if let Some(slowest) = &answers.slowest {
        report.timeline("The slowest job", slowest);
    }
    if let Some(failed) = &answers.failed {
        let title = match answers.failed_as_announced {
            true => "A job that failed: the one for the file that doesn't exist",
            false => "A job that failed",
        };
        report.timeline(title, failed);
    }
    report.section("What to try next", &next(answers, view, server, command));
    report.text
}

struct Report<'a> {
    view: &'a View,
    text: String,
}

impl Report<'_> {
    fn section(&mut self, title: &str, text: &str) {
        if !text.is_empty() {
            self.text.push_str(&format!("\n{}\n", self.view.paint.strong(title)));
            self.text.push_str(text);
        }
    }

    /// A history, its lines cut to the terminal's width.
    fn timeline(&mut self, title: &str, history: &EventHistory) {
        let text = timeline(history, self.view);
        let cut = |line: &str| match self.view.width {
            Some(width) => console::truncate_str(line, usize::from(width), "…").into_owned(),
            None => line.to_owned(),
        };
        let lines: String = text.lines().map(|line| cut(line) + "\n").collect();
        self.section(title, &lines);
    }
}

fn counts(answers: &Answers, view: &View) -> String {
    let stats = &answers.stats;
    let mut text = groups(view, "Type", &stats.event_types, stats.total_events);
    let own = answers.own_events();
    let mut note = |line: String| text.push_str(&format!("{}\n", view.paint.dim(line)));
    if answers.events_of_others() > 0 {
        let others = human::counted(answers.events_of_others(), "event");
        note(format!("({others} of these by others in the same time; this run's are {own})"));
    }
    if own < answers.stored {
        let stored = human::counted(answers.stored, "event");
        note(format!("({stored} were stored; the stream's limits have let some go since)"));
    }
    text
}

fn kinds(answers: &Answers, view: &View) -> String {
    if answers.kinds.rows.is_empty() {
        return String::new();
    }
    let note = "Runs by kind and how they ended, a retry being one more; half took less than p50.";
    format!("{}\n{}", view.paint.dim(note), rows(&answers.kinds, view))
}

fn errors(answers: &Answers, view: &View) -> String {
    let mut grid = Grid::new(view, &["Count", "Error", "Job"]).right(&[0]);
    for error in &answers.errors.errors {
        let job = error.jobs.first().map_or("-", String::as_str);
        grid.row([&*human::count(error.count), &error.fingerprint, job]);
    }
    if grid.is_empty() {
        return String::new();
    }
    let note = "Messages that differ in numbers, paths or quoted text alone are one error.";
    format!("{}\n{}", view.paint.dim(note), grid.text())
}

fn outcome(answers: &Answers, view: &View) -> String {
    let completed = answers.measures().total_count;
    let (failed, again) =
        (answers.count(&EventType::JobFailed), answers.count(&EventType::JobRetryScheduled));
    let given_up = failed.saturating_sub(again);
    let jobs = completed + given_up;
    let mut grid = Grid::new(view, &[]);
    let ended = format!(
        "{}: {} completed, {} given up after {} and {}",
        human::counted(jobs, "job"),
        human::count(completed),
        human::count(given_up),
        human::counted(failed, "failed run"),
        if again == 1 { "1 retry".to_owned() } else { format!("{} retries", human::count(again)) },
    );
    grid.row(["Jobs", &ended]);
    if jobs > 0 {
        grid.row(["Success", &human::percent(completed as f64 / jobs as f64)]);
    }
    let stats = &answers.stats;
    if let (Some(first), Some(last)) = (stats.first_event, stats.last_event) {
        let took = last.since(first);
        let rates = [(jobs, "job"), (stats.total_events, "event")]
            .map(|(number, word)| human::rate(number, took, word));
        if let [Some(jobs), Some(events)] = rates {
            let span = human::duration(took);
            grid.row(["Throughput", &format!("{jobs}, {events} over {span}")]);
        }
    }
    let size = human::size(stats.stream_size);
    let messages = human::counted(stats.stream_messages, "event");
    grid.row(["The log", &format!("holds {messages} in {size}")]);
    grid.text()
}

fn next(answers: &Answers, view: &View, server: Option<&str>, command: &str) -> String {
    let mut lines: Vec<(String, &str)> = Vec::new();
    if server.is_some() {
        let (queue, from) = (&answers.queue, answers.first_sequence);
        if let Some(failed) = &answers.failed {
            let id = &failed.summary.id;
            lines.push((format!("{command} history {id}"), "what happened to the job that failed"));
        }
        lines.push((
            format!("{command} tail --since seq:{from} --queue {queue} --until-now"),
            "all of this run once more",
        ));
        lines
            .push((format!("{command} analytics job_completed --since 10m"), "durations, by kind"));
        lines.push((format!("{command} doctor"), "whether the server is as it should be"));
    } else {
        let usual = ConnectionConfig::default().server.url;
        lines.push(("nats-server -js".to_owned(), "a server (or `just server` in naq's source)"));
        lines.push((format!("naq demo --server {usual}"), "the same, kept by the server"));
        lines.push((format!("naq tail --server {usual}"), "meanwhile, in another terminal"));
        lines.push(("naq --help".to_owned(), "what else there is"));
    }
    let widest = lines.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
    let fits = widest + 44 <= usize::from(view.width.unwrap_or(80));
    let line = |(line, why): &(String, &str)| match fits {
        true => {
            format!("  {}  {}\n", view.paint.name(format!("{line:widest$}")), view.paint.dim(why))
        }
        false => format!("  {}\n      {}\n", view.paint.name(line), view.paint.dim(why)),
    };
    lines.iter().map(line).collect()
}
