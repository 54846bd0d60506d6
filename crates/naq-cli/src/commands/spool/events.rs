//! `naq spool show`: the events in a spool.

use naq_core::Timestamp;
use naq_events::spool::{SpoolState, SpooledEvent};
use serde::Serialize;
use serde_json::Value;

use super::{Where, name};
use crate::commands::{Context, Outcome};
use crate::exit::Exit;
use crate::output::{Grid, Tone, View};

/// Options of `naq spool show`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Where,
    /// Show so many events at most
    #[arg(long, value_name = "EVENTS", default_value_t = 100)]
    limit: usize,
}

/// An event as JSON.
#[derive(Debug, Serialize)]
struct Shown {
    folder: String,
    position: u64,
    /// `unsent` or `in_doubt`.
    state: &'static str,
    accepted_at: Timestamp,
    subject: String,
    /// The event; a text where its bytes are no JSON.
    event: Value,
}

impl Shown {
    fn of(folder: &str, spooled: &SpooledEvent) -> Self {
        let payload = spooled.event.payload();
        Self {
            folder: folder.to_owned(),
            position: spooled.position.get(),
            state: match spooled.state {
                SpoolState::Unsent => "unsent",
                SpoolState::InDoubt(_) => "in_doubt",
            },
            accepted_at: spooled.accepted_at,
            subject: spooled.event.subject().to_owned(),
            event: serde_json::from_slice(payload)
                .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(payload).into_owned())),
        }
    }
}

/// Shows the events of each folder, in order.
pub(super) fn show(context: &mut Context, args: &Args) -> Outcome {
    let mut shown = Vec::new();
    let mut is_cut = false;
    for folder in args.place.folders(&context.globals)? {
        let name = name(&folder);
        for event in folder.walk()? {
            if shown.len() == args.limit {
                is_cut = true;
                break;
            }
            shown.push(Shown::of(&name, &event?));
        }
    }
    context.output.list(&shown, table)?;
    if is_cut {
        context.notes.line("-- there are more: --limit shows them");
    }
    Ok(Exit::Done)
}

fn table(shown: &[Shown], view: &View) -> String {
    let headings = ["Folder", "Position", "Accepted", "State", "Subject"];
    let mut grid = Grid::new(view, &headings).right(&[1]);
    for event in shown {
        let tone = if event.state == "in_doubt" { Tone::Warn } else { Tone::Plain };
        grid.toned([
            (event.folder.as_str(), Tone::Plain),
            (&event.position.to_string(), Tone::Plain),
            (&view.zone.full(event.accepted_at), Tone::Plain),
            (&event.state.replace('_', " "), tone),
            (&event.subject, Tone::Plain),
        ]);
    }
    if grid.is_empty() { "no events\n".to_owned() } else { grid.text() }
}
