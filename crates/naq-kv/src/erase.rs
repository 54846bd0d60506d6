//! Erasing revisions of a key, so that nothing is left of it.

use naq_core::jetstream::{JetStream, PurgeKeep, PurgeOptions};
use naq_core::{Error, Result};

use crate::wire::Names;

const OPERATION: &str = "erase";

/// Erases a key's revisions up to one, or all of them.
///
/// A purge that keeps all behind a sequence is the only removal without a
/// marker that depends on a revision: the server compares under its own lock.
pub(crate) async fn erase(
    jetstream: &dyn JetStream,
    names: &Names,
    key: &str,
    revision: Option<u64>,
) -> Result<u64> {
    let subject = names.subject(OPERATION, key)?;
    if revision == Some(0) {
        return Err(Error::invalid(OPERATION, "revision", "must be at least 1").with("key", key));
    }
    let keep = match revision {
        Some(revision) => PurgeKeep::FromSequence(revision.saturating_add(1)),
        None => PurgeKeep::Nothing,
    };
    let options = PurgeOptions::default().with_subject(subject).with_keep(keep);
    let erased = jetstream.purge_stream(&names.stream, options).await;
    erased.map_err(|error| names.told_of(OPERATION, key, error))
}
