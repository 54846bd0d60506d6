//! Key-value buckets in NATS's own wire format.
//!
//! [`KvStoreService`] implements the ports [`KvStore`](naq_core::kv::KvStore)
//! and [`KvBucket`](naq_core::kv::KvBucket) on whatever JetStream it is given:
//! a server's by `naq-connection`, one in this process by `naq-memory`, or a
//! mock. A bucket is a stream `KV_<bucket>` with a subject
//! `$KV.<bucket>.<key>` per key, as NATS's ADR-8 has it, so every NATS client
//! reads and writes the same buckets.
//!
//! ```
//! use std::sync::Arc;
//!
//! use naq_core::connection::SingleJetStream;
//! use naq_kv::prelude::*;
//! use naq_memory::MemoryJetStream;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> naq_core::Result<()> {
//! let jetstream = SingleJetStream::provider(Arc::new(MemoryJetStream::new()));
//! let stores = KvStoreService::new(jetstream);
//! let settings = stores.create_bucket(BucketConfig::new("settings").with_history(5)).await?;
//!
//! let first = settings.put("workers.max", "8").await?;
//! let entry = settings.get("workers.max").await?.expect("put above");
//! assert_eq!((&entry.value[..], entry.revision), (&b"8"[..], first));
//!
//! // Compare and set: the second writer who read the same revision loses.
//! settings.update("workers.max", "16", first).await?;
//! let late = settings.update("workers.max", "4", first).await.unwrap_err();
//! assert_eq!(late.kind(), naq_core::ErrorKind::Conflict);
//!
//! // The same by the names of the bucket and the key.
//! stores.put_json("settings", "limits", &serde_json::json!({"per_second": 100})).await?;
//! assert_eq!(settings.history("workers.max").await?.len(), 2);
//! # Ok(())
//! # }
//! ```

mod bucket;
mod bulk;
mod erase;
mod layout;
mod modify;
mod read;
mod service;
mod told;
mod transaction;
mod watch;
mod wire;
mod write;

pub use service::KvStoreService;

/// What a program that works with buckets needs at hand.
pub mod prelude {
    pub use naq_core::kv::{
        BucketConfig, BucketStatus, GetOptions, KeyResult, KeySelection, KvBucket, KvBucketExt,
        KvChange, KvEntry, KvOperation, KvStore, KvStoreExt, KvUpdate, KvWrite, PutOptions,
        RemoveOptions, WatchFrom, WatchOptions,
    };

    pub use naq_core::{Error, ErrorKind, Result};

    pub use crate::KvStoreService;
}
