//! How an event is stored: checked, stamped, written and read.

mod decode;
mod encode;
pub(in crate::events) mod fields;
mod input;
mod recorded_json;
mod scalar;
mod subject;
pub(in crate::events) mod time_text;
mod validate;

pub use decode::{MalformedReason, decode};
pub use encode::{EncodedEvent, EventEncoder, SERVICE};
pub use input::EventInput;
pub use subject::{EventSubjects, ParsedSubject};
pub use validate::MAX_DEPTH;
