//! `naq errors`: what is failing, since when, and whether it is getting worse.

use naq_core::clock::{Clock, SystemClock};
use naq_core::events::{ErrorGroup, EventQuery, TopErrors, TopErrorsRequest};

use super::range::{Range, Scan, in_words};
use super::{Context, Outcome, basis, tell_beside_sheet};
use crate::connect::Session;
use crate::exit::Exit;
use crate::output::{Grid, Sheet, View, human};
use crate::selection::Expression;
use crate::when::PointInTime;

/// Options of `naq errors`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  naq errors                                what failed most in the whole log
  naq errors --since 2h                     with what the two hours before had
  naq errors --since 24h --new-since 2h     what nobody had seen before
  naq errors 'queue = emails' --since 1h
  naq errors --output json | jq -r '.errors[].jobs[0]'
  naq errors --since 24h --output csv > errors.csv

Messages that differ in numbers, ids, paths or quoted text alone are one error.
Whole minutes are counted.")]
pub(crate) struct Args {
    #[command(flatten)]
    expression: Expression,
    #[command(flatten)]
    range: Range,
    /// Only errors that were not there before: so long ago, or a time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, help_heading = "Range")]
    new_since: Option<PointInTime>,
    #[command(flatten)]
    scan: Scan,
    /// List at most so many errors, up to 1,000
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = crate::cli::positive::<usize>)]
    limit: usize,
}

/// Answers with the errors.
pub(crate) async fn run(context: &mut Context, args: Args) -> Outcome {
    let zone = &context.output.view().zone;
    let (start, end) = args.range.resolve(zone)?;
    let mut request = TopErrorsRequest::default()
        .with_range(start, end)
        .with_filter(args.expression.to_filter(zone)?)
        .with_limit(args.limit)
        .with_scan(args.scan.limits());
    if let Some(since) = args.new_since {
        request.new_since = since.resolve(SystemClock::new().now(), zone.zone())?;
    }
    Session::with(&context.globals, async |session| {
        let errors = session.reading(async |events| Ok(events.top_errors(request).await?)).await?;
        context.output.figures(&errors, table, sheet)?;
        let left_out = missing(&errors).map(|(_, what)| what);
        tell_beside_sheet(&mut context.output, context.notes, left_out)?;
        Ok(Exit::Done)
    })
    .await
}

/// What no row has: its name, and how much it is in words.
fn missing(answer: &TopErrors) -> impl Iterator<Item = (&'static str, String)> {
    let malformed = human::counted(answer.basis.malformed, "message");
    let gone = human::counted(answer.basis.holes, "message");
    let unlisted = human::counted(answer.unlisted, "occurrence");
    let elsewhere = human::counted(answer.unlisted_elsewhere, "occurrence");
    let at_most = human::counted(answer.unlisted_at_most, "time");
    [
        (answer.basis.malformed, "Malformed", format!("{malformed} of no event, in no row")),
        (answer.basis.holes, "Gone", format!("{gone} left the log uncounted")),
        (
            answer.unlisted,
            "Not listed",
            format!("{unlisted} of errors that are not told apart, each of them {at_most} at most"),
        ),
        (
            answer.unlisted_elsewhere,
            "At other times",
            format!("{elsewhere} of errors that are not told apart: what is listed may be one"),
        ),
    ]
    .into_iter()
    .filter(|(count, ..)| *count > 0)
    .map(|(_, name, what)| (name, what))
}

/// The errors for a spreadsheet.
fn sheet(answer: &TopErrors) -> Sheet {
    let headings =
        ["count", "count_before", "first_seen", "last_seen", "error_type", "fingerprint", "jobs"];
    let mut sheet = Sheet::new(headings);
    for error in &answer.errors {
        sheet.row([
            Some(error.count.to_string()),
            error.count_before.map(|count| count.to_string()),
            Some(error.first_seen.to_string()),
            Some(error.last_seen.to_string()),
            error.error_type.clone(),
            Some(error.fingerprint.clone()),
            Some(error.jobs.join(", ")),
        ]);
    }
    sheet
}

fn table(answer: &TopErrors, view: &View) -> String {
    let mut facts = Grid::new(view, &[]);
    let range = in_words(view, answer.time_range.start, answer.time_range.end);
    let occurrences = human::counted(answer.total, "occurrence");
    let different = human::counted(answer.different, "error");
    facts.row(["Errors", &format!("{occurrences} of {different} {range}")]);
    if let Some(before) = &answer.before {
        facts.row(["Before", &in_words(view, before.start, before.end)]);
    }
    for (name, what) in missing(answer) {
        facts.row([name, &what]);
    }
    basis::rows(&mut facts, &answer.basis, view);
    let mut text = facts.text();
    if answer.errors.is_empty() {
        return text;
    }
    let headings = ["Count", "Before", "First", "Last", "Error", "Jobs"];
    let mut grid = Grid::new(view, &headings).right(&[0, 1]);
    for error in &answer.errors {
        grid.row([
            human::count(error.count),
            error.count_before.map_or_else(|| "-".to_owned(), human::count),
            view.zone.full(error.first_seen),
            view.zone.full(error.last_seen),
            name(error),
            error.jobs.join(", "),
        ]);
    }
    text.push('\n');
    text.push_str(&grid.text());
    text
}

fn name(error: &ErrorGroup) -> String {
    match &error.error_type {
        Some(kind) => format!("{kind}: {}", error.fingerprint),
        None => error.fingerprint.clone(),
    }
}
