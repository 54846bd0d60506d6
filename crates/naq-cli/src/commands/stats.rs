//! `naq stats`: counts over a range of time.

use std::collections::BTreeMap;

use naq_core::events::{EventQuery, EventStats, StatsRequest};

use super::bars::bar;
use super::basis::{self, LeftOut};
use super::range::{Range, Scan, in_words};
use super::watch::{Watch, watch};
use super::{Context, Outcome};
use crate::connect::Session;
use crate::exit::Exit;
use crate::output::{Grid, View, Zone, human};
use crate::selection::Expression;

/// Options of `naq stats`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  naq stats                                 the whole log
  naq stats --since 24h
  naq stats 'queue = emails and since 24h'  only what was stored since
  naq stats --since 2026-11-24T08:00:00Z --until 2026-11-24T09:00:00Z
  naq stats --since 1h --watch              the last hour, again each 2 seconds
  naq stats 'queue = emails' --watch 10s --output jsonl
  naq stats --output json | jq .event_types")]
pub(crate) struct Args {
    #[command(flatten)]
    expression: Expression,
    #[command(flatten)]
    range: Range,
    #[command(flatten)]
    scan: Scan,
    #[command(flatten)]
    watch: Watch,
}

impl Args {
    /// The question, as of now.
    fn request(&self, zone: &Zone) -> naq_core::Result<StatsRequest> {
        let (start, end) = self.range.resolve(zone)?;
        Ok(StatsRequest::default()
            .with_range(start, end)
            .with_scan(self.scan.limits())
            .with_filter(self.expression.to_filter(zone)?))
    }
}

/// Answers with the counts, once or again and again.
pub(crate) async fn run(context: &mut Context, args: Args) -> Outcome {
    let zone = context.output.view().zone.clone();
    let request = args.request(&zone)?;
    request.validate()?;
    let (output, notes) = (&mut context.output, context.notes);
    Session::with(&context.globals, async |session| {
        session
            .reading(async |events| match args.watch.every() {
                // What is said of the time moves with it.
                Some(every) => {
                    let ask = async || events.stats(args.request(&zone)?).await;
                    watch(session, (output, notes), every, ask, table).await
                }
                None => {
                    output.answer(&events.stats(request).await?, table)?;
                    Ok(Exit::Done)
                }
            })
            .await
    })
    .await
}

fn table(stats: &EventStats, view: &View) -> String {
    let mut facts = Grid::new(view, &[]);
    let range = in_words(view, stats.start_time, stats.end_time);
    facts.row(["Events", &format!("{} {range}", human::count(stats.total_events))]);
    if let (Some(first), Some(last)) = (stats.first_event, stats.last_event) {
        let span = human::duration(last.since(first));
        facts.row(["First", &view.zone.full(first)]);
        facts.row(["Last", &format!("{} ({span} later)", view.zone.full(last))]);
    }
    facts.row(["Stream", &stream(stats)]);
    if stats.lost > 0 {
        let lost = human::counted(stats.lost, "event");
        facts.row(["Lost", &format!("{lost} not known to be stored, as `events_lost` tells")]);
    }
    let left_out =
        LeftOut { basis: &stats.basis, malformed: stats.malformed, unlisted: stats.unlisted };
    left_out.rows(&mut facts);
    basis::rows(&mut facts, &stats.basis, view);
    let mut text = facts.text();
    for (heading, counts) in
        [("Type", &stats.event_types), ("Queue", &stats.queues), ("Name", &stats.job_names)]
    {
        if !counts.is_empty() {
            text.push('\n');
            text.push_str(&groups(view, heading, counts, stats.total_events));
        }
    }
    text
}

fn stream(stats: &EventStats) -> String {
    format!(
        "{} in {} on {} ({})",
        human::size(stats.stream_size),
        human::counted(stats.stream_messages, "message"),
        human::counted(stats.num_subjects, "subject"),
        stats.subjects.join(", "),
    )
}

/// The counts of one kind of group, the greatest first.
pub(crate) fn groups(
    view: &View,
    heading: &str,
    counts: &BTreeMap<String, u64>,
    total: u64,
) -> String {
    let mut sorted: Vec<(&str, u64)> =
        counts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    sorted.sort_by(|(a, x), (b, y)| y.cmp(x).then(a.cmp(b)));
    let most = sorted.first().map_or(0, |(_, count)| *count);
    let mut grid = Grid::new(view, &[heading, "Events", "Share", ""]).right(&[1, 2]);
    for (name, count) in sorted {
        let share = human::percent(count as f64 / total.max(1) as f64);
        let bar = bar(count as f64, most as f64, 20);
        grid.row([name, &human::count(count), &share, &bar]);
    }
    grid.text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Paint;

    #[test]
    fn what_had_left_the_log_before_it_was_read_is_told() {
        let view = View { width: None, paint: Paint::plain(), zone: Zone::new(true) };
        let mut stats = EventStats::default();
        stats.basis.holes = 69_165;
        let told = "Gone    69,165 messages left the log uncounted\n";
        assert!(table(&stats, &view).contains(told), "{}", table(&stats, &view));
    }
}
