//! One bucket: the port, each operation in the module of its name.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use naq_core::clock::Clock;
use naq_core::config::KvStoresConfig;
use naq_core::connection::{ConnectionProvider, ConnectionProviderExt};
use naq_core::jetstream::{Consistency, JetStream};
use naq_core::kv::{
    BucketStatus, GetOptions, KeyResult, KeySelection, KvBucket, KvEntry, KvUpdate, KvWrite,
    Modified, ModifyFn, PutMode, PutOptions, RemoveMode, RemoveOptions, WatchOptions,
};
use naq_core::{BoxStream, Error, Result};

use crate::wire::Names;
use crate::write::{Write, send};
use crate::{bulk, erase, layout, modify, read, transaction, watch};

/// What every handle of a store has of it.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) connections: Arc<dyn ConnectionProvider>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: KvStoresConfig,
}

impl Shared {
    /// JetStream, asked for at each call: a connection that was closed is made anew.
    pub(crate) async fn jetstream(&self) -> Result<Arc<dyn JetStream>> {
        self.connections.default_jetstream().await
    }
}

/// A handle to a bucket.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    shared: Shared,
    names: Names,
}

impl Bucket {
    pub(crate) fn new(shared: Shared, names: Names) -> Self {
        Self { shared, names }
    }

    async fn write(&self, operation: &'static str, write: KvWrite) -> Result<u64> {
        let write = Write::new(operation, &self.names, write)?;
        send(&*self.shared.jetstream().await?, &self.names, &write).await
    }

    /// A stream of answers that begins by getting JetStream.
    fn answers<T: Send + 'static>(
        &self,
        open: impl FnOnce(Arc<dyn JetStream>, Names) -> BoxStream<'static, Result<T>> + Send + 'static,
    ) -> BoxStream<'static, Result<T>> {
        let (shared, names) = (self.shared.clone(), self.names.clone());
        stream::once(async move { Ok::<_, Error>(open(shared.jetstream().await?, names)) })
            .try_flatten()
            .boxed()
    }

    /// The same with a result per key: where there is no JetStream, each key gets the error.
    fn answers_by_key<T: Send + 'static>(
        &self,
        keys: Vec<String>,
        open: impl FnOnce(Arc<dyn JetStream>, Names) -> BoxStream<'static, KeyResult<T>>
        + Send
        + 'static,
    ) -> BoxStream<'static, KeyResult<T>> {
        let (shared, names) = (self.shared.clone(), self.names.clone());
        stream::once(async move {
            match shared.jetstream().await {
                Ok(jetstream) => open(jetstream, names),
                Err(error) => {
                    let each = move |key| KeyResult::new(key, Err(Error::clone(&error)));
                    stream::iter(keys).map(each).boxed()
                }
            }
        })
        .flatten()
        .boxed()
    }
}

#[async_trait]
impl KvBucket for Bucket {
    fn name(&self) -> &str {
        &self.names.bucket
    }

    async fn put_opts(&self, key: &str, value: Bytes, options: PutOptions) -> Result<u64> {
        let operation = match options.mode {
            PutMode::Create => "create",
            PutMode::Update(_) => "update",
            _ => "put",
        };
        self.write(operation, KvWrite::put_opts(key, value, options)).await
    }

    async fn get_opts(&self, key: &str, options: GetOptions) -> Result<Option<KvEntry>> {
        read::get(&*self.shared.jetstream().await?, &self.names, key, options).await
    }

    async fn remove(&self, key: &str, options: RemoveOptions) -> Result<u64> {
        let operation = match options.mode {
            RemoveMode::Purge => "purge",
            _ => "delete",
        };
        self.write(operation, KvWrite::remove(key, options)).await
    }

    async fn erase(&self, key: &str, revision: Option<u64>) -> Result<u64> {
        erase::erase(&*self.shared.jetstream().await?, &self.names, key, revision).await
    }

    fn keys(&self, selection: KeySelection) -> BoxStream<'static, Result<String>> {
        self.answers(move |jetstream, names| read::keys(jetstream, names, selection))
    }

    async fn history(&self, key: &str) -> Result<Vec<KvEntry>> {
        read::history(self.shared.jetstream().await?, &self.names, key).await
    }

    fn watch(&self, options: WatchOptions) -> BoxStream<'static, Result<KvUpdate>> {
        self.answers(move |jetstream, names| watch::watch(&jetstream, names, options))
    }

    fn write_many(&self, writes: Vec<KvWrite>) -> BoxStream<'static, KeyResult<u64>> {
        let keys = writes.iter().map(|write| write.key().to_owned()).collect();
        self.answers_by_key(keys, move |jetstream, names| {
            bulk::write_many(jetstream, names, writes)
        })
    }

    fn get_many(
        &self,
        keys: Vec<String>,
        consistency: Consistency,
    ) -> BoxStream<'static, KeyResult<Option<KvEntry>>> {
        self.answers_by_key(keys.clone(), move |jetstream, names| {
            bulk::get_many(&jetstream, names, keys, consistency)
        })
    }

    async fn transaction(&self, writes: Vec<KvWrite>) -> Result<Vec<u64>> {
        transaction::transaction(&self.shared.jetstream().await?, &self.names, writes).await
    }

    async fn modify(&self, key: &str, change: ModifyFn) -> Result<Modified> {
        let Shared { clock, config, .. } = &self.shared;
        let jetstream = self.shared.jetstream().await?;
        modify::modify(&*jetstream, &self.names, &**clock, config, key, change).await
    }

    async fn status(&self) -> Result<BucketStatus> {
        let info = self.shared.jetstream().await?.stream_info(&self.names.stream).await;
        let info = info.map_err(|error| self.names.told("status", error))?;
        Ok(layout::status(&self.names.bucket, info))
    }
}
