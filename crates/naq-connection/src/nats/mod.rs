//! Connections to NATS servers: everything below JetStream.

mod address;
mod auth;
mod backoff;
mod connect;
mod connection;
mod inbox;
mod link;
mod options;
mod replies;
mod violation;
mod wire;
mod work;

pub(crate) use address::SCHEMES;
pub(crate) use connect::connect;
pub(crate) use inbox::{Arrival, Inbox, silence};
pub(crate) use link::Notice;
pub(crate) use violation::{Act, Violation};
pub(crate) use wire::{Nature, Request, Wire, denied};
pub(crate) use work::WorkGuard;
