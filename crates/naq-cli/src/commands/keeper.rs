//! `naq keeper`: keeps the log's digests up, removes what is too old, and tells who does.

use std::borrow::Cow;
use std::convert::Infallible;
use std::io;
use std::time::Duration;

use futures::{Stream, StreamExt};
use naq_core::clock::{Clock, ClockExt, SystemClock};
use naq_core::connection::{Connection, ConnectionProviderExt, ConnectionState};
use naq_events::EventService;
use naq_events::keeper::KeeperStatus;

use super::asked::Asked;
use super::{Context, Outcome};
use crate::connect::Session;
use crate::exit::Exit;
use crate::output::{Grid, Notes, Output, View, human, sanitize};

/// How often it looks whether it is the keeper.
const LOOK: Duration = Duration::from_secs(1);

/// How often it tells how far it is: the least, and the most.
const TELL: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(86_400)];

/// Options of `naq keeper`.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  naq keeper                                keep the log, until Ctrl-C
  naq keeper --tell 10s --output jsonl
  naq keeper status                         who does, and how far it is

It digests what comes, so that statistics are quick and outlive the events, and
removes what is older than its type's age ([events.retention]). Any number may
run, and services with `keeper` in their configuration: one of them works, the
others are ready. Ends with Ctrl-C or SIGTERM."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// How often it tells how far it is
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = telling)]
    tell: Duration,
}

/// `naq keeper …`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show who keeps the log, and how far it is
    #[command(after_help = "\
Examples:
  naq keeper status
  naq keeper status --output jsonl | jq .behind")]
    Status,
}

/// Does what is asked.
pub(crate) async fn run(context: &mut Context, args: Args) -> Outcome {
    let (output, notes) = (&mut context.output, context.notes);
    Session::with(&context.globals, async |session| match args.command {
        Some(Command::Status) => {
            let status = session.reading(async |events| Ok(events.keeper().await?)).await?;
            output.answer(&status, |status, view| facts(status.as_ref(), view))?;
            Ok(Exit::Done)
        }
        None => {
            let mut asked = Asked::listen("keeper")?;
            if notes.is_terminal() {
                let url = session.url();
                notes.line(&notes.paint().dim(format!("ready to keep {url}; Ctrl-C ends")));
            }
            let states = session.connections()?.default_connection().await?.state_changes();
            session
                .keeping(async |events| {
                    tokio::select! {
                        () = asked.wait() => {}
                        never = tell(events, states, (output, notes), args.tell) => match never {},
                    }
                    Ok(Exit::Done)
                })
                .await
        }
    })
    .await
}

/// What is said of a server that is away.
const AWAY: &str = "the server is away; it goes on when it is back";

fn telling(text: &str) -> Result<Duration, String> {
    let every = crate::cli::duration(text)?;
    let [least, most] = TELL;
    if (least..=most).contains(&every) {
        Ok(every)
    } else {
        Err("must be from 100ms to 1d".to_owned())
    }
}

