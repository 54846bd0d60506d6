//! Managing groups: list, show, pause, resume, move, remove.

use futures::{StreamExt, TryStreamExt};
use naq_core::events::Position;
use naq_core::jetstream::{
    ConsumerConfig, ConsumerInfo, GetMessage, JetStream, PurgeOptions, ReadStart, Which,
    is_no_message,
};
use naq_core::{Error, ErrorKind, Result, Timestamp};
use serde::Serialize;

use super::group;
use super::options::{GroupOrder, GroupStart};
use super::registry::GroupMember;
use super::service::ReactionService;
use crate::names::check_name;

const GROUPS: &str = "groups";
const SEEK: &str = "seek_group";

/// The server's code for a consumer that isn't there, while its stream is.
const NO_CONSUMER: &str = "10014";

/// How often a group's consumer is made again before moving it is given up.
const TRIES: u32 = 5;

/// A group and how it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GroupStatus {
    /// Its name.
    pub group: String,
    /// Its filter in the JSON form; `None` where an operator made the consumer.
    pub filter: Option<String>,
    /// Which events wait for which: `none` or `entity`.
    pub order: &'static str,
    /// Whether it is paused; `None` where that can't be read.
    pub paused: Option<bool>,
    /// How many events have not been handled: those to be fetched, and those in hand.
    pub lag: u64,
    /// How many events are in the members' hands, or wait to be tried again.
    pub in_hand: u64,
    /// How many of them have been handed over more than once.
    pub retrying: u64,
    /// Up to this sequence of the log everything has been handled.
    pub handled_through: u64,
    /// The first event that has not been handled: its place, if there is one.
    #[serde(serialize_with = "as_text")]
    pub oldest_unhandled: Option<Position>,
    /// When it was stored.
    pub oldest_stored_at: Option<Timestamp>,
    /// How many dead letters it has.
    pub dead: u64,
    /// How many events its members finished a second in the last 5 s, by which
    /// the lag would shrink if nothing came.
    pub rate: f64,
    /// How many tries of its members did not end well, since each began.
    pub failures: u64,
    /// The members at work; `None` where that can't be read.
    pub members: Option<Vec<GroupMember>>,
    /// When it was made.
    pub created: Timestamp,
}

fn as_text<S: serde::Serializer>(
    position: &Option<Position>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    position.map(|position| position.to_string()).serialize(serializer)
}

/// What moving a group did, or would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SeekReport {
    /// How many events lie before the group then.
    pub events: u64,
    /// How many lay before it, those in hand included.
    pub before: u64,
    /// Whether nothing was changed, because it was only asked.
    pub dry_run: bool,
}

impl ReactionService {
    /// All groups of the log, by name.
    ///
    /// # Errors
    /// `NotFound` where there is no log; those of the connection.
    pub async fn groups(&self) -> Result<Vec<GroupStatus>> {
        let jetstream = self.jetstream(GROUPS).await?;
        let stream = &self.config.stream_name;
        let found: Vec<ConsumerInfo> = jetstream
            .list_consumers(stream)
            .try_filter(|info| std::future::ready(group::is_group(&info.config)))
            .try_collect()
            .await
            .map_err(|error| error.in_operation(GROUPS))?;
        let mut groups: Vec<GroupStatus> = futures::stream::iter(found)
            .map(|info| self.status(&*jetstream, info))
            .buffered(8)
            .try_collect()
            .await?;
        groups.sort_by(|a, b| a.group.cmp(&b.group));
        Ok(groups)
    }

    /// One group.
    ///
    /// # Errors
    /// `NotFound` where there is none of this name.
    pub async fn group(&self, group: &str) -> Result<GroupStatus> {
        let jetstream = self.jetstream(GROUPS).await?;
        let info = self.consumer_of(&*jetstream, GROUPS, group).await?;
        self.status(&*jetstream, info).await
    }

    /// Has all members of a group stop fetching; what they have in hand they
    /// finish. The position stays. Idempotent; members learn of it at once
    /// where they are connected.
    ///
    /// # Errors
    /// `NotFound`; those of the key-value store, in which it is kept.
    pub async fn pause_group(&self, group: &str) -> Result<()> {
        self.set_paused(group, true).await
    }

