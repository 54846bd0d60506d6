//! The writer's one task: it connects, opens publish sessions, and takes their answers.

use std::future::{self, Future};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::StreamExt;
use naq_core::connection::{ConnectionProvider, ConnectionProviderExt};
use naq_core::jetstream::{JetStream, JetStreamExt, PublishAck};
use naq_core::{BoxStream, Error, ErrorKind, Result};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::alarm::Alarm;
use super::shared::Shared;
use super::source::Source;
use super::spooling::StreamView;
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
        Driver { shared, connections, setup, alarm }.run().await;
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
            let max_message = self.ticking(pin!(setup.run())).await?;
            self.shared.set_max_message(max_message);
            self.setup = None;
        }
        Ok(jetstream)
    }

    /// Sends what there is and takes the answers, until the session is of no use any more.
    async fn session(&mut self, jetstream: Arc<dyn JetStream>) {
        self.shared.set_max_payload(jetstream.server_info().max_payload);
        if !self.view_the_stream(&*jetstream).await {
            return;
        }
        let session = self.shared.begin_session(&jetstream);
        let source = Source::new(Arc::clone(&self.shared), session);
        let mut session_answers = jetstream.publish_each(source.boxed());
        let mut answers = Vec::with_capacity(ANSWERS);
        loop {
            let (next, stuck) = self.shared.tick();
            if stuck || self.shared.is_spent() {
                break;
            }
            let more = tokio::select! {
                biased;
                more = take_answers(&mut session_answers, &mut answers) => more,
                () = self.rest(next) => true,
            };
            self.shared.answer(session, &mut answers);
            if !more {
                break;
            }
            // A JetStream that answers at once must not keep the thread to itself.
            tokio::task::consume_budget().await;
        }
        // First, so that nobody who still holds the source can send from it.
        self.shared.end_session();
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

/// Waits for answers and takes as many as there are. Says whether more can come.
async fn take_answers(
    session: &mut BoxStream<'static, Result<PublishAck>>,
    answers: &mut Vec<Result<PublishAck>>,
) -> bool {
    let mut poll = |cx: &mut Context<'_>| -> Poll<bool> {
        while answers.len() < ANSWERS {
            match session.poll_next_unpin(cx) {
                Poll::Ready(Some(answer)) => answers.push(answer),
                Poll::Ready(None) => return Poll::Ready(false),
                Poll::Pending if answers.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(true)
    };
    future::poll_fn(|cx| Poll::Ready(ready!(poll(cx)))).await
}
