//! The service: it makes members of groups, and ends them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use naq_core::clock::{Clock, ClockExt};
use naq_core::config::{EventsConfig, NaqConfig};
use naq_core::connection::{ConnectionProvider, ConnectionProviderExt};
use naq_core::events::{EventSubjects, Filter};
use naq_core::jetstream::{ConsumerConfig, ConsumerInfo, JetStream, ReadStart};
use naq_core::kv::KvStore;
use naq_core::service::{Health, Interfaces, Provide, Service, StopReport};
use naq_core::streams::{EnsureStream, StreamManager};
use naq_core::{Error, ErrorKind, Result};

use super::REACT;
use super::burial::Unburied;
use super::dead::DeadStreams;
use super::dispatch::Dispatcher;
use super::group;
use super::handler::Handler;
use super::last_try::LastTries;
use super::member::{Member, Sources};
use super::options::{GroupOrder, GroupSetup, ReactOptions};
use super::registry::Registry;
use super::tally::{ReactionCounters, Tally};
use super::work::{Hand, Source};
use crate::names::check_name;

/// Runs handlers when something happened, and manages their groups.
///
/// It needs the log to be there (an [`EventService`](crate::EventService)
/// makes it), and makes two streams beside it where it may: `events_dead` for
/// dead letters and `events_replay` for those that are to be handled again.
/// See the [module](super) for what is guaranteed.
///
/// Dropping it ends its members at once: what they had in hand comes again
/// after the ack wait. [`stop`](Service::stop) gives it back.
#[derive(Debug)]
pub struct ReactionService {
    pub(super) config: EventsConfig,
    pub(super) subjects: EventSubjects,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) dead: DeadStreams,
    pub(super) registry: Registry,
    pub(super) last_tries: LastTries,
    connections: Arc<dyn ConnectionProvider>,
    streams: Arc<dyn StreamManager>,
    members: Mutex<Members>,
}

#[derive(Debug, Default)]
struct Members {
    is_stopped: bool,
    list: Vec<Arc<Member>>,
}

/// A handle to a member of a group that is at work.
///
/// Dropping the handle leaves the member at work until the service stops.
#[derive(Debug, Clone)]
pub struct Reactor {
    member: Arc<Member>,
}

impl Reactor {
    /// The group's name.
    #[must_use]
    pub fn group(&self) -> &str {
        self.member.group()
    }

    /// What this member has done since it began.
    #[must_use]
    pub fn counters(&self) -> ReactionCounters {
        self.member.counters()
    }

    /// Waits until the member has ended and says why: `Closed` after a stop;
    /// `Conflict` where the log was made anew; `NotFound` where the log or the
    /// group's consumer was deleted; `PermissionDenied` where a right was
    /// taken away. It doesn't begin again by itself.
    pub async fn ended(&self) -> Error {
        self.member.ended().await
    }

    /// Takes nothing more, finishes what is under way within `within`, and
    /// gives the rest back to the group at once: `acked` in the report counts
    /// what was finished meanwhile, `pending` what was given back.
    pub async fn stop(&self, within: Duration) -> StopReport {
        self.member.stop(within).await
    }
}

impl ReactionService {
    /// A service on these; `config` says where the log is. Nothing is
    /// connected or started by it.
    ///
    /// # Errors
    /// `Config` or `InvalidArgument` for a configuration that can't work.
    pub fn new(
        connections: Arc<dyn ConnectionProvider>,
        streams: Arc<dyn StreamManager>,
        kv: Arc<dyn KvStore>,
        clock: Arc<dyn Clock>,
        config: EventsConfig,
    ) -> Result<Self> {
        let config = EventsConfig::try_from(&NaqConfig::default().with_events(config))?;
        Ok(Self {
            subjects: EventSubjects::new(config.subject_root.as_str(), config.subjects)?,
            dead: DeadStreams::of(&config),
            registry: Registry::new(Arc::clone(&kv), &config.stream_name),
            last_tries: LastTries::new(kv, &config.stream_name),
            members: Mutex::default(),
            config,
            clock,
            connections,
            streams,
        })
    }

