//! One reply inbox for all requests of a connection.
//!
//! The client has one of its own, which forgets no request that timed out and
//! tells no request that its connection broke or its subject was refused.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::{Client, Message, Subject, Subscriber};
use futures::StreamExt;
use naq_core::connection::ConnectionState;
use naq_core::{Error, ErrorKind, Result};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, oneshot};

use super::link::{Link, Notice};
use super::violation::{Act, Violation};
use crate::guard::TaskGuard;

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The reply.
    Message(Message),
    /// The server refused to take the request.
    Denied(Arc<Violation>),
    /// The connection over which it went is gone.
    Lost,
}

/// The requests that wait for their reply, and the task that hands replies out.
#[derive(Debug)]
pub(crate) struct Replies {
    shared: Arc<Shared>,
    _dispatcher: TaskGuard,
}

#[derive(Debug)]
struct Shared {
    /// The inbox with its last dot.
    prefix: String,
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, Waiting>>,
    inbox_denied: AtomicBool,
}

#[derive(Debug)]
struct Waiting {
    subject: Subject,
    generation: u64,
    answer: oneshot::Sender<Answer>,
}

/// A request's place; dropping it forgets the request.
#[derive(Debug)]
pub(crate) struct Place {
    shared: Arc<Shared>,
    token: u64,
    answer: oneshot::Receiver<Answer>,
}

impl Replies {
    /// Subscribes to an inbox of its own on this connection.
    pub(crate) async fn open(client: &Client, link: &Arc<Link>) -> Result<Self> {
        let prefix = format!("{}.", client.new_inbox());
        let notices = link.notices();
        let inbox = client.subscribe(format!("{prefix}*")).await.map_err(|error| {
            Error::new(ErrorKind::Closed, "connect", "the client takes no subscription")
                .with_source(error)
        })?;
        let shared = Arc::new(Shared {
            prefix,
            next: AtomicU64::new(0),
            waiting: Mutex::default(),
            inbox_denied: AtomicBool::new(false),
        });
        let dispatcher =
            TaskGuard::spawn(dispatch(Arc::clone(&shared), inbox, notices, Arc::clone(link)));
        Ok(Self { shared, _dispatcher: dispatcher })
    }

    /// Takes a place for the reply to a request on `subject`, sent under `generation`.
    ///
    /// # Errors
    /// `PermissionDenied` when the server has refused the inbox.
    pub(crate) fn expect(
        &self,
        operation: &'static str,
        subject: &Subject,
        generation: u64,
    ) -> Result<Place> {
        if self.shared.inbox_denied.load(Ordering::Relaxed) {
            return Err(inbox_denied(operation, &self.shared.prefix));
        }
        let token = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        let waiting = Waiting { subject: subject.clone(), generation, answer: sender };
        self.shared.lock().insert(token, waiting);
        Ok(Place { shared: Arc::clone(&self.shared), token, answer })
    }
}

impl Place {
    /// Where the reply is expected.
    pub(crate) fn reply_subject(&self) -> Subject {
        format!("{}{}", self.shared.prefix, self.token).into()
    }

    /// Waits for what becomes of the request.
    pub(crate) async fn answer(&mut self) -> Answer {
        // The dispatcher drops a place unanswered only when the connection has ended.
        (&mut self.answer).await.unwrap_or(Answer::Lost)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.lock().remove(&self.token);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Waiting>> {
        // Nothing panics while it holds the lock; and a map is whole at any time.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deliver(&self, message: Message) {
        let token = message.subject.strip_prefix(&self.prefix).and_then(|t| t.parse().ok());
        let waiting = token.and_then(|token: u64| self.lock().remove(&token));
        if let Some(waiting) = waiting {
            // Whoever asked may have given up this moment.
            let _ = waiting.answer.send(Answer::Message(message));
        }
    }

    /// Answers all places that `which` picks.
    fn answer_all(&self, which: impl Fn(&Waiting) -> bool, answer: impl Fn() -> Answer) {
        let picked: Vec<Waiting> = {
            let mut waiting = self.lock();
            waiting.extract_if(|_, waiting| which(waiting)).map(|(_, waiting)| waiting).collect()
        };
        for waiting in picked {
            let _ = waiting.answer.send(answer());
        }
    }

    fn on_notice(&self, notice: &Notice, link: &Link) {
        match notice {
            Notice::Changed => {
                let up = link.state() == ConnectionState::Connected
                    || link.state() == ConnectionState::Draining;
                let generation = link.generation();
                self.answer_all(|w| !up || w.generation != generation, || Answer::Lost);
                // Another server, or other rights after a reconnect.
                if !up {
                    self.inbox_denied.store(false, Ordering::Relaxed);
                }
            }
            Notice::Denied(violation) => {
                let denied = || Answer::Denied(Arc::clone(violation));
                match violation.act {
                    Act::Publish => {
                        self.answer_all(|w| w.subject.as_str() == violation.subject, denied);
                    }
                    Act::Subscribe if violation.subject.starts_with(&self.prefix) => {
                        self.inbox_denied.store(true, Ordering::Relaxed);
                        self.answer_all(|_| true, denied);
                    }
                    Act::Subscribe => {}
                }
            }
        }
    }
}

async fn dispatch(
    shared: Arc<Shared>,
    mut inbox: Subscriber,
    mut notices: broadcast::Receiver<Notice>,
    link: Arc<Link>,
) {
    loop {
        tokio::select! {
            // Replies first: what was answered before a break is answered.
            biased;
            message = inbox.next() => match message {
                Some(message) => shared.deliver(message),
                None => break,
            },
            notice = notices.recv() => match notice {
                Ok(notice) => shared.on_notice(&notice, &link),
                Err(RecvError::Lagged(_)) => shared.on_notice(&Notice::Changed, &link),
                Err(RecvError::Closed) => break,
            },
        }
    }
    shared.answer_all(|_| true, || Answer::Lost);
}

/// The error of every request on a connection whose user may not hear replies.
pub(crate) fn inbox_denied(operation: &'static str, prefix: &str) -> Error {
    Error::new(ErrorKind::PermissionDenied, operation, "may not subscribe to its reply inbox")
        .with("subject", format!("{prefix}*"))
        .with_hint("allow the user to subscribe to it, or set inbox_prefix to what the user may subscribe to")
}
