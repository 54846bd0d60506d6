//! NATS's wire format for buckets (ADR-8): names, subjects, headers, entries.

use naq_core::Result;
use naq_core::jetstream::{Headers, StoredMessage};
use naq_core::kv::{
    KeySelection, KvEntry, KvOperation, RemoveMode, check_bucket, check_key, check_prefix,
};

/// The header that says what a message without a value did to its key.
const KV_OPERATION: &str = "KV-Operation";
/// The header by which the server says why it left a marker.
const MARKER_REASON: &str = "Nats-Marker-Reason";
/// The header that has the server remove what stands before the message.
const ROLLUP: &str = "Nats-Rollup";
/// The header with the id by which a message is told from a repeated one.
const MESSAGE_ID: &str = "Nats-Msg-Id";

/// What the stream of a bucket is called, before the bucket's name.
const STREAM_PREFIX: &str = "KV_";

/// The filter that every bucket's subject overlaps.
pub(crate) const ANY_BUCKET: &str = "$KV.>";

/// A bucket's name, and what follows from it.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    /// The bucket's name.
    pub(crate) bucket: String,
    /// Its stream.
    pub(crate) stream: String,
    /// What a subject has before the key.
    prefix: String,
}

impl Names {
    /// The names of a bucket, once its name is a valid one.
    pub(crate) fn new(operation: &'static str, bucket: &str) -> Result<Self> {
        check_bucket(operation, bucket)?;
        Ok(Self {
            bucket: bucket.to_owned(),
            stream: format!("{STREAM_PREFIX}{bucket}"),
            prefix: format!("$KV.{bucket}."),
        })
    }

    /// The bucket that a stream holds, if it holds one.
    pub(crate) fn bucket_of(stream: &str) -> Option<&str> {
        let bucket = stream.strip_prefix(STREAM_PREFIX)?;
        check_bucket("list_buckets", bucket).is_ok().then_some(bucket)
    }

    /// The subject of a key, once it is a valid one.
    pub(crate) fn subject(&self, operation: &'static str, key: &str) -> Result<String> {
        check_key(operation, key)?;
        Ok(format!("{}{key}", self.prefix))
    }

    /// The narrowest filter that has all keys of a selection: it may have others too.
    pub(crate) fn filter(
        &self,
        operation: &'static str,
        selection: &KeySelection,
    ) -> Result<String> {
        match selection {
            KeySelection::Key(key) => self.subject(operation, key),
            KeySelection::Prefix(prefix) => {
                check_prefix(operation, prefix)?;
                // Only what ends at a dot is whole tokens, which is all a filter knows of.
                let tokens = prefix.rfind('.').map_or("", |dot| &prefix[..=dot]);
                Ok(format!("{}{tokens}>", self.prefix))
            }
            _ => Ok(self.all_keys()),
        }
    }

    /// The filter of all keys, and the subject that the stream takes.
    pub(crate) fn all_keys(&self) -> String {
        format!("{}>", self.prefix)
    }

    /// The entry that a message of this bucket is; `None` for a message of something else.
    pub(crate) fn entry(&self, message: StoredMessage) -> Option<KvEntry> {
        let key = message.subject.strip_prefix(&self.prefix)?.to_owned();
        Some(KvEntry {
            key,
            operation: operation(&message.headers),
            value: message.payload,
            revision: message.sequence,
            created: message.stored_at,
        })
    }
}

/// What a message did to its key.
fn operation(headers: &Headers) -> KvOperation {
    match (headers.get(KV_OPERATION), headers.get(MARKER_REASON)) {
        (Some("DEL"), _) | (None, Some("Remove")) => KvOperation::Delete,
        (Some("PURGE"), _) | (None, Some("Purge")) => KvOperation::Purge,
        (None, Some(_)) => KvOperation::Expire,
        // Other clients read a message without the header, or with another value, as a value.
        _ => KvOperation::Put,
    }
}

/// The headers of a removal.
pub(crate) fn removal(mode: RemoveMode) -> Headers {
    match mode {
        RemoveMode::Delete => Headers::new().with(KV_OPERATION, "DEL"),
        RemoveMode::Purge => Headers::new().with(KV_OPERATION, "PURGE").with(ROLLUP, "sub"),
    }
}

/// Whether a message is the one that was published with an id.
pub(crate) fn has_id(message: &StoredMessage, id: &str) -> bool {
    message.headers.get(MESSAGE_ID) == Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use naq_core::Timestamp;

    fn names() -> Names {
        Names::new("test", "jobs").unwrap()
    }

    fn message(subject: &str, headers: Headers) -> StoredMessage {
        StoredMessage {
            subject: subject.into(),
            sequence: 3,
            stored_at: Timestamp::default(),
            headers,
            payload: bytes::Bytes::new(),
        }
    }

    #[test]
    fn names_are_those_of_nats() {
        let names = names();
        assert_eq!(names.stream, "KV_jobs");
        assert_eq!(names.subject("put", "a.b").unwrap(), "$KV.jobs.a.b");
        assert_eq!(names.all_keys(), "$KV.jobs.>");
        assert_eq!(Names::bucket_of("KV_jobs"), Some("jobs"));
        assert_eq!(Names::bucket_of("KV_"), None);
        assert_eq!(Names::bucket_of("events"), None);
    }

    #[test]
    fn a_filter_is_as_narrow_as_whole_tokens_allow() {
        let names = names();
        for (prefix, filter) in [
            ("", "$KV.jobs.>"),
            ("a", "$KV.jobs.>"),
            ("a.", "$KV.jobs.a.>"),
            ("a.b", "$KV.jobs.a.>"),
            ("a.b.", "$KV.jobs.a.b.>"),
        ] {
            assert_eq!(names.filter("keys", &KeySelection::prefix(prefix)).unwrap(), filter);
        }
        assert_eq!(names.filter("keys", &KeySelection::key("a.b")).unwrap(), "$KV.jobs.a.b");
        assert_eq!(names.filter("keys", &KeySelection::All).unwrap(), "$KV.jobs.>");
        assert!(names.filter("keys", &KeySelection::prefix("a*")).is_err());
        assert!(names.filter("keys", &KeySelection::key("a.")).is_err());
    }

    #[test]
    fn markers_of_every_kind_are_known() {
        let names = names();
        for (headers, operation) in [
            (Headers::new(), KvOperation::Put),
            (removal(RemoveMode::Delete), KvOperation::Delete),
            (removal(RemoveMode::Purge), KvOperation::Purge),
            (Headers::new().with(KV_OPERATION, "PUT"), KvOperation::Put),
            (Headers::new().with(MARKER_REASON, "MaxAge"), KvOperation::Expire),
            (Headers::new().with(MARKER_REASON, "Purge"), KvOperation::Purge),
            (Headers::new().with(MARKER_REASON, "Remove"), KvOperation::Delete),
        ] {
            let entry = names.entry(message("$KV.jobs.a.b", headers.clone())).unwrap();
            assert_eq!((entry.key.as_str(), entry.operation), ("a.b", operation), "{headers:?}");
        }
        assert_eq!(names.entry(message("$KV.other.a", Headers::new())), None);
    }
}
