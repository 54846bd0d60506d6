//! `naq cursors`: how far named readers have come, and setting it.

use naq_core::ErrorKind;
use naq_core::clock::{Clock, SystemClock};
use naq_core::events::Position;
use naq_events::cursors::{CursorStart, CursorStatus};
use serde::Serialize;

use super::confirm::confirm;
use super::{Context, Outcome};
use crate::connect::Session;
use crate::exit::Exit;
use crate::output::{Grid, View, human, sanitize};
use crate::when::{Resolved, When};

/// `naq cursors …`.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  naq cursors ls
  naq cursors show billing
  naq cursors set billing 2h")]
pub(crate) enum Command {
    /// List the cursors, and how far behind they are
    #[command(after_help = "\
Examples:
  naq cursors ls
  naq cursors ls --output jsonl | jq -r 'select(.lag > 100) | .cursor'")]
    Ls,
    /// Show one cursor
    #[command(after_help = "\
Examples:
  naq cursors show billing")]
    Show {
        /// The cursor
        cursor: String,
    },
    /// Set a cursor to where reading shall go on, or make one
    #[command(after_help = "\
Examples:
  naq cursors set billing beginning
  naq cursors set billing now               skip what it has not read
  naq cursors set billing 2h
  naq cursors set billing seq:4200
  naq cursors set billing 4199@1764000000000000000

By the time of storing. A reader that has the cursor open ends when it saves next.")]
    Set {
        /// The cursor
        cursor: String,
        /// `1h` (ago), a time, `seq:N`, `beginning`, `now`, or a position to go on behind
        to: Target,
    },
    /// Remove a cursor; its next reader begins anew
    #[command(after_help = "\
Examples:
  naq cursors rm billing --yes")]
    Rm {
        /// The cursor
        cursor: String,
        /// Don't ask
        #[arg(long)]
        yes: bool,
    },
}

/// Where a cursor is to be set, as it is typed.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// Behind a position.
    Behind(Position),
    /// Anything else.
    When(When),
}

impl std::str::FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().parse() {
            Ok(position) => Ok(Self::Behind(position)),
            Err(_) => text.parse().map(Self::When),
        }
    }
}

/// What was done to a cursor.
#[derive(Debug, Serialize)]
struct Done<'a> {
    cursor: &'a str,
    done: &'static str,
}

/// Does what is asked.
pub(crate) async fn run(context: &mut Context, command: Command) -> Outcome {
    let output = &mut context.output;
    Session::with(&context.globals, async |session| {
        let cursors = session.cursors()?;
        match command {
            Command::Ls => output.list(&cursors.list().await?, table)?,
            Command::Show { cursor } => output.answer(&cursors.show(&cursor).await?, facts)?,
            Command::Set { cursor, to } => {
                let to = start(&to, output.view())?;
                output.answer(&cursors.set(&cursor, to).await?, facts)?;
            }
            Command::Rm { cursor, yes } => {
                if !yes {
                    let stands = match cursors.show(&cursor).await {
                        Ok(status) => format!("at sequence {}", at(&status)),
                        Err(error) if error.is(ErrorKind::Corrupt) => UNREADABLE.to_owned(),
                        Err(error) => return Err(error.into()),
                    };
                    confirm(&format!("remove the cursor {cursor}, {stands}?"))?;
                }
                cursors.remove(&cursor).await?;
                output.answer(&Done { cursor: &cursor, done: "removed" }, |done, _| {
                    format!("{} {}\n", done.done, sanitize(done.cursor))
                })?;
            }
        }
        Ok(Exit::Done)
    })
    .await
}

fn start(to: &Target, view: &View) -> naq_core::Result<CursorStart> {
    let when = match to {
        Target::Behind(position) => return Ok(CursorStart::After(*position)),
        Target::When(when) => when,
    };
    Ok(match when.resolve(SystemClock::new().now(), view.zone.zone())? {
        Resolved::Beginning => CursorStart::Beginning,
        Resolved::Now => CursorStart::End,
        Resolved::Sequence(sequence) => CursorStart::Sequence(sequence),
        Resolved::At(time) => CursorStart::Time(time),
    })
}

/// What is said of a cursor that naq didn't write, or that was damaged.
const UNREADABLE: &str = "which can't be read";

/// The sequence at which a cursor stands.
fn at(cursor: &CursorStatus) -> String {
    let sequence = cursor.position.map(|position| human::count(position.sequence));
    sequence.unwrap_or_else(|| "-".to_owned())
}

/// Why nobody knows how far behind it is.
fn no_lag(cursor: &CursorStatus) -> &'static str {
    match cursor.position {
        Some(_) => "lost or made anew",
        None => "unreadable",
    }
}

/// A row for each cursor.
fn table(cursors: &[CursorStatus], view: &View) -> String {
    let headings = ["Cursor", "Sequence", "Lag", "Gone", "Saved"];
    let mut grid = Grid::new(view, &headings).right(&[1, 2, 3]);
    for cursor in cursors {
        grid.row([
            cursor.cursor.as_str(),
            &at(cursor),
            &cursor.lag.map_or_else(|| no_lag(cursor).to_owned(), human::count),
            &cursor.gone.map_or_else(|| "-".to_owned(), human::count),
            &view.zone.full(cursor.saved_at),
        ]);
    }
    if grid.is_empty() { "no cursors\n".to_owned() } else { grid.text() }
}

/// Everything about one cursor.
fn facts(cursor: &CursorStatus, view: &View) -> String {
    let mut grid = Grid::new(view, &[]);
    grid.row(["Cursor", &cursor.cursor]);
    grid.row(["Goes on behind", &format!("sequence {}", at(cursor))]);
    match (cursor.lag, cursor.gone) {
        (Some(lag), Some(gone)) => {
            grid.row(["Lag", &format!("at most {}", human::counted(lag, "event"))]);
            if gone > 0 {
                let gone = human::counted(gone, "message");
                grid.row(["Gone", &format!("{gone} left the log unread")]);
            }
        }
        _ => {
            let lost = "unknown: the log was made anew, or its server has lost what was read";
            grid.row(["Lag", &format!("{lost}; set it to go on")]);
        }
    }
    grid.row(["Saved", &view.zone.full(cursor.saved_at)]);
    grid.text()
}