    /// Has `handler` handle every event that `filter` means, as one member of
    /// the group of this name: any number of processes may be members, and
    /// each event goes to one of them.
    ///
    /// The group is made with its first member, and begins where
    /// [`ReactOptions::start`] says; later it goes on where it stood. Returns
    /// as soon as the member is at work.
    ///
    /// # Errors
    /// `InvalidArgument` for a name that isn't 1 to 64 of `A-Za-z0-9_-`, for
    /// a wrong filter or option; `Conflict` where the group has another filter
    /// or order, with both named; `NotFound` where there is no log, or no
    /// consumer that was to be assumed; `PermissionDenied`; `Closed` after the
    /// stop.
    pub async fn react<F>(
        &self,
        group: &str,
        filter: F,
        handler: impl Handler,
        options: ReactOptions,
    ) -> Result<Reactor>
    where
        F: TryInto<Filter> + Send,
        Error: From<F::Error>,
    {
        check_name(REACT, "group", "group", group)?;
        let filter: Filter = filter.try_into().map_err(Error::from)?;
        filter.validate()?;
        options.validate()?;
        self.check_open()?;
        let jetstream = self.jetstream(REACT).await?;
        let stream = self.config.stream_name.clone();
        let log = jetstream.stream_info(&stream).await.map_err(|error| {
            let hint = "start an EventService first, or log something with `naq log`";
            let error = error.in_operation(REACT);
            if error.is(ErrorKind::NotFound) { error.with_hint(hint) } else { error }
        })?;
        let wanted = group::consumer(group, &filter, &self.subjects, &options);
        let info = group::ensure(&*jetstream, &stream, wanted, &options).await?;
        let replays = match options.setup {
            GroupSetup::Ensure => Some(self.ensure_dead(&*jetstream, group, &options).await?),
            GroupSetup::Assume => self.replays_of(&*jetstream, group).await,
        };
        let replay = replays.map(|info| (self.dead.replay.clone(), in_hand(&info)));
        let source = Source::Log { created: log.created };
        let dispatcher = Dispatcher {
            jetstream,
            clock: Arc::clone(&self.clock),
            handler: Arc::new(handler),
            filter,
            options,
            dead: self.dead.clone(),
            last_tries: self.last_tries.clone(),
            unburied: Unburied::default(),
            tally: Tally::default(),
            hand: Hand::default(),
        };
        let sources = Sources { log: (stream, source), in_hand: in_hand(&info), replay };
        // An operator's consumer may wait less for the first answer.
        let ack_wait =
            info.config.backoff.iter().copied().fold(info.config.ack_wait, Duration::min);
        let mut members = self.members();
        // It may have been stopped meanwhile.
        Self::check_members(&members)?;
        let registry = self.registry.clone();
        let member = Member::start(group, dispatcher, registry, sources, ack_wait)?;
        // Whoever begins anew has seen why the last one of this group ended.
        members.list.retain(|member| match member.trouble() {
            None => true,
            Some(error) => member.group() != group && !error.is(ErrorKind::Closed),
        });
        members.list.push(Arc::clone(&member));
        tracing::info!(group, stream = self.config.stream_name, "a member of a group is at work");
        Ok(Reactor { member })
    }

    /// Who hands out connections.
    pub(super) fn connections(&self) -> Arc<dyn ConnectionProvider> {
        Arc::clone(&self.connections)
    }

    /// The connection's JetStream.
    pub(super) async fn jetstream(&self, operation: &'static str) -> Result<Arc<dyn JetStream>> {
        self.connections.default_jetstream().await.map_err(|error| error.in_operation(operation))
    }

