//! The thread that does the spool's work, so that no task waits for a disk.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::SpoolFsync;
use naq_core::{Error, ErrorKind, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::handle::Appended;
use super::log::{NotKept, SpoolLog};
use super::mark::SpoolOutcome;
use super::positions::{PositionSet, SpoolPosition};
use super::read::{ReadLimit, SpoolChunk};
use super::record::SpoolEntry;
use super::sent::SentContext;
use super::status::SpoolStatus;

/// How many requests may wait for the thread; who has one more waits for room.
const MAX_REQUESTS: usize = 256;

/// Where an answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T>>;

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Request {
    Append { entries: Vec<SpoolEntry>, how_many: HowMany, reply: Reply<Appended> },
    MarkSent { positions: PositionSet, context: SentContext, reply: Reply<()> },
    Settle { positions: PositionSet, outcome: SpoolOutcome, reply: Reply<u64> },
    Read { from: SpoolPosition, limit: ReadLimit, reply: Reply<SpoolChunk> },
    Sync { reply: Reply<()> },
    Close { reply: Reply<()> },
}

/// How many of the events that are to be added may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HowMany {
    /// All are added, or none.
    AllOrNone,
    /// The last ones, if there is no room for them.
    Fitting,
}

/// Events that were added, and what is still to be said about them.
struct Added {
    reply: Reply<Appended>,
    how_many: HowMany,
    positions: RangeInclusive<u64>,
    /// Why those behind them were not.
    refused: Option<Error>,
}

impl Added {
    /// What became of them, where the disk has `not_kept` some.
    fn outcome(&self, not_kept: Option<&NotKept>) -> Result<Appended> {
        let (first, last) = (*self.positions.start(), *self.positions.end());
        match not_kept {
            Some(NotKept { error, taken_back }) if last >= *taken_back => {
                if first >= *taken_back || self.how_many == HowMany::AllOrNone {
                    return Err(error.clone());
                }
                Ok(Appended::new(first, taken_back - 1, Some(error.clone())))
            }
            _ => Ok(Appended::new(first, last, self.refused.clone())),
        }
    }
}

/// Requests, first come first served.
#[derive(Debug, Default)]
struct Queue {
    requests: VecDeque<(Request, OwnedSemaphorePermit)>,
    /// Nobody will ask any more.
    is_left: bool,
    /// Nobody will answer any more.
    has_ended: bool,
}

/// What the thread and its handle share.
#[derive(Debug)]
pub(super) struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    pub(super) room: Arc<Semaphore>,
    status: Mutex<SpoolStatus>,
}

impl Shared {
    pub(super) fn new(status: SpoolStatus) -> Self {
        Self {
            queue: Mutex::default(),
            wake: Condvar::new(),
            room: Arc::new(Semaphore::new(MAX_REQUESTS)),
            status: Mutex::new(status),
        }
    }

    /// How the spool was doing after the latest request.
    pub(super) fn status(&self) -> SpoolStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tell(&self, status: SpoolStatus) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    /// Hands a request to the thread.
    ///
    /// # Errors
    /// `Closed` where the thread has ended.
    pub(super) fn ask(&self, request: Request, permit: OwnedSemaphorePermit) -> Result<()> {
        let mut queue = self.queue();
        if queue.has_ended {
            return Err(closed());
        }
        queue.requests.push_back((request, permit));
        drop(queue);
        self.wake.notify_one();
        Ok(())
    }

