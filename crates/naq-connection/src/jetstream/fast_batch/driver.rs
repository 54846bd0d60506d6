//! The stream of answers: it takes messages, sends them, and takes what the server tells.

mod sending;

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_nats::{Client, HeaderMap, Subject};
use futures::Stream;
use naq_core::connection::ConnectionState;
use naq_core::jetstream::{PublishMessage, Published};
use naq_core::{BoxStream, Error, ErrorKind, Result};
use tokio::time::{Instant, Sleep};

use super::batch::{Batch, End};
use super::told::{self, Told};
use super::{FLOW, Operation};
use crate::jetstream::NatsJetStream;
use crate::nats::{Act, Inbox, Nature, Notice, WorkGuard, denied};

const OPERATION: &str = "publish_many";

/// How many messages may be beyond the last acknowledgement.
const WINDOW: u64 = 8 * FLOW;

/// How many bytes of messages may wait for their acknowledgement.
const MAX_BYTES_IN_FLIGHT: usize = 16 * 1024 * 1024;

/// How many messages are taken between two looks at what has come.
const TAKEN_AT_ONCE: usize = 64;

/// How much later than its consequences a refusal for want of permission may be told.
const HEARSAY: Duration = Duration::from_millis(100);

/// The answers to one batch of a caller's, driven by whoever polls them.
pub(super) struct Driver {
    jetstream: NatsJetStream,
    client: Client,
    inbox: Inbox,
    messages: BoxStream<'static, PublishMessage>,
    /// The caller's id of it.
    id: String,
    confirm_start: bool,
    window: u64,
    /// The batch that the server has, if it has one.
    batch: Option<Batch>,
    /// How many batches the server had.
    parts: u64,
    /// How many messages are stored, and how many of them are answered.
    stored: u64,
    answered: u64,
    /// What was taken while there was no connection, and until when it waits for one.
    held: Option<(PublishMessage, Instant)>,
    /// The last refusal for want of permission since the batch began: subject and error.
    denied: Option<(String, Error)>,
    course: Course,
    work: WorkGuard,
    timer: Pin<Box<Sleep>>,
}

/// How it goes on.
#[derive(Debug)]
enum Course {
    /// More messages may come.
    Running,
    /// No more messages are taken; this ends it once what was sent is stored.
    Ending(Option<Error>),
    /// The server lost the batch: did it refuse a message for want of permission?
    Wondering { until: Instant, otherwise: Error, subject: Option<Subject> },
    /// This ends it.
    Over(Option<Error>),
}

impl Stream for Driver {
    type Item = Result<Published>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(answer) = this.answer() {
                return Poll::Ready(answer);
            }
            let mut moved = this.take_answers(cx);
            moved |= this.take_notices(cx);
            moved |= this.feed(cx);
            this.count_work();
            if !moved && !this.rest(cx) {
                return Poll::Pending;
            }
        }
    }
}

impl Driver {
    pub(super) fn new(
        jetstream: NatsJetStream,
        inbox: Inbox,
        messages: BoxStream<'static, PublishMessage>,
        id: String,
        confirm_start: bool,
    ) -> Self {
        let wire = &jetstream.wire;
        Self {
            client: wire.client.clone(),
            work: wire.work.several(),
            window: WINDOW.min(wire.limits.max_in_flight as u64).max(1),
            timer: Box::pin(tokio::time::sleep(wire.limits.ack_timeout)),
            inbox,
            messages,
            id,
            confirm_start,
            batch: None,
            parts: 0,
            stored: 0,
            answered: 0,
            held: None,
            denied: None,
            course: Course::Running,
            jetstream,
        }
    }

    /// What is to be answered now, the end included.
    fn answer(&mut self) -> Option<Option<Result<Published>>> {
        let count = self.stored - self.answered;
        if count > 0 {
            self.answered = self.stored;
            return Some(Some(Ok(Published::Next(count))));
        }
        match &mut self.course {
            Course::Over(error) => Some(error.take().map(Err)),
            _ => None,
        }
    }

