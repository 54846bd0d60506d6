//! One run of the user's command: the event in, an exit code out.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use naq_events::reactions::{MalformedReaction, Outcome, Reaction};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::output::{Notes, sanitize};

/// The exit code by which a command asks for another try: EX_TEMPFAIL of sysexits.h.
const TRY_AGAIN: i32 = 75;

/// The command that is run for each event.
#[derive(Debug)]
pub(super) struct Child {
    program: String,
    arguments: Vec<String>,
    notes: Notes,
}

impl Child {
    /// A command with its arguments.
    pub(super) fn new(command: Vec<String>, notes: Notes) -> Self {
        let mut words = command.into_iter();
        Self { program: words.next().unwrap_or_default(), arguments: words.collect(), notes }
    }

    async fn run(&self, reaction: &Reaction) -> std::io::Result<ExitStatus> {
        let event = &reaction.recorded.event;
        let id = event.id.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env("NAQ_EVENT_ID", id)
            .env("NAQ_EVENT_TYPE", event.event_type.as_str())
            .env("NAQ_EVENT_SEQUENCE", reaction.recorded.sequence().to_string())
            .env("NAQ_EVENT_TRIES", reaction.tries.to_string())
            .stdin(Stdio::piped())
            // The deadline ends it by dropping it.
            .kill_on_drop(true);
        // Ctrl-C at a terminal is for naq: what is under way finishes.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn()?;
        let unfinished = Unfinished::new(&child);
        if let Some(mut stdin) = child.stdin.take() {
            let written = async {
                stdin.write_all(&reaction.recorded.payload).await?;
                stdin.write_all(b"\n").await
            };
            match written.await {
                // A command need not read what it doesn't want to know.
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(error),
                _ => {}
            }
        }
        let status = child.wait().await?;
        unfinished.has_ended();
        Ok(status)
    }
}

/// A command that has not ended. Dropped, it ends whatever the command started
/// too: a shell's own end would leave that running beside the next try.
#[derive(Debug)]
struct Unfinished {
    #[cfg(unix)]
    group: Option<rustix::process::Pid>,
}

impl Unfinished {
    #[cfg(unix)]
    fn new(child: &tokio::process::Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self { group: id.and_then(rustix::process::Pid::from_raw) }
    }

    #[cfg(not(unix))]
    fn new(_: &tokio::process::Child) -> Self {
        Self {}
    }

    /// What it left running on purpose goes on.
    #[cfg_attr(not(unix), allow(unused_mut, reason = "it has no group there"))]
    fn has_ended(mut self) {
        #[cfg(unix)]
        self.group.take();
    }
}

#[cfg(unix)]
impl Drop for Unfinished {
    fn drop(&mut self) {
        use rustix::process::{Signal, kill_process_group};
        if let Some(group) = self.group
            && let Err(error) = kill_process_group(group, Signal::KILL)
        {
            tracing::debug!(%error, "a command's processes can't be killed: they have ended");
        }
    }
}

/// Runs the command, and reads its exit code.
#[derive(Debug)]
pub(super) struct Handler(pub(super) Arc<Child>);

#[async_trait]
impl naq_events::reactions::Handler for Handler {
    async fn handle(&self, reaction: Reaction) -> Outcome {
        let outcome = match self.0.run(&reaction).await {
            Ok(status) => outcome(status),
            // It may be there again, or the machine have room again.
            Err(error) => {
                let program = sanitize(&self.0.program);
                self.0.notes.line(&format!("can't run {program}: {error}"));
                Outcome::retry()
            }
        };
        if let Outcome::Reject(reason) = &outcome {
            let sequence = reaction.recorded.sequence();
            self.0.notes.line(&format!("sequence {sequence} failed for good: {reason}"));
        }
        outcome
    }

    async fn on_malformed(&self, malformed: MalformedReaction) -> Outcome {
        let message = &malformed.malformed;
        let (sequence, reason) = (message.sequence(), message.reason.to_string());
        let told = sanitize(&reason).into_owned();
        self.0.notes.line(&format!("sequence {sequence} is no event: {told}"));
        Outcome::Reject(reason)
    }
}

fn outcome(status: ExitStatus) -> Outcome {
    match status.code() {
        Some(0) => Outcome::Done,
        Some(TRY_AGAIN) => Outcome::retry(),
        Some(code) => Outcome::Reject(format!("the command ended with exit code {code}")),
        // Killed from outside: not the event's fault.
        None => Outcome::retry(),
    }
}
