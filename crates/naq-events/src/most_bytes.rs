//! How long an object may be that has to fit in one message of a bucket.

use std::sync::atomic::{AtomicUsize, Ordering};

use naq_core::{Error, ErrorKind};

/// No shorter one is tried.
const LEAST: usize = 4 * 1024;

/// The bound of a bucket's objects, in bytes.
///
/// Servers and buckets have limits of their own, and not each is told to who
/// writes: what is refused as too large is made half as long, and all that
/// comes behind it too.
#[derive(Debug)]
pub(crate) struct MostBytes(AtomicUsize);

impl MostBytes {
    /// So much is tried first.
    pub(crate) const fn new(bytes: usize) -> Self {
        Self(AtomicUsize::new(bytes))
    }

    /// How long an object may be, as far as is known.
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether there is a shorter one to try behind this refusal of an object
    /// of that length.
    pub(crate) fn shrinks(&self, refusal: &Error, length: usize) -> bool {
        let shorter = length.min(self.get()) / 2;
        if !refusal.is(ErrorKind::TooLarge) || shorter < LEAST {
            return false;
        }
        self.0.fetch_min(shorter, Ordering::Relaxed);
        tracing::warn!(%refusal, length, most = shorter, "what is kept of a block is made coarser");
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_as_too_large_is_halved_down_to_the_least() {
        let refusal = |kind| Error::new(kind, "put", "refused");
        let most = MostBytes::new(20_000);
        assert!(!most.shrinks(&refusal(ErrorKind::Unavailable), 15_000));
        assert_eq!(most.get(), 20_000);
        // An object may be shorter than it has to be, or not as short.
        for (length, shorter) in [(15_000, 7_500), (17_000, 7_500 / 2)] {
            let shrinks = most.shrinks(&refusal(ErrorKind::TooLarge), length);
            assert_eq!((shrinks, most.get()), (shorter >= LEAST, shorter.max(7_500)));
        }
    }
}
