//! `naq spool replay`: sends what ended programs left.

use std::time::Duration;

use naq_core::events::{EventAccount, EventSink};
use naq_events::spool::spool_folders;
use serde::Serialize;
use tokio::time::Instant;

use super::{REPLAY, Where};
use crate::cli;
use crate::commands::{Context, Outcome};
use crate::connect::Session;
use crate::exit::Exit;
use crate::output::human;

/// Options of `naq spool replay`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Where,
    /// Give up after so long [default: 1h]
    #[arg(long, value_name = "DURATION", value_parser = cli::duration)]
    within: Option<Duration>,
}

/// What became of it.
#[derive(Debug, Default, Serialize)]
struct Replayed {
    folders: u64,
    stored: u64,
    /// Of those, how many the log had already.
    duplicates: u64,
    /// Sent again though they may have been stored before.
    possible_duplicates: u64,
    /// Refused for good, or damaged.
    failed: u64,
    /// Still in the spool.
    left: u64,
}

impl Replayed {
    fn add(&mut self, account: &EventAccount) {
        let counters = &account.counters;
        self.folders += 1;
        self.stored += counters.acked;
        self.duplicates += counters.duplicates;
        self.possible_duplicates += counters.possible_duplicates;
        // What was damaged when the folder was opened is in no counter of events.
        self.failed += account.losses.iter().map(|loss| loss.count).sum::<u64>();
    }

    fn in_words(&self) -> String {
        let mut text = format!(
            "stored {} from {}",
            human::counted(self.stored, "event"),
            human::counted(self.folders, "folder")
        );
        for (count, what) in [
            (self.duplicates, "were in the log already"),
            (self.possible_duplicates, "may be in the log twice"),
            (self.failed, "were damaged, or not stored for certain"),
            (self.left, "are still in the spool"),
        ] {
            if count > 0 {
                text.push_str(&format!("; {} {what}", human::count(count)));
            }
        }
        text
    }
}

/// Sends it, folder after folder.
pub(super) async fn run(context: &mut Context, args: &Args) -> Outcome {
    let dir = args.place.dir(&context.globals)?;
    let free = || -> naq_core::Result<(u64, u64)> {
        let folders = spool_folders(&dir)?;
        let free = folders.iter().filter(|folder| !folder.is_owned && folder.events > 0);
        Ok(free.fold((0, 0), |(count, events), folder| (count + 1, events + folder.events)))
    };
    let (folders, _) = free()?;
    let mut replayed = Replayed::default();
    if folders > 0 {
        let deadline = Instant::now() + args.within.unwrap_or(REPLAY);
        Session::with(&context.globals, async |session| {
            for _ in 0..folders {
                let left = deadline.saturating_duration_since(Instant::now());
                let account = session
                    .spooling(&dir, async |events| {
                        events.flush(left).await?;
                        Ok(())
                    })
                    .await?;
                // Somebody else has taken it meanwhile.
                if account.counters.recovered + account.counters.corrupt > 0 {
                    replayed.add(&account);
                }
                if account.counters.spooled > 0 {
                    break;
                }
            }
            Ok(())
        })
        .await?;
        replayed.left = free()?.1;
    }
    context.output.answer(&replayed, |replayed, _| replayed.in_words() + "\n")?;
    Ok(match (replayed.stored, replayed.left + replayed.failed) {
        (_, 0) => Exit::Done,
        (0, _) => Exit::Failed,
        _ => Exit::Partly,
    })
}
