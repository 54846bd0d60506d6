//! What most programs on naq need at hand: the ports with their extension
//! traits, the error, the configuration.
//!
//! The crates above have preludes of their own, with their service and what
//! goes with it; `naq::prelude` has all.

pub use crate::clock::{Clock, ClockExt};
pub use crate::config::NaqConfig;
pub use crate::connection::{Connection, ConnectionProvider, ConnectionProviderExt, Connector};
pub use crate::events::{
    Event, EventLog, EventQuery, EventQueryExt, EventSink, EventSinkExt, EventType, Filter,
    JobContext,
};
pub use crate::jetstream::{JetStream, JetStreamExt};
pub use crate::kv::{KvBucket, KvBucketExt, KvStore, KvStoreExt};
pub use crate::service::{Health, HealthState, Provide, Service, StopReport};
pub use crate::streams::StreamManager;
pub use crate::{Error, ErrorKind, Result, Timestamp};
