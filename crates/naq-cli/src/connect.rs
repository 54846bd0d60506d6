//! From the global options to running services.

use std::sync::Arc;
use std::time::Duration;

use naq_core::clock::Clock;
use naq_core::config::{NaqConfig, OverflowPolicy, StreamMode};
use naq_core::connection::ConnectionProvider;
use naq_core::kv::KvStore;
use naq_core::service::Service;
use naq_core::streams::StreamManager;
use naq_events::EventService;
use naq_events::reactions::ReactionService;
use naq_kv::KvStoreService;
use naq_services::ServiceManager;
use naq_streams::StreamService;

use crate::cli::Globals;
use crate::complain::Failure;

/// How long letting go of the server may take; what was to be stored is stored before.
const CLOSING: Duration = Duration::from_secs(5);

/// The longest that the configuration lets anybody wait for room in the buffer.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// The configuration: the file, then variables, then options; the later one wins.
///
/// # Errors
/// Usage, for a key or value that is wrong.
pub(crate) fn config(globals: &Globals) -> Result<NaqConfig, Failure> {
    let mut builder = ServiceManager::builder();
    if let Some(file) = globals.config.as_ref().filter(|file| !file.as_os_str().is_empty()) {
        builder = builder.config_file(file)?;
    }
    let mut config = builder.config_from_env()?.current_config().clone();
    let connection = &mut config.connection;
    if let Some(url) = globals.server.as_deref().filter(|url| !url.is_empty()) {
        connection.server.url = url.into();
    }
    if let Some(creds) = globals.creds.as_ref().filter(|file| !file.as_os_str().is_empty()) {
        connection.server.creds_file = Some(creds.clone());
    }
    if let Some(timeout) = globals.timeout {
        connection.connect_timeout = timeout;
        connection.request_timeout = timeout;
        connection.ack_timeout = timeout;
    }
    config.validate()?;
    Ok(config)
}

/// The services, connected to a server, for the time of one command.
#[derive(Debug)]
pub(crate) struct Session {
    manager: ServiceManager,
    config: NaqConfig,
}

impl Session {
    /// Runs `work` with the services of the server that the global options name.
    ///
    /// # Errors
    /// Usage, where that server would be in this process; those of connecting,
    /// of the work, and of letting go.
    pub(crate) async fn with<T>(
        globals: &Globals,
        work: impl AsyncFnOnce(&Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let config = config(globals)?;
        if is_in_memory(&config) {
            return Err(Failure::usage(
                "memory:// is a server inside of one process, and this one would find it empty",
                "name a real one, --server nats://127.0.0.1:4222; in memory runs `naq demo` alone",
            ));
        }
        Self::with_config(config, work).await
    }

    /// Runs `work` with the services of a configuration.
    ///
    /// # Errors
    /// Those of connecting, of the work, and of letting go.
    pub(crate) async fn with_config<T>(
        config: NaqConfig,
        work: impl AsyncFnOnce(&Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let manager = ServiceManager::builder()
            .config(config.clone())
            .register::<StreamService>()
            .register::<KvStoreService>()
            .start()
            .await?;
        let session = Self { manager, config };
        let done = work(&session).await;
        let closed = session.manager.stop_within(CLOSING).await;
        // The work's own failure says more than what came of it.
        let done = done?;
        closed?;
        Ok(done)
    }

    /// The configuration.
    pub(crate) const fn config(&self) -> &NaqConfig {
        &self.config
    }

    /// The server's URL, without credentials.
    pub(crate) fn url(&self) -> String {
        self.config.connection.server.url.to_string()
    }

    /// Streams.
    pub(crate) fn streams(&self) -> Result<Arc<dyn StreamManager>, Failure> {
        Ok(self.manager.get()?)
    }

    /// Key-value buckets.
    pub(crate) fn kv(&self) -> Result<Arc<dyn KvStore>, Failure> {
        Ok(self.manager.get()?)
    }

    /// Connections.
    pub(crate) fn connections(&self) -> Result<Arc<dyn ConnectionProvider>, Failure> {
        Ok(self.manager.get()?)
    }

    /// Reactions to the events of the log.
    pub(crate) fn reactions(&self) -> Result<Arc<ReactionService>, Failure> {
        let clock = self.manager.get::<dyn Clock>()?;
        let (connections, streams, kv) = (self.connections()?, self.streams()?, self.kv()?);
        let config = self.config.events.clone();
        Ok(Arc::new(ReactionService::new(connections, streams, kv, clock, config)?))
    }

    /// Runs `work` with the event log, to read it; the stream is left as it is.
    ///
    /// # Errors
    /// Those of the work; reading a stream that isn't there is `NotFound`.
    pub(crate) async fn reading<T>(
        &self,
        work: impl AsyncFnOnce(&Arc<EventService>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.events(StreamMode::Assume, work).await
    }

    /// Runs `work` with the event log, to write to it.
    ///
    /// A stream that isn't there is made as the configuration has it. One that
    /// is there is left as it is: whoever logs a line from some machine has no
    /// say in how the stream is kept; `naq streams ensure` has.
    ///
    /// # Errors
    /// Those of the work, and of making the stream.
    pub(crate) async fn writing<T>(
        &self,
        work: impl AsyncFnOnce(&Arc<EventService>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let events = &self.config.events;
        let exists = match events.stream {
            StreamMode::Ensure => self.streams()?.stream_exists(&events.stream_name).await?,
            _ => false,
        };
        let mode = if exists { StreamMode::Assume } else { events.stream };
        self.events(mode, work).await
    }

    async fn events<T>(
        &self,
        mode: StreamMode,
        work: impl AsyncFnOnce(&Arc<EventService>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let config = self.config.events.clone().with_stream(mode);
        // A command has time: it waits for room as long as for the delivery
        // itself, and gives up no event for a full buffer before.
        let patience = config.delivery_timeout.min(LONGEST_WAIT);
        let config = config.with_overflow(OverflowPolicy::Wait).with_overflow_wait(patience);
        let clock = self.manager.get::<dyn Clock>()?;
        let events = EventService::new(self.connections()?, self.streams()?, clock, config)?;
        let events = Arc::new(events);
        events.start().await?;
        let done = work(&events).await;
        // What is not stored by now was told by the work, event by event.
        events.stop(CLOSING).await?;
        done
    }
}

/// Whether a URL of the configuration names a server inside of this process.
fn is_in_memory(config: &NaqConfig) -> bool {
    let url = config.connection.server.url.to_string();
    url.split(',').any(|url| url.trim().to_ascii_lowercase().starts_with("memory:"))
}
