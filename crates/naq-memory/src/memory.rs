//! The JetStream of this process and how it is built.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use naq_core::clock::{Clock, SystemClock};
use naq_core::jetstream::{Capabilities, ServerInfo, ServerVersion};

use crate::MemoryLimits;
use crate::faults::Faults;
use crate::model::Model;
use crate::session::Session;
use crate::shared::Shared;

/// The version that a JetStream in memory pretends unless told otherwise.
pub const VERSION: ServerVersion = ServerVersion::new(2, 15, 1);

/// How many were built: each has an id of its own, as a server has after each start.
static BUILT: AtomicU64 = AtomicU64::new(1);

/// A JetStream in this process; clones are handles of the same one.
///
/// What it holds lives as long as a handle, a connection or a read of it.
#[derive(Clone)]
pub struct MemoryJetStream {
    pub(crate) session: Arc<Session>,
    pub(crate) info: Arc<ServerInfo>,
}

impl MemoryJetStream {
    /// An empty JetStream of the newest version, on the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A JetStream that differs from the default one.
    #[must_use]
    pub fn builder() -> MemoryJetStreamBuilder {
        MemoryJetStreamBuilder::default()
    }

    /// Injects faults.
    #[must_use]
    pub fn faults(&self) -> Faults {
        Faults::new(Arc::clone(self.session.shared()))
    }

    /// The same JetStream through a connection of its own.
    pub(crate) fn new_session(&self) -> Self {
        let session = Session::new(Arc::clone(self.session.shared()));
        Self { session: Arc::new(session), info: Arc::clone(&self.info) }
    }

    /// What the pretended version can do.
    pub(crate) fn abilities(&self) -> Capabilities {
        Capabilities::of(self.info.version)
    }
}

impl fmt::Debug for MemoryJetStream {
    /// Its name and version, not all that it holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ServerInfo { name, version, .. } = &*self.info;
        f.debug_struct("MemoryJetStream")
            .field("name", name)
            .field("version", version)
            .finish_non_exhaustive()
    }
}

impl Default for MemoryJetStream {
    fn default() -> Self {
        Self::new()
    }
}

/// Builds a [`MemoryJetStream`].
#[derive(Debug, Clone)]
pub struct MemoryJetStreamBuilder {
    name: String,
    version: ServerVersion,
    limits: MemoryLimits,
    clock: Option<Arc<dyn Clock>>,
    deadline: Duration,
}

impl Default for MemoryJetStreamBuilder {
    fn default() -> Self {
        Self {
            name: "memory".to_owned(),
            version: VERSION,
            limits: MemoryLimits::default(),
            clock: None,
            deadline: Duration::from_secs(5),
        }
    }
}

impl MemoryJetStreamBuilder {
    /// The name that `server_info` tells; `memory` by default.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Pretends another version: what it cannot do is `Unsupported`.
    ///
    /// Options are gated, and purging works as naq has it on every version;
    /// the bugs of old servers are not repeated.
    #[must_use]
    pub fn version(mut self, version: ServerVersion) -> Self {
        self.version = version;
        self
    }

    /// How much memory it may take.
    #[must_use]
    pub fn limits(mut self, limits: MemoryLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The clock that stamps, ages and waits follow; the system's by default.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// How long an operation waits for an answer while
    /// [`Faults::block`] holds it back; 5 s by default.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Builds it.
    #[must_use]
    pub fn build(self) -> MemoryJetStream {
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let id = format!("memory-{}", BUILT.fetch_add(1, Ordering::Relaxed));
        let mut info = ServerInfo::new(self.name, id, self.version);
        info.max_payload = self.limits.max_payload;
        let model = Model::new(self.version, self.limits);
        let shared = Arc::new(Shared::new(model, clock, self.deadline));
        MemoryJetStream { session: Arc::new(Session::new(shared)), info: Arc::new(info) }
    }
}
