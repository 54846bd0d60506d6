//! A JetStream that stops answering for good: for who works on it, the end
//! comes as a kill does, between any two words with the server.

use std::future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use naq_core::jetstream::JetStream;

use crate::passing::{Between, Passing};

/// Another JetStream, for as long as its life lasts.
pub type Mortal = Passing<Life>;

/// How much is left.
#[derive(Debug)]
pub struct Life {
    /// So many words more go to the server or come from it.
    left: AtomicU64,
    is_over: AtomicBool,
}

impl Mortal {
    /// One that answers until it is told otherwise.
    pub fn of(inner: Arc<dyn JetStream>) -> Self {
        Self::new(inner, Life { left: AtomicU64::new(u64::MAX), is_over: AtomicBool::new(false) })
    }
}

impl Life {
    /// It ends behind so many more words: a call, its answer, or one of several
    /// answers. A call whose answer is the first one behind that has been done.
    pub fn ends_after(&self, words: u64) {
        self.left.store(words, Ordering::Relaxed);
    }

    /// Whether somebody waits in vain.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Between for Life {
    async fn passes(&self) {
        let less = |left: u64| left.checked_sub(1);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err() {
            self.is_over.store(true, Ordering::Relaxed);
            future::pending::<()>().await;
        }
    }
}
