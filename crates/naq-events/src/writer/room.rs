//! Room in the buffer.

use std::ops::{Add, AddAssign, SubAssign};

use super::slot::Slot;

/// What some events take of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) events: u64,
    pub(super) bytes: u64,
}

impl Room {
    pub(super) const NONE: Self = Self { events: 0, bytes: 0 };

    /// What it would make to drop this event: none if it may not be dropped.
    pub(super) fn by_dropping(slot: &Slot) -> Self {
        if !slot.may_be_dropped() {
            return Self::NONE;
        }
        Self { events: 1, bytes: slot.item.charge() }
    }
}

impl Add for Room {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { events: self.events + other.events, bytes: self.bytes + other.bytes }
    }
}

impl AddAssign for Room {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Room {
    fn sub_assign(&mut self, other: Self) {
        self.events -= other.events;
        self.bytes -= other.bytes;
    }
}
