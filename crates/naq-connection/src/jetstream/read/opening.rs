//! Opening a read, and opening it again after whatever broke it.

use std::time::Duration;

use naq_core::jetstream::{Delivery, StreamInfo};
use naq_core::{Error, ErrorKind, Result};
use tokio::time::Instant;

use super::OPERATION;
use super::consumer::Ephemeral;
use super::progress::Progress;
use super::reader::{Reader, State, Why};
use super::replicas::Lead;

/// How long a read with an end waits for its server to come back, and any read
/// for credentials to be accepted again.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// The first wait after a failed try to go on; it doubles.
pub(super) const RETRY_MIN: Duration = Duration::from_millis(50);
pub(super) const RETRY_MAX: Duration = Duration::from_secs(2);
/// On how many replicas a consumer is tried to be made within the time of a
/// request: a server that has just died counts as one that is there for a while,
/// and answers for nothing that is put on it.
const PLACES: u32 = 5;
const LOST_END: &str = "its last sequence lies before what was read";

impl Reader {
    /// Opens, or opens again, with the patience that the case deserves.
    pub(super) async fn open(&mut self, why: Why) -> Result<State> {
        let began = Instant::now();
        let mut wait = RETRY_MIN;
        self.arrived.clear();
        self.floor = None;
        loop {
            let error = match self.try_open(why).await {
                Ok(state) => return Ok(state),
                Err(error) => error,
            };
            let Some(patience) = self.patience(&error, why) else { return Err(error) };
            if began.elapsed() + wait > patience {
                return Err(error);
            }
            tracing::debug!(stream = %self.plan.stream, %error, "a read waits to go on");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    /// How long what failed is tried again, if it is.
    fn patience(&self, error: &Error, why: Why) -> Option<Duration> {
        match (error.kind(), why) {
            (ErrorKind::Unavailable | ErrorKind::Timeout, Why::First) => {
                Some(self.jetstream.wire.limits.request_timeout)
            }
            (ErrorKind::Unavailable | ErrorKind::Timeout, _) => {
                Some(if self.plan.is_endless() { Duration::MAX } else { PATIENCE })
            }
            (ErrorKind::AuthFailed, Why::Part | Why::Broken | Why::Lost | Why::Turn) => {
                Some(PATIENCE)
            }
            // A part that can't be had has another way; who takes over waits
            // until those before it are gone.
            (ErrorKind::LimitReached, Why::Broken | Why::Lost | Why::Turn) => Some(PATIENCE),
            // A server of 2.10 leads a stream before it has all of it that it knows of.
            (ErrorKind::Conflict, _) if error.get("because") == Some(LOST_END) => {
                self.lead.is_some().then_some(PATIENCE)
            }
            _ => None,
        }
    }

    async fn try_open(&mut self, why: Why) -> Result<State> {
        let wire = self.jetstream.wire.clone();
        let generation = wire.connected(OPERATION, wire.request_deadline()).await?;
        let info = self.jetstream.info(OPERATION, &self.plan.stream).await?;
        self.check_identity(&info)?;
        self.plan.note_subjects(&info.config.subjects);
        let lead = Lead::of(&info);
        // A break is told whether or not a consumer was there to see it.
        let told = why == Why::Broken && self.progress.is_some()
            || self.generation.is_some_and(|before| before != generation);
        let mut progress = match &self.progress {
            None => Progress::new(&self.plan, &info.state),
            Some(progress) => {
                let mut progress = progress.clone();
                if !progress.resume(&info.state, told) {
                    return Err(self.made_anew(LOST_END));
                }
                progress
            }
        };
        let position = progress.position();
        let gap = progress.gap(info.state.first_sequence, None);
        let caught_up = progress.catch_up(None);
        let state = if progress.is_done() {
            State::Ended
        } else {
            let start = progress.next_start();
            let deadline = match lead {
                None => wire.request_deadline(),
                Some(_) => Instant::now() + wire.limits.request_timeout / PLACES,
            };
            let mut consumer = Ephemeral::create(&wire, &self.plan, start, deadline).await?;
            if consumer.is_of_another_connection(generation) {
                // What the stream was asked for above may not be so any more.
                return Err(wire.link.unavailable(OPERATION));
            }
            // Nothing is there to be taken first.
            consumer.live = progress.is_caught_up();
            State::Reading(Box::new(consumer))
        };
        // From here on nothing fails: it is told once.
        if told {
            tracing::info!(stream = %self.plan.stream, position, "a read resumed");
            self.ready.push_back(Delivery::Resumed { sequence: position });
        }
        self.ready.extend(gap);
        self.ready.extend(caught_up);
        self.progress = Some(progress);
        self.created = Some(info.created);
        self.generation = Some(generation);
        self.lead = lead;
        Ok(state)
    }

    fn check_identity(&self, info: &StreamInfo) -> Result<()> {
        match self.created.or(self.plan.created) {
            Some(created) if created != info.created => Err(self
                .made_anew("its creation time is another one")
                .with("expected", created.to_string())
                .with("created", info.created.to_string())),
            _ => Ok(()),
        }
    }

    fn made_anew(&self, how: &'static str) -> Error {
        Error::new(ErrorKind::Conflict, OPERATION, "the stream was deleted and made anew")
            .with("stream", &self.plan.stream)
            .with("because", how)
            .with_hint("positions of the old stream mean nothing in the new one: start over")
    }
}
