//! `naq groups`: how the groups of reactions stand, and what can be done about it.

use naq_core::clock::{Clock, SystemClock};
use naq_events::reactions::{GroupStart, GroupStatus, SeekReport};
use serde::Serialize;

use super::confirm::confirm;
use super::{Context, Outcome};
use crate::connect::Session;
use crate::exit::Exit;
use crate::output::{Grid, View, human, sanitize};
use crate::when::{Resolved, When};

/// `naq groups …`.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  naq groups ls
  naq groups show pager
  naq groups pause pager")]
pub(crate) enum Command {
    /// List the groups, how far behind they are, and their members
    #[command(after_help = "\
Examples:
  naq groups ls
  naq groups ls --output jsonl | jq -r 'select(.lag > 100) | .group'")]
    Ls,
    /// Show one group and its members
    #[command(after_help = "\
Examples:
  naq groups show pager")]
    Show {
        /// The group
        group: String,
    },
    /// Have all members of a group stop taking events; the position stays
    #[command(after_help = "\
Examples:
  naq groups pause pager
  naq groups resume pager")]
    Pause {
        /// The group
        group: String,
    },
    /// End the pause of a group
    #[command(after_help = "\
Examples:
  naq groups resume pager")]
    Resume {
        /// The group
        group: String,
    },
    /// Move a group to another place of the log
    Seek(SeekArgs),
    /// Remove a group and its position; its dead letters stay
    #[command(after_help = "\
Examples:
  naq groups rm pager --yes")]
    Rm {
        /// The group
        group: String,
        /// Don't ask
        #[arg(long)]
        yes: bool,
    },
}

/// Options of `naq groups seek`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  naq groups seek pager 2h --dry-run        how many events it would be given
  naq groups seek pager beginning
  naq groups seek pager now                 skip what it has not handled
  naq groups seek pager seq:4200 --yes

By the time of storing. It asks before it moves anything.")]
pub(crate) struct SeekArgs {
    /// The group
    group: String,
    /// Where it goes on: `1h` (ago), a time, `seq:N`, `beginning` or `now`
    to: When,
    /// Count only, and move nothing
    #[arg(long)]
    dry_run: bool,
    /// Don't ask
    #[arg(long)]
    yes: bool,
}

/// What was done to a group.
#[derive(Debug, Serialize)]
struct Done<'a> {
    group: &'a str,
    done: &'static str,
}

/// Does what is asked.
pub(crate) async fn run(context: &mut Context, command: Command) -> Outcome {
    let output = &mut context.output;
    Session::with(&context.globals, async |session| {
        let reactions = session.reactions()?;
        let mut tell = |group: &str, done: &'static str| {
            output.answer(&Done { group, done }, |done, _| {
                format!("{} {}\n", done.done, sanitize(done.group))
            })
        };
        match command {
            Command::Ls => output.list(&reactions.groups().await?, table)?,
            Command::Show { group } => output.answer(&reactions.group(&group).await?, facts)?,
            Command::Pause { group } => {
                reactions.pause_group(&group).await?;
                tell(&group, "paused")?;
            }
            Command::Resume { group } => {
                reactions.resume_group(&group).await?;
                tell(&group, "resumed")?;
            }
            Command::Seek(args) => {
                let to = start(&args.to, output.view())?;
                if !args.dry_run && !args.yes {
                    let would = reactions.seek_group(&args.group, to, true).await?;
                    confirm(&format!("{}?", moved(&args.group, &would, "move")))?;
                }
                let report = reactions.seek_group(&args.group, to, args.dry_run).await?;
                let done = if report.dry_run { "would move" } else { "moved" };
                output.answer(&report, |report, _| {
                    format!("{}\n", moved(&args.group, report, done))
                })?;
            }
            Command::Rm { group, yes } => {
                let status = reactions.group(&group).await?;
                if !yes {
                    let lag = human::counted(status.lag, "event");
                    confirm(&format!("remove the group {group}, which has not handled {lag}?"))?;
                }
                reactions.remove_group(&group).await?;
                tell(&group, "removed")?;
            }
        }
        Ok(Exit::Done)
    })
    .await
}

