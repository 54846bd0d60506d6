//! The service, its ports and their extension traits.

pub use naq_core::connection::{
    Connection, ConnectionProvider, ConnectionProviderExt, Connector, ServerRef,
};
pub use naq_core::jetstream::{JetStream, JetStreamExt};
pub use naq_core::service::Service;

pub use crate::{ConnectionService, NatsConnector};
