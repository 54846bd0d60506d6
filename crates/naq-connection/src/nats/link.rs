//! How one connection stands: the one place that the client's events reach.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_nats::{Client, ClientError, Event, ServerError, Statistics};
use naq_core::connection::ConnectionState;
use naq_core::{Error, ErrorKind, Result};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use super::violation::Violation;

/// How often the state is held against the client's own word: its event
/// channel has 128 places and drops what doesn't fit.
const TRUTH_INTERVAL: Duration = Duration::from_secs(1);

/// How many notices wait for one that listens; whoever misses some looks at the truth.
const NOTICES: usize = 256;

/// How the subjects end that round trips are asked on: to be refused there is an answer.
pub(crate) const PING: &str = ".naq-ping";

/// Something that whoever waits on the connection must know.
#[derive(Debug, Clone)]
pub(crate) enum Notice {
    /// The state or the generation may have changed: look.
    Changed,
    /// The server refused something for want of permission.
    Denied(Arc<Violation>),
}

/// The state of one connection, its changes, and what the server refused.
#[derive(Debug)]
pub(crate) struct Link {
    url: String,
    state: watch::Sender<ConnectionState>,
    notices: broadcast::Sender<Notice>,
    // Not the client: its events hold this link, and neither would ever end.
    statistics: OnceLock<Arc<Statistics>>,
}

impl Link {
    /// A link to `url` (without credentials) that has never been connected.
    pub(crate) fn new(url: String) -> Arc<Self> {
        Arc::new(Self {
            url,
            state: watch::Sender::new(ConnectionState::Pending),
            notices: broadcast::Sender::new(NOTICES),
            statistics: OnceLock::new(),
        })
    }

    /// The server's URL without credentials.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Learns which client it speaks of.
    pub(crate) fn attach(&self, client: &Client) {
        if self.statistics.set(client.statistics()).is_ok() {
            self.look(client);
        }
    }

    pub(crate) fn state(&self) -> ConnectionState {
        *self.state.borrow()
    }

    pub(crate) fn states(&self) -> watch::Receiver<ConnectionState> {
        self.state.subscribe()
    }

    pub(crate) fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// How often it has been connected: what was sent under another number may be lost.
    pub(crate) fn generation(&self) -> u64 {
        self.statistics.get().map_or(0, |statistics| statistics.connects.load(Ordering::Relaxed))
    }

    /// Takes an event of the client.
    pub(crate) fn on_event(&self, event: &Event) {
        match event {
            Event::Connected => self.set(ConnectionState::Connected),
            Event::Disconnected => self.set(ConnectionState::Disconnected),
            Event::Closed => self.set(ConnectionState::Closed),
            Event::ClientError(ClientError::Other(text)) if is_auth_failure(text) => {
                self.set(ConnectionState::AuthFailed);
            }
            Event::ServerError(ServerError::Other(text)) => {
                if let Some(violation) = Violation::parse(text) {
                    if !is_asked_in_passing(&violation.subject) {
                        tracing::warn!(url = %self.url, act = ?violation.act,
                            subject = %violation.subject, "refused for want of permission");
                    }
                    self.notify(Notice::Denied(Arc::new(violation)));
                } else {
                    tracing::warn!(url = %self.url, error = %text, "the server reports an error");
                }
            }
            other => tracing::debug!(url = %self.url, event = %other, "connection event"),
        }
    }

    /// Moves to a state; what is closed stays closed, what drains can only close.
    pub(crate) fn set(&self, next: ConnectionState) {
        let before = self.state.send_replace_if(next);
        if before != next {
            tracing::info!(url = %self.url, from = %before, to = %self.state(), "connection state");
        }
        self.notify(Notice::Changed);
    }

    /// Holds the state against the client's own word, at once and then every second.
    pub(crate) async fn keep_true(&self, client: &Client) {
        let mut interval = tokio::time::interval(TRUTH_INTERVAL);
        loop {
            interval.tick().await;
            self.look(client);
        }
    }

    /// Waits until it is connected and gives the generation.
    ///
    /// `AuthFailed` and `Closed` end the wait at once.
    pub(crate) async fn connected(
        &self,
        operation: &'static str,
        deadline: Instant,
    ) -> Result<u64> {
        if self.state() == ConnectionState::Connected {
            return Ok(self.generation());
        }
        let mut states = self.states();
        let wait = states.wait_for(|state| {
            !matches!(state, ConnectionState::Pending | ConnectionState::Disconnected)
        });
        let state = match tokio::time::timeout_at(deadline, wait).await {
            Ok(Ok(state)) => *state,
            Ok(Err(_)) => ConnectionState::Closed,
            Err(_) => return Err(self.unavailable(operation)),
        };
        match state {
            ConnectionState::Connected => Ok(self.generation()),
            state => Err(self.refusal(operation, state)),
        }
    }

