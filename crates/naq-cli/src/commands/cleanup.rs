//! `naq cleanup`: removes what is old, and nothing else.

use std::time::Duration;

use naq_core::config::format_duration;
use naq_core::events::{CleanupReport, CleanupRequest, EventQuery, EventType, ScanLimits};
use naq_core::{Error, ErrorKind};
use naq_events::retention::{CleanupSteps, RetentionStep};

use super::confirm::confirm;
use super::range::Scan;
use super::retention::told;
use super::{Context, Outcome};
use crate::complain::Failure;
use crate::connect::Session;
use crate::exit::Exit;
use crate::output::{View, human, sanitize};

/// Options of `naq cleanup`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  naq cleanup --older-than 30d --dry-run    how many would go
  naq cleanup --older-than 7d --type worker_heartbeat --yes
  naq cleanup --older-than 1h --undigested --yes

By the time of storing. What no digest has is digested first, so that statistics
keep it. While the server purges a type it acknowledges nothing: each step is
bounded, and a pause lies behind steps that took half a second together. It counts
and asks before it removes anything; limits are those of the counting.")]
pub(crate) struct Args {
    /// Remove what was stored longer ago than this
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true, value_parser = crate::cli::duration)]
    older_than: Duration,
    /// Only events of this type
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Count only, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Don't ask
    #[arg(long)]
    yes: bool,
    /// Remove a type that tells of jobs' ends, though they will look as if they still ran
    #[arg(long)]
    force: bool,
    /// Digest nothing first: statistics lose what no digest has
    #[arg(long)]
    undigested: bool,
    /// How long to wait behind steps that took half a second together
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = crate::cli::duration)]
    pause: Duration,
    #[command(flatten)]
    scan: Scan,
}

impl Args {
    fn steps(&self) -> CleanupSteps {
        CleanupSteps::default().with_pause(self.pause).with_digest_first(!self.undigested)
    }

    /// Fails where jobs of which the beginning stays would lose their end.
    fn refuse_ends(&self) -> Result<(), Failure> {
        match &self.event_type {
            Some(name) if EventType::from(name.as_str()).is_final() && !self.may_take_ends() => {
                Err(Failure::usage(
                    format!(
                        "{name} tells of jobs' ends: without it they look as if they still ran"
                    ),
                    "leave out --type, or clean up what comes before it first and add --force",
                ))
            }
            _ => Ok(()),
        }
    }

    /// Fails where limits are given and nothing is counted.
    fn refuse_limits(&self) -> Result<(), Failure> {
        if self.scan.limits() == ScanLimits::default() || self.dry_run || !self.yes {
            return Ok(());
        }
        Err(Failure::usage(
            "limits are those of counting, and with --yes nothing is counted",
            "leave them out, or count with --dry-run",
        ))
    }

    const fn may_take_ends(&self) -> bool {
        self.dry_run || self.force
    }
}

/// Removes, or counts, and answers how many.
pub(crate) async fn run(context: &mut Context, args: Args) -> Outcome {
    let mut request = CleanupRequest::new(args.older_than);
    if let Some(event_type) = &args.event_type {
        request = request.with_event_type(event_type.as_str());
    }
    request.validate()?;
    args.refuse_ends()?;
    args.refuse_limits()?;
    // As it counts where it removes nothing, or asks first.
    let counting = request.clone().with_dry_run(true).with_scan(args.scan.limits());
    if args.dry_run {
        request = counting.clone();
    }
    let notes = context.notes;
    Session::with(&context.globals, async |session| {
        let loses = args.undigested || !session.config().events.digests;
        let report = session
            .reading(async |events| {
                if !args.dry_run && !args.yes {
                    let question = question(&args, &session.url());
                    let would = events.cleanup(counting).await?;
                    if would.removed > 0 {
                        let would = human::counted(would.removed, "event");
                        let lost = if loses {
                            ", and from statistics what no digest has of them"
                        } else {
                            ""
                        };
                        confirm(&format!("remove {would}, {question}{lost}?"))?;
                    }
                }
                if notes.is_terminal() && !args.dry_run && !loses {
                    notes.line(&notes.paint().dim("digests first what no digest has"));
                }
                let told = |step: &RetentionStep| {
                    if step.has_more {
                        notes.line(&notes.paint().dim(told(step)));
                    }
                };
                let done = events.cleanup_in_steps(request, args.steps(), told).await;
                done.map_err(|error| failed(error, loses))
            })
            .await?;
        context.output.answer(&report, sentence)?;
        Ok(Exit::Done)
    })
    .await
}

/// The error, and a way round it where digests may be what is in the way.
fn failed(error: Error, loses: bool) -> Failure {
    let kind = error.kind();
    let failure = Failure::from(error);
    match kind {
        ErrorKind::Conflict | ErrorKind::LimitReached | ErrorKind::PermissionDenied if !loses => {
            failure.with_more_to_try(
                "; where digests are in the way, --undigested removes it without them",
            )
        }
        _ => failure,
    }
}

fn question(args: &Args, url: &str) -> String {
    let of_type = match &args.event_type {
        Some(event_type) => format!("all {} ", sanitize(event_type)),
        None => "all ".to_owned(),
    };
    format!("{of_type}stored over {} ago, from {url}", format_duration(args.older_than))
}

fn sentence(report: &CleanupReport, view: &View) -> String {
    let done = if report.dry_run { "would remove" } else { "removed" };
    let of_type = match &report.event_type {
        Some(event_type) => format!(" of type {}", sanitize(event_type.as_str())),
        None => String::new(),
    };
    format!(
        "{done} {}{of_type} stored before {}\n",
        human::counted(report.removed, "event"),
        view.zone.full(report.before)
    )
}