    /// Ends the pause of a group. Idempotent.
    ///
    /// # Errors
    /// As [`pause_group`](Self::pause_group).
    pub async fn resume_group(&self, group: &str) -> Result<()> {
        self.set_paused(group, false).await
    }

    async fn set_paused(&self, group: &str, paused: bool) -> Result<()> {
        let jetstream = self.jetstream(GROUPS).await?;
        self.consumer_of(&*jetstream, GROUPS, group).await?;
        self.registry.set_paused(group, paused).await
    }

    /// Moves a group: it goes on at `to`. What its members have in hand they
    /// finish; whether these events come again depends on where it goes.
    ///
    /// The group's consumer is made anew; members wait for it. With `dry_run`
    /// nothing is changed and only counted.
    ///
    /// # Errors
    /// `NotFound`; `InvalidArgument` for sequence 0; `PermissionDenied`. When
    /// the consumer could be deleted and not made again, the error says so:
    /// the group has then to be started anew.
    pub async fn seek_group(
        &self,
        group: &str,
        to: GroupStart,
        dry_run: bool,
    ) -> Result<SeekReport> {
        if to == GroupStart::Sequence(0) {
            return Err(Error::invalid(SEEK, "to", "must be a sequence of at least 1"));
        }
        let jetstream = self.jetstream(SEEK).await?;
        let info = self.consumer_of(&*jetstream, SEEK, group).await?;
        let mut config = info.config.clone();
        config.start = group::read_start(to);
        let events = self.count_from(&*jetstream, &config).await?;
        let report = SeekReport { events, before: info.pending + info.ack_pending, dry_run };
        if dry_run {
            return Ok(report);
        }
        let stream = &self.config.stream_name;
        let told = |error: Error| error.in_operation(SEEK).with("group", group);
        // What it comes by anew is tried anew.
        if let Err(error) = self.last_tries.forget(group).await {
            tracing::debug!(group, %error, "the marks of last tries can't be removed");
        }
        jetstream.delete_consumer(stream, group).await.map_err(told)?;
        let mut tries = 0;
        loop {
            tries += 1;
            match jetstream.create_consumer(stream, config.clone()).await {
                Ok(_) => return Ok(report),
                Err(error) if tries < TRIES => {
                    // A member that began at this moment made it, at another place.
                    if error.is(ErrorKind::AlreadyExists)
                        && let Err(error) = jetstream.delete_consumer(stream, group).await
                    {
                        tracing::debug!(group, %error, "the group's consumer can't be deleted again");
                    }
                    let pause = std::time::Duration::from_millis(100 << tries);
                    naq_core::clock::ClockExt::sleep(&*self.clock, pause).await;
                }
                Err(error) => {
                    return Err(told(error)
                        .with_hint("the group's consumer is deleted: start the group anew"));
                }
            }
        }
    }

    /// How many events a consumer would get, by making one for a moment.
    async fn count_from(&self, jetstream: &dyn JetStream, config: &ConsumerConfig) -> Result<u64> {
        let stream = &self.config.stream_name;
        let mut probe = config.clone();
        probe.name = format!("{}-count-{:08x}", config.name, fastrand::u32(..));
        probe.metadata.clear();
        // Should deleting it fail, it goes by itself.
        probe.inactive_threshold = std::time::Duration::from_secs(5);
        let told = |error: Error| error.in_operation(SEEK);
        let info = jetstream.create_consumer(stream, probe.clone()).await.map_err(told)?;
        if let Err(error) = jetstream.delete_consumer(stream, &probe.name).await {
            tracing::debug!(%error, consumer = probe.name, "a consumer made for counting stays for 5 s");
        }
        Ok(info.pending)
    }

