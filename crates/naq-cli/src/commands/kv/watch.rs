//! `naq kv watch`: values, and then the changes as they come.

use naq_core::kv::{KeySelection, KvUpdate, WatchFrom, WatchOptions};

use super::show::{self, EntryShape};
use crate::commands::follow::{LOST, Told, follow};
use crate::commands::{Context, Outcome};
use crate::connect::Session;
use crate::exit::Exit;
use crate::output::{Notes, Output};

/// Options of `naq kv watch`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  naq kv watch settings                     all keys: their values, then changes
  naq kv watch settings workers.max
  naq kv watch settings --prefix workers. --updates-only
  naq kv watch settings --output jsonl | jq .value

Ends with Ctrl-C. It survives a server that goes away, and says so on standard
error.")]
pub(crate) struct Args {
    /// The bucket
    bucket: String,
    /// Only this key
    key: Option<String>,
    /// Only keys that begin so
    #[arg(long, conflicts_with = "key")]
    prefix: Option<String>,
    /// Begin with every revision that the bucket holds
    #[arg(long, conflicts_with = "updates_only")]
    history: bool,
    /// Leave out what there is already
    #[arg(long)]
    updates_only: bool,
    /// Leave out removals
    #[arg(long)]
    ignore_removals: bool,
}

impl Args {
    fn options(&self) -> WatchOptions {
        let keys = match (&self.key, &self.prefix) {
            (Some(key), _) => KeySelection::key(key),
            (None, Some(prefix)) => KeySelection::prefix(prefix),
            (None, None) => KeySelection::All,
        };
        let from = match (self.history, self.updates_only) {
            (true, _) => WatchFrom::History,
            (false, true) => WatchFrom::Updates,
            (false, false) => WatchFrom::Now,
        };
        WatchOptions::new(keys).with_from(from).with_ignore_removals(self.ignore_removals)
    }
}

/// Writes entries until Ctrl-C.
pub(super) async fn run(context: &mut Context, args: Args) -> Outcome {
    let (output, notes) = (&mut context.output, context.notes);
    Session::with(&context.globals, async |session| {
        let bucket = session.kv()?.bucket(&args.bucket)?;
        let updates = bucket.watch(args.options());
        follow(session, updates, async |told| {
            match told {
                Told::Items(updates) => {
                    for update in updates {
                        show(output, notes, &update?)?;
                    }
                    output.flush()?;
                }
                Told::Lost => {
                    output.flush()?;
                    notes.line(&notes.paint().warn(LOST));
                }
                Told::Second => {}
            }
            Ok(())
        })
        .await?;
        Ok(Exit::Done)
    })
    .await
}

fn show(output: &mut Output, notes: Notes, update: &KvUpdate) -> std::io::Result<()> {
    let note = match update {
        KvUpdate::Entry(entry) => {
            let shape = EntryShape::of(entry);
            return if output.is_table() {
                let line = show::line(&shape, output.view());
                output.text(&line)
            } else {
                output.json_line(&shape)
            };
        }
        KvUpdate::CaughtUp { .. } if notes.is_terminal() => {
            "-- these are all; changes follow, Ctrl-C ends".to_owned()
        }
        KvUpdate::Resumed { revision } => {
            format!("-- reconnected; goes on behind revision {revision}")
        }
        KvUpdate::Gap { from, to } => {
            format!("-- gap: the revisions {from} to {to} went before they could be read")
        }
        _ => return Ok(()),
    };
    output.flush()?;
    notes.line(&notes.paint().warn(note));
    Ok(())
}
