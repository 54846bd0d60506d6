//! `naq doctor`: is everything as it should be, and if not, what to do.
//!
//! - `finding`: one line, ok, warn or fail
//! - `server`: is it reachable, what can it do, how far is it, what does its clock say
//! - `stream`: is it as naq wants it, and how much room has it
//! - `way`: how programs that log send to it
//! - `guarantees`: does its configuration hold what naq promises
//! - `keeper`: who keeps the log, where anybody does or ages want it
//! - `indexes`: can their list be read
//! - `rights`: what these credentials may do
//! - `spool`: the folder on disk, its room, what was left in it

mod finding;
mod guarantees;
mod indexes;
mod keeper;
mod rights;
mod server;
mod spool;
mod stream;
mod way;

use serde::Serialize;

use super::{Context, Outcome};
use crate::complain::{self, Failure};
use crate::connect::{self, Session};
use crate::exit::Exit;
use crate::output::{Grid, Tone, View};

use finding::{Finding, Findings, State};

/// Options of `naq doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  naq doctor
  naq --server nats://queue.example:4222 --creds worker.creds doctor
  naq doctor --output json | jq '.checks[] | select(.state != \"ok\")'

It stores no event and removes none. Where there is no stream yet, it makes one
for a moment to ask the server's clock. Exit code 0 where nothing failed (warnings
included), 4 where no server could be reached, 1 where anything else failed.")]
pub(crate) struct Args {}

/// What was found.
#[derive(Debug, Serialize)]
struct Diagnosis {
    server: String,
    healthy: bool,
    checks: Vec<Finding>,
}

/// Checks everything that can be checked, and tells each.
pub(crate) async fn run(context: &mut Context, _args: Args) -> Outcome {
    // What is wrong on the command line or in the configuration is told as
    // every command tells it; from here on everything is a finding.
    let config = connect::config(&context.globals)?;
    let url = config.connection.server.url.to_string();
    let mut findings = Findings::default();
    let examined = Session::with(&context.globals, async |session| {
        server::examine(session, &mut findings).await?;
        let seen = stream::examine(session, &mut findings).await?;
        if matches!(seen, stream::Seen::NoJetStream) {
            return Ok(());
        }
        server::clock(session, &seen, &mut findings).await?;
        rights::examine(session, &seen, &mut findings).await?;
        keeper::examine(session, &seen, &mut findings).await?;
        indexes::examine(session, &seen, &mut findings).await
    })
    .await;
    let mut exit = Exit::Done;
    match examined {
        Ok(()) => {}
        // Nothing was found yet: there is no server to say anything about.
        Err(Failure::Complaint(complaint)) if findings.is_empty() => {
            exit = complaint.exit();
            if exit == Exit::Usage {
                return Err(Failure::Complaint(complaint));
            }
            findings.fail("server", complaint.what(), complaint.hint());
        }
        Err(failure) => return Err(failure),
    }
    // It is of this machine, whether the server is there or not.
    spool::examine(&config.events.spool, &mut findings);
    let diagnosis =
        Diagnosis { server: url, healthy: !findings.has_failed(), checks: findings.into_inner() };
    context.output.answer(&diagnosis, table)?;
    if !diagnosis.healthy && exit == Exit::Done {
        exit = Exit::Failed;
    }
    Ok(exit)
}

fn table(diagnosis: &Diagnosis, view: &View) -> String {
    let mut text = format!("{}\n", view.paint.strong(&diagnosis.server));
    let mut grid = Grid::new(view, &[]);
    for finding in &diagnosis.checks {
        let (word, tone) = match finding.state {
            State::Ok => ("ok", Tone::Good),
            State::Warn => ("warn", Tone::Warn),
            State::Fail => ("FAIL", Tone::Bad),
        };
        let row = [(word, tone), (finding.check, Tone::Plain), (&finding.found, Tone::Plain)];
        grid.toned(row);
        if let Some(advice) = &finding.advice {
            grid.toned([("", Tone::Plain), ("", Tone::Plain), (&format!("→ {advice}"), tone)]);
        }
    }
    text.push_str(&grid.text());
    let verdict = match diagnosis.checks.iter().map(|finding| finding.state).max() {
        Some(State::Fail) => "Something is wrong; what to do stands behind each arrow.",
        Some(State::Warn) => "It works; what could be better stands behind each arrow.",
        _ => "All is well.",
    };
    text.push_str(&format!("{}\n", view.paint.strong(verdict)));
    text
}

/// An error as a finding: what happened and what to try.
fn told(error: &naq_core::Error) -> (String, String) {
    (complain::what(error), complain::hint(error))
}
