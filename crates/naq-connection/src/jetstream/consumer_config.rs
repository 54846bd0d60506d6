//! A durable consumer's configuration and state as the server writes them.

use std::collections::BTreeMap;

use naq_core::Result;
use naq_core::jetstream::{ConsumerConfig, ConsumerInfo, ReadStart};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::time::{deliver_policy, duration, nanos, required, time};

/// A consumer as the server tells it.
#[derive(Debug, Deserialize)]
pub(super) struct RawConsumer {
    stream_name: String,
    name: String,
    created: String,
    config: RawConfig,
    #[serde(default)]
    delivered: RawSequences,
    #[serde(default)]
    ack_floor: RawSequences,
    #[serde(default)]
    num_ack_pending: u64,
    #[serde(default)]
    num_redelivered: u64,
    #[serde(default)]
    num_pending: u64,
}

#[derive(Debug, Default, Deserialize)]
struct RawSequences {
    #[serde(default)]
    stream_seq: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawConfig {
    description: Option<String>,
    deliver_policy: String,
    opt_start_seq: Option<u64>,
    opt_start_time: Option<String>,
    ack_wait: i64,
    max_deliver: i64,
    max_ack_pending: i64,
    ack_policy: String,
    deliver_subject: Option<String>,
    backoff: Option<Vec<i64>>,
    filter_subject: Option<String>,
    filter_subjects: Option<Vec<String>>,
    inactive_threshold: i64,
    num_replicas: u32,
    metadata: Option<BTreeMap<String, String>>,
}

impl RawConsumer {
    pub(super) fn into_info(self, operation: &'static str) -> Result<ConsumerInfo> {
        let created = required(operation, &self.created)?;
        let ack_policy = self.config.ack_policy.clone();
        let is_push = self.config.deliver_subject.as_ref().is_some_and(|to| !to.is_empty());
        let mut info =
            ConsumerInfo::new(self.stream_name, self.config.into_config(self.name), created);
        info.ack_policy = ack_policy;
        info.is_push = is_push;
        info.delivered = self.delivered.stream_seq;
        info.ack_floor = self.ack_floor.stream_seq;
        info.ack_pending = self.num_ack_pending;
        info.redelivered = self.num_redelivered;
        info.pending = self.num_pending;
        Ok(info)
    }
}

impl RawConfig {
    fn into_config(self, name: String) -> ConsumerConfig {
        let mut config = ConsumerConfig::new(name);
        config.description = self.description;
        config.start = match self.deliver_policy.as_str() {
            "by_start_sequence" => ReadStart::Sequence(self.opt_start_seq.unwrap_or(1)),
            "by_start_time" => self
                .opt_start_time
                .as_deref()
                .and_then(time)
                .map_or(ReadStart::Beginning, ReadStart::Time),
            "new" => ReadStart::New,
            "last_per_subject" => ReadStart::LastPerSubject,
            _ => ReadStart::Beginning,
        };
        config.subjects = self
            .filter_subjects
            .filter(|subjects| !subjects.is_empty())
            .or_else(|| self.filter_subject.filter(|s| !s.is_empty()).map(|s| vec![s]))
            .unwrap_or_default();
        if config.start == ReadStart::LastPerSubject && config.subjects == [">"] {
            config.subjects.clear();
        }
        config.ack_wait = duration(self.ack_wait);
        config.max_deliver = u64::try_from(self.max_deliver).unwrap_or(0);
        config.max_ack_pending = u64::try_from(self.max_ack_pending).unwrap_or(0);
        config.backoff = self.backoff.unwrap_or_default().into_iter().map(duration).collect();
        config.inactive_threshold = duration(self.inactive_threshold);
        config.replicas = self.num_replicas;
        config.metadata = self.metadata.unwrap_or_default();
        config
    }
}

/// The request that creates a consumer: refused if one of the name is there and differs.
pub(super) fn create_body(stream: &str, config: &ConsumerConfig) -> Value {
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| {
        map.insert(key.to_owned(), value);
    };
    put("durable_name", config.name.clone().into());
    put("name", config.name.clone().into());
    put("ack_policy", "explicit".into());
    put("replay_policy", "instant".into());
    put("ack_wait", nanos(config.ack_wait).into());
    if let Some(text) = &config.description {
        put("description", text.clone().into());
    }
    if config.max_deliver > 0 {
        put("max_deliver", config.max_deliver.into());
    }
    if config.max_ack_pending > 0 {
        put("max_ack_pending", config.max_ack_pending.into());
    }
    if !config.backoff.is_empty() {
        put("backoff", config.backoff.iter().copied().map(nanos).collect());
    }
    match &config.subjects[..] {
        // The server wants a filter for it, be it one of everything.
        [] if config.start == ReadStart::LastPerSubject => put("filter_subject", ">".into()),
        [] => {}
        [subject] => put("filter_subject", subject.clone().into()),
        several => put("filter_subjects", several.into()),
    }
    if !config.inactive_threshold.is_zero() {
        put("inactive_threshold", nanos(config.inactive_threshold).into());
    }
    if config.replicas > 0 {
        put("num_replicas", config.replicas.into());
    }
    if !config.metadata.is_empty() {
        put("metadata", json!(config.metadata));
    }
    deliver_policy(config.start, &mut map);
    json!({ "stream_name": stream, "config": map, "action": "create" })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_configuration_is_written_and_read_back() {
        let mut config = ConsumerConfig::new("c")
            .with_start(ReadStart::Sequence(5))
            .with_subject("a.*")
            .with_subject("b")
            .with_max_deliver(3);
        config.backoff = vec![Duration::from_secs(1), Duration::from_secs(2)];
        let body = create_body("S", &config);
        assert_eq!((&body["stream_name"], &body["action"]), (&json!("S"), &json!("create")));
        let raw: RawConsumer = serde_json::from_value(json!({
            "stream_name": "S", "name": "c", "created": "2026-01-02T03:04:05Z",
            "config": body["config"], "num_pending": 4, "ack_floor": {"consumer_seq": 1, "stream_seq": 7},
        }))
        .unwrap();
        let info = raw.into_info("consumer_info").unwrap();
        assert_eq!(info.config, config);
        assert_eq!((info.pending, info.ack_floor), (4, 7));
        assert_eq!((info.ack_policy.as_str(), info.is_push), ("explicit", false));
    }
}
