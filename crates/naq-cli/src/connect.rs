//! From the global options to running services.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use naq_core::clock::Clock;
use naq_core::config::{
    ConnectPolicy, EventsConfig, KeeperMode, NaqConfig, OverflowPolicy, SpoolConfig, StreamMode,
};
use naq_core::connection::ConnectionProvider;
use naq_core::events::{EventAccount, EventCounters, EventSink};
use naq_core::kv::KvStore;
use naq_core::service::Service;
use naq_core::streams::StreamManager;
use naq_core::{Error, ErrorKind};
use naq_events::EventService;
use naq_events::cursors::CursorService;
use naq_events::reactions::ReactionService;
use naq_kv::KvStoreService;
use naq_services::{ServiceManager, ServiceManagerBuilder};
use naq_streams::StreamService;

use crate::cli::Globals;
use crate::complain::Failure;

/// How long letting go of the server may take; what was to be stored is stored before.
const CLOSING: Duration = Duration::from_secs(5);

/// How long a server that was away a moment ago is waited for.
const ONCE_MORE: Duration = Duration::from_secs(1);

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
    // What nobody reads is told by commands that ask no server, too.
    services(&config).check().into_result()?;
    Ok(config)
}

/// The services of every command, of a configuration.
fn services(config: &NaqConfig) -> ServiceManagerBuilder {
    ServiceManager::builder()
        .config(config.clone())
        .register::<StreamService>()
        .register::<KvStoreService>()
}

