//! `naq dead`: what groups could not handle, and what is to become of it.

use data_encoding::BASE64;
use futures::TryStreamExt;
use naq_core::Timestamp;
use naq_core::clock::{Clock, SystemClock};
use naq_events::reactions::{DeadLetter, ReactionService, SelectLetters};
use serde::Serialize;
use serde_json::Value;

use super::confirm::confirm;
use super::{Context, Outcome};
use crate::connect::Session;
use crate::exit::Exit;
use crate::output::{Grid, Notes, Output, View, Zone, human, sanitize};
use crate::when::PointInTime;

/// `naq dead …`.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  naq dead ls --group pager
  naq dead show 12
  naq dead replay --group pager --cause tries_exhausted")]
pub(crate) enum Command {
    /// List dead letters, oldest first
    #[command(after_help = "\
Examples:
  naq dead ls
  naq dead ls --group pager --type job_failed --since 1h")]
    Ls(Which),
    /// Show one dead letter: its event, cause, tries and times
    #[command(after_help = "\
Examples:
  naq dead show 12
  naq dead show 12 --output json | jq .event")]
    Show {
        /// Its number
        #[arg(value_name = "NUMBER")]
        sequence: u64,
    },
    /// Have dead letters handled again, by their own group alone
    #[command(after_help = "\
Examples:
  naq dead replay 12 13
  naq dead replay --group pager --since 2h --yes

With numbers these; without, those that the options mean. Each leaves the dead
letters, and becomes a new one should it fail for good again.")]
    Replay(Take),
    /// Remove dead letters for good
    #[command(after_help = "\
Examples:
  naq dead drop 12
  naq dead drop --group pager --type job_failed --yes")]
    Drop(Take),
}

/// Options that choose dead letters; all of them must hold.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// Only those of this group
    #[arg(long)]
    group: Option<String>,
    /// Only events of this type
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Only those that died for this cause: rejected, tries_exhausted, malformed or no_outcome
    #[arg(long)]
    cause: Option<String>,
    /// Only those that died so long ago or later
    #[arg(long, value_name = "WHEN")]
    since: Option<PointInTime>,
    /// Only those that died before
    #[arg(long, value_name = "WHEN")]
    until: Option<PointInTime>,
}

/// Which to take.
#[derive(Debug, clap::Args)]
pub(crate) struct Take {
    /// Their numbers
    #[arg(value_name = "NUMBER", conflicts_with_all = ["group", "event_type", "cause", "since", "until"])]
    sequences: Vec<u64>,
    #[command(flatten)]
    which: Which,
    /// Don't ask
    #[arg(long)]
    yes: bool,
}

/// A dead letter as JSON.
#[derive(Debug, Serialize)]
struct Shape {
    number: u64,
    group: String,
    cause: &'static str,
    reason: String,
    tries: u64,
    died_at: Timestamp,
    stored_at: Timestamp,
    position: String,
    subject: String,
    /// Whether its bytes are kept beside the log.
    kept: bool,
    /// The event as it is; `null` where the bytes are none.
    event: Option<Value>,
    /// The bytes, where they are no JSON.
    payload_base64: Option<String>,
}

impl Shape {
    fn of(letter: &DeadLetter) -> Self {
        let event: Option<Value> = serde_json::from_slice(&letter.payload).ok();
        let payload_base64 = event.is_none().then(|| BASE64.encode(&letter.payload));
        Self {
            number: letter.sequence,
            group: letter.group.clone(),
            cause: letter.cause.as_str(),
            reason: letter.reason.clone(),
            tries: letter.tries,
            died_at: letter.died_at,
            stored_at: letter.stored_at,
            position: letter.position.to_string(),
            subject: letter.subject.clone(),
            kept: letter.is_kept,
            event,
            payload_base64,
        }
    }

    fn event_type(&self) -> &str {
        let name = self.event.as_ref().and_then(|event| event.get("type")).and_then(Value::as_str);
        name.unwrap_or("no event")
    }
}

/// How many were taken.
#[derive(Debug, Serialize)]
struct Taken {
    done: &'static str,
    letters: u64,
    failed: u64,
}

