//! Making a stream be as wanted, whoever else does the same at the same time.

use naq_core::jetstream::{JetStream, JetStreamExt, StreamConfig, StreamInfo};
use naq_core::streams::{
    EnsureOutcome, EnsureStream, EnsuredStream, Mending, differences, plan, update_refused,
};
use naq_core::{Error, ErrorKind, Result, Timestamp};

const OPERATION: &str = "ensure_stream";

/// How often a stream may vanish or appear between two looks before this gives up.
///
/// Each further round needs another process that deletes or creates the stream
/// at that very moment.
const ROUNDS: usize = 4;

/// Creates the stream, leaves it, or updates it.
pub(crate) async fn ensure(
    jetstream: &dyn JetStream,
    request: &EnsureStream,
    now: Timestamp,
) -> Result<EnsuredStream> {
    let name = &request.config.name;
    for _ in 0..ROUNDS {
        if let Some(info) = jetstream.find_stream(name).await? {
            match reconcile(jetstream, request, info, now).await {
                Err(error) if error.is(ErrorKind::NotFound) => continue, // deleted meanwhile
                result => return result,
            }
        }
        if request.verify_only {
            return Err(Error::new(ErrorKind::NotFound, OPERATION, "there is no such stream")
                .with("stream", name)
                .with_hint("create it, or let it be ensured rather than verified"));
        }
        match jetstream.create_stream(at_birth(&request.config)).await {
            Ok(info) if request.config.sealed == Some(true) => {
                match reconcile(jetstream, request, info, now).await {
                    Ok(EnsuredStream { info, .. }) => {
                        return Ok(EnsuredStream { info, outcome: EnsureOutcome::Created });
                    }
                    Err(error) if error.is(ErrorKind::NotFound) => continue,
                    Err(error) => return Err(error),
                }
            }
            Ok(info) => return Ok(EnsuredStream { info, outcome: EnsureOutcome::Created }),
            // Another creator was faster: look at what it made.
            Err(error) if error.is(ErrorKind::AlreadyExists) => continue,
            Err(error) => return Err(error),
        }
    }
    Err(Error::new(ErrorKind::Conflict, OPERATION, "the stream keeps appearing and vanishing")
        .with("stream", name)
        .with_hint("find out who else creates and deletes it"))
}

/// Updates a stream that is there, if it must and may.
async fn reconcile(
    jetstream: &dyn JetStream,
    request: &EnsureStream,
    info: StreamInfo,
    now: Timestamp,
) -> Result<EnsuredStream> {
    let found = differences(&info, &request.config, now);
    let is_note = found.iter().all(|difference| difference.mending == Mending::Note);
    let changes = plan(OPERATION, found, request.allow_loss, request.verify_only)
        .map_err(|error| error.with("stream", &request.config.name))?;
    if changes.is_empty() {
        return Ok(EnsuredStream { info, outcome: EnsureOutcome::Unchanged });
    }
    let updated = jetstream.update_stream(request.config.clone()).await;
    if is_note && updated.as_ref().is_err_and(|error| error.is(ErrorKind::PermissionDenied)) {
        // The stream serves without, and who may only use it is no reason to fail.
        tracing::debug!(stream = %request.config.name, "a note in the stream may not be made");
        return Ok(EnsuredStream { info, outcome: EnsureOutcome::Unchanged });
    }
    let info = updated.map_err(|error| update_refused(OPERATION, &changes, error))?;
    for change in &changes {
        tracing::info!(stream = %request.config.name, %change, "changed a stream");
    }
    Ok(EnsuredStream { info, outcome: EnsureOutcome::Updated(changes) })
}

/// The configuration to create with: a stream can be sealed by an update alone.
fn at_birth(config: &StreamConfig) -> StreamConfig {
    let mut config = config.clone();
    config.sealed = None;
    config
}