    /// Removes a group: its position, and what is to be replayed to it. Its
    /// dead letters stay. Its members end with `NotFound`.
    ///
    /// # Errors
    /// `NotFound`; `PermissionDenied`.
    pub async fn remove_group(&self, group: &str) -> Result<()> {
        const OPERATION: &str = "remove_group";
        let jetstream = self.jetstream(OPERATION).await?;
        self.consumer_of(&*jetstream, OPERATION, group).await?;
        let told = |error: Error| error.in_operation(OPERATION).with("group", group);
        jetstream.delete_consumer(&self.config.stream_name, group).await.map_err(told)?;
        let unless_missing = |result: Result<()>| match result {
            Err(error) if !error.is(ErrorKind::NotFound) => Err(told(error)),
            _ => Ok(()),
        };
        unless_missing(jetstream.delete_consumer(&self.dead.replay, group).await)?;
        let replays = PurgeOptions::default().with_subject(self.dead.replay_of(group));
        unless_missing(jetstream.purge_stream(&self.dead.replay, replays).await.map(drop))?;
        unless_missing(self.last_tries.forget(group).await)?;
        self.registry.forget(group).await.map_err(told)
    }

    async fn consumer_of(
        &self,
        jetstream: &dyn JetStream,
        operation: &'static str,
        group: &str,
    ) -> Result<ConsumerInfo> {
        check_name(operation, "group", "group", group)?;
        match jetstream.consumer_info(&self.config.stream_name, group).await {
            Err(error) if error.get("error_code") == Some(NO_CONSUMER) => {
                Err(Error::new(ErrorKind::NotFound, operation, "there is no such group")
                    .with("group", group)
                    .with_hint("`naq groups ls` shows which there are"))
            }
            result => result.map_err(|error| error.in_operation(operation).with("group", group)),
        }
    }

    async fn status(&self, jetstream: &dyn JetStream, info: ConsumerInfo) -> Result<GroupStatus> {
        let group = info.config.name.clone();
        let oldest = self.oldest_unhandled(jetstream, &info).await?;
        // Without rights on the buckets the rest is still true.
        let members = self.registry.list(&group).await.ok();
        let paused = self.registry.is_paused(&group).await.ok();
        let each = || members.iter().flatten();
        Ok(GroupStatus {
            filter: group::filter_of(&info.config).map(ToOwned::to_owned),
            order: group::order_of(&info.config).as_str(),
            paused,
            lag: info.pending + info.ack_pending,
            in_hand: info.ack_pending,
            retrying: info.redelivered,
            handled_through: info.ack_floor,
            oldest_unhandled: oldest.map(|(position, _)| position),
            oldest_stored_at: oldest.map(|(_, stored_at)| stored_at),
            dead: self.count_letters(jetstream, &group).await?,
            // An empty sum of floats is -0.
            rate: each().fold(0.0, |sum, member| sum + member.rate),
            failures: each().map(|member| member.counters.failures()).sum(),
            members,
            created: info.created,
            group,
        })
    }

    /// The first event behind what has been handled.
    async fn oldest_unhandled(
        &self,
        jetstream: &dyn JetStream,
        info: &ConsumerInfo,
    ) -> Result<Option<(Position, Timestamp)>> {
        if info.pending + info.ack_pending == 0 {
            return Ok(None);
        }
        let log = jetstream.stream_info(&self.config.stream_name).await?;
        let all = [self.subjects.all()];
        let filters =
            if info.config.subjects.is_empty() { &all } else { &info.config.subjects[..] };
        // A consumer that started in the middle knows of nothing before.
        let floor = match info.config.start {
            ReadStart::Sequence(sequence) => info.ack_floor.max(sequence.saturating_sub(1)),
            _ => info.ack_floor,
        };
        let floor = if info.ack_pending == 0 { floor.max(info.delivered) } else { floor };
        let mut oldest: Option<(Position, Timestamp)> = None;
        for subject in filters {
            let which = Which::NextBySubject {
                subject: subject.clone(),
                sequence: floor.saturating_add(1),
            };
            match jetstream.get_message(&self.config.stream_name, GetMessage::new(which)).await {
                Ok(message) => {
                    let found = Position::new(log.created, message.sequence);
                    if oldest.is_none_or(|(position, _)| found.sequence < position.sequence) {
                        oldest = Some((found, message.stored_at));
                    }
                }
                Err(error) if is_no_message(&error) => {}
                Err(error) => return Err(error.in_operation(GROUPS)),
            }
        }
        Ok(oldest)
    }
}

impl GroupStatus {
    /// Which events wait for which.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        self.order == GroupOrder::Entity.as_str()
    }
}
