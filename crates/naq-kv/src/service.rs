//! The service: buckets made, found, listed and deleted.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, StreamExt, TryStreamExt};
use naq_core::clock::{Clock, ClockExt, SystemClock};
use naq_core::config::KvStoresConfig;
use naq_core::connection::{ConnectionProvider, ConnectionProviderExt};
use naq_core::jetstream::{JetStream, JetStreamExt, ListStreams, StreamInfo};
use naq_core::kv::{BucketConfig, BucketStatus, KvBucket, KvStore};
use naq_core::service::{Health, Interfaces, Provide, Service, StopReport};
use naq_core::streams::{differences, plan, update_refused};
use naq_core::{BoxStream, Error, ErrorKind, Result};

use crate::bucket::{Bucket, Shared};
use crate::layout;
use crate::wire::{ANY_BUCKET, Names};

const ENSURE: &str = "ensure_bucket";

/// How often a bucket may vanish or appear between two looks before this gives up.
const ROUNDS: usize = 4;

/// The key-value buckets of the default server.
///
/// Cheap and without a state of its own: it asks its provider for JetStream
/// at each call, so a connection that was closed is made anew.
#[derive(Debug, Clone)]
pub struct KvStoreService {
    shared: Shared,
}

impl KvStoreService {
    /// Works with the buckets of whatever JetStream the provider hands out.
    ///
    /// For a JetStream of one's own use
    /// [`SingleJetStream`](naq_core::connection::SingleJetStream).
    #[must_use]
    pub fn new(connections: Arc<dyn ConnectionProvider>) -> Self {
        let clock = Arc::new(SystemClock::new());
        Self { shared: Shared { connections, clock, config: KvStoresConfig::default() } }
    }

    /// Sets how often and how patiently `update_with` tries.
    #[must_use]
    pub fn with_config(mut self, config: KvStoresConfig) -> Self {
        self.shared.config = config;
        self
    }

    /// Sets the clock by which `update_with` waits between two tries.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.shared.clock = clock;
        self
    }

    fn handle(&self, names: Names) -> Arc<dyn KvBucket> {
        Arc::new(Bucket::new(self.shared.clone(), names))
    }
}

#[async_trait]
impl KvStore for KvStoreService {
    async fn create_bucket(&self, config: BucketConfig) -> Result<Arc<dyn KvBucket>> {
        const OPERATION: &str = "create_bucket";
        let names = Names::new(OPERATION, &config.name)?;
        layout::validate(OPERATION, &config)?;
        let jetstream = self.shared.jetstream().await?;
        let stream = layout::new_stream(&names, &config, jetstream.capabilities());
        match jetstream.create_stream(stream).await {
            Ok(_) => Ok(self.handle(names)),
            Err(error) if error.is(ErrorKind::AlreadyExists) => Err(Error::new(
                ErrorKind::AlreadyExists,
                OPERATION,
                "there is a bucket of this name with another configuration",
            )
            .with("bucket", &names.bucket)
            .with_hint("use it as it is, or have it changed by ensure_bucket")
            .with_source(error)),
            Err(error) => Err(names.told(OPERATION, error)),
        }
    }

