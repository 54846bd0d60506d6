//! The port to log events through, and what goes with it.

mod account;
mod counters;
mod ext;
mod job_logger;
mod port;

pub use account::{AckLatency, EventAccount, EventLoss, LossReason};
pub use counters::{EventCounters, EventReceipt, FlushReport};
pub use ext::EventSinkExt;
pub use job_logger::JobLogger;
pub use port::EventSink;
#[cfg(feature = "mock")]
pub use port::MockEventSink;
