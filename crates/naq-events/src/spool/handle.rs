//! The handle to a spool.

use std::future::Future;
use std::ops::RangeInclusive;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use naq_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use super::log::SpoolLog;
use super::mark::SpoolOutcome;
use super::options::SpoolOptions;
use super::positions::{PositionSet, SpoolPosition};
use super::read::{ReadLimit, SpoolChunk};
use super::record::SpoolEntry;
use super::sent::SentContext;
use super::status::{Recovered, SpoolStatus};
use super::worker::{self, HowMany, Reply, Request, Shared, closed};

/// A spool that this process owns: events on disk until they have an outcome.
///
/// A thread of its own does the work, in the order of the calls; no call
/// blocks the task that makes it. Up to 256 calls wait for the thread, further
/// ones for room. Dropping a call's future takes nothing back: what was asked
/// for is done.
///
/// ```
/// use naq_core::events::{Event, EventEncoder, EventSubjects};
/// use naq_core::Timestamp;
/// use naq_events::spool::{
///     PositionSet, ReadLimit, Spool, SpoolEntry, SpoolOptions, SpoolOutcome, SpoolPosition,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> naq_core::Result<()> {
/// # let dir = tempfile::tempdir().expect("a folder for the example");
/// let (spool, recovered) = Spool::open(dir.path(), SpoolOptions::default()).await?;
/// assert_eq!(recovered.events, 0);
///
/// let now = Timestamp::from_nanos(1_764_000_000_000_000_000);
/// let encoder = EventEncoder::new(EventSubjects::default());
/// let event = encoder.encode(&Event::job_started("job-1", "worker-1", "emails"), now)?;
/// spool.append(vec![SpoolEntry::new(event, now)]).await?;
///
/// let chunk = spool.read(SpoolPosition::START, ReadLimit::default()).await?;
/// assert_eq!(chunk.events[0].event.subject(), "events.job_started.job-1");
/// let sent: PositionSet = chunk.events.iter().map(|event| event.position).collect();
/// spool.settle(sent, SpoolOutcome::Acked).await?;
/// assert_eq!(spool.status().events, 0);
/// spool.close().await
/// # }
/// ```
#[derive(Debug)]
pub struct Spool {
    shared: Arc<Shared>,
}

impl Spool {
    /// Opens a spool below `root`, which is made if it isn't there.
    ///
    /// It takes a folder of its own: the first free one in which events were
    /// left by a process that is no more, else the first free one. Call it
    /// again for the events of another; [`spool_folders`](super::spool_folders)
    /// tells whether there are any. Torn ends of files are cut off, damaged
    /// records set aside where they are met, and both are counted.
    ///
    /// # Errors
    /// `LimitReached` for a full disk, or a thousand other owners;
    /// `PermissionDenied` and `Unavailable` for what else the disk says;
    /// `Unsupported` for files of another version.
    pub async fn open(root: impl AsRef<Path>, options: SpoolOptions) -> Result<(Self, Recovered)> {
        let root = root.as_ref().to_owned();
        Self::start(move || SpoolLog::open(&root, options)).await
    }

    /// Opens one owner's folder of a spool, to take over what is in it.
    ///
    /// # Errors
    /// As [`open`](Self::open); `Conflict` where another process has it.
    pub async fn open_folder(
        folder: impl AsRef<Path>,
        options: SpoolOptions,
    ) -> Result<(Self, Recovered)> {
        let folder = folder.as_ref().to_owned();
        Self::start(move || SpoolLog::open_folder(&folder, options)).await
    }

    async fn start(
        open: impl FnOnce() -> Result<(SpoolLog, Recovered)> + Send + 'static,
    ) -> Result<(Self, Recovered)> {
        let (opened, answer) = oneshot::channel();
        let work = move || match open() {
            Ok((log, recovered)) => {
                let shared = Arc::new(Shared::new(log.status()));
                let spool = Self { shared: Arc::clone(&shared) };
                // Where nobody waits any more, the handle drops and the thread ends.
                let _ = opened.send(Ok((spool, recovered)));
                worker::run(log, shared);
            }
            Err(error) => drop(opened.send(Err(error))),
        };
        thread::Builder::new().name("naq-spool".to_owned()).spawn(work).map_err(|error| {
            Error::new(ErrorKind::LimitReached, "spool_open", "the system gives no thread")
                .with_source(error)
        })?;
        answer.await.map_err(|_| closed())?
    }

    /// Adds events, in this order, all or none. Answers the first and the last
    /// of their positions, which are neighbours. Those that were sent before are
    /// in doubt from the instant at which they are in the spool.
    ///
    /// When it answers, the events survive the end of the process; with
    /// [`SpoolFsync::Always`](super::SpoolFsync::Always) also that of the
    /// machine. If the future is dropped the events may be in the spool.
    ///
    /// # Errors
    /// `LimitReached` where `max_bytes` is reached or the disk is full,
    /// `TooLarge` for an event that no spool takes (128 MiB; a subject or an id
    /// of 64 KiB), `InvalidArgument` for none, `Closed`, and those of the disk.
    /// None of the events is in the spool then.
    pub async fn append(&self, entries: Vec<SpoolEntry>) -> Result<RangeInclusive<SpoolPosition>> {
        let how_many = HowMany::AllOrNone;
        let appended = self.ask(|reply| Request::Append { entries, how_many, reply }).await?;
        Ok(appended.positions)
    }

