//! The writer's one task: it connects, opens publish sessions, and takes their answers.

use std::future::{self, Future};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use naq_core::config::Guarantee;
use naq_core::connection::{ConnectionProvider, ConnectionProviderExt};
use naq_core::jetstream::{JetStream, PublishManyOptions, PublishWay, Published, StreamInfo};
use naq_core::{BoxStream, Error, ErrorKind, Result};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::alarm::Alarm;
use super::read_back::{self, Found};
use super::sender::PerWay;
use super::shared::Shared;
use super::source::Source;
use super::spooling::StreamView;
use super::way::Way;
use crate::stream_setup::StreamSetup;

/// So many answers are taken in under one lock.
const ANSWERS: usize = 256;

/// Ends the task when it is dropped.
#[derive(Debug)]
pub(super) struct DriverGuard(JoinHandle<()>);

impl Drop for DriverGuard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs the writer until the guard is dropped.
///
/// # Errors
/// `Unsupported` outside a tokio runtime.
pub(super) fn spawn(
    shared: Arc<Shared>,
    connections: Arc<dyn ConnectionProvider>,
    setup: Option<StreamSetup>,
) -> Result<DriverGuard> {
    let runtime = Handle::try_current().map_err(|error| {
        Error::new(ErrorKind::Unsupported, "start", "the event writer needs a tokio runtime")
            .with_source(error)
    })?;
    Ok(DriverGuard(runtime.spawn(async move {
        let _end = End(Arc::clone(&shared));
        let alarm = Alarm::new(Arc::clone(&shared.clock));
        let assumes = setup.is_none() && shared.lock().facts.is_none();
        Driver { shared, connections, setup, assumes, way: None, may_read: None, alarm }
            .run()
            .await;
    })))
}

/// However the task ends, be it by a panic in a JetStream of others: no event
/// stays without an outcome, and nobody waits for one in vain.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let stream = self.0.stream.as_str();
            tracing::error!(stream, "the event writer panicked: no more events are accepted");
        }
        self.0.end();
    }
}

struct Driver {
    shared: Arc<Shared>,
    connections: Arc<dyn ConnectionProvider>,
    /// What is to be done about the stream before anything is sent, if that is still to do.
    setup: Option<StreamSetup>,
    /// Whether nothing is asked about the stream, be it here or at the service's
    /// start: then no right is needed but to publish.
    assumes: bool,
    /// The way that events went the last time, and with which guarantee.
    way: Option<(Way, Guarantee)>,
    /// Whether the stream may be read, once that was tried.
    may_read: Option<bool>,
    alarm: Alarm,
}

impl Driver {
    async fn run(mut self) {
        loop {
            self.wait_for_work().await;
            match self.connect().await {
                Ok(jetstream) => self.session(jetstream).await,
                Err(error) => self.shared.connecting_failed(error),
            }
        }
    }

    /// Waits until there is something to send and sending it makes sense.
    async fn wait_for_work(&mut self) {
        loop {
            let (next, _) = self.shared.tick();
            if self.shared.lock().wants_a_session(self.shared.now()) {
                return;
            }
            self.rest(next).await;
        }
    }

    async fn connect(&mut self) -> Result<Arc<dyn JetStream>> {
        let connections = Arc::clone(&self.connections);
        let jetstream = self.ticking(pin!(connections.default_jetstream())).await?;
        if let Some(setup) = self.setup.clone() {
            let facts = self.ticking(pin!(setup.run(jetstream.capabilities()))).await?;
            self.shared.know_stream(facts);
            self.setup = None;
        }
        Ok(jetstream)
    }

