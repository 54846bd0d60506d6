//! The handle to one NATS connection.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use naq_core::connection::{Connection, ConnectionState};
use naq_core::jetstream::JetStream;
use naq_core::{BoxStream, Error, ErrorKind, Result};
use tokio::time::Instant;

use super::link::PING;
use super::wire::{Nature, Request, Wire};
use crate::jetstream::{NatsJetStream, Parts};

/// How long closing waits for the client to say that it has closed, beyond its budget.
const CLOSE_GRACE: Duration = Duration::from_millis(250);

/// One connection to a NATS server.
#[derive(Debug)]
pub(crate) struct NatsConnection {
    wire: Arc<Wire>,
    jetstream: Arc<dyn JetStream>,
}

impl NatsConnection {
    pub(crate) fn new(wire: Wire, parts: Arc<Parts>) -> Self {
        let wire = Arc::new(wire);
        Self { jetstream: Arc::new(NatsJetStream::new(Arc::clone(&wire), parts)), wire }
    }
}

#[async_trait]
impl Connection for NatsConnection {
    fn url(&self) -> String {
        self.wire.link.url().to_owned()
    }

    fn state(&self) -> ConnectionState {
        self.wire.link.state()
    }

    fn state_changes(&self) -> BoxStream<'static, ConnectionState> {
        /// What a stream of states does next.
        enum Next {
            Now,
            Change,
            End,
        }
        let states = (self.wire.link.states(), Next::Now);
        stream::unfold(states, |(mut states, next)| async move {
            match next {
                Next::Now => {}
                Next::Change => states.changed().await.ok()?,
                Next::End => return None,
            }
            let state = *states.borrow_and_update();
            let next = if state == ConnectionState::Closed { Next::End } else { Next::Change };
            Some((state, (states, next)))
        })
        .boxed()
    }

    fn jetstream(&self) -> Arc<dyn JetStream> {
        Arc::clone(&self.jetstream)
    }

    async fn round_trip(&self, within: Duration) -> Result<Duration> {
        let deadline = Instant::now() + within;
        self.wire.link.connected("round_trip", deadline).await?;
        let start = Instant::now();
        // To a subject of our own that nobody listens to: the server says so at
        // once (status 503), or refuses it, and either is an answer.
        let request = Request {
            subject: format!("{}{PING}", self.wire.client.new_inbox()).into(),
            headers: None,
            payload: Bytes::new(),
        };
        match self.wire.ask("round_trip", request, Nature::Question, deadline).await {
            Ok(_) => Ok(start.elapsed()),
            Err(error) if error.get("subject").is_some_and(|s| s.ends_with(PING)) => {
                match error.kind() {
                    ErrorKind::PermissionDenied => Ok(start.elapsed()),
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn close(&self, within: Duration) -> Result<()> {
        let Wire { client, link, work, .. } = &*self.wire;
        if link.state() == ConnectionState::Closed {
            return Ok(());
        }
        let deadline = Instant::now() + within;
        link.set(ConnectionState::Draining);
        // The client's drain ends at its next turn, with what is still to be
        // written thrown away: all that matters must be answered before.
        let missing = work.idle(deadline).await;
        let mut states = link.states();
        if client.connection_state() == async_nats::connection::State::Connected {
            let drained = async {
                // Neither failure keeps it from being closed.
                let _ = client.flush().await;
                let _ = client.drain().await;
                let _ = states.wait_for(|state| *state == ConnectionState::Closed).await;
            };
            let _ =
                tokio::time::timeout_at(deadline.max(Instant::now() + CLOSE_GRACE), drained).await;
        }
        link.set(ConnectionState::Closed);
        if missing == 0 {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::OutcomeUnknown,
            "close_connection",
            "acknowledgements were still missing at the deadline",
        )
        .with("missing", missing.to_string())
        .with("url", link.url())
        .with_hint("messages with an id can be published again without being stored twice"))
    }
}
