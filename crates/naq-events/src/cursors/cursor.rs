//! One cursor in a reader's hand.

use naq_core::events::{Position, ReadEvents};
use naq_core::{Error, ErrorKind, Result};

use super::bucket::{CursorBucket, Saved};
use super::place::CursorPlace;

const OPERATION: &str = "save_cursor";

/// A cursor that a reader has opened: it knows where the last reader was, and
/// saves where this one is.
#[derive(Debug, Clone)]
pub struct Cursor {
    bucket: CursorBucket,
    name: String,
    position: Option<Position>,
    /// The revision that this reader has read or written last; `None` where there was none.
    revision: Option<u64>,
}

impl Cursor {
    pub(super) fn new(bucket: CursorBucket, name: &str, saved: Option<Saved>) -> Self {
        let (position, revision) =
            saved.map_or((None, None), |saved| (Some(saved.position), Some(saved.revision)));
        Self { bucket, name: name.to_owned(), position, revision }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The position that is saved; `None` where nobody has saved one yet.
    #[must_use]
    pub const fn position(&self) -> Option<Position> {
        self.position
    }

    /// The reading behind its position. Where nobody has saved one yet, the
    /// reading is as it was given, with its own start.
    #[must_use]
    pub fn reading(&self, options: ReadEvents) -> ReadEvents {
        match self.position {
            Some(position) => options.after(position),
            None => options,
        }
    }

    /// Saves how far this reader has come: the next one goes on behind it.
    ///
    /// The event that was dealt with last, by reference, says that best; a
    /// position says it too, but not which message was there.
    ///
    /// Saving the saved position again does nothing. A save costs the server a
    /// message: save now and then, not for each event, where handling some
    /// events twice after a crash does no harm.
    ///
    /// # Errors
    /// `Conflict` where the cursor isn't any more as this reader left it, or
    /// where the position is of another stream than the saved one;
    /// `InvalidArgument` for a position before it; `OutcomeUnknown` where the
    /// answer got lost (opening it again tells).
    pub async fn save(&mut self, at: impl Into<CursorPlace>) -> Result<()> {
        let place = at.into();
        let position = place.position;
        if let Some(had) = self.position {
            if !had.is_same_stream(&position) {
                return Err(self.refused(
                    ErrorKind::Conflict,
                    "the log was made anew: the cursor's position is of the one before",
                    position,
                ));
            }
            if position.sequence < had.sequence {
                let error =
                    Error::invalid(OPERATION, "position", "must not lie before the saved one");
                return Err(error
                    .with("saved", had.to_string())
                    .with("position", position.to_string()));
            }
            if position == had {
                return Ok(());
            }
        }
        match self.bucket.save(&self.name, place, self.revision).await {
            Ok(revision) => {
                (self.position, self.revision) = (Some(position), Some(revision));
                Ok(())
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::AlreadyExists) =>
            {
                let text = "the cursor was moved meanwhile, by another reader or by hand";
                Err(self.refused(ErrorKind::Conflict, text, position).with_source(error))
            }
            Err(error) => Err(error.in_operation(OPERATION).with("cursor", self.name.clone())),
        }
    }

    fn refused(&self, kind: ErrorKind, text: &'static str, position: Position) -> Error {
        let saved = self.position.map_or_else(|| "none".to_owned(), |had| had.to_string());
        Error::new(kind, OPERATION, text)
            .with("cursor", self.name.clone())
            .with("saved", saved)
            .with("position", position.to_string())
            .with_hint("open it again, or set it to where reading shall go on")
    }
}