    /// Why nothing can be sent in this state.
    pub(crate) fn refusal(&self, operation: &'static str, state: ConnectionState) -> Error {
        match state {
            ConnectionState::AuthFailed => Error::new(
                ErrorKind::AuthFailed,
                operation,
                "the server doesn't accept the credentials",
            )
            .with("url", &self.url)
            .with_hint("check user, password, token or credentials file; a changed file is read at the next try"),
            ConnectionState::Draining | ConnectionState::Closed => {
                Error::new(ErrorKind::Closed, operation, "the connection is closed")
                    .with("url", &self.url)
            }
            _ => self.unavailable(operation),
        }
    }

    /// The error of a call for which no connection came up in time. Nothing was sent.
    pub(crate) fn unavailable(&self, operation: &'static str) -> Error {
        Error::new(ErrorKind::Unavailable, operation, "not connected")
            .with("url", &self.url)
            .with_hint(
                "check that the server runs and is reachable; the connection is being made anew",
            )
    }

    fn look(&self, client: &Client) {
        let truth = match client.connection_state() {
            async_nats::connection::State::Connected => ConnectionState::Connected,
            async_nats::connection::State::Disconnected => ConnectionState::Disconnected,
            async_nats::connection::State::Pending => ConnectionState::Pending,
        };
        match (self.state(), truth) {
            (have, want) if have == want => {}
            // The client knows no word for these.
            (
                ConnectionState::AuthFailed,
                ConnectionState::Disconnected | ConnectionState::Pending,
            ) => {}
            (_, want) => self.set(want),
        }
    }

    fn notify(&self, notice: Notice) {
        // Nobody listening is fine.
        let _ = self.notices.send(notice);
    }
}

/// Sending a state under the rule of which may follow which.
trait SendState {
    fn send_replace_if(&self, next: ConnectionState) -> ConnectionState;
}

impl SendState for watch::Sender<ConnectionState> {
    fn send_replace_if(&self, next: ConnectionState) -> ConnectionState {
        let mut before = next;
        self.send_if_modified(|state| {
            before = *state;
            let allowed = match *state {
                ConnectionState::Closed => false,
                ConnectionState::Draining => next == ConnectionState::Closed,
                // Each failed try disconnects anew; the reason stands until it is connected.
                ConnectionState::AuthFailed => next != ConnectionState::Disconnected,
                have => have != next,
            };
            if allowed {
                *state = next;
            }
            allowed
        });
        before
    }
}

/// Whether a request on this subject is made by naq itself, and a refusal is an answer.
fn is_asked_in_passing(subject: &str) -> bool {
    subject.ends_with(PING) || subject == "$JS.API.INFO"
}

/// Whether a failed reconnect failed on the credentials: the client tells it in words only.
fn is_auth_failure(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.contains("authorization violation") || text.contains("signing nonce")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_closed_stays_closed() {
        let link = Link::new("nats://h".into());
        link.on_event(&Event::Connected);
        link.set(ConnectionState::Draining);
        link.on_event(&Event::Disconnected);
        assert_eq!(link.state(), ConnectionState::Draining);
        link.on_event(&Event::Closed);
        link.on_event(&Event::Connected);
        assert_eq!(link.state(), ConnectionState::Closed);
    }

    #[test]
    fn failed_credentials_are_a_state_until_it_is_connected() {
        let link = Link::new("nats://h".into());
        link.on_event(&Event::Connected);
        link.on_event(&Event::Disconnected);
        let refused = async_nats::ConnectErrorKind::AuthorizationViolation.to_string();
        link.on_event(&Event::ClientError(ClientError::Other(refused)));
        link.on_event(&Event::Disconnected);
        assert_eq!(link.state(), ConnectionState::AuthFailed);
        link.on_event(&Event::Connected);
        assert_eq!(link.state(), ConnectionState::Connected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_without_a_connection_is_unavailable_at_its_deadline() {
        let link = Link::new("nats://h".into());
        let deadline = Instant::now() + Duration::from_secs(5);
        let error = link.connected("publish", deadline).await.unwrap_err();
        assert!(error.is(ErrorKind::Unavailable), "{error}");
        assert!(Instant::now() >= deadline);
    }
}
