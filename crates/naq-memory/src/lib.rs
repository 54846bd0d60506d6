//! A JetStream in this process, for tests of naq and for a first run without a server.

mod faults;
mod fetching;
mod getting;
mod limits;
mod memory;
mod model;
mod port;
mod publishing;
mod reading;
mod shared;

pub use faults::Faults;
pub use limits::MemoryLimits;
pub use memory::{MemoryJetStream, MemoryJetStreamBuilder, VERSION};
