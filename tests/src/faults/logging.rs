//! A program's events: offered, answered, written down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use naq_core::config::EventsConfig;
use naq_core::events::{EventReceipt, EventSink, FlushReport};
use naq_core::{Error, ErrorKind, Result};
use naq_events::EventService;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::deadlines::Deadlines;
use super::rounds::is_full;
use crate::ledger::{Book, Line, Stamp};

/// One service that logs, and the book in which all of it is written down.
#[derive(Debug, Clone)]
pub struct Producer {
    /// Its name in the ledger; without `-`.
    pub name: String,
    /// What it logs to.
    pub events: Arc<EventService>,
    /// Where it is written down.
    pub book: Arc<Book>,
    deadlines: Deadlines,
}

/// Which jobs wait for the outcome of each of their events; the others wait for
/// acceptance alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// Every second one.
    Half,
    /// Each.
    All,
    /// None.
    None,
}

impl Told {
    const fn is(self, job: usize) -> bool {
        match self {
            Self::Half => !job.is_multiple_of(2),
            Self::All => true,
            Self::None => false,
        }
    }
}

/// So many outcomes a task waits for at most: what its calls take is no memory of naq's.
const OUTSTANDING: usize = 1_000;

/// How a [`Producer`] logs on and on.
#[derive(Debug, Clone)]
pub struct Load {
    /// How many jobs it tells of, each by a task of its own.
    pub jobs: usize,
    /// Which of them wait for outcomes.
    pub told: Told,
    /// What comes before the number in a job's name.
    pub job_prefix: String,
    /// The longest padding of an event, in bytes.
    pub pad: usize,
    /// The longest rest between two events of a job.
    pub rest: Duration,
    /// After how many events of a job it ends by itself.
    pub at_most: u64,
    /// What everything random comes from.
    pub seed: u64,
}

impl Load {
    /// Six jobs, each with about 200 events a second (500 at full length), until
    /// it is told to end.
    pub fn steady(seed: u64) -> Self {
        let rest = Duration::from_millis(if is_full() { 4 } else { 10 });
        Self {
            jobs: 6,
            told: Told::Half,
            job_prefix: "job".to_owned(),
            pad: 300,
            rest,
            at_most: u64::MAX,
            seed,
        }
    }

    /// One job, as fast as its events are accepted, until it is told to end;
    /// nobody waits for outcomes.
    pub fn flood(seed: u64, job_prefix: &str) -> Self {
        let job_prefix = job_prefix.to_owned();
        Self { jobs: 1, job_prefix, ..Self::steady(seed).at_once() }
    }

    /// The same with an end after so many events of each job.
    #[must_use]
    pub fn ending_after(mut self, events: u64) -> Self {
        self.at_most = events;
        self
    }

    /// The same with the outcome of each event told.
    #[must_use]
    pub fn all_told(mut self) -> Self {
        self.told = Told::All;
        self
    }

    /// The same without rests.
    #[must_use]
    pub fn at_once(mut self) -> Self {
        self.rest = Duration::ZERO;
        self
    }
}

/// Logging that is under way.
#[derive(Debug)]
pub struct Logging {
    over: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Logging {
    /// What ends it once it is true.
    pub fn switch(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.over)
    }

    /// Ends it, and waits for the outcomes that were asked for.
    ///
    /// # Panics
    /// When a task did.
    pub async fn end(self) {
        self.over.store(true, Ordering::Relaxed);
        self.done().await;
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// When a task did.
    pub async fn done(mut self) {
        while let Some(task) = self.tasks.join_next().await {
            task.unwrap();
        }
    }
}

impl Producer {
    /// A service of this configuration under a name.
    pub fn new(
        name: &str,
        events: &Arc<EventService>,
        config: &EventsConfig,
        book: &Arc<Book>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            events: Arc::clone(events),
            book: Arc::clone(book),
            deadlines: Deadlines::of(config),
        }
    }

    /// Logs one event and waits for its acceptance alone; answers whether it was accepted.
    pub async fn log(&self, job: &str, n: u64, pad: usize) -> Result<()> {
        let stamp = Stamp::new(&self.name, job, n, pad);
        self.book.write(&Line::offered(&stamp));
        let call = self.events.log(stamp.event().into());
        let result = self.book.timed("log", self.deadlines.accepting, call).await;
        let id = stamp.id();
        self.book.write(&match &result {
            Ok(()) => Line::Accepted { id },
            Err(error) => Line::Rejected { id, kind: error.kind().to_string() },
        });
        result
    }

    /// Logs one event and waits for its outcome.
    pub async fn log_acked(&self, job: &str, n: u64, pad: usize) -> Result<EventReceipt> {
        self.offer(&Stamp::new(&self.name, job, n, pad)).await.await
    }