    /// Makes the streams of the dead, and the group's consumer of replays.
    async fn ensure_dead(
        &self,
        jetstream: &dyn JetStream,
        group: &str,
        options: &ReactOptions,
    ) -> Result<ConsumerInfo> {
        for config in self.dead.configs(&self.config) {
            self.streams
                .ensure_stream(EnsureStream::new(config))
                .await
                .map_err(|error| group::may_not_make(error, group))?;
        }
        let consumer = ConsumerConfig::new(group)
            .with_start(ReadStart::Beginning)
            .with_subject(self.dead.replay_of(group))
            .with_ack_wait(options.ack_wait)
            .with_max_ack_pending(match options.order {
                GroupOrder::None => 0,
                // Those of one job stay in order among themselves.
                GroupOrder::Entity => 1,
            });
        match jetstream.create_consumer(&self.dead.replay, consumer).await {
            Err(error) if error.is(ErrorKind::AlreadyExists) => {
                jetstream.consumer_info(&self.dead.replay, group).await
            }
            made => made,
        }
        .map_err(|error| group::may_not_make(error, group))
    }

    /// The group's consumer of replays, if this member may fetch from it.
    async fn replays_of(&self, jetstream: &dyn JetStream, group: &str) -> Option<ConsumerInfo> {
        match jetstream.consumer_info(&self.dead.replay, group).await {
            Ok(info) => Some(info),
            Err(error) => {
                tracing::info!(group, %error, "replays of dead letters won't reach this member");
                None
            }
        }
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        // Nothing panics while it is held.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_open(&self) -> Result<()> {
        Self::check_members(&self.members())
    }

    fn check_members(members: &Members) -> Result<()> {
        if members.is_stopped {
            return Err(Error::new(ErrorKind::Closed, REACT, "the service has stopped"));
        }
        Ok(())
    }
}

/// How many events a consumer hands out without an answer; 0 where that isn't known.
fn in_hand(info: &ConsumerInfo) -> usize {
    usize::try_from(info.config.max_ack_pending).unwrap_or(usize::MAX)
}

#[async_trait]
impl Service for ReactionService {
    /// Does nothing: members begin with [`react`](ReactionService::react).
    async fn start(&self) -> Result<()> {
        Ok(())
    }

    /// Stops all members, as [`Reactor::stop`] stops one.
    async fn stop(&self, within: Duration) -> Result<StopReport> {
        let members = {
            let mut members = self.members();
            members.is_stopped = true;
            members.list.clone()
        };
        let deadline = self.clock.deadline(within);
        let left = || self.clock.remaining_until(deadline);
        let stops = members.iter().map(|member| member.stop(left()));
        let mut report = StopReport::default();
        for stopped in futures::future::join_all(stops).await {
            report += stopped;
        }
        Ok(report)
    }

    async fn health(&self) -> Health {
        let (count, trouble) = {
            let members = self.members();
            let at_work = members.list.iter().filter(|member| member.trouble().is_none());
            let trouble = members.list.iter().find_map(|member| {
                let error = member.trouble().filter(|error| !error.is(ErrorKind::Closed))?;
                Some((member.group().to_owned(), error))
            });
            (at_work.count(), trouble)
        };
        match trouble {
            Some((group, error)) => {
                Health::unhealthy(format!("the member of group {group} has ended: {error}"))
            }
            None => Health::healthy().with_detail(format!("{count} members of groups at work")),
        }
    }
}

impl Provide for ReactionService {
    const NAME: &'static str = "reactions";

    type Deps =
        (Arc<dyn ConnectionProvider>, Arc<dyn StreamManager>, Arc<dyn KvStore>, Arc<dyn Clock>);
    /// Where the log is: the section `events`.
    type Config = EventsConfig;

    fn interfaces() -> Interfaces<Self> {
        Interfaces::new()
    }

    fn build((connections, streams, kv, clock): Self::Deps, config: EventsConfig) -> Result<Self> {
        Self::new(connections, streams, kv, clock, config)
    }
}
