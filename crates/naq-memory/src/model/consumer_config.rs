//! A consumer's configuration as the server completes it, and the rules for it.

use std::time::Duration;

use naq_core::jetstream::{
    ConsumerConfig, ReadStart, Retention, check_filter, check_name, filters_overlap,
};

use super::refusal::Refusal;

const DEFAULT_ACK_WAIT: Duration = Duration::from_secs(30);
const DEFAULT_MAX_ACK_PENDING: u64 = 1_000;
const MAX_DESCRIPTION_BYTES: usize = 4 * 1024;
const MAX_METADATA_BYTES: usize = 128 * 1024;

/// Completes a configuration as the server does, and checks it.
pub(crate) fn settle(
    mut config: ConsumerConfig,
    retention: Retention,
) -> Result<ConsumerConfig, Refusal> {
    let refused = |field, rule: &'static str| Err(Refusal::invalid(field, rule));
    check_name("", "name", &config.name)
        .map_err(|error| Refusal::invalid("consumer", error.message().to_owned()))?;
    for (at, filter) in config.subjects.iter().enumerate() {
        check_filter("", filter)
            .map_err(|error| Refusal::invalid("subject", error.message().to_owned()))?;
        if config.subjects[..at].iter().any(|other| filters_overlap(other, filter)) {
            return refused("subjects", "must not overlap one another");
        }
    }
    if matches!(config.start, ReadStart::Sequence(0 | 1)) {
        config.start = ReadStart::Beginning;
    }
    if let Some(first) = config.backoff.first() {
        config.ack_wait = *first;
    }
    if config.ack_wait.is_zero() {
        config.ack_wait = DEFAULT_ACK_WAIT;
    }
    if config.max_ack_pending == 0 {
        config.max_ack_pending = DEFAULT_MAX_ACK_PENDING;
    }
    if config.max_deliver > 0 && config.backoff.len() as u64 > config.max_deliver {
        return refused("backoff", "must not have more waits than max_deliver");
    }
    if config.replicas > 1 {
        return refused("replicas", "must be at most the stream's");
    }
    if config.description.as_ref().is_some_and(|text| text.len() > MAX_DESCRIPTION_BYTES) {
        return refused("description", "must have at most 4096 bytes");
    }
    let metadata: usize = config.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    if metadata > MAX_METADATA_BYTES {
        return refused("metadata", "must have at most 131072 bytes");
    }
    if retention == Retention::WorkQueue && config.start != ReadStart::Beginning {
        return Err(Refusal::WorkQueue {
            code: 10101,
            rule: "a consumer of a work queue must start at the beginning",
        });
    }
    Ok(config)
}
