//! `naq streams`: looks after streams.
//!
//! - `show`: how a stream looks in tables and JSON
//! - `ensure`: making one be as wanted

mod ensure;
mod show;

use futures::TryStreamExt;
use naq_core::connection::ConnectionProviderExt;
use naq_core::jetstream::{JetStream, PurgeKeep, PurgeOptions};
use serde::Serialize;

use super::confirm::confirm;
use super::{Context, Outcome};
use crate::connect::Session;
use crate::exit::Exit;
use crate::output::{human, sanitize};

pub(crate) use show::StreamShape;

/// `naq streams …`.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  naq streams ls
  naq streams info events")]
pub(crate) enum Command {
    /// List the streams
    #[command(after_help = "\
Examples:
  naq streams ls
  naq streams ls --output jsonl | jq -r .name")]
    Ls,
    /// Show a stream's configuration and what it holds
    #[command(after_help = "\
Examples:
  naq streams info                          the event stream
  naq streams info KV_settings")]
    Info {
        /// The stream; the event stream, if not said
        stream: Option<String>,
    },
    /// Make a stream be as wanted: create it, leave it, or update it
    Ensure(ensure::Args),
    /// Remove messages from a stream
    #[command(after_help = "\
Examples:
  naq streams purge events --subject 'events.worker_heartbeat.>'
  naq streams purge events --keep 10000
  naq streams purge events --below 4200 --yes

It asks before it removes anything.")]
    Purge(PurgeArgs),
    /// Delete a stream with all its messages
    #[command(after_help = "\
Examples:
  naq streams rm old-events
  naq streams rm old-events --yes")]
    Rm {
        /// The stream
        stream: String,
        /// Don't ask
        #[arg(long)]
        yes: bool,
    },
}

/// Options of `naq streams purge`.
#[derive(Debug, clap::Args)]
pub(crate) struct PurgeArgs {
    /// The stream
    stream: String,
    /// Only messages on subjects that match this filter
    #[arg(long, value_name = "FILTER")]
    subject: Option<String>,
    /// Keep the newest so many of them
    #[arg(long, value_name = "MESSAGES", conflicts_with = "below")]
    keep: Option<u64>,
    /// Keep what has this sequence or a higher one
    #[arg(long, value_name = "SEQUENCE")]
    below: Option<u64>,
    /// Don't ask
    #[arg(long)]
    yes: bool,
}

/// How many messages went.
#[derive(Debug, Serialize)]
struct Purged {
    stream: String,
    purged: u64,
}

/// A stream that was deleted.
#[derive(Debug, Serialize)]
struct Deleted {
    stream: String,
    deleted: bool,
}

/// Does what is asked.
pub(crate) async fn run(context: &mut Context, command: Command) -> Outcome {
    let output = &mut context.output;
    Session::with(&context.globals, async |session| {
        let streams = session.streams()?;
        match command {
            Command::Ls => {
                let all: Vec<_> = streams.list_streams().try_collect().await?;
                let shapes: Vec<_> = all.iter().map(StreamShape::of).collect();
                output.list(&shapes, show::table)?;
            }
            Command::Info { stream } => {
                let events = &session.config().events.stream_name;
                let info = streams.get_stream_info(stream.as_ref().unwrap_or(events)).await?;
                output.answer(&StreamShape::of(&info), show::facts)?;
            }
            Command::Ensure(args) => {
                let can = session.connections()?.default_jetstream().await?.capabilities();
                let request = args.to_request(&session.config().events, &*streams, can).await?;
                let ensured = streams.ensure_stream(request).await?;
                output.answer(&ensure::Ensured::of(&ensured), ensure::sentence)?;
            }
            Command::Purge(args) => {
                let info = streams.get_stream_info(&args.stream).await?;
                if !args.yes {
                    confirm(&question(&args, info.state.messages, &session.url()))?;
                }
                let purged = streams.purge_stream(&args.stream, args.options()).await?;
                let purged = Purged { stream: args.stream, purged };
                output.answer(&purged, |done, _| {
                    let messages = human::counted(done.purged, "message");
                    format!("removed {messages} from {}\n", sanitize(&done.stream))
                })?;
            }
            Command::Rm { stream, yes } => {
                let info = streams.get_stream_info(&stream).await?;
                if !yes {
                    let holds = human::counted(info.state.messages, "message");
                    let url = session.url();
                    confirm(&format!("delete the stream {stream} with {holds} on {url}?"))?;
                }
                streams.delete_stream(&stream).await?;
                output.answer(&Deleted { stream, deleted: true }, |done, _| {
                    format!("deleted {}\n", sanitize(&done.stream))
                })?;
            }
        }
        Ok(Exit::Done)
    })
    .await
}

impl PurgeArgs {
    fn options(&self) -> PurgeOptions {
        let keep = match (self.keep, self.below) {
            (Some(keep), _) => PurgeKeep::Newest(keep),
            (None, Some(below)) => PurgeKeep::FromSequence(below),
            (None, None) => PurgeKeep::Nothing,
        };
        let options = PurgeOptions::default().with_keep(keep);
        match &self.subject {
            Some(subject) => options.with_subject(subject),
            None => options,
        }
    }
}

fn question(args: &PurgeArgs, messages: u64, url: &str) -> String {
    let stream = sanitize(&args.stream);
    let on = args.subject.as_ref().map_or_else(String::new, |s| format!(" on {}", sanitize(s)));
    let which = match (args.keep, args.below) {
        (Some(keep), _) => format!("all but the newest {}", human::count(keep)),
        (None, Some(below)) => format!("what lies below sequence {below}"),
        (None, None) => "all".to_owned(),
    };
    let holds = human::counted(messages, "message");
    format!("purge {which}{on} from {stream}, which holds {holds}, on {url}?")
}