    /// Hands events over without waiting: the first ones of them are added, as many
    /// as there is room for, in this order.
    ///
    /// They are written even if the answer is not awaited, but only the answer says
    /// how many were. Where nobody awaits it, the program's log tells of those that
    /// were refused.
    ///
    /// # Errors
    /// `LimitReached` where 256 calls wait already, `Closed`. The answer has those of
    /// [`append`](Self::append), where not even the first one was added.
    pub fn try_append(&self, entries: Vec<SpoolEntry>) -> Result<Appending> {
        let permit = Arc::clone(&self.shared.room).try_acquire_owned().map_err(|refused| {
            if matches!(refused, tokio::sync::TryAcquireError::Closed) {
                return closed();
            }
            Error::new(ErrorKind::LimitReached, "spool_append", "the spool's disk is behind")
                .with_hint("log more slowly, or give the spool a faster disk")
        })?;
        let (reply, answer) = oneshot::channel();
        self.shared.ask(Request::Append { entries, how_many: HowMany::Fitting, reply }, permit)?;
        Ok(Appending(answer))
    }

    /// The next events without an outcome from this position on, in order.
    ///
    /// It remembers no place: the caller reads on from
    /// [`SpoolChunk::next`], and from [`SpoolPosition::START`] to begin anew.
    /// An empty chunk says that there is nothing more at the moment.
    ///
    /// # Errors
    /// Those of the disk, `Closed`.
    pub async fn read(&self, from: SpoolPosition, limit: ReadLimit) -> Result<SpoolChunk> {
        self.ask(|reply| Request::Read { from, limit, reply }).await
    }

    /// Notes that these events are about to be sent, and what is known then.
    /// Await it before sending them.
    ///
    /// Events that were sent to the same stream before keep the earlier
    /// context, and cost nothing.
    ///
    /// # Errors
    /// Those of the disk, `Closed`. Not all of them may be noted then: don't send
    /// them. A full disk is no error: where there is no room for the note, the
    /// segment says that notes are missing, and after the end of the process each
    /// of its events counts as sent.
    pub async fn mark_sent(&self, positions: PositionSet, context: SentContext) -> Result<()> {
        self.ask(|reply| Request::MarkSent { positions, context, reply }).await
    }

    /// Notes what became of these events: they don't come out again, and their
    /// room is given back, a segment at a time. Answers for how many that is
    /// news.
    ///
    /// It holds at once, also where the disk is full: then it is written with
    /// the next mark, and [`SpoolStatus::trouble`] says so.
    ///
    /// # Errors
    /// `Closed`.
    pub async fn settle(&self, positions: PositionSet, outcome: SpoolOutcome) -> Result<u64> {
        self.ask(|reply| Request::Settle { positions, outcome, reply }).await
    }

    /// Makes the disk keep all that was answered before, whatever the policy.
    ///
    /// # Errors
    /// Those of the disk, `Closed`.
    pub async fn sync(&self) -> Result<()> {
        self.ask(|reply| Request::Sync { reply }).await
    }

    /// How it was doing after the latest call, without waiting.
    #[must_use]
    pub fn status(&self) -> SpoolStatus {
        self.shared.status()
    }

    /// Does what was asked for before, makes the disk keep it, and gives the
    /// folder back. Dropping the spool does the same, later and without an answer.
    /// Every call that comes afterwards is `Closed`.
    ///
    /// # Errors
    /// Those of the disk; the folder is given back nevertheless.
    pub async fn close(&self) -> Result<()> {
        self.ask(|reply| Request::Close { reply }).await
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T> {
        let room = Arc::clone(&self.shared.room);
        let permit = room.acquire_owned().await.map_err(|_| closed())?;
        let (reply, answer) = oneshot::channel();
        self.shared.ask(request(reply), permit)?;
        answer.await.map_err(|_| closed())?
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.shared.leave();
    }
}

/// What was added of events that were handed over.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Appended {
    /// The first and the last position of those that were added: the first ones.
    pub positions: RangeInclusive<SpoolPosition>,
    /// Why the others were not, if there are others.
    pub refused: Option<Error>,
}

impl Appended {
    pub(crate) const fn new(first: u64, last: u64, refused: Option<Error>) -> Self {
        Self { positions: SpoolPosition(first)..=SpoolPosition(last), refused }
    }

    /// How many were added.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.positions.end().get() - self.positions.start().get() + 1
    }
}

/// The answer to [`Spool::try_append`].
#[derive(Debug)]
#[must_use = "only the answer says how many of the events are in the spool"]
pub struct Appending(oneshot::Receiver<Result<Appended>>);

impl Future for Appending {
    type Output = Result<Appended>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|answer| answer.unwrap_or_else(|_| Err(closed())))
    }
}