/// Where a group begins or goes on, as it is typed.
pub(crate) fn start(when: &When, view: &View) -> naq_core::Result<GroupStart> {
    Ok(match when.resolve(SystemClock::new().now(), view.zone.zone())? {
        Resolved::Beginning => GroupStart::Beginning,
        Resolved::Now => GroupStart::New,
        Resolved::Sequence(sequence) => GroupStart::Sequence(sequence),
        Resolved::At(time) => GroupStart::Time(time),
    })
}

fn moved(group: &str, report: &SeekReport, done: &str) -> String {
    format!(
        "{done} {}: {} before it, where it had {}",
        sanitize(group),
        human::counted(report.events, "event"),
        human::count(report.before)
    )
}

/// A row for each group.
fn table(groups: &[GroupStatus], view: &View) -> String {
    let headings =
        ["Group", "Lag", "In hand", "Failed", "Dead", "Rate", "Members", "Oldest", "State"];
    let mut grid = Grid::new(view, &headings).right(&[1, 2, 3, 4, 5, 6]);
    for group in groups {
        let members = group.members.as_ref().map(Vec::len);
        grid.row([
            group.group.as_str(),
            &human::count(group.lag),
            &human::count(group.in_hand),
            &human::count(group.failures),
            &human::count(group.dead),
            &format!("{:.1}/s", group.rate),
            &members.map_or_else(|| "?".to_owned(), |members| members.to_string()),
            &group.oldest_stored_at.map_or_else(|| "-".to_owned(), |at| view.zone.full(at)),
            state(group),
        ]);
    }
    if grid.is_empty() { "no groups\n".to_owned() } else { grid.text() }
}

fn state(group: &GroupStatus) -> &'static str {
    match (group.paused, &group.members) {
        (Some(true), _) => "paused",
        (_, Some(members)) if members.is_empty() => "nobody at work",
        _ => "at work",
    }
}

/// Everything about one group.
fn facts(group: &GroupStatus, view: &View) -> String {
    let mut grid = Grid::new(view, &[]);
    let mut fact = |name: &str, value: String| grid.row([name, &value]);
    fact("Group", group.group.clone());
    fact("State", state(group).to_owned());
    fact("Filter", group.filter.clone().unwrap_or_else(|| "by an operator".to_owned()));
    fact("Order", group.order.to_owned());
    fact("Not handled", human::counted(group.lag, "event"));
    fact("In hand", human::count(group.in_hand));
    fact("Tried before", human::count(group.retrying));
    fact("Handled through", format!("sequence {}", group.handled_through));
    if let (Some(position), Some(at)) = (group.oldest_unhandled, group.oldest_stored_at) {
        let at = view.zone.full(at);
        fact("Oldest not handled", format!("sequence {}, stored {at}", position.sequence));
    }
    fact("Dead letters", human::count(group.dead));
    fact("Failed tries", human::count(group.failures));
    fact("Rate", format!("{:.1} events/s", group.rate));
    fact("Created", view.zone.full(group.created));
    let mut text = grid.text();
    match &group.members {
        None => text.push_str("\nWho is at work can't be read with these credentials.\n"),
        Some(members) if members.is_empty() => text.push_str("\nNobody is at work.\n"),
        Some(members) => {
            let headings = ["Member", "Since", "Rate", "In hand", "Done", "Retried", "Dead"];
            let mut grid = Grid::new(view, &headings).right(&[2, 3, 4, 5, 6]);
            for member in members {
                grid.row([
                    member.member.as_str(),
                    &view.zone.full(member.since),
                    &format!("{:.1}/s", member.rate),
                    &member.in_hand.to_string(),
                    &human::count(member.counters.done),
                    &human::count(member.counters.retried),
                    &human::count(member.counters.dead),
                ]);
            }
            text.push('\n');
            text.push_str(&grid.text());
        }
    }
    text
}
