//! What a cursor is saved with.

use naq_core::Timestamp;
use naq_core::events::{MalformedEvent, Position, RecordedEvent};

/// A place in the log, to be saved in a cursor.
///
/// Made of what was read it holds when that was stored: that a server has lost
/// it, and has another message there, is recognised then. Made of a position
/// alone it doesn't.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CursorPlace {
    pub(super) position: Position,
    pub(super) stored_at: Option<Timestamp>,
}

impl CursorPlace {
    /// The position.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }
}

impl From<Position> for CursorPlace {
    fn from(position: Position) -> Self {
        Self { position, stored_at: None }
    }
}

impl From<&RecordedEvent> for CursorPlace {
    fn from(read: &RecordedEvent) -> Self {
        Self { position: read.position, stored_at: Some(read.stored_at) }
    }
}

impl From<&MalformedEvent> for CursorPlace {
    fn from(read: &MalformedEvent) -> Self {
        Self { position: read.position, stored_at: Some(read.stored_at) }
    }
}
