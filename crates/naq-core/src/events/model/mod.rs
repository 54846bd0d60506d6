//! What an event is.

mod context;
mod event;
mod event_type;
pub(in crate::events) mod id;
mod kinds;
mod text;

pub use context::JobContext;
pub use event::Event;
pub use event_type::{CustomType, EntityKind, EventType};
pub use id::{EventId, EventIds};
pub use text::Text;
