//! Whether the stream's configuration holds what naq promises of stored events.

use naq_core::config::{EventsConfig, format_duration};
use naq_core::jetstream::{Discard, Storage, StreamInfo};

use naq_events::recognised_for;

use super::Findings;
use crate::output::human;

/// Examines what deduplication, retention and durability hang on.
pub(super) fn examine(info: &StreamInfo, events: &EventsConfig, findings: &mut Findings) {
    once(info, events, findings);
    when_full(info, events, findings);
    durable(info, findings);
}

/// An event that is sent again is stored once as long as the stream remembers its id.
fn once(info: &StreamInfo, events: &EventsConfig, findings: &mut Findings) {
    let tries = format_duration(events.delivery_timeout);
    let Some(window) = info.config.duplicate_window else { return };
    let remembered = format!("ids are remembered for {}", format_duration(window));
    let surely = recognised_for(window);
    if surely >= events.delivery_timeout {
        return findings
            .ok("once", format!("{remembered}, and an event is sent for {tries} at most"));
    }
    let surely = format_duration(surely);
    // Twice as long has room for the margin at any length.
    let longer = format_duration(events.delivery_timeout.saturating_mul(2));
    findings.warn(
        "once",
        format!(
            "{remembered}, for certain {surely}, and an event is sent for up to {tries}: it may \
             be stored twice"
        ),
        format!(
            "`naq streams ensure --duplicate-window {longer}`, or shorter tries: \
             NAQ_EVENTS_DELIVERY_TIMEOUT"
        ),
    );
}

fn when_full(info: &StreamInfo, events: &EventsConfig, findings: &mut Findings) {
    let config = &info.config;
    let refuses = config.discard == Some(Discard::New);
    let goes = if refuses { "new events are refused" } else { "the oldest events go" };
    let Some(bytes) = config.max_bytes.filter(|bytes| *bytes > 0) else {
        return findings.warn(
            "when full",
            format!("{goes}, and there is no limit of bytes"),
            "`naq streams ensure --max-bytes SIZE`: a full disk stops the whole server",
        );
    };
    let found = format!("{goes}, at {}", human::size(bytes));
    if refuses {
        let tries = format_duration(events.delivery_timeout);
        let found = format!("{found}: they wait for room, and fail after {tries}");
        let advice = "`naq streams ensure` lets the oldest go instead; or make room in time \
                      (`naq cleanup`)";
        findings.warn("when full", found, advice);
    } else {
        findings.ok("when full", found);
    }
}

fn durable(info: &StreamInfo, findings: &mut Findings) {
    let copies = match info.config.replicas {
        None | Some(0 | 1) => "on one server".to_owned(),
        Some(many) => format!("on {many} servers"),
    };
    if info.config.storage == Some(Storage::Memory) {
        let found = format!("in memory, {copies}: gone when it stops");
        return findings.warn("durable", found, "a log that shall stay needs a stream of files");
    }
    if info.acks_before_writing {
        let found = format!("in files, {copies}, and acknowledged before they are written");
        let advice = "the stream's persist_mode is async: a server that dies loses what it \
                      acknowledged last. It can't be changed: make the stream anew without";
        return findings.warn("durable", found, advice);
    }
    let found = format!(
        "in files, {copies}; how often the server syncs them no client is told (sync_interval, \
         2m unless it is set)"
    );
    findings.ok("durable", found);
}