    /// Sends what there is and takes the answers, until there is nothing to
    /// send any more or the session is of no use.
    async fn session(&mut self, jetstream: Arc<dyn JetStream>) {
        self.shared.set_max_payload(jetstream.server_info().max_payload);
        if !self.view_the_stream(&*jetstream).await {
            return;
        }
        let (way, guarantee) = match self.prepare(&*jetstream).await {
            Ok(prepared) => prepared,
            Err(error) => return self.shared.connecting_failed(error),
        };
        self.shared.begin_session(way, guarantee, &jetstream);
        let stream = self.shared.stream.clone();
        let mut open = Open::default();
        let mut marking: Option<BoxFuture<'_, Result<StreamInfo>>> = None;
        let mut answers = Vec::with_capacity(ANSWERS);
        let mut settled = Vec::new();
        loop {
            let (next, stuck) = self.shared.tick();
            if stuck || self.shared.is_spent() {
                break;
            }
            for way in Way::BOTH {
                if open.0.of(way).is_none()
                    && let Some((number, batch)) = self.shared.open(way)
                {
                    let source = Source::new(Arc::clone(&self.shared), way, number);
                    let answers =
                        jetstream.publish_many(source.boxed(), options(way, batch, guarantee));
                    *open.0.of_mut(way) = Some(answers);
                }
            }
            if open.is_empty() && !self.shared.awaits_more() {
                break;
            }
            if guarantee == Guarantee::ReadBack && marking.is_none() && self.shared.wants_a_mark() {
                marking = Some(jetstream.stream_info(&stream));
            }
            let answered = tokio::select! {
                biased;
                info = marked(&mut marking) => {
                    marking = None;
                    match info {
                        Ok(info) => self.shared.mark(&info, false),
                        Err(error) => tracing::debug!(%error, "the event stream can't be seen"),
                    }
                    None
                }
                answered = open.take_answers(&mut answers) => Some(answered),
                () = self.rest(next) => None,
            };
            let Some((way, more)) = answered else { continue };
            self.shared.answer(way, &mut answers, &mut settled);
            if !more {
                *open.0.of_mut(way) = None;
                self.shared.closed(way);
            }
            // A JetStream that answers at once must not keep the thread to itself.
            tokio::task::consume_budget().await;
        }
        // First, so that nobody who still holds a source can send from it.
        for way in Way::BOTH {
            self.shared.closed(way);
        }
        self.shared.end_session();
    }

    /// Chooses the way by which events go to the server from here on, and
    /// settles which of those sent before are stored.
    ///
    /// # Errors
    /// Those of asking the server, with which nothing can be sent either.
    async fn prepare(&mut self, jetstream: &dyn JetStream) -> Result<(Way, Guarantee)> {
        self.settle_doubt(jetstream).await?;
        let way = Way::of(jetstream.capabilities(), self.shared.takes_batches());
        let wanted = self.shared.guarantee();
        let may_read = way.needs_reading(wanted) && self.can_read_back(jetstream).await?;
        let guarantee = way.guarantee(wanted, may_read);
        if self.way.replace((way, guarantee)) != Some((way, guarantee)) {
            let stream = self.shared.stream.as_str();
            tracing::info!(stream, "events go to the server by {way}, with {guarantee}");
        }
        Ok((way, guarantee))
    }

    /// Whether what a batch leaves in doubt can be read back; notes the
    /// sequence of the stream behind which all that is sent next will stand.
    ///
    /// # Errors
    /// Those that say that the server isn't there. After any other events can
    /// be sent all the same, with their ids.
    async fn can_read_back(&mut self, jetstream: &dyn JetStream) -> Result<bool> {
        if self.may_read == Some(false) {
            return Ok(false);
        }
        let shared = Arc::clone(&self.shared);
        match self.look_at(&shared.stream, jetstream).await {
            Ok(info) => shared.mark(&info, true),
            Err(error) if self.is_away(&error) => return Err(error),
            Err(error) => {
                // Where nothing but publishing is allowed, silence may be how the server says so.
                if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Timeout) {
                    self.may_read = Some(false);
                }
                tracing::info!(%error, "the event stream can't be read back");
                return Ok(false);
            }
        }
        Ok(self.may_read == Some(true))
    }

    /// Sees the stream, and tries once whether it may be read.
    async fn look_at(&mut self, stream: &str, jetstream: &dyn JetStream) -> Result<StreamInfo> {
        let info = self.ticking(jetstream.stream_info(stream)).await?;
        if self.may_read.is_none() {
            let asking = read_back::may_read(jetstream, stream, &info);
            self.may_read = Some(self.ticking(pin!(asking)).await?);
        }
        Ok(info)
    }

    /// Whether nothing can be sent either, after a question was answered so.
    fn is_away(&self, error: &Error) -> bool {
        match error.kind() {
            ErrorKind::Closed | ErrorKind::AuthFailed => true,
            // The publishers' account may have nobody who answers questions; who
            // answered once would answer again.
            ErrorKind::Unavailable | ErrorKind::Timeout => !self.assumes || self.may_read.is_some(),
            _ => false,
        }
    }

    /// Finds out what is stored of a batch that broke without message ids.
    ///
    /// The batch is fenced off first: then nothing of it can arrive later.
    /// Where either isn't allowed, what wasn't found stays in doubt, and is sent again.
    async fn settle_doubt(&mut self, jetstream: &dyn JetStream) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let Some(doubt) = shared.lock().doubt.clone() else { return Ok(()) };
        let beyond = doubt.taken.saturating_add(1);
        let closing = jetstream.close_fast_batch(&doubt.subject, &doubt.batch, beyond);
        let is_fenced = match self.ticking(closing).await {
            Ok(Some(stored)) => {
                shared.batch_was_stored(stored);
                return Ok(());
            }
            Ok(None) => true,
            // Where there are no batches (any more) there isn't this one.
            Err(error) if error.is(ErrorKind::Unsupported) => true,
            // The fence is worth waiting for a server that is away, or for those in doubt.
            Err(error)
                if is_refused(&error)
                    || !(error.is(ErrorKind::Unavailable) || shared.is_in_doubt()) =>
            {
                tracing::warn!(%error, "a broken batch can't be fenced off");
                false
            }
            Err(error) => return Err(error),
        };
        let mut found = match shared.to_look_up(&doubt) {
            Some((created, behind, wanted)) => {
                let looking =
                    read_back::look_up(jetstream, &shared.stream, created, behind, &wanted);
                match self.ticking(pin!(looking)).await {
                    Err(error) if is_refused(&error) => {
                        if error.is(ErrorKind::PermissionDenied) {
                            self.may_read = Some(false);
                        }
                        tracing::warn!(%error, "a broken batch can't be read back");
                        Found::default()
                    }
                    looked => looked?,
                }
            }
            None => Found::default(),
        };
        found.is_certain &= is_fenced;
        shared.were_found(&found);
        Ok(())
    }

    /// Notes, for the spool, behind what in the stream all stands that this
    /// session sends. Says whether the server is there.
    async fn view_the_stream(&mut self, jetstream: &dyn JetStream) -> bool {
        if !self.shared.lock().views_the_stream() {
            return true;
        }
        let shared = Arc::clone(&self.shared);
        let asked = shared.now();
        match self.ticking(jetstream.stream_info(&shared.stream)).await {
            Ok(info) => shared.lock().stream_seen(StreamView::new(&info, asked)),
            Err(error) if shared.lock().is_needed(&error) => {
                shared.connecting_failed(error);
                return false;
            }
            // Nothing can be looked up then; the ids are recognised for a while.
            Err(error) => tracing::info!(%error, "the event stream can't be seen"),
        }
        true
    }

    /// Awaits something while events go on to age.
    async fn ticking<F: Future + Unpin>(&mut self, mut work: F) -> F::Output {
        loop {
            let (next, _) = self.shared.tick();
            tokio::select! {
                biased;
                output = &mut work => return output,
                () = self.rest(next) => {}
            }
        }
    }

    /// Waits until then, or until it is nudged.
    async fn rest(&mut self, until: Option<Duration>) {
        let alarm = &mut self.alarm;
        tokio::select! {
            () = self.shared.nudge.notified() => {}
            () = future::poll_fn(|cx| alarm.poll(until, cx)) => {}
        }
    }
}

