//! `naq history ID`: what happened to one job, worker or schedule.

use clap::ValueEnum;
use naq_core::events::{
    EntityKind, EventHistory, EventQuery, EventType, Filter, HistoryRequest, HistorySummary,
    JobState, ReadEvents, ReadUntil, RecordedEvent,
};
use naq_events::EventService;
use naq_events::indexes::EventIndex;

use super::range::{Range, Scan};
use super::{Context, Outcome, index};
use crate::complain::Failure;
use crate::connect::Session;
use crate::exit::Exit;
use crate::output::{EventLines, Paint, View, human, sanitize};
use crate::selection::Expression;

/// A history of so many events over so many sequences is read sooner by an index.
const MANY: u64 = 50;
const FAR: u64 = 100_000;

/// Options of `naq history`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  naq history job-7                         its first 100 events, and where it stands
  naq history job-7 --newest --limit 20     its last 20
  naq history job-7 'exists error'          only the events with an error
  naq history worker-3 --kind worker --since 1h
  naq history job-7 --output json | jq .summary.state

The summary is of all its events; EXPR, --since, --until and --limit choose which
are shown. Exit code 3 where it has none.")]
pub(crate) struct Args {
    /// The id
    id: String,
    /// What it is the id of
    #[arg(long, value_enum, default_value_t = Kind::Job)]
    kind: Kind,
    /// How many events are shown
    #[arg(long, value_name = "EVENTS", default_value_t = 100, value_parser = at_least_one)]
    limit: usize,
    /// Show the newest, where there are more than the limit
    #[arg(long)]
    newest: bool,
    #[command(flatten)]
    expression: Expression,
    #[command(flatten)]
    range: Range,
    #[command(flatten)]
    scan: Scan,
}

/// What an id is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A job.
    Job,
    /// A worker.
    Worker,
    /// A schedule.
    Schedule,
}

impl From<Kind> for EntityKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Job => Self::Job,
            Kind::Worker => Self::Worker,
            Kind::Schedule => Self::Schedule,
        }
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("must be a whole number from 1".to_owned()),
        Ok(number) => Ok(number),
    }
}

/// Answers with the history.
pub(crate) async fn run(context: &mut Context, args: Args) -> Outcome {
    let zone = &context.output.view().zone;
    let (start, end) = args.range.resolve(zone)?;
    let filter = args.expression.to_filter(zone)?;
    let kind = EntityKind::from(args.kind);
    let request = HistoryRequest::new(kind, args.id.as_str())
        .with_limit(args.limit)
        .with_from_end(args.newest)
        .with_range(start, end)
        .with_scan(args.scan.limits())
        .with_filter(filter);
    Session::with(&context.globals, async |session| {
        let (history, wants_index) = session
            .reading(async |events| {
                let history = events.history(request).await?;
                let wants_index = wants_index(events, &history.summary, is_long(&history)).await;
                Ok((history, wants_index))
            })
            .await?;
        if history.summary.total_events > 0 || !context.output.is_table() {
            context.output.answer(&history, timeline)?;
        }
        if wants_index {
            let line = index::creating(&[kind.field().to_owned()]);
            context.notes.line(&format!("an index finds these events sooner: {line}"));
        }
        let left = left(session, &history).await;
        if left > 0 && history.summary.total_events > 0 {
            let left = human::counted(left, "message");
            context.notes.line(&format!(
                "the log begins in the midst of it: {left} left since, which earlier events of it \
                 may have been among"
            ));
        }
        if history.summary.total_events == 0 {
            let left = match left {
                0 => String::new(),
                left => format!(
                    "; {} left the log, and its events may have been among them",
                    human::counted(left, "message")
                ),
            };
            let of_its_own = if history.summary.includes_mentions { "" } else { " of its own" };
            return Err(Failure::complaint(
                Exit::NotFound,
                format!(
                    "the log on {} has no event of the {kind} {:?}{of_its_own}",
                    session.url(),
                    args.id
                ),
                match history.summary.includes_mentions {
                    true => {
                        "check the id and the server; `naq tail --until-now` shows what \
                             there is"
                            .to_owned()
                            + &left
                    }
                    false => format!(
                        "`{}` shows the events of jobs that name it{left}",
                        mentions(kind, &args.id)
                    ),
                },
            ));
        }
        Ok(Exit::Done)
    })
    .await
}

/// How many messages left the log that may have been of it: none where its
/// beginning is there, and where that can't be told.
async fn left(session: &Session, history: &EventHistory) -> u64 {
    if begins(history) {
        return 0;
    }
    let Ok(streams) = session.streams() else { return 0 };
    let log = streams.get_stream_info(&session.config().events.stream_name).await;
    log.map_or(0, |log| log.state.first_sequence.saturating_sub(1) + log.state.num_deleted)
}

/// Whether the beginning of a job is there, or not all of it is shown; of others
/// it isn't known.
fn begins(history: &EventHistory) -> bool {
    let summary = &history.summary;
    let is_first = |recorded: &RecordedEvent| {
        matches!(recorded.event.event_type, EventType::JobEnqueued | EventType::JobScheduled)
    };
    let is_of_another = summary.entity != EntityKind::Job && summary.total_events > 0;
    let is_in_part = (history.events.len() as u64) < summary.total_events;
    is_of_another || is_in_part || history.events.iter().any(is_first)
}

