//! The list of the log's indexes: can it be read.

use naq_core::ErrorKind;

use super::Findings;
use super::stream::Seen;
use crate::complain::Failure;
use crate::connect::Session;

/// Examines the list of indexes, without which every question reads the log.
pub(super) async fn examine(
    session: &Session,
    seen: &Seen,
    findings: &mut Findings,
) -> Result<(), Failure> {
    if !matches!(seen, Seen::Whole(_)) {
        return Ok(());
    }
    let listed = session.reading(async |events| Ok(events.list_event_indexes().await)).await?;
    // Who may not read it, or whose server can't keep it, has none to lose.
    if let Err(error) = listed
        && error.is(ErrorKind::Corrupt)
    {
        let (what, hint) = super::told(&error);
        findings.fail("indexes", what, hint);
    }
    Ok(())
}
