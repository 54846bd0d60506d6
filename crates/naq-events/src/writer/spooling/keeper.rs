//! The task that asks the disk, so that nobody else waits for it.

use std::future;
use std::hash::RandomState;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use naq_core::{Error, ErrorKind, Result};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::doubts::{self, Recognition};
use super::fetching::{Fetch, Fetched};
use super::keeping::plain_entry;
use super::looking::{Looked, Looking};
use crate::spool::{
    Appended, PositionSet, SentContext, Spool, SpoolEntry, SpoolOutcome, SpooledEvent,
};
use crate::writer::alarm::Alarm;
use crate::writer::shared::Shared;
use crate::writer::slot::Slot;
use crate::writer::state::Effects;

/// After an error of the disk it is not read again before this.
const PAUSE: Duration = Duration::from_secs(1);

/// Ends the task when it is dropped.
#[derive(Debug)]
pub(in crate::writer) struct KeeperGuard(JoinHandle<()>);

impl KeeperGuard {
    /// Ends the task, and waits until it has let go of the spool.
    pub(in crate::writer) async fn end(mut self) {
        self.0.abort();
        // It was told to end; how it ended doesn't matter.
        let _ = (&mut self.0).await;
    }
}

impl Drop for KeeperGuard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs until the guard is dropped.
///
/// # Errors
/// `Unsupported` outside a tokio runtime.
pub(in crate::writer) fn spawn(
    shared: Arc<Shared>,
    spool: Arc<Spool>,
    hasher: RandomState,
) -> Result<KeeperGuard> {
    let runtime = Handle::try_current().map_err(|error| {
        Error::new(ErrorKind::Unsupported, "start", "the spool needs a tokio runtime")
            .with_source(error)
    })?;
    let alarm = Alarm::new(Arc::clone(&shared.clock));
    let (looking, not_before) = (None, Duration::ZERO);
    let keeper = Keeper { shared, spool, hasher, alarm, looking, not_before };
    Ok(KeeperGuard(runtime.spawn(keeper.run())))
}

struct Keeper {
    shared: Arc<Shared>,
    spool: Arc<Spool>,
    hasher: RandomState,
    alarm: Alarm,
    /// What the stream is asked about what was read.
    looking: Option<Looking>,
    /// Nothing is read before this, because the disk failed.
    not_before: Duration,
}

/// Events that are being written, accounted for if the writing is given up.
struct Writing {
    shared: Arc<Shared>,
    batch: Vec<Slot>,
    /// Whether the disk has them: it writes them whoever waits for the answer.
    is_handed_over: bool,
}

impl Writing {
    /// Writes as many of the events as there is room for, the first ones.
    async fn append(&mut self, spool: &Spool) -> Result<Appended> {
        let appending = spool.try_append(self.entries())?;
        self.is_handed_over = true;
        appending.await
    }

    /// The events as the spool takes them.
    fn entries(&self) -> Vec<SpoolEntry> {
        let (now, wall) = (self.shared.now(), self.shared.clock.now());
        let steady_now = self.shared.lock().steady.at(now);
        // Nobody who logs waits for the copying of those that nothing is to be looked up for.
        let entry = |slot: &Slot| match slot.in_doubt {
            false => plain_entry(slot, steady_now, wall),
            true => self.shared.lock().spool_entry(slot, now, wall),
        };
        self.batch.iter().map(entry).collect()
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        if !batch.is_empty() {
            self.shared.not_waited_for(batch, self.is_handed_over);
        }
    }
}

impl Keeper {
    async fn run(mut self) {
        loop {
            let is_busy = self.note().await | self.keep().await | self.fetch().await;
            if is_busy {
                // A disk that answers at once must not keep the thread to itself.
                tokio::task::consume_budget().await;
            } else {
                self.rest().await;
            }
        }
    }

    /// Notes what became of events. Says whether there was anything.
    async fn note(&mut self) -> bool {
        let notes = self.shared.lock().take_notes();
        if notes.is_empty() {
            return false;
        }
        for (outcome, positions) in notes {
            if let Err(error) = self.spool.settle(positions, outcome).await {
                tracing::error!(%error, "what became of spooled events could not be noted");
            }
        }
        self.shared.noted();
        true
    }

    /// Writes the next events. Says whether there were any.
    async fn keep(&mut self) -> bool {
        let batch = self.take_for_disk();
        if batch.is_empty() {
            return false;
        }
        let shared = Arc::clone(&self.shared);
        let mut writing = Writing { shared, batch, is_handed_over: false };
        let appended = writing.append(&self.spool).await;
        let batch = std::mem::take(&mut writing.batch);
        self.shared.written(batch, appended);
        true
    }

    fn take_for_disk(&self) -> Vec<Slot> {
        let now = self.shared.now();
        let mut effects = Effects::default();
        let mut state = self.shared.lock();
        let batch = state.take_for_disk(now, &mut effects);
        self.shared.carry_out(state, effects);
        batch
    }

