//! The task that asks the disk, so that nobody else waits for it.

use std::future;
use std::hash::RandomState;
use std::sync::Arc;
use std::time::Duration;

use naq_core::{Error, ErrorKind, Result};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::doubts::{self, Cleared};
use super::fetching::{Fetch, Fetched};
use super::views::StreamView;
use crate::spool::{
    PositionSet, SentContext, Spool, SpoolEntry, SpoolOutcome, SpoolPosition, SpooledEvent,
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
    delivery_timeout: Duration,
) -> Result<KeeperGuard> {
    let runtime = Handle::try_current().map_err(|error| {
        Error::new(ErrorKind::Unsupported, "start", "the spool needs a tokio runtime")
            .with_source(error)
    })?;
    let alarm = Alarm::new(Arc::clone(&shared.clock));
    let corrupt = spool.status().corrupt;
    let not_before = Duration::ZERO;
    let keeper = Keeper { shared, spool, hasher, delivery_timeout, alarm, corrupt, not_before };
    Ok(KeeperGuard(runtime.spawn(keeper.run())))
}

struct Keeper {
    shared: Arc<Shared>,
    spool: Arc<Spool>,
    hasher: RandomState,
    delivery_timeout: Duration,
    alarm: Alarm,
    /// How many damaged events are accounted for.
    corrupt: u64,
    /// Nothing is read before this, because the disk failed.
    not_before: Duration,
}

