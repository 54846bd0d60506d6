//! `naq analytics TYPE`: how runs go.

use std::collections::BTreeMap;

use naq_core::events::{AnalyticsRequest, EventAnalytics, EventMeasures, EventQuery};

use super::bars::bar;
use super::basis::{self, LeftOut};
use super::range::{Range, Scan, in_words};
use super::{Context, Outcome};
use crate::connect::Session;
use crate::exit::Exit;
use crate::output::{Grid, View, human, sanitize};
use crate::selection::Expression;

/// Options of `naq analytics`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  naq analytics job_completed               success rate and durations
  naq analytics job_completed --since 24h
  naq analytics job_completed 'queue != bulk and attempt > 1'
  naq analytics job_failed --since 1h --output json | jq .by_job_name

A figure is over the events that have the field, and `-` (in JSON null) where
none has. Percentiles are within 1 % of a true value.")]
pub(crate) struct Args {
    /// The type of event, such as job_completed
    #[arg(value_name = "TYPE")]
    event_type: String,
    #[command(flatten)]
    expression: Expression,
    #[command(flatten)]
    range: Range,
    #[command(flatten)]
    scan: Scan,
}

/// Answers with the figures.
pub(crate) async fn run(context: &mut Context, args: Args) -> Outcome {
    let zone = &context.output.view().zone;
    let (start, end) = args.range.resolve(zone)?;
    let filter = args.expression.to_filter(zone)?;
    let is_chosen = args.expression.expression.is_some();
    let request = AnalyticsRequest::new(args.event_type)
        .with_range(start, end)
        .with_scan(args.scan.limits())
        .with_filter(filter);
    Session::with(&context.globals, async |session| {
        let figures = session.reading(async |events| Ok(events.analytics(request).await?)).await?;
        context.output.answer(&figures, table)?;
        if figures.measures.total_count == 0 {
            context.output.flush()?;
            context.notes.line(&context.notes.paint().warn(none_of(&figures, is_chosen)));
        }
        Ok(Exit::Done)
    })
    .await
}

/// A hint for whoever mistyped a name: any name may be that of a type.
fn none_of(figures: &EventAnalytics, is_chosen: bool) -> String {
    let range = &figures.time_range;
    let mut words = format!("no event of the type {:?}", sanitize(figures.event_type.as_str()));
    for (holds, what) in [
        (is_chosen, " that is asked for"),
        (range.start.is_some() || range.end.is_some(), " in this range"),
        // What left the log may have been some.
        (figures.basis.holes > 0, " in what is left of the log"),
    ] {
        if holds {
            words.push_str(what);
        }
    }
    format!("-- {words}; `naq stats` counts those that there are")
}

fn table(figures: &EventAnalytics, view: &View) -> String {
    let measures = &figures.measures;
    let range = in_words(view, figures.time_range.start, figures.time_range.end);
    let name = sanitize(figures.event_type.as_str());
    let mut facts = Grid::new(view, &[]);
    facts.row([&*name, &format!("{} {range}", human::counted(measures.total_count, "event"))]);
    facts.row(["Success", &measures.success_rate.map_or_else(none, human::percent)]);
    let left_out =
        LeftOut { basis: &figures.basis, malformed: figures.malformed, unlisted: figures.unlisted };
    left_out.rows(&mut facts);
    basis::rows(&mut facts, &figures.basis, view);
    let mut text = facts.text();
    let durations = durations(view, measures);
    if !durations.is_empty() {
        text.push('\n');
        text.push_str(&durations);
    }
    for (heading, groups) in [("Queue", &figures.by_queue), ("Name", &figures.by_job_name)] {
        if !groups.is_empty() {
            text.push('\n');
            text.push_str(&by(view, heading, groups));
        }
    }
    text
}

/// The durations with a bar each; empty where no event has one.
pub(crate) fn durations(view: &View, measures: &EventMeasures) -> String {
    let Some(most) = measures.max_duration else { return String::new() };
    let mut grid = Grid::new(view, &["Duration", "", ""]).right(&[1]);
    let percentiles = &measures.percentiles;
    for (name, value) in [
        ("min", measures.min_duration),
        ("mean", measures.average_duration),
        ("p50", percentiles.p50),
        ("p95", percentiles.p95),
        ("p99", percentiles.p99),
        ("max", measures.max_duration),
    ] {
        if let Some(value) = value {
            grid.row([name, &human::seconds(value), &bar(value, most, 32)]);
        }
    }
    grid.text()
}

fn by(view: &View, heading: &str, groups: &BTreeMap<String, EventMeasures>) -> String {
    let mut sorted: Vec<_> = groups.iter().collect();
    sorted.sort_by(|(a, x), (b, y)| y.total_count.cmp(&x.total_count).then(a.cmp(b)));
    let headings = [heading, "Events", "Success", "p50", "p95", "p99", "Max"];
    let mut grid = Grid::new(view, &headings).right(&[1, 2, 3, 4, 5, 6]);
    for (name, measures) in sorted {
        let seconds = |value: Option<f64>| value.map_or_else(none, human::seconds);
        let percentiles = &measures.percentiles;
        grid.row([
            name.as_str(),
            &human::count(measures.total_count),
            &measures.success_rate.map_or_else(none, human::percent),
            &seconds(percentiles.p50),
            &seconds(percentiles.p95),
            &seconds(percentiles.p99),
            &seconds(measures.max_duration),
        ]);
    }
    grid.text()
}

fn none() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use naq_core::events::TimeRange;

    use super::*;
    use crate::output::{Paint, Zone};

    fn figures() -> EventAnalytics {
        EventAnalytics::new("job_failed", TimeRange::default())
    }

    #[test]
    fn what_had_left_the_log_before_it_was_read_is_told() {
        let view = View { width: None, paint: Paint::plain(), zone: Zone::new(true) };
        let mut figures = figures();
        figures.basis.holes = 69_165;
        let text = table(&figures, &view);
        assert!(text.contains("Gone        69,165 messages left the log uncounted\n"), "{text}");
    }

    #[test]
    fn no_more_is_said_to_be_missing_than_was_asked_for_and_read() {
        let mut figures = figures();
        let none = "-- no event of the type \"job_failed\"";
        assert!(none_of(&figures, false).starts_with(&format!("{none}; ")));
        assert!(none_of(&figures, true).starts_with(&format!("{none} that is asked for; ")));
        figures.basis.holes = 1;
        let left = none_of(&figures, false);
        assert!(left.starts_with(&format!("{none} in what is left of the log; ")), "{left}");
    }
}
