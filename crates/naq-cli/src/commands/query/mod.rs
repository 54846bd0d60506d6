//! `naq query`: figures by group and stretch of time.
//!
//! - `rows`: the answer as a table with bars, and as a sheet
//! - `explained`: what it would be answered from

mod explained;
mod rows;

use naq_core::events::{Bucket, EventQuery, GroupBy, Measure, QueryRequest};

use super::range::{Range, Scan};
use super::{Context, Outcome, tell_beside_sheet};
use crate::complain::Failure;
use crate::connect::Session;
use crate::exit::Exit;
use crate::selection::Expression;

pub(crate) use rows::rows;
use rows::{missing, sheet, table};

/// Options of `naq query`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  naq query --group-by queue,type --since 24h
  naq query 'type = job_failed' --bucket hour --since 24h
  naq query 'type = job_completed' --group-by job_name --measure count,p95:duration,success_rate
  naq query 'type = job_started' --group-by queue --measure p50:queue_wait,p99:queue_wait
  naq query 'type = job_failed' --group-by fingerprint,worker --since 1h
  naq query --group-by queue --bucket day --output csv > queues.csv
  naq query 'duration > 2s' --group-by queue --explain

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
    /// Tell what it would be answered from and how much it reads, and answer nothing
    #[arg(long)]
    explain: bool,
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
    text.parse().map_err(|error: naq_core::Error| error.message().to_owned())
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
    if args.explain && context.output.is_csv() {
        return Err(Failure::usage(
            "--output csv is of rows of figures, and --explain has none",
            "say --output table, json or jsonl",
        ));
    }
    Session::with(&context.globals, async |session| {
        if args.explain {
            let explanation =
                session.reading(async |events| Ok(events.explain_query(request).await?)).await?;
            context.output.answer(&explanation, explained::table)?;
            return Ok(Exit::Done);
        }
        let answer = session.reading(async |events| Ok(events.query(request).await?)).await?;
        context.output.figures(&answer, table, sheet)?;
        let left_out = missing(&answer).map(|(_, what)| what);
        tell_beside_sheet(&mut context.output, context.notes, left_out)?;
        Ok(Exit::Done)
    })
    .await
}