/// Tells how far it is, whether it is the keeper, and what is in its way, until
/// it is dropped: keeping doesn't hang on its being told.
async fn tell(
    events: &EventService,
    states: impl Stream<Item = ConnectionState> + Unpin,
    (output, notes): (&mut Output, Notes),
    every: Duration,
) -> Infallible {
    let clock = SystemClock::new();
    let zone = output.view().zone.clone();
    let timed = |what: &str| format!("{} {what}", zone.full(clock.now()));
    let mut states = states.fuse();
    let mut is_away = false;
    let (mut held, mut next, mut trouble) = (false, Duration::ZERO, None);
    let mut own = String::new();
    let mut is_written = true;
    loop {
        tokio::select! {
            biased;
            Some(state) = states.next() => {
                let now_away = state != ConnectionState::Connected;
                if std::mem::replace(&mut is_away, now_away) != now_away {
                    let told = if now_away { AWAY } else { "the server answers again" };
                    notes.line(&notes.paint().warn(timed(told)));
                }
                continue;
            }
            () = clock.sleep(LOOK) => {}
        }
        let holds = events.is_keeper();
        if holds != held {
            held = holds;
            let now = if holds { "keeps the log now".into() } else { ended(events, &own).await };
            notes.line(&notes.paint().dim(timed(&now)));
        }
        let found = events.keeper_trouble();
        if found != trouble {
            trouble = found;
            // That the server is away was told.
            if !is_away {
                let told = trouble.as_deref().map_or("it goes on".into(), sanitize);
                notes.line(&notes.paint().warn(timed(&told)));
            }
        }
        if holds && !is_away && clock.remaining_until(next).is_zero() {
            next = clock.deadline(every);
            // A server that is away is told as the keeper's trouble.
            if let Ok(Some(status)) = events.keeper().await {
                own.clone_from(&status.keeper);
                let written = write(output, &status, &timed("through"));
                if let (Err(error), true) = (&written, is_written) {
                    let told = format!("can't write how far it is: {error}; it keeps on");
                    notes.line(&notes.paint().warn(told));
                }
                is_written = written.is_ok();
            }
        }
    }
}

/// What there is to say when the keeper of this name is it no longer.
async fn ended(events: &EventService, own: &str) -> Cow<'static, str> {
    match events.keeper().await {
        Ok(Some(status)) if status.keeper != own => {
            format!("{} keeps the log now", sanitize(&status.keeper)).into()
        }
        Ok(_) => "keeps the log no longer".into(),
        Err(_) => "keeps the log no longer: the server doesn't answer".into(),
    }
}

fn write(output: &mut Output, status: &KeeperStatus, through: &str) -> io::Result<()> {
    if output.is_table() {
        output.text(&format!("{through} {}", line(status)))?;
    } else {
        output.json_line(status)?;
    }
    output.flush()
}

fn line(status: &KeeperStatus) -> String {
    format!(
        "{}, {} behind; {} digested, {} removed\n",
        human::count(status.through),
        human::count(status.behind),
        human::count(status.digested),
        human::count(status.removed)
    )
}

fn sign_of_life(status: &KeeperStatus, view: &View) -> String {
    let at = view.zone.full(status.renewed_at);
    match status.has_died() {
        true => format!("{at}, silent for {}: it has died", human::seconds(status.silent)),
        false => at,
    }
}

fn facts(status: Option<&KeeperStatus>, view: &View) -> String {
    let Some(status) = status else {
        return "nobody keeps the log: digests are made by those who ask\n".to_owned();
    };
    let mut grid = Grid::new(view, &[]);
    let mut fact = |name: &str, value: String| grid.row([name, &value]);
    fact("Keeper", status.keeper.clone());
    fact("Since", view.zone.full(status.since));
    fact("Sign of life", sign_of_life(status, view));
    fact("Digested through", format!("sequence {}", human::count(status.through)));
    fact("Behind", human::counted(status.behind, "sequence"));
    if status.index_behind > 0 {
        fact("Index behind", human::counted(status.index_behind, "sequence"));
    }
    fact("Digested", human::counted(status.digested, "event"));
    fact("Removed", human::counted(status.removed, "event"));
    if status.digests_removed > 0 {
        fact("Removed digests", human::count(status.digests_removed));
    }
    if status.digests_coarsened > 0 {
        fact("Digests made coarser", human::count(status.digests_coarsened));
    }
    if let (Some(took), Some(at)) = (status.last_removal_took, status.last_removal) {
        fact("Last removal", format!("{}, took {}", view.zone.full(at), human::seconds(took)));
    }
    if let Some(trouble) = &status.trouble {
        fact("Trouble", trouble.clone());
    }
    grid.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_often_it_tells_has_a_range() {
        assert_eq!(telling("100ms"), Ok(Duration::from_millis(100)));
        for text in ["0s", "99ms", "2d"] {
            assert!(telling(text).unwrap_err().contains("100ms to 1d"), "{text}");
        }
    }
}
