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
    /// Where a save whose answer got lost was to stand: it may be saved.
    unsure: Option<Position>,
}

impl Cursor {
    pub(super) fn new(bucket: CursorBucket, name: &str, saved: Option<Saved>) -> Self {
        let (position, revision) =
            saved.map_or((None, None), |saved| (Some(saved.position), Some(saved.revision)));
        Self { bucket, name: name.to_owned(), position, revision, unsure: None }
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
    /// answer got lost: the next save looks first whether this one arrived.
    pub async fn save(&mut self, at: impl Into<CursorPlace>) -> Result<()> {
        let place = at.into();
        let position = place.position;
        if let Some(sent) = self.unsure {
            self.look_up(sent).await?;
        }
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
            Err(error) => {
                if error.is(ErrorKind::OutcomeUnknown) {
                    self.unsure = Some(position);
                }
                Err(self.told(error))
            }
        }
    }

    /// Takes what is saved for this reader's own where it is what it has sent.
    async fn look_up(&mut self, sent: Position) -> Result<()> {
        let saved = self.bucket.get(&self.name).await.map_err(|error| self.told(error))?;
        if let Some(saved) = saved.filter(|saved| saved.position == sent) {
            (self.position, self.revision) = (Some(sent), Some(saved.revision));
        }
        self.unsure = None;
        Ok(())
    }

    fn told(&self, error: Error) -> Error {
        error.in_operation(OPERATION).with("cursor", self.name.clone())
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use naq_core::Timestamp;
    use naq_core::kv::{KvEntry, KvOperation, MockKvBucket, MockKvStore, PutOptions};

    use super::*;
    use crate::made_up;

    /// A cursor whose first save, at sequence 5, gets no answer, and has become
    /// revision 7 where it `arrived`; the next one must expect `then`.
    fn cursor(arrived: bool, then: PutOptions) -> Cursor {
        let (mut kv, saves) = (MockKvStore::new(), Arc::new(AtomicU64::new(0)));
        kv.expect_bucket().returning(move |_| {
            let (mut bucket, saves) = (MockKvBucket::new(), Arc::clone(&saves));
            bucket.expect_put_opts().returning(move |_, _, options| {
                if saves.fetch_add(1, Ordering::Relaxed) == 0 {
                    return Err(Error::new(ErrorKind::OutcomeUnknown, "put", "no answer"));
                }
                assert_eq!(options, then);
                Ok(8)
            });
            bucket.expect_get_opts().returning(move |key, _| {
                let value = format!(r#"{{"position": "{}"}}"#, at(5));
                let (key, created) = (key.to_owned(), Timestamp::from_nanos(1));
                let operation = KvOperation::Put;
                let entry = KvEntry { key, value: value.into(), revision: 7, created, operation };
                Ok(arrived.then_some(entry))
            });
            Ok(Arc::new(bucket))
        });
        Cursor::new(CursorBucket::new(Arc::new(kv), made_up::log_of_three()), "c", None)
    }

    fn at(sequence: u64) -> Position {
        Position::new(made_up::CREATED, sequence)
    }

    #[tokio::test]
    async fn a_save_whose_answer_got_lost_is_looked_up_by_the_next_one() {
        for (arrived, then) in [(true, PutOptions::update(7)), (false, PutOptions::create())] {
            let mut cursor = cursor(arrived, then);
            assert!(cursor.save(at(5)).await.unwrap_err().is(ErrorKind::OutcomeUnknown));
            assert_eq!(cursor.position(), None);
            cursor.save(at(6)).await.unwrap();
            assert_eq!(cursor.position(), Some(at(6)));
        }
        // What has arrived needn't be saved again.
        let mut cursor = cursor(true, PutOptions::create());
        cursor.save(at(5)).await.unwrap_err();
        cursor.save(at(5)).await.unwrap();
        assert_eq!(cursor.position(), Some(at(5)));
    }
}
