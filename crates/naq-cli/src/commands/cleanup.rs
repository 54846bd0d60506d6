//! `naq cleanup`: removes what is old, and nothing else.

use std::time::Duration;

use naq_core::config::format_duration;
use naq_core::events::{CleanupReport, CleanupRequest, EventQuery};

use super::confirm::confirm;
use super::range::Scan;
use super::{Context, Outcome};
use crate::connect::Session;
use crate::exit::Exit;
use crate::output::{View, human, sanitize};

/// Options of `naq cleanup`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  naq cleanup --older-than 30d --dry-run    how many would go
  naq cleanup --older-than 7d --type worker_heartbeat --yes

By the time of storing. It asks before it removes anything. Statistics keep what
digests have of it: `naq keeper` digests, `naq retention apply` does so first.")]
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
    #[command(flatten)]
    scan: Scan,
}

/// Removes, or counts, and answers how many.
pub(crate) async fn run(context: &mut Context, args: Args) -> Outcome {
    let mut request = CleanupRequest::new(args.older_than).with_dry_run(args.dry_run);
    request = request.with_scan(args.scan.limits());
    if let Some(event_type) = &args.event_type {
        request = request.with_event_type(event_type.as_str());
    }
    request.validate()?;
    Session::with(&context.globals, async |session| {
        let report = session
            .reading(async |events| {
                if !args.dry_run && !args.yes {
                    let question = question(&args, &session.url());
                    let would = events.cleanup(request.clone().with_dry_run(true)).await?;
                    if would.removed > 0 {
                        let would = human::counted(would.removed, "event");
                        confirm(&format!(
                            "remove {would}, {question}, and from statistics what no digest has \
                             of them?"
                        ))?;
                    }
                }
                Ok(events.cleanup(request).await?)
            })
            .await?;
        context.output.answer(&report, sentence)?;
        Ok(Exit::Done)
    })
    .await
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
