//! `naq react`: runs a command for every event that is meant, as a member of a group.
//!
//! - `child`: one run of the command

mod child;

use std::sync::Arc;
use std::time::Duration;

use naq_core::Error;
use naq_core::events::Filter;
use naq_events::reactions::{GroupOrder, GroupSetup, ReactOptions};

use self::child::Child;
use super::asked::Asked;
use super::groups::start;
use super::{Context, Outcome};
use crate::connect::Session;
use crate::exit::Exit;
use crate::output::{Zone, human};
use crate::selection::{Expression, Selection};
use crate::when::When;

/// How long what is under way may still take when the command is asked to end.
const CLOSING: Duration = Duration::from_secs(30);

/// Options of `naq react`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  naq react pager 'type = job_failed and queue = orders' -- ./page.sh
  naq react audit --since beginning -- sh -c 'cat >> audit.ndjson'
  naq react orders --type job_completed --queue orders --in-order -- python3 bill.py

The event comes as JSON on the command's standard input, and its id, type,
sequence and number of tries as NAQ_EVENT_ID, NAQ_EVENT_TYPE, NAQ_EVENT_SEQUENCE
and NAQ_EVENT_TRIES. Exit code 0 is done, 75 is `try again later`, every other
one is a failure for good: the event becomes a dead letter (`naq dead ls`).
Any number of these may run with one group: each event goes to one of them.
Ends with Ctrl-C or SIGTERM, and finishes what is under way; asked again, it
ends at once.")]
pub(crate) struct Args {
    /// The group: a name for the position that is kept
    group: String,
    #[command(flatten)]
    expression: Expression,
    #[command(flatten)]
    selection: Selection,
    /// Where a new group begins: `1h` (ago), a time, `seq:N`, `beginning` or `now`
    #[arg(long, value_name = "WHEN", default_value = "now")]
    since: When,
    /// How many run at a time
    #[arg(long, default_value_t = 1, value_name = "COMMANDS")]
    concurrency: usize,
    /// How often an event is tried before it becomes a dead letter
    #[arg(long, default_value_t = 5)]
    tries: u64,
    /// How long one run may take; then it is killed, and has failed for now
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = crate::cli::duration)]
    deadline: Duration,
    /// After how long without a sign of life of a process its events go to
    /// another one; holds for a group that is made
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = crate::cli::duration)]
    ack_wait: Duration,
    /// Handle the events of one job in order: one at a time in the whole group
    #[arg(long)]
    in_order: bool,
    /// Use a consumer that an operator made, and make nothing
    #[arg(long)]
    assume: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs until it is asked to end, or something is wrong for good.
pub(crate) async fn run(context: &mut Context, args: Args) -> Outcome {
    let filter = args.filter(&context.output.view().zone)?;
    let options = args.options(context)?;
    let notes = context.notes;
    let child = Arc::new(Child::new(args.command, notes));
    Session::with(&context.globals, async |session| {
        let reactions = session.reactions()?;
        let mut asked = Asked::listen("react")?;
        let handler = child::Handler(Arc::clone(&child));
        let reactor = reactions.react(&args.group, filter, handler, options).await?;
        if notes.is_terminal() {
            let url = session.url();
            notes.line(&notes.paint().dim(format!("reacting to events of {url}; Ctrl-C ends")));
        }
        let trouble = tokio::select! {
            error = reactor.ended() => Some(error),
            () = asked.wait() => None,
        };
        let report = tokio::select! {
            report = reactor.stop(CLOSING) => report,
            // Asked a second time it ends at once.
            () = asked.wait() => {
                notes.line("ended at once: what was under way comes again after the ack wait");
                return Ok(Exit::Partly);
            }
        };
        let counters = reactor.counters();
        let given_back = match report.pending {
            0 => String::new(),
            rest => format!(", {} given back", human::counted(rest, "event")),
        };
        notes.line(&format!(
            "{} done, {} tried again, {} dead{given_back}",
            human::counted(counters.done, "event"),
            human::count(counters.retried),
            human::count(counters.dead),
        ));
        match trouble {
            Some(error) => Err(error.into()),
            None => Ok(Exit::Done),
        }
    })
    .await
}

impl Args {
    fn filter(&self, zone: &Zone) -> naq_core::Result<Filter> {
        let filter = self.expression.to_filter(zone)?.and(self.selection.to_filter(zone)?);
        if filter.stored_range() != (None, None) {
            // `since 2h` is another filter at each start, and the group has one.
            let rule = "must say nothing of the time of storing";
            return Err(Error::invalid("react", "filter", rule)
                .with_hint("--since says where a new group begins, `naq groups seek` moves one"));
        }
        Ok(filter)
    }

    fn options(&self, context: &Context) -> naq_core::Result<ReactOptions> {
        let order = if self.in_order { GroupOrder::Entity } else { GroupOrder::None };
        let setup = if self.assume { GroupSetup::Assume } else { GroupSetup::Ensure };
        let options = ReactOptions::default()
            .with_start(start(&self.since, context.output.view())?)
            .with_order(order)
            .with_setup(setup)
            .with_concurrency(self.concurrency)
            .with_max_tries(self.tries)
            .with_deadline(self.deadline)
            .with_ack_wait(self.ack_wait);
        options.validate()?;
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn filter(words: &[&str]) -> naq_core::Result<Filter> {
        let line = ["react", "g"].iter().chain(words).chain(&["--", "true"]);
        Line::parse_from(line).args.filter(&Zone::new(true))
    }

    #[test]
    fn expression_and_options_must_all_hold() {
        let both = filter(&["queue = orders", "--type", "job_failed"]).unwrap();
        assert_eq!(both.to_json()["type"], "job_failed");
        assert_eq!(both.to_json()["queue"], "orders");
        assert!(filter(&[]).unwrap().is_empty());
    }

    #[test]
    fn a_filter_that_moves_with_the_time_is_refused() {
        let error = filter(&["since 2h"]).unwrap_err();
        assert_eq!(error.get("field"), Some("filter"));
    }
}
