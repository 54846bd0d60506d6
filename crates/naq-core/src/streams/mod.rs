//! The port to stream management.

mod difference;

use std::fmt::{self, Debug};
use std::time::Duration;

use async_trait::async_trait;

use crate::jetstream::{PurgeOptions, StreamConfig, StreamInfo};
use crate::{BoxStream, Result};

pub use difference::{Difference, Mending, differences, plan, update_refused};

/// What to ensure about a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnsureStream {
    /// How the stream shall be; unset fields don't matter.
    pub config: StreamConfig,
    /// Whether an update may lower a limit below what the stream holds, or take
    /// away subjects, so that messages are lost. Off by default: then it is a
    /// `Conflict`.
    pub allow_loss: bool,
    /// Whether to change nothing: a missing stream is `NotFound`, a difference a `Conflict`.
    pub verify_only: bool,
}

impl EnsureStream {
    /// Ensures this configuration without losing messages.
    #[must_use]
    pub const fn new(config: StreamConfig) -> Self {
        Self { config, allow_loss: false, verify_only: false }
    }

    /// Sets whether messages may be lost by a lower limit.
    #[must_use]
    pub const fn with_allow_loss(mut self, allow_loss: bool) -> Self {
        self.allow_loss = allow_loss;
        self
    }

    /// Sets whether to change nothing.
    #[must_use]
    pub const fn with_verify_only(mut self, verify_only: bool) -> Self {
        self.verify_only = verify_only;
        self
    }
}

/// A field in which two configurations differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// The field's name in [`StreamConfig`].
    pub field: &'static str,
    /// What the server had.
    pub had: String,
    /// What was wanted.
    pub wanted: String,
}

impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {} to {}", self.field, self.had, self.wanted)
    }
}

/// What ensuring a stream did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnsureOutcome {
    /// The stream was made.
    Created,
    /// It was as wanted.
    Unchanged,
    /// It was changed.
    Updated(Vec<FieldChange>),
}

/// A stream that is as wanted, and what it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnsuredStream {
    /// The stream as it is now.
    pub info: StreamInfo,
    /// What was done.
    pub outcome: EnsureOutcome,
}

/// Manages streams.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait StreamManager: Debug + Send + Sync + 'static {
    /// Makes a stream be as wanted: creates it, leaves it, or updates it.
    ///
    /// Idempotent; safe when several processes do it at the same time.
    ///
    /// # Errors
    /// `Conflict` that names each field with both values where the difference
    /// can't be mended (or would lose messages); then nothing is changed.
    async fn ensure_stream(&self, request: EnsureStream) -> Result<EnsuredStream>;

    /// A stream's configuration and state.
    ///
    /// # Errors
    /// `NotFound`.
    async fn get_stream_info(&self, stream: &str) -> Result<StreamInfo>;

    /// Whether there is a stream of this name.
    async fn stream_exists(&self, stream: &str) -> Result<bool>;

    /// All streams, by name.
    fn list_streams(&self) -> BoxStream<'static, Result<StreamInfo>>;

    /// Removes messages and answers how many.
    ///
    /// # Errors
    /// `NotFound`; `PermissionDenied` where the stream denies it.
    async fn purge_stream(&self, stream: &str, options: PurgeOptions) -> Result<u64>;

    /// Deletes a stream with all its messages.
    ///
    /// # Errors
    /// `NotFound`.
    async fn delete_stream(&self, stream: &str) -> Result<()>;

    /// How many messages there are on each subject that matches, page after page.
    ///
    /// Costs the server's memory and time in proportion to the subjects that match.
    fn subject_counts(
        &self,
        stream: &str,
        filter: &str,
    ) -> BoxStream<'static, Result<(String, u64)>>;
}

forward_port! {
    StreamManager {
        plain {
            list_streams() -> BoxStream<'static, Result<StreamInfo>>;
            subject_counts(stream: &str, filter: &str)
                -> BoxStream<'static, Result<(String, u64)>>;
        }
        boxed {
            ensure_stream[](request: EnsureStream) -> Result<EnsuredStream>;
            get_stream_info['a](stream: &'a str) -> Result<StreamInfo>;
            stream_exists['a](stream: &'a str) -> Result<bool>;
            purge_stream['a](stream: &'a str, options: PurgeOptions) -> Result<u64>;
            delete_stream['a](stream: &'a str) -> Result<()>;
        }
    }
}

/// How long a stream lasts at its present rate until a limit lets messages go.
///
/// `None` where it has no limit, or holds too little to tell.
#[must_use]
pub fn holds_for(info: &StreamInfo) -> Option<Duration> {
    let (config, state) = (&info.config, &info.state);
    let (first, last) = (state.first_time?, state.last_time?);
    let span = last.since(first);
    if state.messages < 2 || span.is_zero() {
        return None;
    }
    let room = |limit: Option<u64>, used: u64| {
        limit.filter(|&limit| limit > 0).map(|limit| limit as f64 / used.max(1) as f64)
    };
    let factor = [room(config.max_messages, state.messages), room(config.max_bytes, state.bytes)]
        .into_iter()
        .flatten()
        .fold(f64::INFINITY, f64::min);
    let by_size = factor.is_finite().then(|| span.mul_f64(factor.min(1e9)));
    let by_age = config.max_age.filter(|age| !age.is_zero());
    [by_size, by_age].into_iter().flatten().min()
}
