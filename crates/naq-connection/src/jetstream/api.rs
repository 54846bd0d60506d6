//! Questions and orders to the server's JetStream API.

use async_nats::{Message, StatusCode};
use bytes::Bytes;
use naq_core::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::ack::no_jetstream;
use super::errors::ApiError;
use crate::nats::{Nature, Request, Wire};

/// The first tokens of every API subject.
pub(super) const PREFIX: &str = "$JS.API";

#[derive(Deserialize)]
struct Outcome {
    error: Option<ApiError>,
}

/// Asks `$JS.API.<subject>` and reads the answer.
///
/// # Errors
/// What the server answers, by [`ApiError::kind`]; `Unsupported` where it has no
/// JetStream, `Unavailable` where nobody answers for the stream; those of [`Wire::ask`].
pub(super) async fn call<R: DeserializeOwned>(
    wire: &Wire,
    operation: &'static str,
    subject: &str,
    body: &(impl Serialize + Sync),
    nature: Nature,
) -> Result<R> {
    call_until(wire, operation, subject, body, nature, wire.request_deadline()).await
}

/// As [`call`], with a deadline of its own.
pub(super) async fn call_until<R: DeserializeOwned>(
    wire: &Wire,
    operation: &'static str,
    subject: &str,
    body: &(impl Serialize + Sync),
    nature: Nature,
    deadline: Instant,
) -> Result<R> {
    let payload = serde_json::to_vec(body).map_err(|error| {
        Error::new(ErrorKind::Unexpected, operation, "the request can't be written")
            .with_source(error)
    })?;
    let request = Request {
        subject: format!("{PREFIX}.{subject}").into(),
        headers: None,
        payload: if payload == b"null" { Bytes::new() } else { payload.into() },
    };
    let message = wire.ask(operation, request, nature, deadline).await?;
    if message.status == Some(StatusCode::NO_RESPONDERS) {
        return Err(nobody(wire, operation, subject));
    }
    read(operation, &message)
}

/// Reads an answer of the API.
fn read<R: DeserializeOwned>(operation: &'static str, message: &Message) -> Result<R> {
    let garbled = |error: serde_json::Error| {
        Error::new(ErrorKind::Unexpected, operation, "the server's answer can't be read")
            .with_source(error)
    };
    let outcome: Outcome = serde_json::from_slice(&message.payload).map_err(garbled)?;
    if let Some(error) = outcome.error {
        return Err(error.into_error(operation));
    }
    serde_json::from_slice(&message.payload).map_err(garbled)
}

/// The error of a request for which the server knows no responder.
pub(super) fn nobody(wire: &Wire, operation: &'static str, subject: &str) -> Error {
    if !wire.client.server_info().jetstream {
        return no_jetstream(operation);
    }
    Error::new(ErrorKind::Unavailable, operation, "nobody answers for JetStream at the moment")
        .with("subject", subject)
        .with_hint("JetStream may be off for this account, or have no leader right now: try again")
}

/// Whether an error carries this code of the server's.
pub(super) fn has_code(error: &Error, code: u32) -> bool {
    error.get("error_code").is_some_and(|text| text.parse() == Ok(code))
}