/// The services, connected to a server, for the time of one command.
#[derive(Debug)]
pub(crate) struct Session {
    manager: ServiceManager,
    config: NaqConfig,
    /// How long what is still in the spool is sent at the end.
    closing: Duration,
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
        refuse_memory(&config)?;
        Self::with_config(config, work).await
    }

    /// The same for what is to survive an outage: with a spool, the one named
    /// here or that of the configuration, the server may be away.
    ///
    /// # Errors
    /// As [`with`](Self::with).
    pub(crate) async fn with_spool<T>(
        globals: &Globals,
        spool: Option<PathBuf>,
        work: impl AsyncFnOnce(&Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut config = config(globals)?;
        if spool.is_some() {
            config.events.spool.dir = spool;
        }
        refuse_memory(&config)?;
        let has_spool = config.events.spool.dir.is_some();
        let session = match Self::start(config.clone()).await {
            Err(error) if has_spool && is_away(&error) => Self::start_without(config).await?,
            started => started?,
        };
        session.run(work).await
    }

    /// Runs `work` with the services of a configuration.
    ///
    /// # Errors
    /// Those of connecting, of the work, and of letting go.
    pub(crate) async fn with_config<T>(
        config: NaqConfig,
        work: impl AsyncFnOnce(&Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        Self::start(config).await?.run(work).await
    }

    async fn start(config: NaqConfig) -> Result<Self, Error> {
        let manager = services(&config).start().await?;
        Ok(Self { manager, config, closing: CLOSING })
    }

    /// Goes on without a server, which may come back: whatever is logged goes to the spool.
    async fn start_without(mut config: NaqConfig) -> Result<Self, Error> {
        let connection = &mut config.connection;
        connection.connect_policy = ConnectPolicy::Lazy;
        connection.connect_timeout = connection.connect_timeout.min(ONCE_MORE);
        connection.request_timeout = connection.request_timeout.min(ONCE_MORE);
        // Nothing is asked of it: the stream stays as it is.
        config.events.stream = StreamMode::Assume;
        let session = Self::start(config).await?;
        Ok(Self { closing: Duration::ZERO, ..session })
    }

    async fn run<T>(
        self,
        work: impl AsyncFnOnce(&Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let done = work(&self).await;
        let closed = self.manager.stop_within(CLOSING).await;
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

    /// Named cursors of the log's readers.
    pub(crate) fn cursors(&self) -> Result<CursorService, Failure> {
        let clock = self.manager.get::<dyn Clock>()?;
        let config = self.config.events.clone();
        Ok(CursorService::new(self.connections()?, self.kv()?, clock, config)?)
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
        let mut config = self.own_config();
        // Who only reads sends nothing that others left.
        config.spool = SpoolConfig::default();
        self.events(config.with_stream(StreamMode::Assume), work).await.map(|(done, _)| done)
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
    ) -> Result<(T, EventCounters), Failure> {
        let config = self.own_config().with_stream(self.mode_to_write().await?);
        self.events(config, work).await.map(|(done, account)| (done, account.counters))
    }

    /// Runs `work` with the event log on this spool, which sends what is in it.
    /// Hands out the account.
    ///
    /// # Errors
    /// Those of the work, of making the stream, and of opening the spool.
    pub(crate) async fn spooling(
        &self,
        dir: &Path,
        work: impl AsyncFnOnce(&Arc<EventService>) -> Result<(), Failure>,
    ) -> Result<EventAccount, Failure> {
        let mut config = self.own_config().with_stream(self.mode_to_write().await?);
        config.spool.dir = Some(dir.to_owned());
        self.events(config, work).await.map(|((), account)| account)
    }

    /// Runs `work` with the event log, while this process is ready to be its
    /// keeper; the stream is left as it is.
    ///
    /// # Errors
    /// Those of the work.
    pub(crate) async fn keeping<T>(
        &self,
        work: impl AsyncFnOnce(&Arc<EventService>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut config = self.own_config().with_keeper(KeeperMode::On);
        config.spool = SpoolConfig::default();
        self.events(config.with_stream(StreamMode::Assume), work).await.map(|(done, _)| done)
    }

    /// The section of the log, for a command: one that keeps the log says so.
    fn own_config(&self) -> EventsConfig {
        self.config.events.clone().with_keeper(KeeperMode::Off)
    }

    async fn mode_to_write(&self) -> Result<StreamMode, Failure> {
        let events = &self.config.events;
        if events.stream != StreamMode::Ensure {
            return Ok(events.stream);
        }
        let asked = self.streams()?.stream_exists(&events.stream_name).await;
        let exists = asked.map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => error.with_hint(
                "who may only publish logs with NAQ_EVENTS_STREAM=assume; else give the user \
                 publish permission for this subject on the server",
            ),
            _ => error,
        })?;
        Ok(if exists { StreamMode::Assume } else { StreamMode::Ensure })
    }

    async fn events<T>(
        &self,
        config: EventsConfig,
        work: impl AsyncFnOnce(&Arc<EventService>) -> Result<T, Failure>,
    ) -> Result<(T, EventAccount), Failure> {
        // A command has time: it waits for room as long as for the delivery
        // itself, and gives up no event for a full buffer before.
        let patience = config.delivery_timeout.min(LONGEST_WAIT);
        let config = config
            .with_overflow(OverflowPolicy::Wait)
            .with_overflow_by_type(BTreeMap::new())
            .with_overflow_wait(patience);
        let clock = self.manager.get::<dyn Clock>()?;
        let events = EventService::new(self.connections()?, self.streams()?, clock, config)?
            .with_digests(self.kv()?)
            .with_indexes(self.kv()?);
        let events = Arc::new(events);
        events.start().await?;
        let done = work(&events).await;
        // What is not stored by now was told by the work, event by event.
        events.stop(self.closing).await?;
        let account = events.account();
        done.map(|done| (done, account))
    }
}

/// Whether an error says that there is no server at the moment.
fn is_away(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout)
}

/// Fails where the server would be in this process.
fn refuse_memory(config: &NaqConfig) -> Result<(), Failure> {
    if is_in_memory(config) {
        return Err(Failure::usage(
            "memory:// is a server inside of one process, and this one would find it empty",
            "name a real one, --server nats://127.0.0.1:4222; in memory runs `naq demo` alone",
        ));
    }
    Ok(())
}

/// Whether a URL of the configuration names a server inside of this process.
fn is_in_memory(config: &NaqConfig) -> bool {
    let url = config.connection.server.url.to_string();
    url.split(',').any(|url| url.trim().to_ascii_lowercase().starts_with("memory:"))
}
