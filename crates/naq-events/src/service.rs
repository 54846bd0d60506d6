//! The service: its parts, its life, its health.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use naq_core::clock::{Clock, ClockExt};
use naq_core::config::{EventsConfig, NaqConfig, StreamMode};
use naq_core::connection::{ConnectionProvider, ConnectionProviderExt, ConnectionState};
use naq_core::events::{EventEncoder, EventLog, EventQuery, EventSink, EventSubjects};
use naq_core::jetstream::{Capabilities, StreamConfig};
use naq_core::kv::KvStore;
use naq_core::service::{Health, Interfaces, Provide, Service, StopReport};
use naq_core::streams::StreamManager;
use naq_core::{ErrorKind, Result};

use crate::digests::{Digests, Follower, Tiers};
use crate::indexes::Indexes;
use crate::keeper::Keeper;
use crate::read::{Limits, Log};
use crate::redact::{Redact, Redactor};
use crate::stream_setup::{StreamSetup, stream_config, tell_risks, with_what_it_can};
use crate::writer::{Standing, Writer};

/// A buffer that is fuller than this is told as degraded health.
const FULL: f64 = 0.8;

/// The event log: takes events and sees to it that they are stored, and
/// answers questions about what is stored.
///
/// It is an [`EventSink`] and an [`EventQuery`], together an [`EventLog`];
/// see [`EventSinkExt`](naq_core::events::EventSinkExt) and
/// [`EventQueryExt`](naq_core::events::EventQueryExt) for what they offer in a
/// program's words.
///
/// # Guarantees
/// - An accepted event ends in exactly one way, and
///   [`counters`](EventSink::counters) counts it there: stored, failed with a
///   kind, unknown (sent, and never confirmed within `delivery_timeout`), or
///   dropped by the policy that the configuration chose.
/// - The events of one job, worker or schedule are stored in the order in
///   which this service accepted them, through refusals and reconnects.
/// - A publish that was in doubt is repeated with the same message id; within
///   the stream's `duplicate_window` that stores the event once. The setting
///   `guarantee` has two other ways.
/// - What is accepted and not stored yet is lost if the process dies, unless it
///   is in the [spool](crate::spool): with `spool.dir` set, what the server
///   doesn't take is there, and with `spool.mode = "always"` all that is accepted.
///
/// Before [`start`](Service::start) and after [`stop`](Service::stop) every
/// call is `Closed`. Dropping the service ends its task; events without an
/// outcome then get one, and a line in the program's log counts them.
#[derive(Debug)]
pub struct EventService {
    pub(crate) config: EventsConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) log: Log,
    pub(crate) digests: Option<Arc<Digests>>,
    pub(crate) indexes: Option<Arc<Indexes>>,
    pub(crate) keeper: Option<Arc<Keeper>>,
    pub(crate) follower: Option<Follower>,
    pub(crate) encoder: Arc<EventEncoder>,
    pub(crate) redactor: Redactor,
    pub(crate) writer: Writer,
    connections: Arc<dyn ConnectionProvider>,
    streams: Arc<dyn StreamManager>,
}

impl EventService {
    /// An event service on these; nothing is connected or started by it.
    ///
    /// # Errors
    /// `Config` or `InvalidArgument` for a configuration that can't work.
    pub fn new(
        connections: Arc<dyn ConnectionProvider>,
        streams: Arc<dyn StreamManager>,
        clock: Arc<dyn Clock>,
        config: EventsConfig,
    ) -> Result<Self> {
        let config = EventsConfig::try_from(&NaqConfig::default().with_events(config))?;
        let subjects = EventSubjects::new(config.subject_root.as_str(), config.subjects)?;
        let log = Log::new(
            Arc::clone(&connections),
            Arc::clone(&clock),
            &config.stream_name,
            subjects.clone(),
            Limits::of(&config),
        );
        let encoder =
            EventEncoder::new(subjects).with_service_version(config.service_version.as_str());
        let encoder = Arc::new(encoder);
        Ok(Self {
            log,
            digests: None,
            indexes: None,
            keeper: None,
            follower: None,
            encoder: Arc::clone(&encoder),
            redactor: Redactor::new(&config.redact_drop, &config.redact_mask, None)?,
            writer: Writer::new(&config, Arc::clone(&clock), encoder),
            config,
            clock,
            connections,
            streams,
        })
    }

    /// The stream as a configuration wants it: what `stream = "verify"` checks
    /// for. Fields that are unset don't matter.
    ///
    /// # Errors
    /// `InvalidArgument` for a `subject_root` that can't be one.
    pub fn stream_config(config: &EventsConfig) -> Result<StreamConfig> {
        let subjects = EventSubjects::new(config.subject_root.as_str(), config.subjects)?;
        Ok(stream_config(config, &subjects))
    }