/// Events that are being written, put back if the writing is given up.
struct Writing<'a> {
    shared: &'a Shared,
    batch: Vec<Slot>,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if !self.batch.is_empty() {
            let batch = std::mem::take(&mut self.batch);
            self.shared.lock().put_back(batch);
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
        let now = self.shared.now();
        let batch = self.take_for_disk(now);
        if batch.is_empty() {
            return false;
        }
        let (entries, doubts) = self.entries(&batch, now);
        let mut writing = Writing { shared: &self.shared, batch };
        let appended = self.spool.append(entries).await.map(|positions| *positions.start());
        if let Ok(first) = appended {
            mark(&self.spool, in_runs(first, doubts)).await;
        }
        let batch = std::mem::take(&mut writing.batch);
        drop(writing);
        self.shared.written(batch, appended);
        true
    }

    fn take_for_disk(&self, now: Duration) -> Vec<Slot> {
        let mut effects = Effects::default();
        let mut state = self.shared.lock();
        let batch = state.take_for_disk(now, &mut effects);
        self.shared.carry_out(state, effects);
        batch
    }

    /// The events as the spool takes them, and those of them that are in doubt.
    fn entries(&self, batch: &[Slot], now: Duration) -> (Vec<SpoolEntry>, Vec<(u64, SentContext)>) {
        let wall = self.shared.clock.now();
        let mut entries = Vec::with_capacity(batch.len());
        let mut doubts = Vec::new();
        for (index, slot) in (0..).zip(batch) {
            let accepted = slot.deadline.saturating_sub(self.delivery_timeout);
            // As far as it can be told from the time that has passed since.
            let accepted_at = wall.saturating_sub(now.saturating_sub(accepted));
            if slot.in_doubt {
                doubts.push((index, self.shared.lock().sent_context(accepted, accepted_at)));
            }
            entries.push(SpoolEntry::new(slot.item.event.clone(), accepted_at));
        }
        (entries, doubts)
    }

    /// Reads what the session can send next. Says whether there was anything.
    async fn fetch(&mut self) -> bool {
        let now = self.shared.now();
        if now < self.not_before {
            return false;
        }
        let wall = self.shared.clock.now();
        let Some(mut fetch) = self.shared.lock().next_fetch(now, wall) else { return false };
        if fetch.is_stale
            && let Ok(info) = fetch.jetstream.stream_info(&self.shared.stream).await
        {
            let view = StreamView::new(&info, now);
            self.shared.lock().stream_seen(view);
            fetch.view = Some(view);
        }
        if let Err(error) = self.hand_in(fetch).await {
            tracing::warn!(%error, "events in the spool can't be sent at the moment");
            self.not_before = now.saturating_add(PAUSE);
        }
        true
    }

    async fn hand_in(&mut self, fetch: Fetch) -> Result<()> {
        let chunk = self.spool.read(fetch.from, fetch.limit).await?;
        self.count_corrupt();
        let mut events = chunk.events;
        let cleared = self.clear(&fetch, &events).await?;
        if !cleared.found.is_empty() {
            let positions: PositionSet = cleared.found.keys().copied().collect();
            self.spool.settle(positions, SpoolOutcome::Acked).await?;
            events = self.shared.found(events, &cleared.found);
        }
        let sent_at = fetch.recognition.now;
        let context = match fetch.view {
            Some(view) => view.context(sent_at),
            None => SentContext::lost(sent_at),
        };
        let positions: PositionSet = events.iter().map(|event| event.position).collect();
        if !positions.is_empty() {
            mark(&self.spool, vec![(positions, context)]).await;
        }
        let handed = Fetched {
            session: fetch.session,
            events,
            next: chunk.next,
            possible_duplicates: cleared.possible_duplicates,
        };
        self.shared.fetched(handed, &self.hasher);
        Ok(())
    }

    /// Finds out about events that are in doubt and not recognised by their ids any more.
    async fn clear(&mut self, fetch: &Fetch, events: &[SpooledEvent]) -> Result<Cleared> {
        let doubtful: Vec<(&SpooledEvent, SentContext)> = events
            .iter()
            .filter_map(|event| Some((event, doubts::doubt(event, &fetch.recognition)?)))
            .collect();
        if doubtful.is_empty() {
            return Ok(Cleared::default());
        }
        doubts::clear(&*fetch.jetstream, &self.shared.stream, fetch.view, &doubtful).await
    }

    /// Accounts for damaged events that were passed over.
    fn count_corrupt(&mut self) {
        let corrupt = self.spool.status().corrupt;
        let news = corrupt.saturating_sub(self.corrupt);
        if news > 0 {
            self.corrupt = corrupt;
            let now = self.shared.now();
            let mut state = self.shared.lock();
            state.events_corrupt(news, now);
            self.shared.carry_out(state, Effects { are_settled: true, ..Effects::default() });
        }
    }

    /// Waits until there is something to do.
    async fn rest(&mut self) {
        let now = self.shared.now();
        let until = {
            let mut state = self.shared.lock();
            if state.has_work_for_the_disk(now, self.not_before) {
                return;
            }
            let Some(spooling) = &mut state.spooling else { return };
            spooling.is_idle = true;
            let retry = spooling.trouble.is_some().then_some(spooling.retry_at);
            [retry.filter(|&at| at > now), Some(self.not_before).filter(|&at| at > now)]
                .into_iter()
                .flatten()
                .min()
        };
        let alarm = &mut self.alarm;
        tokio::select! {
            () = self.shared.keeper_nudge.notified() => {}
            () = future::poll_fn(|cx| alarm.poll(until, cx)) => {}
        }
        if let Some(spooling) = &mut self.shared.lock().spooling {
            spooling.is_idle = false;
        }
    }
}

/// Runs of events with the same context, by their place behind the first one.
fn in_runs(
    first: SpoolPosition,
    doubts: Vec<(u64, SentContext)>,
) -> Vec<(PositionSet, SentContext)> {
    let mut marks: Vec<(PositionSet, SentContext)> = Vec::new();
    let (mut position, mut at) = (first, 0);
    for (index, context) in doubts {
        while at < index {
            (position, at) = (position.next(), at + 1);
        }
        match marks.last_mut() {
            Some((positions, same))
                if same.stream_created == context.stream_created
                    && same.last_sequence == context.last_sequence =>
            {
                // The earlier time is before both were sent.
                positions.insert(position);
            }
            _ => marks.push(([position].into_iter().collect(), context)),
        }
    }
    marks
}

/// Notes that events are being sent, or were.
async fn mark(spool: &Spool, marks: Vec<(PositionSet, SentContext)>) {
    for (positions, context) in marks {
        if let Err(error) = spool.mark_sent(positions, context).await {
            // They are sent nevertheless: their ids are recognised for a while.
            tracing::warn!(%error, "that spooled events were sent could not be noted");
        }
    }
}
