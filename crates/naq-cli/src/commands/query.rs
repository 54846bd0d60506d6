//! `naq query`: figures by group and stretch of time.

use naq_core::events::{Bucket, EventQuery, GroupBy, Measure, QueryAnswer, QueryRequest, QueryRow};

use super::bars::bar;
use super::range::{Range, Scan, in_words};
use super::{Context, Outcome};
use crate::connect::Session;
use crate::exit::Exit;
use crate::output::{Grid, View, human};
use crate::selection::Expression;

/// Options of `naq query`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  naq query --group-by queue,type --since 24h
  naq query 'type = job_failed' --bucket hour --since 24h
  naq query 'type = job_completed' --group-by job_name --measure count,p95:duration,success_rate
  naq query 'type = job_started' --group-by queue --measure p50:queue_wait,p99:queue_wait
  naq query 'type = job_failed' --group-by fingerprint,worker --since 1h

Measures: count, rate (a second), success_rate, and mean, min, max or a percentile
(p50 to p99.9) of duration or queue_wait. Groups: type, queue, job_name, outcome;
worker, error_type and fingerprint read the log. Buckets are of UTC.")]
pub(crate) struct Args {
    #[command(flatten)]
    expression: Expression,
    /// Tell events apart by these, at most three
    #[arg(long, value_name = "GROUPS", value_delimiter = ',', value_parser = group)]
    group_by: Vec<GroupBy>,
    /// A row for each minute, hour or day with events
    #[arg(long, value_name = "BUCKET", value_parser = bucket)]
    bucket: Option<Bucket>,
    /// What is measured
    #[arg(
        long,
        value_name = "MEASURES",
        value_delimiter = ',',
        default_value = "count",
        value_parser = measure
    )]
    measure: Vec<Measure>,
    #[command(flatten)]
    range: Range,
    #[command(flatten)]
    scan: Scan,
}

fn group(text: &str) -> Result<GroupBy, String> {
    named(text, &GroupBy::ALL, GroupBy::name)
}

fn bucket(text: &str) -> Result<Bucket, String> {
    named(text, &Bucket::ALL, Bucket::name)
}

fn measure(text: &str) -> Result<Measure, String> {
    text.parse().map_err(|error: naq_core::Error| error.to_string())
}

fn named<T: Copy>(text: &str, all: &[T], name: fn(T) -> &'static str) -> Result<T, String> {
    let names = || all.iter().map(|one| name(*one)).collect::<Vec<_>>().join(", ");
    all.iter().find(|one| name(**one) == text).copied().ok_or_else(|| format!("one of {}", names()))
}

/// Answers with the figures.
pub(crate) async fn run(context: &mut Context, args: Args) -> Outcome {
    let zone = &context.output.view().zone;
    let (start, end) = args.range.resolve(zone)?;
    let mut request = QueryRequest::new(args.expression.to_filter(zone)?)
        .with_range(start, end)
        .with_group_by(args.group_by)
        .with_measures(args.measure)
        .with_scan(args.scan.limits());
    request.bucket = args.bucket;
    Session::with(&context.globals, async |session| {
        let answer = session.reading(async |events| Ok(events.query(request).await?)).await?;
        context.output.answer(&answer, table)?;
        Ok(Exit::Done)
    })
    .await
}

fn table(answer: &QueryAnswer, view: &View) -> String {
    let mut facts = Grid::new(view, &[]);
    let range = in_words(view, answer.time_range.start, answer.time_range.end);
    facts.row(["Rows", &format!("{} {range}", human::count(answer.rows.len() as u64))]);
    let basis = &answer.basis;
    for (name, count, what) in [
        ("Gone", basis.holes, "left the log uncounted"),
        ("Undecided", basis.undecided, "may lie in the range, in no row"),
        ("Not listed", answer.unlisted, "of groups that are not told apart any more"),
    ] {
        if count > 0 {
            facts.row([name, &format!("{} {what}", human::counted(count, "event"))]);
        }
    }
    let mut text = facts.text();
    if !answer.rows.is_empty() {
        text.push('\n');
        text.push_str(&rows(answer, view));
    }
    text
}

/// The rows, each with a bar of its first figure.
fn rows(answer: &QueryAnswer, view: &View) -> String {
    let mut headings = Vec::new();
    headings.extend(answer.bucket.map(|bucket| bucket.name().to_owned()));
    headings.extend(answer.group_by.iter().map(|group| group.name().to_owned()));
    let labels = headings.len();
    headings.extend(answer.measures.iter().map(Measure::to_string));
    let right: Vec<usize> = (labels..headings.len()).collect();
    headings.push(String::new());
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    let mut grid = Grid::new(view, &headings).right(&right);
    let first = |row: &QueryRow| row.values.first().copied().flatten().unwrap_or(0.0);
    let most = answer.rows.iter().map(first).fold(0.0, f64::max);
    for row in &answer.rows {
        let mut cells = Vec::new();
        cells.extend(row.time.map(|time| view.zone.full(time)));
        cells.extend(row.group.iter().map(|name| name.clone().unwrap_or_else(none)));
        let values = answer.measures.iter().zip(&row.values);
        cells.extend(
            values.map(|(measure, value)| value.map_or_else(none, |value| figure(*measure, value))),
        );
        cells.push(bar(first(row), most, 24));
        grid.row(cells);
    }
    grid.text()
}

fn figure(measure: Measure, value: f64) -> String {
    match measure {
        // A count is a whole number below 2^53.
        Measure::Count => human::count(value as u64),
        Measure::Rate => format!("{value:.2}/s"),
        Measure::SuccessRate => human::percent(value),
        _ => human::seconds(value),
    }
}

fn none() -> String {
    "-".to_owned()
}