/// Whether so much of the log lies between its events that the server, which
/// looks for them there, may take long.
fn is_long(history: &EventHistory) -> bool {
    let sequence = |event: Option<&RecordedEvent>| event.map_or(0, RecordedEvent::sequence);
    let (first, last) = (sequence(history.events.first()), sequence(history.events.last()));
    history.summary.total_events >= MANY && last - first >= FAR
}

/// Whether its events were looked for in much of the log, and would not be by
/// an index, which nobody has made; not where that can't be told.
async fn wants_index(events: &EventService, summary: &HistorySummary, is_long: bool) -> bool {
    let field = summary.entity.field();
    if summary.total_events == 0 {
        return false;
    }
    if is_long {
        let has_field = |index: &EventIndex| index.fields.iter().any(|it| it == field);
        let listed = events.list_event_indexes().await;
        return listed.is_ok_and(|indexes| !indexes.iter().any(has_field));
    }
    let filter = Filter::new().field(field).equals(summary.id.as_str());
    let reading = ReadEvents::default().with_filter(filter).with_until(ReadUntil::Head);
    events.explain(reading).await.is_ok_and(|explained| !explained.could_index.is_empty())
}

/// The summary, and below it a line for each event.
pub(crate) fn timeline(history: &EventHistory, view: &View) -> String {
    let summary = &history.summary;
    let mut text = header(summary, view.paint);
    let mut lines = EventLines::about(view, summary.entity);
    for recorded in &history.events {
        text.push_str(&lines.line(recorded));
    }
    let shown = history.events.len() as u64;
    let mut notes = Vec::new();
    if summary.truncated {
        let all = human::counted(summary.total_events, "event");
        notes.push(format!("{} of {all} shown", human::count(shown)));
    }
    if summary.duplicates > 0 {
        let times = human::counted(summary.duplicates, "event");
        notes.push(format!("{times} stored more than once, shown once"));
    }
    if summary.malformed > 0 {
        notes.push(format!(
            "{} passed over: no events",
            human::counted(summary.malformed, "message")
        ));
    }
    if summary.gone > 0 {
        let gone = human::counted(summary.gone, "message");
        notes.push(format!("{gone} left the log while it was read: some may have been of it"));
    }
    if !summary.includes_mentions {
        let kind = summary.entity;
        notes.push(format!(
            "without the events of jobs that name the {kind}: {}",
            mentions(kind, &summary.id)
        ));
    }
    for note in notes {
        text.push_str(&format!("{}\n", view.paint.dim(format!("({note})"))));
    }
    text
}

/// What shows the events that name a worker or a schedule.
fn mentions(kind: EntityKind, id: &str) -> String {
    format!("naq tail --until-now --{kind} {}", sanitize(id))
}

/// Where it stands, in one line and as many facts as there are.
fn header(summary: &HistorySummary, paint: Paint) -> String {
    let mut line = format!("{} {}", summary.entity, paint.strong(sanitize(&summary.id)));
    let job = &summary.job;
    if let Some(state) = job.state {
        line.push_str(&format!("  {}", painted(state, paint)));
    }
    let mut facts = Vec::new();
    let mut fact = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            facts.push(format!("{} {}", paint.dim(name), sanitize(&value)));
        }
    };
    fact("because", job.reason.clone());
    fact("ran", job.run_time.map(human::seconds));
    fact("waited", job.queue_wait.map(human::seconds));
    fact("attempts", job.attempts.map(|count| count.to_string()));
    fact("name", job.job_name.clone());
    fact("queue", job.queue.clone());
    fact("worker", job.worker.clone());
    let mut text = format!("{line}\n");
    if !facts.is_empty() {
        text.push_str(&format!("{}\n", facts.join("  ")));
    }
    let error = match (&job.last_error_type, &job.last_error) {
        (Some(class), Some(error)) => Some(format!("{class}: {error}")),
        (class, error) => class.clone().or_else(|| error.clone()),
    };
    if let Some(error) = error {
        text.push_str(&format!("{} {}\n", paint.dim("last error"), paint.bad(sanitize(&error))));
    }
    text
}

fn painted(state: JobState, paint: Paint) -> String {
    match state {
        JobState::Completed => paint.good(state),
        JobState::Failed => paint.bad(state),
        JobState::Retrying | JobState::Waiting | JobState::Paused | JobState::Cancelled => {
            paint.warn(state)
        }
        _ => paint.name(state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Zone;

    #[test]
    fn a_history_that_may_lack_events_says_so() {
        let view = View { width: None, paint: Paint::plain(), zone: Zone::new(true) };
        let mut history = EventHistory::new(EntityKind::Job, "job-7");
        history.summary.includes_mentions = true;
        assert_eq!(timeline(&history, &view), "job job-7\n");
        history.summary.gone = 12;
        let note = "(12 messages left the log while it was read: some may have been of it)\n";
        assert_eq!(timeline(&history, &view), format!("job job-7\n{note}"));
    }
}
