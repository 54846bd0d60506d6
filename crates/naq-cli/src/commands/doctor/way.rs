//! How programs that log send to the stream, and what keeps an event from being stored twice.

use naq_core::config::{EventsConfig, Guarantee};
use naq_core::jetstream::{JetStream, StreamInfo};
use naq_events::Sending;

use super::{Findings, rights};

/// Tells the way that a service's events take here, with these credentials.
pub(super) async fn examine(
    jetstream: &dyn JetStream,
    info: &StreamInfo,
    events: &EventsConfig,
    findings: &mut Findings,
) {
    // Whether it may read matters to this guarantee alone; what else there is to
    // say of reading is a finding of its own.
    let may_read = events.guarantee != Guarantee::ReadBack
        || rights::may_read(jetstream, &info.config.name).await.is_ok();
    let can = jetstream.capabilities();
    let sending = Sending::of(events, can, info, may_read);
    let way = if sending.is_fast { "fast ingest" } else { "an acknowledgement for each event" };
    let found = format!("events go by {way}; guarantee: {}", sending.guarantee);
    if can.fast_ingest && !sending.is_fast {
        let advice = "`naq streams ensure` allows the server's fast ingest";
        return findings.warn("way", found, advice);
    }
    findings.ok("way", found);
}