    /// Reads what the session can send next, and hands it in once the stream has said
    /// which of it it has. Says whether there was anything to do.
    async fn fetch(&mut self) -> bool {
        let now = self.shared.now();
        let handed = match &mut self.looking {
            Some(looking) if self.shared.lock().is_wanted(looking.session) => {
                if future::poll_fn(|cx| Poll::Ready(looking.poll(cx))).await.is_pending() {
                    return false;
                }
                let looked = looking.take();
                self.looking = None;
                match looked {
                    Some(Ok(looked)) => self.hand_in(looked).await,
                    Some(Err(error)) => Err(error),
                    None => Ok(()),
                }
            }
            _ => {
                self.looking = None;
                if now < self.not_before {
                    return false;
                }
                let wall = self.shared.clock.now();
                let Some(fetch) = self.shared.lock().next_fetch(now, wall) else { return false };
                self.read(fetch).await
            }
        };
        if let Err(error) = handed {
            tracing::warn!(%error, "events in the spool can't be sent at the moment");
            self.not_before = now.saturating_add(PAUSE);
        }
        true
    }

    /// What the stream recognises now.
    fn recognition(&self) -> Recognition {
        let (at, now) = (self.shared.now(), self.shared.clock.now());
        let state = self.shared.lock();
        let recognised_for = state.recognised_for;
        Recognition { recognised_for, at, now, steady_now: state.steady.at(at) }
    }

    async fn read(&mut self, fetch: Fetch) -> Result<()> {
        let chunk = self.spool.read(fetch.from, fetch.limit).await?;
        if !chunk.corrupt.is_empty() {
            self.shared.damaged(&chunk.corrupt);
        }
        self.looking = Some(Looking::begin(&self.shared, fetch, chunk));
        Ok(())
    }

    async fn hand_in(&mut self, looked: Looked) -> Result<()> {
        let Looked { mut fetch, chunk, cleared } = looked;
        let recognition = self.recognition();
        if chunk.events.iter().any(|event| {
            doubts::doubt(event, &recognition).is_some()
                && doubts::doubt(event, &fetch.recognition).is_none()
        }) {
            // While it was asked, the stream forgot ids that were relied upon.
            (fetch.recognition, fetch.is_stale) = (recognition, false);
            self.looking = Some(Looking::begin(&self.shared, fetch, chunk));
            return Ok(());
        }
        let mut events = chunk.events;
        if !cleared.found.is_empty() {
            let positions: PositionSet = cleared.found.keys().copied().collect();
            self.spool.settle(positions, SpoolOutcome::Acked).await?;
            events = self.shared.found(events, &cleared.found);
        }
        let sent_at = recognition.now;
        let context = match fetch.view {
            Some(view) => view.context(sent_at),
            None => SentContext::lost(sent_at),
        };
        let is_unsure = |event: &&SpooledEvent| cleared.uncertain.contains(&event.position);
        let (unsure, sure): (Vec<_>, Vec<_>) = events.iter().partition(is_unsure);
        // Of these it stays so until they have an outcome: they are counted when they are sent, and
        // the connection may break before that.
        let first_sent = unsure.iter().filter_map(|event| event.sent_at()).min();
        for (events, context) in
            [(unsure, SentContext::lost(first_sent.unwrap_or(sent_at))), (sure, context)]
        {
            let positions: PositionSet = events.iter().map(|event| event.position).collect();
            if !positions.is_empty() {
                self.spool.mark_sent(positions, context).await?;
            }
        }
        let handed = Fetched {
            session: fetch.session,
            events,
            next: chunk.next,
            recognition,
            uncertain: cleared.uncertain,
        };
        self.shared.fetched(handed, &self.hasher);
        Ok(())
    }

    /// Waits until there is something to do.
    async fn rest(&mut self) {
        let now = self.shared.now();
        let not_before = self.looking.is_none().then_some(self.not_before);
        let until = {
            let mut state = self.shared.lock();
            if state.has_work_for_the_disk(now, not_before) {
                return;
            }
            let Some(spooling) = &mut state.spooling else { return };
            spooling.is_idle = true;
            let retry = spooling.trouble.is_some().then_some(spooling.retry_at);
            [retry, not_before].into_iter().flatten().filter(|&at| at > now).min()
        };
        let (alarm, looking) = (&mut self.alarm, &mut self.looking);
        tokio::select! {
            () = self.shared.keeper_nudge.notified() => {}
            () = future::poll_fn(|cx| alarm.poll(until, cx)) => {}
            () = future::poll_fn(|cx| match looking {
                Some(looking) => looking.poll(cx),
                None => Poll::Pending,
            }) => {}
        }
        if let Some(spooling) = &mut self.shared.lock().spooling {
            spooling.is_idle = false;
        }
    }
}
