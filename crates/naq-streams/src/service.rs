//! The service: the port on whatever JetStream a provider hands out.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, StreamExt, TryStreamExt};
use naq_core::clock::{Clock, ClockExt, SystemClock};
use naq_core::config::StreamsConfig;
use naq_core::connection::{ConnectionProvider, ConnectionProviderExt};
use naq_core::jetstream::{
    JetStream, JetStreamExt, ListStreams, PurgeOptions, StreamInfo, SubjectCounts,
};
use naq_core::service::{Health, Interfaces, Provide, Service, StopReport};
use naq_core::streams::{EnsureOutcome, EnsureStream, EnsuredStream, StreamManager};
use naq_core::{BoxStream, Error, ErrorKind, Result};

use crate::ensure::ensure;

/// Manages the streams of the default server.
///
/// Cheap and without a state of its own: it asks its provider for JetStream
/// at each call, so a connection that was closed is made anew.
#[derive(Debug, Clone)]
pub struct StreamService {
    connections: Arc<dyn ConnectionProvider>,
    clock: Arc<dyn Clock>,
    config: StreamsConfig,
}

impl StreamService {
    /// Manages the streams of whatever JetStream the provider hands out.
    ///
    /// For a JetStream of one's own use
    /// [`SingleJetStream`](naq_core::connection::SingleJetStream).
    #[must_use]
    pub fn new(connections: Arc<dyn ConnectionProvider>) -> Self {
        Self { connections, clock: Arc::new(SystemClock::new()), config: StreamsConfig::default() }
    }

    /// Sets what the service may do.
    #[must_use]
    pub fn with_config(mut self, config: StreamsConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets the clock by which messages are told to be too old for a lower `max_age`.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    async fn jetstream(&self) -> Result<Arc<dyn JetStream>> {
        self.connections.default_jetstream().await
    }

    /// A stream of answers that begins by getting JetStream.
    fn answers<T: Send + 'static>(
        &self,
        open: impl FnOnce(Arc<dyn JetStream>) -> BoxStream<'static, Result<T>> + Send + 'static,
    ) -> BoxStream<'static, Result<T>> {
        let connections = Arc::clone(&self.connections);
        stream::once(async move { Ok::<_, Error>(open(connections.default_jetstream().await?)) })
            .try_flatten()
            .boxed()
    }
}

#[async_trait]
impl StreamManager for StreamService {
    async fn ensure_stream(&self, mut request: EnsureStream) -> Result<EnsuredStream> {
        request.allow_loss |= self.config.allow_shrinking;
        let jetstream = self.jetstream().await?;
        let ensured = ensure(&*jetstream, &request, self.clock.now()).await?;
        if ensured.outcome == EnsureOutcome::Created {
            tracing::info!(stream = %request.config.name, "created a stream");
        }
        Ok(ensured)
    }

    async fn get_stream_info(&self, stream: &str) -> Result<StreamInfo> {
        self.jetstream().await?.stream_info(stream).await
    }

    async fn stream_exists(&self, stream: &str) -> Result<bool> {
        Ok(self.jetstream().await?.find_stream(stream).await?.is_some())
    }

    fn list_streams(&self) -> BoxStream<'static, Result<StreamInfo>> {
        self.answers(|jetstream| jetstream.list_streams(ListStreams::default()))
    }

    async fn purge_stream(&self, stream: &str, options: PurgeOptions) -> Result<u64> {
        let purged = self.jetstream().await?.purge_stream(stream, options).await?;
        tracing::info!(stream, purged, "purged a stream");
        Ok(purged)
    }

    async fn delete_stream(&self, stream: &str) -> Result<()> {
        self.jetstream().await?.delete_stream(stream).await?;
        tracing::info!(stream, "deleted a stream");
        Ok(())
    }

    fn subject_counts(
        &self,
        stream: &str,
        filter: &str,
    ) -> BoxStream<'static, Result<(String, u64)>> {
        let (stream, filter) = (stream.to_owned(), filter.to_owned());
        self.answers(move |jetstream| pages(jetstream, stream, filter))
    }
}

/// The subjects of all pages, each page asked for when the one before is used up.
fn pages(
    jetstream: Arc<dyn JetStream>,
    stream: String,
    filter: String,
) -> BoxStream<'static, Result<(String, u64)>> {
    let next = move |offset: Option<u64>| {
        let (jetstream, stream, filter) = (Arc::clone(&jetstream), stream.clone(), filter.clone());
        async move {
            let Some(offset) = offset else { return Ok::<_, Error>(None) };
            let SubjectCounts { counts, next_offset, .. } =
                jetstream.subject_counts(&stream, &filter, offset).await?;
            // A page that doesn't lead on would be asked for again without end.
            let next_offset = next_offset.filter(|next| *next > offset);
            Ok(Some((stream::iter(counts).map(Ok), next_offset)))
        }
    };
    stream::try_unfold(Some(0), next).try_flatten().boxed()
}

#[async_trait]
impl Service for StreamService {
    async fn start(&self) -> Result<()> {
        Ok(())
    }

    async fn stop(&self, _within: Duration) -> Result<StopReport> {
        Ok(StopReport::default())
    }

    /// Lists the first stream: a question that only a working JetStream answers.
    async fn health(&self) -> Health {
        let began = self.clock.monotonic();
        let first = self.list_streams().next().await.transpose();
        let latency = self.clock.elapsed_since(began);
        match first {
            Ok(_) => Health::healthy().with_latency(latency),
            // The server answered; a producer may have no right but to publish.
            Err(error) if error.is(ErrorKind::PermissionDenied) => Health::healthy()
                .with_detail("without the right to list streams")
                .with_latency(latency),
            Err(error) => Health::unhealthy(error.to_string()).with_latency(latency),
        }
    }
}

impl Provide for StreamService {
    const NAME: &'static str = "streams";
    type Deps = (Arc<dyn ConnectionProvider>, Arc<dyn Clock>);
    type Config = StreamsConfig;

    fn interfaces() -> Interfaces<Self> {
        Interfaces::new().with::<dyn StreamManager>(|service| service)
    }

    fn build((connections, clock): Self::Deps, config: StreamsConfig) -> Result<Self> {
        Ok(Self::new(connections).with_config(config).with_clock(clock))
    }
}