    /// The same, made to take what such a server can: what `stream = "ensure"`
    /// makes of it.
    ///
    /// # Errors
    /// Those of [`stream_config`](Self::stream_config).
    pub fn ensured_stream_config(config: &EventsConfig, can: Capabilities) -> Result<StreamConfig> {
        Ok(with_what_it_can(Self::stream_config(config)?, can))
    }

    /// Keeps digests of the log in the bucket `naq_digests` of this store, and
    /// answers statistics from them: see the section `events`, key `digests`,
    /// which can turn it off. Without it statistics read the whole log.
    ///
    /// With it the service can be the log's [keeper](crate::keeper): see the key `keeper`.
    #[must_use]
    pub fn with_digests(mut self, kv: Arc<dyn KvStore>) -> Self {
        if self.config.digests {
            let ages =
                Tiers::of(&self.config).shortest().into_iter().chain(self.config.digest_max_age);
            let digests = Digests::new(Arc::clone(&kv), &self.config.stream_name);
            let digests = Arc::new(digests.with_ages(ages.min()));
            let (log, clock) = (self.log.clone(), Arc::clone(&self.clock));
            let keeper = Keeper::new(log, Arc::clone(&digests), kv, clock, &self.config);
            let keeper = Arc::new(keeper);
            let (log, clock) = (self.log.clone(), Arc::clone(&self.clock));
            let follower = Follower::new(log, Arc::clone(&digests), clock, Arc::clone(&keeper));
            (self.digests, self.keeper, self.follower) =
                (Some(digests), Some(keeper), Some(follower));
        }
        self
    }

    /// How often this service has thrown away something that was kept of the
    /// log, a digest or an index, because it was of messages that the server has lost.
    #[must_use]
    pub fn discarded_after_loss(&self) -> u64 {
        self.log.fence().discarded()
    }

    /// Runs this hook on each event before it is buffered, behind the
    /// configuration's `redact_drop` and `redact_mask`.
    #[must_use]
    pub fn with_redaction(mut self, hook: Arc<dyn Redact>) -> Self {
        self.redactor.set_hook(hook);
        self
    }

    /// Waits until what this service had accepted is stored, at most `settle_timeout`.
    ///
    /// # Errors
    /// `Closed` before the start and after the stop; `Timeout`.
    pub(crate) fn settled(
        &self,
        operation: &'static str,
    ) -> impl Future<Output = Result<()>> + Send + 'static + use<> {
        let settled = self.writer.settled(self.config.settle_timeout);
        async move { settled.await.map_err(|error| error.in_operation(operation)) }
    }

    /// Whether there is no connection yet and nobody is to wait for one.
    async fn is_lazy(&self) -> bool {
        // A provider without a handle has nothing to be lazy about.
        self.connections
            .default_connection()
            .await
            .is_ok_and(|connection| connection.state() == ConnectionState::Pending)
    }

    /// What stands in the way of storing events, seen from the server.
    async fn check_server(&self) -> Result<()> {
        if self.config.stream == StreamMode::Assume {
            // A producer may have no right but to publish: a round trip must do.
            return match self.connections.health_check(&Default::default()).await {
                Err(error) if !error.is(ErrorKind::Unsupported) => Err(error),
                _ => Ok(()),
            };
        }
        let jetstream = self.connections.default_jetstream().await?;
        jetstream.stream_info(&self.config.stream_name).await.map(drop)
    }
}

#[async_trait]
impl Service for EventService {
    /// Makes the stream be as the configuration wants it (`stream = "ensure"`),
    /// checks that it is (`"verify"`), or asks nothing (`"assume"`), and begins
    /// to accept events.
    ///
    /// On a lazy connection that isn't there yet it accepts at once, and the
    /// stream is seen to before the first event is sent.
    async fn start(&self) -> Result<()> {
        tell_risks(&self.config);
        if self.writer.is_open() {
            return Ok(());
        }
        let mut setup =
            StreamSetup::new(&self.config, self.log.subjects(), Arc::clone(&self.streams));
        if !self.is_lazy().await {
            let jetstream = self.connections.default_jetstream().await?;
            let facts = match setup.take() {
                Some(setup) => Some(setup.run(jetstream.capabilities()).await?),
                None => None,
            };
            self.writer.know(jetstream.server_info().max_payload, facts);
        }
        let spool = self.writer.open_spool(&self.config).await?;
        self.writer.start(Arc::clone(&self.connections), setup, spool)?;
        if let Some(keeper) = &self.keeper {
            keeper.start(self.indexes.as_ref());
        }
        if let Some(follower) = &self.follower {
            follower.open();
        }
        Ok(())
    }

