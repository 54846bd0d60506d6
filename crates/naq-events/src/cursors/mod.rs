//! Named cursors: how far a reader has come, kept for its next run.
//!
//! A cursor is a name with a [`Position`](naq_core::events::Position), in a
//! key-value bucket beside the log. A reader opens it, reads behind its
//! position, and saves where it is when it has dealt with what it read; after
//! a crash it goes on behind what it saved last. Unlike a group of
//! [reactions](crate::reactions) it costs the server nothing while nobody
//! reads, and hands nothing out: the reader decides what it has dealt with.
//!
//! ```
//! use futures::StreamExt;
//! use naq_events::cursors::CursorService;
//! use naq_events::prelude::*;
//! use naq_services::ServiceManager;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! # let config = naq_core::config::NaqConfig::from_vars([("NAQ_NATS_URL", "memory://cursors")])?;
//! let services = ServiceManager::builder()
//!     .config(config)
//!     .register::<EventService>()
//!     .register::<CursorService>()
//!     .start()
//!     .await?;
//! let events = services.get::<EventService>()?;
//! events.log_job_started("job-1", "worker-1", "emails").await?;
//!
//! let cursors = services.get::<CursorService>()?;
//! let mut cursor = cursors.open("billing").await?;
//! let mut items = events.read_events(cursor.reading(ReadEvents::default()));
//! while let Some(item) = items.next().await {
//!     if let EventItem::Event(recorded) = item? {
//!         // … deal with it …
//!         cursor.save(&*recorded).await?;
//!     }
//! }
//! assert_eq!(cursors.show("billing").await?.lag, Some(0));
//! services.stop().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//! - A position is saved only where the cursor is as this reader left it
//!   (compare and set): of two readers of one cursor the second to save gets a
//!   `Conflict`, and so does a reader whose cursor was set by somebody else.
//! - A cursor goes forward only; [`set`](CursorService::set) alone moves it back.
//! - A position belongs to one stream. Where the log was made anew, reading
//!   behind it and saving over it are a `Conflict`.
//! - A cursor that was saved with the event that was read last knows that event:
//!   where the server has lost it, opening the cursor is a `Conflict`.
//!
//! | file | concept |
//! |---|---|
//! | `cursor.rs` | one cursor in a reader's hand |
//! | `place.rs` | what a cursor is saved with |
//! | `bucket.rs` | how cursors are kept |
//! | `service.rs` | open, list, show, set, remove |

mod bucket;
mod cursor;
mod place;
mod service;

pub use cursor::Cursor;
pub use place::CursorPlace;
pub use service::{CursorService, CursorStart, CursorStatus};
