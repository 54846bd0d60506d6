//! How errors of the JetStream port are told in terms of buckets and keys.

use naq_core::{Error, ErrorKind};

use crate::wire::Names;

impl Names {
    /// An error of the port as an operation on this bucket tells it.
    pub(crate) fn told(&self, operation: &'static str, error: Error) -> Error {
        let told = error.in_operation(operation).with("bucket", &self.bucket);
        match told.kind() {
            ErrorKind::NotFound => told.with_hint("create the bucket first"),
            ErrorKind::Unsupported => told.with_hint(
                "transactions need nats-server 2.12 and a bucket with `transactions`, a TTL \
                 needs nats-server 2.11 and a bucket with `marker_ttl`: ensure_bucket adds both",
            ),
            ErrorKind::LimitReached => told
                .with_hint("the bucket is full: remove and purge keys, or raise its `max_bytes`"),
            _ => told,
        }
    }

    /// The same with the key.
    pub(crate) fn told_of(&self, operation: &'static str, key: &str, error: Error) -> Error {
        self.told(operation, error).with("key", key)
    }
}
