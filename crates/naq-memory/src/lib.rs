//! A JetStream in this process, for tests of naq and for a first run without a server.

mod connection;
mod connector;
mod faults;
mod fetching;
mod getting;
mod limits;
mod memory;
mod model;
mod port;
mod publishing;
mod reading;
mod session;
mod shared;

pub use connection::MemoryConnection;
pub use connector::MemoryConnector;
pub use faults::Faults;
pub use limits::MemoryLimits;
pub use memory::{MemoryJetStream, MemoryJetStreamBuilder, VERSION};
