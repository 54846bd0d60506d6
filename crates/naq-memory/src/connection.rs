//! A connection to a JetStream of this process.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use naq_core::connection::{Connection, ConnectionState};
use naq_core::jetstream::JetStream;
use naq_core::{BoxStream, Result};

use crate::MemoryJetStream;

/// A connection: it can be closed without touching what the JetStream holds.
///
/// [`Faults`](crate::Faults) of the JetStream break all its connections at once.
#[derive(Debug)]
pub struct MemoryConnection {
    url: String,
    /// A session of this connection's own.
    jetstream: MemoryJetStream,
}

impl MemoryConnection {
    /// Connects to a JetStream.
    #[must_use]
    pub fn new(url: impl Into<String>, jetstream: &MemoryJetStream) -> Self {
        Self { url: url.into(), jetstream: jetstream.new_session() }
    }
}

#[async_trait]
impl Connection for MemoryConnection {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn state(&self) -> ConnectionState {
        self.jetstream.session.connection_state()
    }

    fn state_changes(&self) -> BoxStream<'static, ConnectionState> {
        let session = Arc::clone(&self.jetstream.session);
        futures::stream::unfold(None, move |told| {
            let session = Arc::clone(&session);
            async move {
                if told == Some(ConnectionState::Closed) {
                    return None;
                }
                loop {
                    // Before looking, or a change in between goes unnoticed.
                    let changed = session.shared().gates_changed();
                    let state = session.connection_state();
                    if told != Some(state) {
                        return Some((state, Some(state)));
                    }
                    changed.await;
                }
            }
        })
        .boxed()
    }

    fn jetstream(&self) -> Arc<dyn JetStream> {
        Arc::new(self.jetstream.clone())
    }

    async fn round_trip(&self, within: Duration) -> Result<Duration> {
        self.jetstream.session.round_trip(within).await
    }

    async fn close(&self, within: Duration) -> Result<()> {
        self.jetstream.session.close(within).await
    }
}