    async fn ensure_bucket(&self, config: BucketConfig) -> Result<Arc<dyn KvBucket>> {
        let names = Names::new(ENSURE, &config.name)?;
        layout::validate(ENSURE, &config)?;
        let jetstream = self.shared.jetstream().await?;
        for _ in 0..ROUNDS {
            let found = jetstream.find_stream(&names.stream).await;
            let outcome = match found.map_err(|error| names.told(ENSURE, error))? {
                Some(info) => self.reconcile(&*jetstream, &names, &config, info).await,
                None => {
                    let stream = layout::new_stream(&names, &config, jetstream.capabilities());
                    jetstream.create_stream(stream).await.map(drop)
                }
            };
            match outcome {
                Ok(()) => return Ok(self.handle(names)),
                // Another process made or deleted it between the look and the change.
                Err(error)
                    if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) => {}
                Err(error) => return Err(names.told(ENSURE, error)),
            }
        }
        Err(Error::new(ErrorKind::Conflict, ENSURE, "the bucket keeps appearing and vanishing")
            .with("bucket", &names.bucket)
            .with_hint("find out who else creates and deletes it"))
    }

    fn bucket(&self, name: &str) -> Result<Arc<dyn KvBucket>> {
        Ok(self.handle(Names::new("bucket", name)?))
    }

    async fn delete_bucket(&self, name: &str) -> Result<()> {
        const OPERATION: &str = "delete_bucket";
        let names = Names::new(OPERATION, name)?;
        let deleted = self.shared.jetstream().await?.delete_stream(&names.stream).await;
        deleted.map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                Error::new(ErrorKind::NotFound, OPERATION, "there is no such bucket")
                    .with("bucket", name)
                    .with_source(error)
            }
            _ => names.told(OPERATION, error),
        })?;
        tracing::info!(bucket = name, "deleted a bucket");
        Ok(())
    }

    fn list_buckets(&self) -> BoxStream<'static, Result<BucketStatus>> {
        let connections = Arc::clone(&self.shared.connections);
        stream::once(async move { connections.default_jetstream().await })
            .map_ok(|jetstream| {
                jetstream.list_streams(ListStreams::default().with_subject(ANY_BUCKET))
            })
            .try_flatten()
            .try_filter_map(|info| async move {
                let bucket = Names::bucket_of(&info.config.name).map(str::to_owned);
                Ok(bucket.map(|bucket| layout::status(&bucket, info)))
            })
            .map_err(|error| error.in_operation("list_buckets"))
            .boxed()
    }
}

impl KvStoreService {
    /// Updates a bucket that is there, if it must and may.
    async fn reconcile(
        &self,
        jetstream: &dyn JetStream,
        names: &Names,
        config: &BucketConfig,
        info: StreamInfo,
    ) -> Result<()> {
        let wanted = layout::wanted_stream(names, config, &info);
        let mut found = differences(&info, &wanted, self.shared.clock.now());
        for difference in &mut found {
            difference.change.field = layout::field_of_bucket(difference.change.field);
        }
        let changes = plan(ENSURE, found, false, false)?;
        if changes.is_empty() {
            return Ok(());
        }
        let updated = jetstream.update_stream(wanted).await;
        updated.map_err(|error| update_refused(ENSURE, &changes, error))?;
        for change in &changes {
            tracing::info!(bucket = %names.bucket, %change, "changed a bucket");
        }
        Ok(())
    }
}

#[async_trait]
impl Service for KvStoreService {
    async fn start(&self) -> Result<()> {
        Ok(())
    }

    /// Nothing is under way between two calls; what a watch holds on the server
    /// ends when it is dropped.
    async fn stop(&self, _within: Duration) -> Result<StopReport> {
        Ok(StopReport::default())
    }

    /// Lists the first bucket: a question that only a working JetStream answers.
    async fn health(&self) -> Health {
        let began = self.shared.clock.monotonic();
        let first = self.list_buckets().next().await.transpose();
        let latency = self.shared.clock.elapsed_since(began);
        match first {
            Ok(_) => Health::healthy().with_latency(latency),
            // The server answered; a producer may have no right but to publish.
            Err(error) if error.is(ErrorKind::PermissionDenied) => Health::healthy()
                .with_detail("without the right to list buckets")
                .with_latency(latency),
            Err(error) => Health::unhealthy(error.to_string()).with_latency(latency),
        }
    }
}

impl Provide for KvStoreService {
    const NAME: &'static str = "kv_stores";
    type Deps = (Arc<dyn ConnectionProvider>, Arc<dyn Clock>);
    type Config = KvStoresConfig;

    fn interfaces() -> Interfaces<Self> {
        Interfaces::new().with::<dyn KvStore>(|service| service)
    }

    fn build((connections, clock): Self::Deps, config: KvStoresConfig) -> Result<Self> {
        Ok(Self::new(connections).with_config(config).with_clock(clock))
    }
}
