//! NATS connections and the JetStream adapter of naq.
//!
//! [`ConnectionService`] hands out connections to NATS servers, pooled and
//! watched, and through them [`JetStream`](naq_core::jetstream::JetStream):
//! naq's port to streams, on a real server. This is the only crate of naq that
//! knows a NATS client, and none of its types show one.
//!
//! ```no_run
//! use naq_connection::prelude::*;
//! use naq_core::config::ConnectionConfig;
//! use naq_core::jetstream::{PublishMessage, StreamConfig};
//!
//! # async fn run() -> naq_core::Result<()> {
//! let config = ConnectionConfig::default().with_server(
//!     naq_core::config::ServerConfig::default().with_url("nats://127.0.0.1:4222"),
//! );
//! let connections = ConnectionService::new(Vec::new(), config);
//! let jetstream = connections.default_jetstream().await?;
//! jetstream.create_stream(StreamConfig::new("orders", ["orders.>"])).await?;
//! let ack = jetstream.publish(PublishMessage::new("orders.new", "1 tea")).await?;
//! assert_eq!(ack.sequence, 1);
//! # Ok(())
//! # }
//! ```
//!
//! What is promised about deadlines, kinds of errors, order and recovery stands
//! at the ports ([`naq_core::connection`], [`naq_core::jetstream`]).

mod connector;
mod guard;
mod jetstream;
mod nats;
mod pool;
pub mod prelude;
mod service;

pub use connector::NatsConnector;
pub use service::ConnectionService;
