//! `naq streams ensure`: makes a stream be as wanted.

use std::time::Duration;

use clap::ValueEnum;
use naq_core::ErrorKind;
use naq_core::config::{EventsConfig, Size};
use naq_core::jetstream::{Capabilities, Discard, Storage, StreamConfig};
use naq_core::streams::{EnsureOutcome, EnsureStream, EnsuredStream, StreamManager};
use naq_events::EventService;
use serde::Serialize;

use super::StreamShape;
use crate::complain::Failure;
use crate::output::{View, sanitize};

/// Options of `naq streams ensure`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  naq streams ensure                        the event stream, as the configuration has it
  NAQ_EVENTS_MAX_AGE=30d naq streams ensure
  naq streams ensure orders --subject 'orders.>' --max-age 7d --max-bytes 1GiB
  naq streams ensure orders --max-msgs 5000

What isn't said is left as it is. A change that would lose messages is refused
unless --allow-loss is given; one that no server can do is refused always, and
then nothing is changed.")]
pub(crate) struct Args {
    /// The stream; the event stream, if not said
    stream: Option<String>,
    /// A subject that it takes, such as `orders.>`; may be given several times
    ///
    /// A stream that is there keeps its subjects, if none is said.
    #[arg(long, value_name = "SUBJECT", requires = "stream")]
    subject: Vec<String>,
    /// The most messages; 0 is no limit
    #[arg(long, value_name = "MESSAGES")]
    max_msgs: Option<u64>,
    /// The most bytes, such as 1GiB; 0 is no limit
    #[arg(long, value_name = "SIZE")]
    max_bytes: Option<Size>,
    /// The age at which messages go, such as 7d; 0 is none
    #[arg(long, value_name = "DURATION", value_parser = crate::cli::duration)]
    max_age: Option<Duration>,
    /// What goes when it is full
    #[arg(long, value_enum)]
    discard: Option<DiscardArg>,
    /// Where it is kept
    #[arg(long, value_enum)]
    storage: Option<StorageArg>,
    /// How many servers of a cluster hold it
    #[arg(long)]
    replicas: Option<u32>,
    /// How long a message id is remembered
    #[arg(long, value_name = "DURATION", value_parser = crate::cli::duration)]
    duplicate_window: Option<Duration>,
    /// Allow a change by which messages are lost
    #[arg(long)]
    allow_loss: bool,
    /// Change nothing; fail if it isn't as wanted
    #[arg(long, conflicts_with = "allow_loss")]
    verify: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DiscardArg {
    /// The oldest messages
    Old,
    /// New messages: they are refused
    New,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StorageArg {
    /// On disk
    File,
    /// In the server's memory: gone when it stops
    Memory,
}

impl Args {
    /// What to ensure: what is said, on top of the event stream's configuration,
    /// or of the subjects that a named stream has.
    pub(crate) async fn to_request(
        &self,
        events: &EventsConfig,
        streams: &dyn StreamManager,
        can: Capabilities,
    ) -> Result<EnsureStream, Failure> {
        let mut config = match &self.stream {
            None if self.verify => EventService::stream_config(events)?,
            None => EventService::ensured_stream_config(events, can)?,
            Some(name) if !self.subject.is_empty() => StreamConfig::new(name, &self.subject),
            Some(name) => match streams.get_stream_info(name).await {
                Ok(info) => StreamConfig::new(name, &info.config.subjects),
                Err(error) if error.is(ErrorKind::NotFound) && *name == events.stream_name => {
                    EventService::ensured_stream_config(events, can)?
                }
                Err(error) if error.is(ErrorKind::NotFound) => return Err(no_subject(name)),
                Err(error) => return Err(error.into()),
            },
        };
        let set = |field: &mut Option<u64>, value: Option<u64>| *field = value.or(*field);
        set(&mut config.max_messages, self.max_msgs);
        set(&mut config.max_bytes, self.max_bytes.map(Size::bytes));
        config.max_age = self.max_age.or(config.max_age);
        config.duplicate_window = self.duplicate_window.or(config.duplicate_window);
        config.replicas = self.replicas.or(config.replicas);
        let discard = self.discard.map(|discard| match discard {
            DiscardArg::Old => Discard::Old,
            DiscardArg::New => Discard::New,
        });
        config.discard = discard.or(config.discard);
        let storage = self.storage.map(|storage| match storage {
            StorageArg::File => Storage::File,
            StorageArg::Memory => Storage::Memory,
        });
        config.storage = storage.or(config.storage);
        Ok(EnsureStream::new(config).with_allow_loss(self.allow_loss).with_verify_only(self.verify))
    }
}

fn no_subject(name: &str) -> Failure {
    Failure::usage(
        format!("there is no stream {name}, and a new one needs a subject"),
        format!("`naq streams ensure {name} --subject '{name}.>'` makes it"),
    )
}

/// What was done, as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Ensured {
    outcome: &'static str,
    changes: Vec<Change>,
    stream: StreamShape,
    #[serde(skip)]
    name: String,
}

#[derive(Debug, Serialize)]
struct Change {
    field: &'static str,
    had: String,
    wanted: String,
}

impl Ensured {
    /// The shape of what ensuring did.
    pub(crate) fn of(ensured: &EnsuredStream) -> Self {
        let (outcome, changes) = match &ensured.outcome {
            EnsureOutcome::Created => ("created", &[][..]),
            EnsureOutcome::Unchanged => ("unchanged", &[][..]),
            EnsureOutcome::Updated(changes) => ("updated", &changes[..]),
        };
        let changes = changes.iter().map(|change| Change {
            field: change.field,
            had: change.had.clone(),
            wanted: change.wanted.clone(),
        });
        Self {
            outcome,
            changes: changes.collect(),
            stream: StreamShape::of(&ensured.info),
            name: ensured.info.config.name.clone(),
        }
    }
}

/// What was done, in words.
pub(crate) fn sentence(ensured: &Ensured, view: &View) -> String {
    let mut text = format!("{} {}\n", view.paint.name(sanitize(&ensured.name)), ensured.outcome);
    for Change { field, had, wanted } in &ensured.changes {
        text.push_str(&format!("  {field}: {} → {}\n", sanitize(had), sanitize(wanted)));
    }
    text
}