    /// Takes what the server has told.
    fn take_answers(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        while let Poll::Ready(message) = self.inbox.poll_message(cx) {
            moved = true;
            let Some(message) = message else {
                let link = &self.jetstream.wire.link;
                let closed = link.refusal(OPERATION, ConnectionState::Closed);
                let error = self.lost().unwrap_or(closed);
                self.over(Some(error));
                break;
            };
            // What comes late about an earlier part of the batch is about nothing any more.
            let about = told::batch_of(&message.subject);
            let batch = self.batch.as_mut().filter(|batch| about == Some(batch.id()));
            let Some(batch) = batch else { continue };
            let end = batch.take(Told::read(&message), Instant::now());
            self.stored = batch.stored();
            if let Some(end) = end {
                self.ended(end, message.headers.as_ref());
            }
        }
        moved
    }

    /// The batch on the server has ended.
    fn ended(&mut self, end: End, headers: Option<&HeaderMap>) {
        let Some(batch) = self.batch.take() else { return };
        match end {
            End::Whole => match std::mem::replace(&mut self.course, Course::Running) {
                Course::Ending(error) => self.over(error),
                course => self.course = course,
            },
            End::Refused(refusal) => {
                let with_jetstream = self.jetstream.wire.client.server_info().jetstream;
                // Subjects aren't kept; of a message that no stream takes the server tells it.
                let subject = headers.and_then(|headers| headers.get("Nats-Subject"));
                let subject = subject.map_or_else(|| batch.subject().as_str(), |s| s.as_str());
                self.over(Some(refusal.into_error(OPERATION, subject, with_jetstream)));
            }
            End::Gap => {
                let error = Error::new(
                    ErrorKind::Unavailable,
                    OPERATION,
                    "the server missed a message of the batch, and took none behind it",
                )
                .with("batch", batch.id());
                self.wonder(error, None);
            }
            End::Doubt => {
                let error = Error::new(
                    ErrorKind::OutcomeUnknown,
                    OPERATION,
                    "the server doesn't know the batch any more",
                )
                .with("batch", batch.id())
                .with_hint("what wasn't acknowledged may be stored: look, or repeat it by its ids");
                // Without the first message the server never had the batch.
                self.wonder(error, (batch.acked() == 0).then(|| batch.subject().clone()));
            }
        }
    }

    /// Looks for a refusal for want of permission that explains the end: of a
    /// message on `subject`, if that is known.
    fn wonder(&mut self, otherwise: Error, subject: Option<Subject>) {
        let explains = |denied: &str| subject.as_ref().is_none_or(|s| s.as_str() == denied);
        match self.denied.take() {
            Some((denied, error)) if explains(&denied) => self.over(Some(error)),
            _ => {
                let until = Instant::now() + HEARSAY;
                self.course = Course::Wondering { until, otherwise, subject };
            }
        }
    }

    fn take_notices(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        while let Poll::Ready(notice) = self.inbox.poll_notice(cx) {
            moved = true;
            match notice {
                Notice::Changed => self.look_at_link(),
                Notice::Denied(violation) => {
                    let error = denied(OPERATION, &violation);
                    if self.inbox.is_denied_by(&violation) {
                        self.over(Some(error));
                    } else if violation.act == Act::Publish {
                        self.hear(violation.subject.clone(), error);
                    }
                }
            }
            if matches!(self.course, Course::Over(_)) {
                break;
            }
        }
        moved
    }

    /// The server refused a publish on `subject`, maybe not of this batch.
    fn hear(&mut self, subject: String, error: Error) {
        if subject.starts_with("$JS.") {
            // A question of somebody's: no stream takes such subjects.
            return;
        }
        match &self.course {
            Course::Wondering { subject: Some(first), .. } if first.as_str() != subject => {}
            Course::Wondering { .. } => self.over(Some(error)),
            // The first one ended the batch; the others came behind it.
            _ => {
                self.denied.get_or_insert((subject, error));
            }
        }
    }

