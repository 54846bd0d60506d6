//! `naq spool`: what programs keep on disk until a server takes it.
//!
//! - `folders`: whose it is and how much is in it, and whether it is whole
//! - `events`: the events themselves
//! - `replay`: sending what ended programs left

mod events;
mod folders;
mod replay;

use std::path::PathBuf;
use std::time::Duration;

use naq_events::spool::{SpoolFolder, spool_folders};

use super::{Context, Outcome};
use crate::cli::Globals;
use crate::complain::Failure;
use crate::connect;
use crate::exit::Exit;

/// `naq spool …`.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  naq spool ls /var/spool/naq
  naq spool replay /var/spool/naq

Without a DIR it is the spool of the configuration, `events.spool.dir`.")]
pub(crate) enum Command {
    /// List the folders of a spool: whose they are, and what is in them
    #[command(after_help = "\
Examples:
  naq spool ls
  naq spool ls /var/spool/naq --output jsonl | jq 'select(.owned | not)'

Each program that spools has a folder of its own. One that is not owned was left
by a program that ended; `naq spool replay` sends what is in it.")]
    Ls(Where),
    /// Show the events in a spool, in the order in which they will be sent
    #[command(after_help = "\
Examples:
  naq spool show
  naq spool show /var/spool/naq --limit 1000 --output jsonl | jq .event

An event in doubt was sent, and nobody said whether it arrived; it is sent again
in a way that stores it once, as far as the stream still can tell.")]
    Show(events::Args),
    /// Send what ended programs left in a spool
    #[command(after_help = "\
Examples:
  naq spool replay
  naq --server nats://queue.example:4222 spool replay /var/spool/naq --within 10m

Folders of programs that run are left to them. Exit code 0 where everything that
was free is stored, 5 where some of it is left, 4 where no server could be reached.")]
    Replay(replay::Args),
    /// Read all of a spool and check it; nothing is changed
    #[command(after_help = "\
Examples:
  naq spool verify
  naq spool verify /var/spool/naq --output json

Exit code 1 where something is damaged: the next owner sets that aside, counts
it, and goes on with the rest. A torn end was never accepted, and is no damage.")]
    Verify(Where),
}

/// Which spool.
#[derive(Debug, clap::Args)]
pub(crate) struct Where {
    /// The spool's folder; that of the configuration, if not said
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Does what is asked.
pub(crate) async fn run(context: &mut Context, command: Command) -> Outcome {
    match command {
        Command::Ls(place) => {
            let folders = place.folders(&context.globals)?;
            folders::list(context, &folders)
        }
        Command::Verify(place) => {
            let folders = place.folders(&context.globals)?;
            folders::verify(context, &folders)
        }
        Command::Show(args) => events::show(context, &args),
        Command::Replay(args) => replay::run(context, &args).await,
    }
}

impl Where {
    /// The spool's folder.
    ///
    /// # Errors
    /// Usage, where neither the command line nor the configuration names one.
    fn dir(&self, globals: &Globals) -> Result<PathBuf, Failure> {
        let of_config = || Ok::<_, Failure>(connect::config(globals)?.events.spool.dir);
        let dir = match &self.dir {
            Some(dir) => Some(dir.clone()),
            None => of_config()?,
        };
        dir.ok_or_else(|| {
            Failure::usage(
                "no spool is named",
                "name its folder, `naq spool ls DIR`, or set `events.spool.dir`",
            )
        })
    }

    /// The folders in it, which must be there.
    ///
    /// # Errors
    /// `NotFound` where there is no such folder; those of the disk.
    fn folders(&self, globals: &Globals) -> Result<Vec<SpoolFolder>, Failure> {
        let dir = self.dir(globals)?;
        if !dir.is_dir() {
            return Err(Failure::complaint(
                Exit::NotFound,
                format!("there is no folder {}", dir.display()),
                "it is made when the first program with this `events.spool.dir` starts",
            ));
        }
        Ok(spool_folders(&dir)?)
    }
}

/// Which folder it is, in one word: its name below the spool's.
fn name(folder: &SpoolFolder) -> String {
    folder.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// How long a replay goes on unless it is said.
const REPLAY: Duration = Duration::from_secs(3_600);
