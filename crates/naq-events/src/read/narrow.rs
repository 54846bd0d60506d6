//! What a filter says of the time of storing, as the bounds of a reading.

use naq_core::events::{ReadEvents, ReadStart, ReadUntil};

use super::{Log, OpenLog};

/// The reading no wider than its filter lets events through.
///
/// The filter still looks at each event: a start by sequence or position stays
/// as it was asked.
pub(super) fn by_storing(mut options: ReadEvents, log: &Log, open: &OpenLog) -> ReadEvents {
    let plan = options.filter.plan(log.subjects());
    if let Some(since) = plan.since {
        options.start = match options.start {
            ReadStart::Beginning => ReadStart::Time(since),
            ReadStart::Time(time) => ReadStart::Time(time.max(since)),
            other => other,
        };
    }
    if let Some(until) = plan.until {
        options.until = match options.until {
            ReadUntil::Never => ReadUntil::Time(until),
            ReadUntil::Time(time) => ReadUntil::Time(time.min(until)),
            // A reading of what is there waits for nothing.
            ReadUntil::Head if until <= open.now() => ReadUntil::Time(until),
            other => other,
        };
    }
    options
}