    /// Offers an event at once; what comes back waits for its outcome.
    async fn offer(&self, stamp: &Stamp) -> impl Future<Output = Result<EventReceipt>> + use<> {
        let id = stamp.id();
        self.book.write(&Line::offered(stamp));
        let events = Arc::clone(&self.events);
        let input = stamp.event().into();
        let mut call = Box::pin(async move { events.log_acked(input).await });
        // Its place in the order is taken when it is polled for the first time.
        let first = futures::poll!(&mut call);
        let (book, within) = (Arc::clone(&self.book), self.deadlines.telling);
        if first.is_pending() {
            book.write(&Line::Accepted { id: id.clone() });
        }
        let begun = Instant::now();
        async move {
            let (result, accepted) = match first {
                // On a busy machine the server's answer may be there at once.
                Poll::Ready(result) => {
                    let accepted = !result.as_ref().is_err_and(is_a_rejection);
                    if accepted {
                        book.write(&Line::Accepted { id: id.clone() });
                    }
                    (result, accepted)
                }
                Poll::Pending => (call.await, true),
            };
            book.write(&told(id, &result, accepted));
            book.write(&Line::called("log_acked", begun.elapsed(), within));
            result
        }
    }

    /// Begins to log on and on.
    pub fn load(&self, load: &Load) -> Logging {
        let over = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for job in 0..load.jobs {
            let (producer, load, over) = (self.clone(), load.clone(), Arc::clone(&over));
            tasks.spawn(async move { producer.log_on(job, &load, &over).await });
        }
        Logging { over, tasks }
    }

    async fn log_on(&self, job: usize, load: &Load, over: &AtomicBool) {
        let mut random = fastrand::Rng::with_seed(load.seed.wrapping_add(job as u64));
        let name = format!("{}{job}", load.job_prefix);
        let mut outcomes = FuturesUnordered::new();
        for n in 0..load.at_most {
            if over.load(Ordering::Relaxed) {
                break;
            }
            let pad = random.usize(0..=load.pad);
            if !load.told.is(job) {
                // What was rejected is in the book.
                let _ = self.log(&name, n, pad).await;
            } else {
                let outcome = self.offer(&Stamp::new(&self.name, &name, n, pad)).await;
                outcomes.push(outcome);
                if outcomes.len() >= OUTSTANDING {
                    outcomes.next().await;
                }
            }
            let rest = tokio::time::sleep(load.rest.mul_f64(random.f64()));
            if load.rest.is_zero() {
                tokio::task::yield_now().await;
            } else {
                rest.await;
            }
            // Those that are ready; the others at the end.
            while let Poll::Ready(Some(_)) = futures::poll!(outcomes.next()) {}
        }
        while outcomes.next().await.is_some() {}
    }

    /// Flushes while nothing is logged; where all is stored, writes so for each
    /// event of this producer that nobody waited for.
    ///
    /// # Panics
    /// When the flush fails.
    pub async fn flush(&self, within: Duration) -> FlushReport {
        let report = self.book.timed("flush", within, self.events.flush(within)).await.unwrap();
        if report.is_clean() {
            self.all_acked();
        }
        report
    }

    /// Flushes, and insists that all is stored.
    ///
    /// # Panics
    /// When it isn't.
    pub async fn settle(&self, within: Duration) {
        let report = self.flush(within).await;
        assert!(report.is_clean(), "{report:?} {:?}", self.events.counters());
        let counters = self.events.counters();
        assert_eq!((counters.failed, counters.unknown), (0, 0), "{counters:?}");
    }

    /// Writes down that each event of this producer without an outcome is stored.
    pub fn all_acked(&self) {
        let mine = format!("{}-", self.name);
        for id in self.book.history().open() {
            if id.starts_with(&mine) {
                self.book.write(&Line::Acked { id, sequence: None });
            }
        }
    }

    /// Writes down the service's own account; nothing is logged afterwards.
    pub fn count(&self) {
        self.book.write(&Line::counted(&self.name, &self.events.account()));
    }
}

/// Whether an error that came at once is about accepting the event.
fn is_a_rejection(error: &Error) -> bool {
    [ErrorKind::LimitReached, ErrorKind::TooLarge, ErrorKind::InvalidArgument, ErrorKind::Closed]
        .contains(&error.kind())
}

/// What naq said of an event.
fn told(id: String, result: &Result<EventReceipt>, accepted: bool) -> Line {
    match result {
        Ok(receipt) if receipt.is_spooled() => Line::Spooled { id },
        Ok(receipt) => Line::Acked { id, sequence: receipt.sequence },
        Err(error) if !accepted => Line::Rejected { id, kind: error.kind().to_string() },
        Err(error) if error.is(ErrorKind::OutcomeUnknown) => Line::Unknown { id },
        Err(error) => Line::Failed { id, kind: error.kind().to_string() },
    }
}