    /// Tells the thread to end when it has done what it was asked for.
    pub(super) fn leave(&self) {
        self.queue().is_left = true;
        self.wake.notify_one();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Each step under the lock leaves it whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All requests there are; none once `until` has passed, `None` once nobody asks any more.
    fn take(&self, until: Option<Instant>) -> Option<VecDeque<(Request, OwnedSemaphorePermit)>> {
        let mut queue = self.queue();
        loop {
            if !queue.requests.is_empty() {
                return Some(std::mem::take(&mut queue.requests));
            }
            if queue.is_left {
                return None;
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            queue = match left {
                Some(Duration::ZERO) => return Some(VecDeque::new()),
                Some(left) => {
                    let waited = self.wake.wait_timeout(queue, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

/// The error of a request that nobody will answer.
pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "spool", "the spool was closed")
}

/// Lets nobody wait for an answer once the thread has ended, by whatever way.
struct EndOfThread(Arc<Shared>);

impl Drop for EndOfThread {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.has_ended = true;
        // Dropping a request tells whoever waits for its answer.
        let unanswered = std::mem::take(&mut queue.requests);
        drop(queue);
        drop(unanswered);
        self.0.room.close();
    }
}

/// Answers to the requests of a batch, given when the status shows what they tell.
#[derive(Default)]
struct Answers {
    /// Not before the disk keeps what they are about.
    added: Vec<Added>,
    marked: Vec<Reply<()>>,
    ready: Vec<Box<dyn FnOnce()>>,
}

impl Answers {
    fn ready<T: 'static>(&mut self, reply: Reply<T>, answer: Result<T>) {
        // Whoever doesn't wait for an answer any more has no use for it.
        self.ready.push(Box::new(move || drop(reply.send(answer))));
    }

    /// Where nobody waits for the answer, the program's log is told of what is refused.
    fn appended(&mut self, reply: Reply<Appended>, answer: Result<Appended>) {
        let refused = match &answer {
            Ok(appended) => appended.refused.as_ref(),
            Err(error) => Some(error),
        };
        if let Some(error) = refused.filter(|_| reply.is_closed()) {
            tracing::error!(%error, "the spool did not take all events that were handed over");
        }
        self.ready(reply, answer);
    }

    /// Makes the disk keep what is waited for.
    fn commit(&mut self, log: &mut SpoolLog) {
        let not_kept = log.commit().err();
        for added in std::mem::take(&mut self.added) {
            let answer = added.outcome(not_kept.as_ref());
            self.appended(added.reply, answer);
        }
        for reply in std::mem::take(&mut self.marked) {
            let answer = not_kept.as_ref().map_or(Ok(()), |not| Err(not.error.clone()));
            self.ready(reply, answer);
        }
    }

    fn give(&mut self) {
        self.ready.drain(..).for_each(|answer| answer());
    }
}

/// Does what is asked for, until nobody asks any more.
///
/// What comes in while the disk is busy is written together and kept by one
/// sync: with many producers `SpoolFsync::Always` costs each a part of one.
pub(super) fn run(mut log: SpoolLog, shared: Arc<Shared>) {
    let end = EndOfThread(shared);
    let shared = &end.0;
    let is_periodic = log.options.fsync == SpoolFsync::Interval;
    let interval = is_periodic.then_some(log.options.fsync_interval);
    let mut unkept_since = None;
    let mut answers = Answers::default();
    while let Some(requests) = shared.take(unkept_since.zip(interval).map(|(at, span)| at + span)) {
        for (request, _permit) in requests {
            match work(&mut log, request, &mut answers) {
                Go::On => {}
                Go::Home(reply) => {
                    answers.give();
                    let closed = log.close();
                    // Before the answer: who has it may open the folder again.
                    drop(end);
                    let _ = reply.send(closed);
                    return;
                }
            }
        }
        answers.commit(&mut log);
        shared.tell(log.status());
        answers.give();
        if let Some(interval) = interval {
            let now = Instant::now();
            if unkept_since.is_some_and(|since: Instant| now >= since + interval) {
                if let Err(error) = log.sync() {
                    tracing::error!(%error, "the spool's disk did not keep events");
                    shared.tell(log.status());
                }
                unkept_since = None;
            }
            unkept_since = log.is_unkept().then(|| unkept_since.unwrap_or(now));
        }
    }
    if let Err(error) = log.close() {
        tracing::error!(%error, "the spool was not closed as it should be");
    }
}

/// Whether there may be more to do.
enum Go {
    On,
    Home(Reply<()>),
}

fn work(log: &mut SpoolLog, request: Request, answers: &mut Answers) -> Go {
    match request {
        Request::Append { entries, how_many, reply } => {
            let added = match how_many {
                HowMany::AllOrNone => log.append(&entries).map(|positions| (positions, None)),
                HowMany::Fitting => log.append_fitting(&entries),
            };
            match added {
                Ok((positions, refused)) => {
                    answers.added.push(Added { reply, how_many, positions, refused });
                }
                Err(error) => answers.appended(reply, Err(error)),
            }
        }
        Request::MarkSent { positions, context, reply } => {
            match log.mark_sent(&positions, context) {
                Ok(()) => answers.marked.push(reply),
                Err(error) => answers.ready(reply, Err(error)),
            }
        }
        Request::Settle { positions, outcome, reply } => {
            let news = log.settle(&positions, outcome);
            answers.ready(reply, Ok(news));
        }
        Request::Read { from, limit, reply } => {
            // Nothing comes out that may be taken back.
            answers.commit(log);
            let chunk = log.read(from, limit);
            answers.ready(reply, chunk);
        }
        Request::Sync { reply } => {
            answers.commit(log);
            let synced = log.sync();
            answers.ready(reply, synced);
        }
        Request::Close { reply } => {
            answers.commit(log);
            return Go::Home(reply);
        }
    }
    Go::On
}