    /// Accepts nothing any more and waits for the outcome of what was accepted.
    ///
    /// What has none within `within` is `pending` in the report, together with
    /// what is unknown; it is given up and not sent any more. What is in the
    /// spool is `kept`.
    async fn stop(&self, within: Duration) -> Result<StopReport> {
        let begun = self.clock.monotonic();
        if let Some(follower) = &self.follower {
            follower.close();
        }
        let report = self.writer.stop(within).await;
        if let Some(keeper) = &self.keeper {
            keeper.stop(within.saturating_sub(self.clock.elapsed_since(begun))).await;
        }
        let (acked, failed) = (report.acked, report.failed + report.dropped);
        let pending = report.pending + report.unknown;
        let kept = report.spooled;
        if kept > 0 {
            tracing::info!(
                stream = %self.config.stream_name,
                kept,
                "stopped with events in the spool, which the next start sends"
            );
        }
        if pending + failed > 0 {
            tracing::warn!(
                stream = %self.config.stream_name,
                acked,
                failed,
                unknown = report.unknown,
                unfinished = report.pending,
                "stopped with events that are not stored, or may not be"
            );
        }
        let done = StopReport::default().with_acked(acked).with_pending(pending);
        Ok(done.with_failed(failed).with_kept(kept))
    }

    async fn health(&self) -> Health {
        let Standing {
            is_open,
            is_blocked,
            fill,
            counters,
            ack_latency,
            untold,
            way,
            trouble,
            spool_trouble,
        } = self.writer.standing();
        if !is_open {
            return Health::unhealthy("accepts no events: it is not started, or stopped");
        }
        let keeper = self.keeper.as_deref().map(Keeper::standing).unwrap_or_default();
        let begun = self.clock.monotonic();
        let server = self.check_server().await;
        let latency = self.clock.elapsed_since(begun);
        let health = match server {
            Err(error) => Health::unhealthy(format!("the event stream can't be reached: {error}")),
            Ok(()) if is_blocked => Health::degraded(match trouble {
                Some(trouble) => format!("events are not stored at the moment: {trouble}"),
                None => "events are not stored at the moment".to_owned(),
            }),
            Ok(()) if spool_trouble.is_some() => Health::degraded(match spool_trouble {
                Some(trouble) => format!("the spool takes no events: {trouble}"),
                None => "the spool takes no events".to_owned(),
            }),
            Ok(()) if fill > FULL => {
                Health::degraded(format!("the event buffer is {:.0} % full", fill * 100.0))
            }
            Ok(()) if untold > 0 => Health::degraded(format!(
                "{untold} events were lost lately, and no event in the log tells of them yet"
            )),
            Ok(()) if keeper.trouble.is_some() => Health::degraded(match keeper.trouble {
                Some(trouble) => format!("something is in the way of the log's keeper: {trouble}"),
                None => "something is in the way of the log's keeper".to_owned(),
            }),
            Ok(()) => Health::healthy().with_detail(format!(
                "{} of {} events stored (99 % within {:.1} ms), {} pending, {} in the spool, {} not stored{}{}",
                counters.acked,
                counters.offered + counters.recovered,
                ack_latency.p99.as_secs_f64() * 1_000.0,
                counters.pending,
                counters.spooled,
                counters.not_stored(),
                way.map(|(way, guarantee)| format!("; by {way}, with {guarantee}"))
                    .unwrap_or_default(),
                match keeper.holds {
                    true => format!("; keeps the log, {} events behind", keeper.behind),
                    false => String::new(),
                },
            )),
        };
        health.with_latency(latency)
    }
}

impl Provide for EventService {
    const NAME: &'static str = "events";

    /// A [`Redact`] is taken where one is provided.
    type Deps = (
        Arc<dyn ConnectionProvider>,
        Arc<dyn StreamManager>,
        Arc<dyn KvStore>,
        Arc<dyn Clock>,
        Option<Arc<dyn Redact>>,
    );
    type Config = EventsConfig;

    fn interfaces() -> Interfaces<Self> {
        Interfaces::new()
            .with::<dyn EventLog>(|service| service)
            .with::<dyn EventSink>(|service| service)
            .with::<dyn EventQuery>(|service| service)
    }

    fn build(
        (connections, streams, kv, clock, redact): Self::Deps,
        config: EventsConfig,
    ) -> Result<Self> {
        let service = Self::new(connections, streams, clock, config)?
            .with_digests(Arc::clone(&kv))
            .with_indexes(kv);
        Ok(match redact {
            Some(hook) => service.with_redaction(hook),
            None => service,
        })
    }
}
