//! How far a command has read, saved in a cursor now and then.

use std::time::{Duration, Instant};

use naq_core::events::{EventItem, ReadEvents};
use naq_core::{Error, ErrorKind};
use naq_events::cursors::{Cursor, CursorPlace, CursorService};

use crate::complain::Failure;

/// How often what was read is saved while more comes.
const EVERY: Duration = Duration::from_secs(1);

/// A cursor, and how far the reading has come beyond it.
#[derive(Debug)]
pub(crate) struct Place {
    cursor: Cursor,
    reached: Option<CursorPlace>,
    saved_at: Option<Instant>,
}

impl Place {
    /// Opens the cursor of a name.
    pub(crate) async fn open(cursors: &CursorService, name: &str) -> Result<Self, Failure> {
        Ok(Self { cursor: cursors.open(name).await?, reached: None, saved_at: None })
    }

    /// The cursor's name.
    pub(crate) fn name(&self) -> &str {
        self.cursor.name()
    }

    /// The reading behind the cursor.
    pub(crate) fn reading(&self, options: &ReadEvents) -> ReadEvents {
        self.cursor.reading(options.clone())
    }

    /// An item was read: with a filter, what was left out before it counts as read too.
    pub(crate) fn reach(&mut self, item: &EventItem) {
        let place: CursorPlace = match item {
            EventItem::Event(recorded) => recorded.as_ref().into(),
            EventItem::Malformed(malformed) => malformed.as_ref().into(),
            EventItem::CaughtUp { position } | EventItem::Resumed { position } => {
                (*position).into()
            }
            _ => return,
        };
        // The end of the log as it stood may lie before the cursor.
        let reached = self.reached.map(|reached| reached.position());
        let had = reached.or(self.cursor.position());
        if had.is_none_or(|had| had.sequence < place.position().sequence) {
            self.reached = Some(place);
        }
    }

    /// Saves what was written, if the last time is a while ago.
    pub(crate) async fn save_now_and_then(&mut self) -> Result<(), Failure> {
        match self.saved_at {
            Some(at) if at.elapsed() < EVERY => Ok(()),
            _ => self.save_meanwhile().await,
        }
    }

    /// Saves what was written, later where the server is away: the reading waits for it too.
    pub(crate) async fn save_meanwhile(&mut self) -> Result<(), Failure> {
        match self.save().await {
            Err(error) if passes(&error) => {
                tracing::debug!(cursor = self.name(), %error, "saved later");
                Ok(())
            }
            saved => Ok(saved?),
        }
    }

    /// Saves what was written.
    pub(crate) async fn save(&mut self) -> Result<(), Error> {
        if let Some(place) = self.reached {
            self.cursor.save(place).await?;
            (self.reached, self.saved_at) = (None, Some(Instant::now()));
        }
        Ok(())
    }
}

/// Whether the same may go well once the server is back.
fn passes(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::OutcomeUnknown)
}
