//! What was used last, as much of it as there is room for.

use std::fmt;
use std::hash::Hash;

use lru::LruCache;

/// Values by key, up to so many bytes and about; beyond, those that were used
/// least recently go, but for the last one.
pub(super) struct Recent<K: Hash + Eq, V> {
    entries: LruCache<K, (V, usize)>,
    weight: usize,
    most: usize,
}

impl<K: Hash + Eq, V: Clone> Recent<K, V> {
    /// None yet, with room for so many bytes.
    pub(super) fn new(most: usize) -> Self {
        Self { entries: LruCache::unbounded(), weight: 0, most }
    }

    /// The value of a key, which is used now.
    pub(super) fn get(&mut self, key: &K) -> Option<V> {
        self.entries.get(key).map(|(value, _)| value.clone())
    }

    /// Keeps a value of so many bytes.
    pub(super) fn insert(&mut self, key: K, value: V, weight: usize) {
        self.weight += weight;
        if let Some((_, old)) = self.entries.put(key, (value, weight)) {
            self.weight -= old;
        }
        while self.weight > self.most
            && self.entries.len() > 1
            && let Some((_, (_, weight))) = self.entries.pop_lru()
        {
            self.weight -= weight;
        }
    }

    /// Keeps it no longer.
    pub(super) fn remove(&mut self, key: &K) {
        self.weight -= self.entries.pop(key).map_or(0, |(_, weight)| weight);
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

impl<K: Hash + Eq, V> fmt::Debug for Recent<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries.len();
        f.debug_struct("Recent")
            .field("entries", &entries)
            .field("weight", &self.weight)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_least_recently_goes_first_and_the_last_one_stays() {
        let mut recent = Recent::new(10);
        (0..3).for_each(|key| recent.insert(key, key * 2, 4));
        assert_eq!([0, 1, 2].map(|key| recent.get(&key)), [None, Some(2), Some(4)]);
        recent.get(&1);
        recent.insert(3, 6, 4);
        assert_eq!([1, 2, 3].map(|key| recent.get(&key)), [Some(2), None, Some(6)]);
        // In another one's place it takes what that took.
        recent.insert(3, 7, 6);
        assert_eq!([1, 3].map(|key| recent.get(&key)), [Some(2), Some(7)]);
        recent.insert(4, 8, 1_000);
        assert_eq!((recent.len(), recent.get(&4)), (1, Some(8)));
        recent.remove(&4);
        assert_eq!((recent.len(), recent.weight), (0, 0));
    }
}
