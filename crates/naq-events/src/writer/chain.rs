//! Doubly linked lists whose links lie in the slots of a slab.
//!
//! A slot is in several lists at once, and leaves each from wherever it stands
//! in constant time: by age for timeouts, by what is unsent for dropping, by
//! what is ready for sending.

use slab::Slab;

const NONE: usize = usize::MAX;

/// How a slot hangs in one list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    prev: usize,
    next: usize,
}

impl Link {
    /// In no list.
    pub(super) const LOOSE: Self = Self { prev: NONE, next: NONE };
}

/// What an end of a link leads to.
const fn key_of(end: usize) -> Option<usize> {
    if end == NONE { None } else { Some(end) }
}

/// What has links, one per role.
pub(super) trait Linked {
    /// The links of a role.
    fn link(&mut self, role: usize) -> &mut Link;

    /// The same to look at.
    fn link_ref(&self, role: usize) -> Link;
}

/// One list. Chains of one role share their links, so a slot is in at most one of them.
#[derive(Debug)]
pub(super) struct Chain<const ROLE: usize> {
    head: usize,
    tail: usize,
    len: usize,
}

impl<const ROLE: usize> Chain<ROLE> {
    pub(super) const fn new() -> Self {
        Self { head: NONE, tail: NONE, len: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first one's key.
    pub(super) const fn first(&self) -> Option<usize> {
        key_of(self.head)
    }

    /// Puts a slot, which is in no list of this role, behind the others.
    pub(super) fn push_back<T: Linked>(&mut self, slots: &mut Slab<T>, key: usize) {
        self.insert(slots, self.last(), key);
    }

    /// Puts a slot, which is in no list of this role, behind that one, which is
    /// in this list, or in front of all.
    pub(super) fn insert<T: Linked>(
        &mut self,
        slots: &mut Slab<T>,
        behind: Option<usize>,
        key: usize,
    ) {
        let prev = behind.unwrap_or(NONE);
        let next = behind.map_or(self.head, |behind| slots[behind].link_ref(ROLE).next);
        *slots[key].link(ROLE) = Link { prev, next };
        if prev == NONE {
            self.head = key;
        } else {
            slots[prev].link(ROLE).next = key;
        }
        if next == NONE {
            self.tail = key;
        } else {
            slots[next].link(ROLE).prev = key;
        }
        self.len += 1;
    }

    /// The last one's key.
    pub(super) const fn last(&self) -> Option<usize> {
        key_of(self.tail)
    }

    /// The one before that one, which is in such a list.
    pub(super) fn before<T: Linked>(slots: &Slab<T>, key: usize) -> Option<usize> {
        key_of(slots[key].link_ref(ROLE).prev)
    }

    /// The one behind that one, which is in such a list.
    pub(super) fn behind<T: Linked>(slots: &Slab<T>, key: usize) -> Option<usize> {
        key_of(slots[key].link_ref(ROLE).next)
    }

    /// Takes a slot, which is in this list, out of it.
    pub(super) fn remove<T: Linked>(&mut self, slots: &mut Slab<T>, key: usize) {
        let Link { prev, next } = slots[key].link_ref(ROLE);
        if prev == NONE {
            self.head = next;
        } else {
            slots[prev].link(ROLE).next = next;
        }
        if next == NONE {
            self.tail = prev;
        } else {
            slots[next].link(ROLE).prev = prev;
        }
        *slots[key].link(ROLE) = Link::LOOSE;
        self.len -= 1;
    }

    /// Takes the first one out.
    pub(super) fn pop_front<T: Linked>(&mut self, slots: &mut Slab<T>) -> Option<usize> {
        let key = self.first()?;
        self.remove(slots, key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Node([Link; 1]);

    impl Linked for Node {
        fn link(&mut self, role: usize) -> &mut Link {
            &mut self.0[role]
        }

        fn link_ref(&self, role: usize) -> Link {
            self.0[role]
        }
    }

    #[test]
    fn slots_leave_from_the_head_the_middle_and_the_tail() {
        let mut slots = Slab::new();
        let keys: Vec<_> = (0..5).map(|_| slots.insert(Node([Link::LOOSE]))).collect();
        let mut chain = Chain::<0>::new();
        for &key in &keys {
            chain.push_back(&mut slots, key);
        }
        chain.remove(&mut slots, keys[2]);
        chain.remove(&mut slots, keys[0]);
        chain.remove(&mut slots, keys[4]);
        assert_eq!((chain.len(), chain.first()), (2, Some(keys[1])));
        chain.push_back(&mut slots, keys[0]);
        let rest: Vec<_> = std::iter::from_fn(|| chain.pop_front(&mut slots)).collect();
        assert_eq!(rest, [keys[1], keys[3], keys[0]]);
        assert!(chain.is_empty());
    }

    #[test]
    fn slots_join_at_the_head_in_the_middle_and_at_the_tail() {
        let mut slots = Slab::new();
        let keys: Vec<_> = (0..4).map(|_| slots.insert(Node([Link::LOOSE]))).collect();
        let mut chain = Chain::<0>::new();
        chain.insert(&mut slots, None, keys[2]);
        chain.insert(&mut slots, None, keys[0]);
        chain.insert(&mut slots, Some(keys[0]), keys[1]);
        chain.insert(&mut slots, Some(keys[2]), keys[3]);
        assert_eq!(Chain::<0>::behind(&slots, keys[0]), Some(keys[1]));
        assert_eq!(Chain::<0>::before(&slots, keys[0]), None);
        let all: Vec<_> = std::iter::from_fn(|| chain.pop_front(&mut slots)).collect();
        assert_eq!(all, keys);
    }
}