    /// Gives up what went over a connection that is gone.
    fn look_at_link(&mut self) {
        let link = &self.jetstream.wire.link;
        let state = link.state();
        let refusal = link.refusal(OPERATION, state);
        if let Some(error) = self.lost() {
            return self.over(Some(error));
        }
        match state {
            ConnectionState::Draining => self.finish(Some(refusal)),
            ConnectionState::Closed | ConnectionState::AuthFailed => self.over(Some(refusal)),
            _ => {}
        }
    }

    /// The error of a batch whose connection is gone.
    fn lost(&self) -> Option<Error> {
        let wire = &*self.jetstream.wire;
        let batch = self.batch.as_ref()?;
        let up =
            matches!(wire.link.state(), ConnectionState::Connected | ConnectionState::Draining);
        let same = up && wire.link.generation() == batch.generation();
        (!same).then(|| wire.lost(OPERATION).with("batch", batch.id()))
    }

    /// Takes no more messages, and ends with `error` once what was sent is stored.
    fn finish(&mut self, error: Option<Error>) {
        match (&self.course, &self.batch) {
            (Course::Running, None) => self.over(error),
            (Course::Running, Some(_)) => self.course = Course::Ending(error),
            _ => {}
        }
    }

    fn over(&mut self, error: Option<Error>) {
        if matches!(self.course, Course::Over(_)) {
            return;
        }
        if error.is_none() {
            self.jetstream.parts.forget(&self.id);
        }
        self.batch = None;
        self.held = None;
        self.course = Course::Over(error);
    }

    /// Does what is due when nothing else is to do. Says whether something was.
    fn rest(&mut self, cx: &mut Context<'_>) -> bool {
        let now = Instant::now();
        let ack_timeout = self.jetstream.wire.limits.ack_timeout;
        let patience = match &self.course {
            Course::Over(_) => return true,
            Course::Wondering { until, .. } => Some(*until),
            Course::Running | Course::Ending(_) => match (&self.batch, &self.held) {
                (Some(batch), _) => batch.patience(ack_timeout),
                (None, Some((_, until))) => Some(*until),
                (None, None) => None,
            },
        };
        if patience.is_some_and(|at| at <= now) {
            self.give_up();
            return true;
        }
        let mut due = patience;
        if let Some(batch) = &self.batch {
            let commit = match self.course {
                // Even where an acknowledgement would come by itself.
                Course::Ending(_) if batch.is_open() => Some(now),
                // There may be more messages, which wait for the first one's acknowledgement.
                Course::Running if self.confirm_start && !batch.is_confirmed() => None,
                _ => batch.commit_due(),
            };
            let ask = batch.ask_due();
            let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
            if is_due(commit) && self.tell(Operation::Commit, now, cx) {
                return true;
            }
            if is_due(ask) && self.tell(Operation::Ping, now, cx) {
                return true;
            }
            // What is due already waits for room in the client's queue, which wakes.
            for at in [commit, ask].into_iter().flatten().filter(|at| *at > now) {
                due = Some(due.map_or(at, |due| due.min(at)));
            }
        }
        let Some(due) = due else { return false };
        if due < self.timer.deadline() || self.timer.is_elapsed() {
            self.timer.as_mut().reset(due);
        }
        self.timer.as_mut().poll(cx).is_ready()
    }

    /// The patience is at its end.
    fn give_up(&mut self) {
        let wire = &*self.jetstream.wire;
        let error = match (std::mem::replace(&mut self.course, Course::Running), &self.batch) {
            (Course::Wondering { otherwise, .. }, _) => otherwise,
            (_, Some(batch)) => wire
                .unanswered(OPERATION, Nature::Change, batch.subject())
                .with("batch", batch.id()),
            (_, None) => wire.link.unavailable(OPERATION),
        };
        self.over(Some(error));
    }

    /// Counts what closing the connection has to wait for.
    fn count_work(&mut self) {
        let open = self.batch.as_ref().map_or(0, |batch| batch.unacked().max(1));
        self.work.set(usize::try_from(open).unwrap_or(usize::MAX));
    }
}