impl Which {
    fn select(&self, zone: &Zone) -> naq_core::Result<SelectLetters> {
        let now = SystemClock::new().now();
        let at = |when: &Option<PointInTime>| match when {
            Some(when) => when.resolve(now, zone.zone()),
            None => Ok(None),
        };
        let mut select = match &self.group {
            Some(group) => SelectLetters::of_group(group),
            None => SelectLetters::default(),
        };
        if let Some(event_type) = &self.event_type {
            select = select.with_event_type(event_type.as_str());
        }
        if let Some(cause) = &self.cause {
            select = select.with_cause(cause.parse()?);
        }
        Ok(select.with_range(at(&self.since)?, at(&self.until)?))
    }
}

/// Does what is asked.
pub(crate) async fn run(context: &mut Context, command: Command) -> Outcome {
    let (output, notes) = (&mut context.output, context.notes);
    Session::with(&context.globals, async |session| {
        let reactions = session.reactions()?;
        match command {
            Command::Ls(which) => {
                let select = which.select(&output.view().zone)?;
                let letters: Vec<_> = reactions.dead_letters(select).try_collect().await?;
                let shapes: Vec<_> = letters.iter().map(Shape::of).collect();
                output.list(&shapes, table)?;
            }
            Command::Show { sequence } => {
                let letter = reactions.dead_letter(sequence).await?;
                output.answer(&Shape::of(&letter), facts)?;
            }
            Command::Replay(take) => return take.run(&reactions, output, notes, true).await,
            Command::Drop(take) => return take.run(&reactions, output, notes, false).await,
        }
        Ok(Exit::Done)
    })
    .await
}

impl Take {
    async fn run(
        self,
        reactions: &ReactionService,
        output: &mut Output,
        notes: Notes,
        replay: bool,
    ) -> Outcome {
        let sequences = if self.sequences.is_empty() {
            let select = self.which.select(&output.view().zone)?;
            let letters = reactions.dead_letters(select).map_ok(|letter| letter.sequence);
            letters.try_collect().await?
        } else {
            self.sequences
        };
        let (ask, done) = if replay { ("replay", "replayed") } else { ("drop", "dropped") };
        if !self.yes && !sequences.is_empty() {
            let letters = human::counted(sequences.len() as u64, "dead letter");
            confirm(&format!("{ask} {letters}?"))?;
        }
        let mut taken = Taken { done, letters: 0, failed: 0 };
        let only = sequences.len() == 1;
        for sequence in sequences {
            let result = match replay {
                true => reactions.replay_dead(sequence).await,
                false => reactions.drop_dead(sequence).await,
            };
            match result {
                Ok(()) => taken.letters += 1,
                Err(error) if only => return Err(error.into()),
                Err(error) => {
                    taken.failed += 1;
                    notes.line(&format!("{sequence}: {}", sanitize(&error.to_string())));
                }
            }
        }
        output.answer(&taken, |taken, _| {
            format!("{} {}\n", taken.done, human::counted(taken.letters, "dead letter"))
        })?;
        Ok(if taken.failed > 0 { Exit::Partly } else { Exit::Done })
    }
}

fn table(letters: &[Shape], view: &View) -> String {
    let headings = ["Number", "Died", "Group", "Event", "Cause", "Tries", "Reason"];
    let mut grid = Grid::new(view, &headings).right(&[0, 5]);
    for letter in letters {
        grid.row([
            letter.number.to_string().as_str(),
            &view.zone.full(letter.died_at),
            &letter.group,
            letter.event_type(),
            letter.cause,
            &letter.tries.to_string(),
            &letter.reason,
        ]);
    }
    if grid.is_empty() { "no dead letters\n".to_owned() } else { grid.text() }
}

fn facts(letter: &Shape, view: &View) -> String {
    let mut grid = Grid::new(view, &[]);
    grid.row(["Number", &letter.number.to_string()]);
    grid.row(["Group", &letter.group]);
    grid.row(["Cause", letter.cause]);
    grid.row(["Reason", &letter.reason]);
    grid.row(["Tries", &letter.tries.to_string()]);
    grid.row(["Died", &view.zone.full(letter.died_at)]);
    grid.row(["Stored", &view.zone.full(letter.stored_at)]);
    grid.row(["Place in the log", &letter.position]);
    grid.row(["Subject", &letter.subject]);
    if !letter.kept {
        grid.row(["Bytes", "in the log alone: they are too many to be kept beside it"]);
    }
    let bytes = match (&letter.event, &letter.payload_base64) {
        (Some(event), _) => event.to_string(),
        (None, payload) => format!("base64 {}", payload.as_deref().unwrap_or_default()),
    };
    format!("{}\n{}\n", grid.text(), sanitize(&bytes))
}
