//! Who does the work, and what is logged of it.

use std::sync::Arc;
use std::time::Duration;

use naq_core::events::{Event, EventSink, EventSinkExt, EventType, JobLogger};
use naq_core::{Error, ErrorKind, Result};
use tokio::time::Instant;

use super::digest::{self, Digest, Refused};
use super::queue::Queue;
use super::run::{ATTEMPTS, Job, Run};

/// How long the events of a worker's last job may take, before it says that it stopped.
const LAST_JOB: Duration = Duration::from_secs(5);

/// One worker.
#[derive(Debug)]
pub(super) struct Worker {
    number: usize,
    id: String,
    events: Arc<dyn EventSink>,
    run: Arc<Run>,
    queue: Arc<Queue>,
}

impl Worker {
    /// The worker of a number, from 1.
    pub(super) fn new(
        number: usize,
        events: Arc<dyn EventSink>,
        run: Arc<Run>,
        queue: Arc<Queue>,
    ) -> Self {
        Self { number, id: run.worker(number), events, run, queue }
    }

    /// Takes jobs until there are no more.
    pub(super) async fn work(self) -> Result<()> {
        let queue = self.run.queue();
        // The first one's start is what the run begins with, and was logged there.
        if self.number > 1 {
            self.events.log_worker_started(&self.id, queue).await?;
        }
        while let Some(job) = self.queue.take().await {
            if self.run.is_stopped() {
                let logger = JobLogger::new(&*self.events, job.context);
                logger.cancelled("the demo was interrupted").await?;
            } else {
                self.carry_out(job).await?;
            }
        }
        // Events of other ids may be stored in another order than that of logging:
        // whoever reads that the worker stopped shall have read its last job's end.
        self.events.flush(LAST_JOB).await?;
        self.events.log_worker_stopped(&self.id, queue).await
    }

    async fn carry_out(&self, mut job: Job) -> Result<()> {
        let context = job.context.clone().with_worker(self.id.as_str()).with_attempt(job.attempt);
        let logger = JobLogger::new(&*self.events, context);
        let waited = job.queued.elapsed().as_secs_f64();
        logger.event(Event::new(EventType::JobStarted).with_queue_wait(waited)).await?;
        let begun = Instant::now();
        let done = self.digest(&job).await?;
        let took = begun.elapsed().as_secs_f64();
        let refused = match done {
            Ok(digest) => {
                let completed = Event::job_completed(logger.context().id.clone(), took, true)
                    .with_field("file", job.file)
                    .with_field("lines", digest.lines)
                    .with_field("words", digest.words)
                    .with_field("bytes", digest.bytes)
                    .with_field("sha256", digest.sha256);
                return logger.event(completed).await;
            }
            Err(Refused::Stopped) => return logger.cancelled("the demo was interrupted").await,
            Err(refused) => refused,
        };
        let (class, text) = in_words(&refused);
        let failed = Event::job_failed(logger.context().id.clone(), text, took)
            .with_error_type(class)
            .with_field("file", job.file.as_str());
        logger.event(failed).await?;
        if job.attempt < ATTEMPTS {
            job.attempt += 1;
            logger.retry_scheduled(job.attempt).await?;
            job.queued = Instant::now();
            self.queue.put_back(job);
        }
        Ok(())
    }

    /// Reads the file on a thread that may wait for the disk.
    async fn digest(&self, job: &Job) -> Result<std::result::Result<Digest, Refused>> {
        let (run, path) = (Arc::clone(&self.run), job.path.clone());
        tokio::task::spawn_blocking(move || digest::digest(&path, || run.is_stopped()))
            .await
            .map_err(|error| {
                Error::new(ErrorKind::Unexpected, "demo", "reading a file ended early")
                    .with_source(error)
            })
    }
}

/// The class of an error, and what went wrong.
fn in_words(refused: &Refused) -> (&'static str, String) {
    match refused {
        Refused::NotText(byte) => ("NotText", format!("no UTF-8 text from byte {byte} on")),
        Refused::Unreadable(error) => ("Unreadable", error.to_string()),
        Refused::Stopped => ("Stopped", "the demo was interrupted".to_owned()),
    }
}
