//! The batches on the server that one batch of a caller became.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many batches that ended in doubt are remembered, the oldest go first.
const REMEMBERED: usize = 64;

/// Which batch on the server is the last one of a caller's, for who fences it off.
///
/// All connections of one connector share it: the one over which a batch went
/// may be closed and gone when it is fenced off.
///
/// What isn't remembered is asked for by the caller's own id. Where that is no
/// longer the last one the server doesn't know it, and says so.
#[derive(Debug, Default)]
pub(crate) struct Parts(Mutex<VecDeque<(String, Part)>>);

/// One batch on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Its id.
    pub(super) id: String,
    /// How many messages of the caller's batch are stored by those before it.
    pub(super) before: u64,
}

impl Parts {
    /// The part of this number, from 0 on, of a caller's batch.
    pub(super) fn begin(&self, batch: &str, number: u64, before: u64) -> Part {
        if number == 0 {
            return Part { id: batch.to_owned(), before };
        }
        let part = Part { id: format!("{batch}-{number}"), before };
        let mut parts = self.lock();
        if let Some((_, known)) = parts.iter_mut().rev().find(|(id, _)| id == batch) {
            known.clone_from(&part);
            return part;
        }
        if parts.len() == REMEMBERED {
            parts.pop_front();
        }
        parts.push_back((batch.to_owned(), part.clone()));
        part
    }

    /// The last part that began.
    pub(super) fn last(&self, batch: &str) -> Part {
        let parts = self.lock();
        match parts.iter().rev().find(|(id, _)| id == batch) {
            Some((_, part)) => part.clone(),
            None => Part { id: batch.to_owned(), before: 0 },
        }
    }

    /// Forgets a batch that has no message in doubt.
    pub(super) fn forget(&self, batch: &str) {
        self.lock().retain(|(id, _)| id != batch);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(String, Part)>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_is_found_until_it_is_forgotten() {
        let parts = Parts::default();
        assert_eq!(parts.begin("b", 0, 0).id, "b");
        parts.begin("b", 1, 10);
        parts.begin("other", 1, 99);
        let part = parts.begin("b", 2, 25);
        assert_eq!((part.id.as_str(), part.before), ("b-2", 25));
        assert_eq!(parts.last("b"), part);
        parts.forget("b");
        assert_eq!(parts.last("b"), Part { id: "b".into(), before: 0 });
        assert_eq!(parts.last("other").before, 99);
    }

    #[test]
    fn only_so_many_are_remembered() {
        let parts = Parts::default();
        for n in 0..=REMEMBERED {
            parts.begin(&format!("b{n}"), 1, 7);
        }
        assert_eq!(parts.last("b0").before, 0);
        assert_eq!(parts.last("b1").before, 7);
    }
}