/// Whether asking again helps nobody: the server says no, or has no room.
fn is_refused(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::LimitReached)
}

/// Waits for the answer, if one was asked for.
async fn marked(marking: &mut Option<BoxFuture<'_, Result<StreamInfo>>>) -> Result<StreamInfo> {
    match marking {
        Some(asking) => asking.await,
        None => future::pending().await,
    }
}

/// How a JetStream is asked to publish by this way.
fn options(way: Way, batch: String, guarantee: Guarantee) -> PublishManyOptions {
    PublishManyOptions::default().with_way(match way {
        Way::Fast => {
            PublishWay::FastBatch { id: batch, confirm_start: guarantee == Guarantee::ReadBack }
        }
        Way::Pipeline => PublishWay::Pipeline,
    })
}

/// The answers of a session's two ways, as far as they are open.
#[derive(Default)]
struct Open(PerWay<Option<BoxStream<'static, Result<Published>>>>);

impl Open {
    fn is_empty(&self) -> bool {
        Way::BOTH.iter().all(|&way| self.0.of(way).is_none())
    }

    /// Waits for answers and takes as many as there are. Says by which way
    /// they came, and whether more can come.
    async fn take_answers(&mut self, answers: &mut Vec<Result<Published>>) -> (Way, bool) {
        future::poll_fn(|cx| {
            for way in Way::BOTH {
                let Some(stream) = self.0.of_mut(way) else { continue };
                if let Poll::Ready(more) = poll_answers(way, stream, answers, cx) {
                    return Poll::Ready((way, more));
                }
            }
            Poll::Pending
        })
        .await
    }
}

fn poll_answers(
    way: Way,
    stream: &mut BoxStream<'static, Result<Published>>,
    answers: &mut Vec<Result<Published>>,
    cx: &mut Context<'_>,
) -> Poll<bool> {
    while answers.len() < ANSWERS {
        match stream.poll_next_unpin(cx) {
            Poll::Ready(Some(answer)) => {
                // A batch ends at its first failure.
                let ended = way == Way::Fast && answer.is_err();
                answers.push(answer);
                if ended {
                    return Poll::Ready(false);
                }
            }
            Poll::Ready(None) => return Poll::Ready(false),
            Poll::Pending if answers.is_empty() => return Poll::Pending,
            Poll::Pending => break,
        }
    }
    Poll::Ready(true)
}
