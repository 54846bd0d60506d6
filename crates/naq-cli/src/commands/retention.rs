//! `naq retention`: how long events are kept by type, what is older, and removing it.

use std::time::Duration;

use futures::StreamExt;
use naq_core::config::{RetentionAges, format_duration};
use naq_events::retention::{RetentionKind, RetentionPlan, RetentionStep};
use serde::Serialize;

use super::confirm::confirm;
use super::{Context, Outcome};
use crate::complain::Failure;
use crate::connect::{self, Session};
use crate::exit::Exit;
use crate::output::{Grid, View, human, sanitize};

/// `naq retention …`.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  naq retention show
  naq retention dry-run                     what is older than it may get
  naq retention apply --yes

Ages are in the table [events.retention] of the configuration; NAQ_EVENTS_RETENTION_LOG=7d
sets that of one type.")]
pub(crate) enum Command {
    /// Show how long events of each type are kept
    #[command(after_help = "\
Examples:
  naq retention show
  naq retention show --config naq.toml --output json")]
    Show,
    /// Count what is older than it may get, and remove nothing
    #[command(after_help = "\
Examples:
  naq retention dry-run
  naq retention dry-run --output jsonl | jq .bytes")]
    DryRun,
    /// Remove what is older than it may get, step by step
    Apply(ApplyArgs),
}

/// Options of `naq retention apply`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  naq retention apply --yes
  naq retention apply --yes --pause 0s      while nobody logs

What no digest has is digested first, so that statistics keep it. While the
server purges a type it acknowledges nothing: each step is bounded, and a pause
lies behind steps that took half a second together. It asks before it removes
anything.")]
pub(crate) struct ApplyArgs {
    /// How long to wait behind steps that took half a second together
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = crate::cli::duration)]
    pause: Duration,
    /// Don't ask
    #[arg(long)]
    yes: bool,
}

/// How long a type is kept.
#[derive(Debug, Serialize)]
struct Kept {
    /// The type; `*` for all that are not named.
    event_type: String,
    /// In seconds.
    age: f64,
    #[serde(skip)]
    duration: Duration,
}

/// Does what is asked.
pub(crate) async fn run(context: &mut Context, command: Command) -> Outcome {
    let ages = connect::config(&context.globals)?.events.retention;
    for slip in ages.doubtful() {
        let told = format!("[events.retention]: {}", sanitize(&slip.to_string()));
        context.notes.line(&context.notes.paint().warn(told));
    }
    match command {
        Command::Show => {
            context.output.list(&kept(&ages), ages_table)?;
            Ok(Exit::Done)
        }
        _ if ages.is_empty() => Err(Failure::usage(
            "no type of event has an age: nothing is ever too old",
            "give them in the configuration, in the table [events.retention]: log = \"7d\"",
        )),
        Command::DryRun => dry_run(context).await,
        Command::Apply(args) => apply(context, args).await,
    }
}

async fn dry_run(context: &mut Context) -> Outcome {
    Session::with(&context.globals, async |session| {
        let plan = session.reading(async |events| Ok(events.plan_retention().await?)).await?;
        context.output.answer(&plan, plan_table)?;
        Ok(Exit::Done)
    })
    .await
}

async fn apply(context: &mut Context, args: ApplyArgs) -> Outcome {
    let (output, notes) = (&mut context.output, context.notes);
    Session::with(&context.globals, async |session| {
        let url = session.url();
        let mut list = output.begin_list();
        let done = session
            .reading(async |events| {
                if !args.yes {
                    let plan = events.plan_retention().await?;
                    if plan.events > 0 {
                        let would = human::counted(plan.events, "event");
                        let size = human::size(plan.bytes);
                        confirm(&format!("remove {would} ({size}) from {url}?"))?;
                    }
                }
                if notes.is_terminal() {
                    notes.line(&notes.paint().dim("digests first what no digest has"));
                }
                let mut removing = events.apply_retention(args.pause);
                while let Some(step) = removing.next().await {
                    // What is gone is told before more of it goes.
                    list.item(&step?, |step| told(step) + "\n")?;
                    list.flush()?;
                }
                Ok(())
            })
            .await;
        let is_empty = list.is_empty();
        let ended = if done.is_ok() || !is_empty { list.end() } else { Ok(()) };
        done?;
        ended?;
        if is_empty && output.is_table() {
            output.text("nothing is too old\n")?;
        }
        Ok(Exit::Done)
    })
    .await
}

/// A step that was done, in words.
pub(super) fn told(step: &RetentionStep) -> String {
    let removed = human::counted(step.removed, "event");
    let of = type_of(step.event_type.as_deref());
    let (below, took) = (human::count(step.keep_from), human::seconds(step.took));
    format!("removed {removed} of {of} below sequence {below} in {took}")
}

fn type_of(name: Option<&str>) -> String {
    name.map_or_else(|| "any type".to_owned(), |name| sanitize(name).into_owned())
}

fn kept(ages: &RetentionAges) -> Vec<Kept> {
    let others = ages.others().map(|age| (RetentionAges::OTHERS, age));
    let kept = |(name, age): (&str, Duration)| Kept {
        event_type: name.to_owned(),
        age: age.as_secs_f64(),
        duration: age,
    };
    ages.named().chain(others).map(kept).collect()
}

fn ages_table(kept: &[Kept], view: &View) -> String {
    let mut grid = Grid::new(view, &["Type", "Kept for"]);
    for kept in kept {
        grid.row([kept.event_type.as_str(), &format_duration(kept.duration)]);
    }
    if grid.is_empty() {
        return "no type has an age: events are kept for as long as the stream's limits let them\n"
            .to_owned();
    }
    let mut text = grid.text();
    if kept.iter().all(|kept| kept.event_type != RetentionAges::OTHERS) {
        text.push_str("\nOther types are kept for as long as the stream's limits let them.\n");
    }
    text
}

fn plan_table(plan: &RetentionPlan, view: &View) -> String {
    let headings = ["Type", "Kept for", "Stored before", "Events", "Bytes"];
    let mut grid = Grid::new(view, &headings).right(&[3, 4]);
    let row = |kind: &RetentionKind| {
        [
            kind.event_type.clone().unwrap_or_else(|| "(no event)".to_owned()),
            // What serves as an age came from a configuration: it is no odd number.
            Duration::try_from_secs_f64(kind.age).map(format_duration).unwrap_or_default(),
            view.zone.full(kind.before),
            human::count(kind.events),
            human::size(kind.bytes),
        ]
    };
    plan.kinds.iter().for_each(|kind| grid.row(row(kind)));
    let mut text = grid.text();
    let would = human::counted(plan.events, "event");
    text.push_str(&format!("\nWould remove {would}, {}.\n", human::size(plan.bytes)));
    let behind = plan.last_sequence.saturating_sub(plan.digested_through);
    if behind > 0 {
        let behind = human::counted(behind, "sequence");
        text.push_str(&format!("{behind} to be digested before they can go.\n"));
    }
    text
}
