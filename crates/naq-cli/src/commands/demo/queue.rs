//! Jobs on their way to the workers.

use std::collections::VecDeque;

use tokio::sync::{Mutex, mpsc};

use super::run::Job;

/// A bounded queue that several workers take from; what is to be tried again goes first.
#[derive(Debug)]
pub(super) struct Queue {
    fresh: Mutex<mpsc::Receiver<Job>>,
    /// At most one for each worker: who puts one here takes from here first.
    again: std::sync::Mutex<VecDeque<Job>>,
}

impl Queue {
    /// An empty queue, and where jobs are put in; it ends when that is dropped.
    pub(super) fn new(most: usize) -> (Self, mpsc::Sender<Job>) {
        let (sender, fresh) = mpsc::channel(most);
        (Self { fresh: Mutex::new(fresh), again: std::sync::Mutex::default() }, sender)
    }

    /// The next job; `None` where there will be none.
    ///
    /// A worker that puts a job back takes it, or another, before it ends: none
    /// is left over.
    pub(super) async fn take(&self) -> Option<Job> {
        if let Some(job) = self.again().pop_front() {
            return Some(job);
        }
        self.fresh.lock().await.recv().await
    }

    /// Puts a job back, to be tried again.
    pub(super) fn put_back(&self, job: Job) {
        self.again().push_back(job);
    }

    fn again(&self) -> std::sync::MutexGuard<'_, VecDeque<Job>> {
        // A panic between two operations of a queue leaves a queue.
        self.again.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use naq_core::Timestamp;

    use super::*;
    use crate::commands::demo::run::Run;

    #[tokio::test]
    async fn what_is_tried_again_goes_first_and_nothing_is_left_over() {
        let run = Run::new(PathBuf::from("."), PathBuf::from("x"), Timestamp::from_nanos(0));
        let (queue, jobs) = Queue::new(2);
        jobs.send(run.job(PathBuf::from("a"))).await.unwrap();
        jobs.send(run.job(PathBuf::from("b"))).await.unwrap();
        drop(jobs);
        let a = queue.take().await.unwrap();
        queue.put_back(a);
        let files = [queue.take().await, queue.take().await].map(|job| job.unwrap().file);
        assert_eq!(files, ["a", "b"]);
        assert!(queue.take().await.is_none());
    }
}
