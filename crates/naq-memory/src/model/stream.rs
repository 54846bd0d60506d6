//! One stream: its configuration, messages, ids and consumers.

use std::collections::BTreeMap;

use naq_core::Timestamp;
use naq_core::jetstream::{Retention, ServerVersion, StreamInfo};

use super::Moment;
use super::config::Config;
use super::consumer::Consumer;
use super::dedupe::Dedupe;
use super::store::Store;

/// What a stream costs beside its messages, in bytes: an estimate.
const STREAM_BYTES: u64 = 2_048;
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
    pub(crate) consumers: BTreeMap<String, Consumer>,
    /// The id of the last message, empty where it had none.
    pub(crate) last_message_id: String,
    /// Below this sequence no message is left that age can end.
    pub(crate) ageing_from: u64,
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
            consumers: BTreeMap::new(),
            last_message_id: String::new(),
            ageing_from: 0,
        }
    }

    /// Applies what time alone has changed; answers whether that stored messages.
    pub(crate) fn pass_time(&mut self, now: Moment) -> bool {
        if !self.consumers.is_empty() {
            self.drop_unused_consumers(now);
        }
        self.expire(now.wall)
    }

    /// Takes a configuration over and lets go what its limits no longer allow.
    pub(crate) fn reconfigure(&mut self, config: Config, now: Moment) {
        let by_interest_now =
            config.retention == Retention::Interest && self.config.retention != config.retention;
        self.config = config;
        self.ageing_from = 0;
        self.expire(now.wall);
        self.enforce_all();
        if by_interest_now && !self.consumers.is_empty() {
            self.let_go_unwanted();
        }
    }

    pub(crate) fn info(&self, version: ServerVersion, now: Moment) -> StreamInfo {
        let mut state = self.store.state();
        state.consumers = self.consumers.len() as u64;
        let mut info = StreamInfo::new(self.config.told(version), state, self.created);
        info.told_at = Some(now.wall);
        info
    }

    /// A message on a subject is about to be stored.
    pub(crate) fn tell_consumers(&mut self, subject: &str) {
        let sequence = self.store.last() + 1;
        for consumer in self.consumers.values_mut() {
            consumer.expect(sequence, subject);
        }
    }

    /// Takes a message out, whatever the reason; answers whether it was there.
    pub(crate) fn remove(&mut self, sequence: u64) -> bool {
        let Some(record) = self.store.remove(sequence) else { return false };
        for consumer in self.consumers.values_mut() {
            consumer.forget(sequence, &record.message.subject);
        }
        true
    }

    /// About how much memory it takes.
    pub(crate) fn weight(&self) -> u64 {
        STREAM_BYTES
            + self.config.weight()
            + self.store.bytes()
            + self.store.messages() * MESSAGE_BYTES
            + self.dedupe.bytes()
            + self.consumers.values().map(Consumer::weight).sum::<u64>()
    }
}
