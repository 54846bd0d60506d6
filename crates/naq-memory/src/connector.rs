//! Connections by URL: `memory://` and `memory://name`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use naq_core::connection::{Connection, Connector};
use naq_core::{Error, Result};

use crate::{MemoryConnection, MemoryJetStream, MemoryJetStreamBuilder};

/// The scheme of URLs to a JetStream in memory.
const SCHEME: &str = "memory";
/// The most JetStreams of one connector: a program that invents names is told so.
const MAX_JETSTREAMS: usize = 1_000;

/// Connects to JetStreams of this process.
///
/// `memory://` is one JetStream and each `memory://name` another; they are
/// made when they are first asked for and live as long as the connector, so a
/// connection that is closed and made anew finds what it had left. Another
/// connector has JetStreams of its own: two tests of one process never meet.
/// A name has letters, digits, `-` and `_`.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use naq_core::connection::Connector;
/// use naq_core::jetstream::{JetStream, StreamConfig};
/// use naq_memory::MemoryConnector;
///
/// let connector = MemoryConnector::new();
/// let connection = connector.connect("memory://jobs").await?;
/// connection.jetstream().create_stream(StreamConfig::new("events", ["events.>"])).await?;
/// assert!(connector.jetstream("jobs")?.stream_info("events").await.is_ok());
/// assert!(connector.jetstream("")?.stream_info("events").await.is_err());
/// # Ok::<(), naq_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Default)]
pub struct MemoryConnector {
    builder: MemoryJetStreamBuilder,
    jetstreams: Mutex<HashMap<String, MemoryJetStream>>,
}

impl MemoryConnector {
    /// A connector to JetStreams with the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A connector to JetStreams as this builder makes them.
    #[must_use]
    pub fn of(builder: MemoryJetStreamBuilder) -> Self {
        Self { builder, jetstreams: Mutex::default() }
    }

    /// The JetStream of a name, made if it isn't there; the one of `memory://` has none.
    ///
    /// # Errors
    /// `InvalidArgument` for what is no name; `LimitReached` for the 1,001st.
    pub fn jetstream(&self, name: &str) -> Result<MemoryJetStream> {
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            return Err(Error::invalid(
                "connect",
                "url",
                "must be memory:// or memory:// and a name of letters, digits, `-` and `_`",
            )
            .with("name", name));
        }
        // Nothing panics while it holds the lock.
        let mut jetstreams = self.jetstreams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(jetstream) = jetstreams.get(name) {
            return Ok(jetstream.clone());
        }
        if jetstreams.len() >= MAX_JETSTREAMS {
            return Err(Error::new(
                naq_core::ErrorKind::LimitReached,
                "connect",
                "there are as many JetStreams in memory as one connector makes",
            )
            .with("limit", MAX_JETSTREAMS.to_string())
            .with_hint("use fewer names in memory:// URLs"));
        }
        let jetstream = self.builder.clone().build();
        jetstreams.insert(name.to_owned(), jetstream.clone());
        Ok(jetstream)
    }
}

#[async_trait]
impl Connector for MemoryConnector {
    fn schemes(&self) -> Vec<String> {
        vec![SCHEME.to_owned()]
    }

    async fn connect(&self, url: &str) -> Result<Arc<dyn Connection>> {
        let name = url
            .strip_prefix(SCHEME)
            .and_then(|rest| rest.strip_prefix("://"))
            .map(|name| name.strip_suffix('/').unwrap_or(name));
        let Some(name) = name else {
            return Err(Error::invalid("connect", "url", "must begin with memory://"));
        };
        Ok(Arc::new(MemoryConnection::new(url, &self.jetstream(name)?)))
    }
}
