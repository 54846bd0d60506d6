//! How programs that log send to the stream, and what keeps an event from being stored twice.

use naq_core::config::{EventsConfig, Guarantee};
use naq_core::jetstream::{Capabilities, StreamInfo};

use super::Findings;

/// Tells the way that the writer takes here.
pub(super) fn examine(
    info: &StreamInfo,
    can: Capabilities,
    events: &EventsConfig,
    findings: &mut Findings,
) {
    let takes_batches = info.config.allow_batched_publish == Some(true);
    let is_fast = can.fast_ingest && takes_batches;
    let way = if is_fast { "fast ingest" } else { "an acknowledgement for each event" };
    let by = match events.guarantee {
        // What is in the spool is recognised by its ids.
        _ if events.spool.dir.is_some() => Guarantee::MessageId,
        Guarantee::ReadBack if !is_fast => Guarantee::MessageId,
        wanted => wanted,
    };
    let found = format!("events go by {way}; guarantee: {by}");
    if can.fast_ingest && !takes_batches {
        let advice = "`naq streams ensure` allows the server's fast ingest";
        return findings.warn("way", found, advice);
    }
    findings.ok("way", found);
}
