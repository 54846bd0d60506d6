//! One stream: its configuration, messages, ids and consumers.

use naq_core::Timestamp;
use naq_core::jetstream::StreamInfo;

use super::config::Config;
use super::dedupe::Dedupe;
use super::store::Store;

/// What a stream costs beside its messages, in bytes: an estimate.
const STREAM_BYTES: u64 = 1024;
/// What a message costs beside the bytes that the stream counts: an estimate of map and index.
const MESSAGE_BYTES: u64 = 160;

/// A stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) config: Config,
    pub(crate) created: Timestamp,
    /// Another one for each stream ever made, also under the same name at the same time.
    pub(crate) identity: u64,
    pub(crate) store: Store,
    pub(crate) dedupe: Dedupe,
    /// The id of the last message, empty where it had none.
    pub(crate) last_message_id: String,
    /// Up to here every message that is left has no age limit.
    pub(crate) aged: u64,
}

impl Stream {
    pub(crate) fn new(config: Config, created: Timestamp, identity: u64) -> Self {
        let store = Store::new(config.first_sequence);
        Self {
            config,
            created,
            identity,
            store,
            dedupe: Dedupe::default(),
            last_message_id: String::new(),
            aged: 0,
        }
    }

    /// Takes a configuration over and lets go what its limits no longer allow.
    pub(crate) fn reconfigure(&mut self, config: Config, now: Timestamp) {
        self.config = config;
        self.aged = 0;
        self.expire(now);
        self.enforce_all();
    }

    pub(crate) fn info(&self) -> StreamInfo {
        StreamInfo::new(self.config.told(), self.store.state(), self.created)
    }

    /// About how much memory it takes.
    pub(crate) fn weight(&self) -> u64 {
        STREAM_BYTES
            + self.store.bytes()
            + self.store.messages() * MESSAGE_BYTES
            + self.dedupe.bytes()
    }
}
