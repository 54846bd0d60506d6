//! The API level: what JetStream can do where a connection leads.
//!
//! A server's version says what it can do itself. In a cluster of several
//! versions another one may lead: the level is the word of whoever answers the
//! API, and the lesser of the two holds.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use naq_core::connection::ConnectionState;
use naq_core::jetstream::{Capabilities, ServerVersion};
use serde::Deserialize;

use super::{api, version};
use crate::nats::{Nature, Wire};

const OPERATION: &str = "connect";

/// The level that was told last, and over which connection.
#[derive(Debug, Default)]
pub(super) struct Level(Mutex<Option<(u64, u32)>>);

impl Level {
    /// What the connected server can do, as far as whoever leads can too.
    pub(super) fn capabilities(&self, wire: &Wire) -> Capabilities {
        let told = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_version = Capabilities::of(version(wire));
        match told {
            Some((generation, level)) if generation == wire.link.generation() => {
                lesser(of_version, of_level(level))
            }
            // Not told: a user may lack the right to ask.
            _ => of_version,
        }
    }

    /// Asks, and keeps what is told.
    async fn learn(&self, wire: &Wire) {
        #[derive(Deserialize)]
        struct Info {
            api: Api,
        }
        #[derive(Deserialize)]
        struct Api {
            // Servers before 2.11 know no levels.
            #[serde(default)]
            level: u32,
        }
        let generation = wire.link.generation();
        let told: naq_core::Result<Info> =
            api::call(wire, OPERATION, "INFO", &(), Nature::Question).await;
        match told {
            Ok(info) => {
                let mut level = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                *level = Some((generation, info.api.level));
            }
            Err(error) => tracing::debug!(url = %wire.link.url(), %error, "no API level was told"),
        }
    }
}

/// Learns the level over each new connection, as long as there is a `wire`.
pub(super) async fn keep_learning(level: Arc<Level>, wire: Weak<Wire>) {
    let Some(mut states) = wire.upgrade().map(|wire| wire.link.states()) else { return };
    let mut known = 0;
    loop {
        let state = *states.borrow_and_update();
        if state == ConnectionState::Connected {
            let Some(wire) = wire.upgrade() else { return };
            if wire.link.generation() != known {
                known = wire.link.generation();
                level.learn(&wire).await;
            }
        }
        if state == ConnectionState::Closed || states.changed().await.is_err() {
            return;
        }
    }
}

/// What a level stands for; each version of the server from 2.11 on has one.
fn of_level(level: u32) -> Capabilities {
    let minor = match level {
        0 => 10,
        1 => 11,
        2 | 3 => 12,
        _ => 14,
    };
    Capabilities::of(ServerVersion::new(2, minor, 0))
}

fn lesser(a: Capabilities, b: Capabilities) -> Capabilities {
    let mut both = a;
    both.message_ttl &= b.message_ttl;
    both.batched_direct_get &= b.batched_direct_get;
    both.nested_filters &= b.nested_filters;
    both.atomic_publish &= b.atomic_publish;
    both.fast_ingest &= b.fast_ingest;
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lesser_of_version_and_level_holds() {
        let of = |minor| Capabilities::of(ServerVersion::new(2, minor, 0));
        assert_eq!(lesser(of(15), of_level(5)), of(15));
        assert_eq!(lesser(of(15), of_level(2)), of(12));
        assert_eq!(lesser(of(11), of_level(4)), of(11));
        assert_eq!(lesser(of(15), of_level(0)), of(10));
    }
}
