//! The service: cursors are opened, listed, set and removed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use naq_core::clock::Clock;
use naq_core::config::{EventsConfig, NaqConfig};
use naq_core::connection::ConnectionProvider;
use naq_core::events::{EventSubjects, Position};
use naq_core::kv::KvStore;
use naq_core::service::{Health, Interfaces, Provide, Service, StopReport};
use naq_core::{Error, ErrorKind, Result, Timestamp};
use serde::Serialize;

use super::bucket::{CursorBucket, Listed, Saved};
use super::cursor::Cursor;
use super::place::CursorPlace;
use crate::names::check_name;
use crate::read::{Limits, Log, OpenLog};

const OPEN: &str = "open_cursor";
const LIST: &str = "list_cursors";
const SHOW: &str = "show_cursor";
const SET: &str = "set_cursor";
const REMOVE: &str = "remove_cursor";

/// Where a cursor is set to: where reading goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CursorStart {
    /// At the first event that the log still holds.
    Beginning,
    /// Behind the last event as it is now: only with what comes.
    End,
    /// At this sequence, from 1.
    Sequence(u64),
    /// At the first event that was stored at or after this time, by the server's clock.
    Time(Timestamp),
    /// Exactly behind this place.
    After(Position),
}

/// How a cursor stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CursorStatus {
    /// Its name.
    pub cursor: String,
    /// Where it stands: reading goes on behind it. `None` in a list, of one
    /// that naq didn't write or that was damaged: opening it is `Corrupt`.
    pub position: Option<Position>,
    /// When that was saved, by the server's clock.
    pub saved_at: Timestamp,
    /// How many sequences of the log lie behind it, at most as many events;
    /// `None` where the log was made anew, or its server has lost what the
    /// cursor is of: reading is a `Conflict` then; and where it can't be read.
    pub lag: Option<u64>,
    /// How many sequences behind it have left the log unread; `None` as for `lag`.
    pub gone: Option<u64>,
}

/// Keeps named cursors of one log in the bucket `naq_cursors`; see the
/// [module](super) for what is guaranteed.
#[derive(Debug)]
pub struct CursorService {
    log: Log,
    bucket: CursorBucket,
}

impl CursorService {
    /// A service on these; `config` says where the log is. Nothing is
    /// connected or made by it.
    ///
    /// # Errors
    /// `Config` or `InvalidArgument` for a configuration that can't work.
    pub fn new(
        connections: Arc<dyn ConnectionProvider>,
        kv: Arc<dyn KvStore>,
        clock: Arc<dyn Clock>,
        config: EventsConfig,
    ) -> Result<Self> {
        let config = EventsConfig::try_from(&NaqConfig::default().with_events(config))?;
        let subjects = EventSubjects::new(config.subject_root.as_str(), config.subjects)?;
        let (stream, limits) = (&config.stream_name, Limits::of(&config));
        let log = Log::new(connections, clock, stream, subjects, limits);
        Ok(Self { bucket: CursorBucket::new(kv, log.clone()), log })
    }

    /// Opens a cursor to read behind it. One of a new name is made by its
    /// first [`save`](Cursor::save).
    ///
    /// # Errors
    /// `InvalidArgument` for a name that isn't 1 to 64 of `A-Za-z0-9_-`;
    /// `Corrupt` for a cursor that naq didn't write; `Conflict` where the
    /// server has lost what the cursor is of; those of the connection.
    pub async fn open(&self, name: &str) -> Result<Cursor> {
        check_name(OPEN, "cursor", "cursor", name)?;
        let told = |error: Error| error.in_operation(OPEN).with("cursor", name);
        let saved = self.bucket.get(name).await.map_err(told)?;
        if let Some(saved) = &saved
            && saved.mark.is_some()
        {
            match self.log.open(OPEN).await {
                Ok(open) if is_lost(saved, &open).await.map_err(told)? => {
                    let text = "the server has lost what the cursor is of";
                    return Err(Error::new(ErrorKind::Conflict, OPEN, text)
                        .with("cursor", name)
                        .with("position", saved.position.to_string())
                        .with("last_sequence", open.info.state.last_sequence.to_string())
                        .with_hint("set it to where reading shall go on"));
                }
                // Reading tells of it.
                Err(error) if !error.is(ErrorKind::NotFound) => return Err(told(error)),
                _ => {}
            }
        }
        Ok(Cursor::new(self.bucket.clone(), name, saved))
    }

    /// How all cursors of the log stand, by name; one that can't be read is
    /// listed without a position.
    ///
    /// # Errors
    /// `NotFound` where there is no log; those of the connection.
    pub async fn list(&self) -> Result<Vec<CursorStatus>> {
        // The cursors first: what is saved meanwhile would lie behind the end of a log looked at
        // before.
        let saved = self.bucket.list().await.map_err(|error| error.in_operation(LIST))?;
        let open = self.log.open(LIST).await?;
        let mut all = Vec::with_capacity(saved.len());
        for listed in saved {
            all.push(match listed {
                Listed::Saved(saved) => {
                    status(saved, &open).await.map_err(|error| error.in_operation(LIST))?
                }
                Listed::Corrupt(cursor, saved_at) => {
                    CursorStatus { cursor, position: None, saved_at, lag: None, gone: None }
                }
            });
        }
        Ok(all)
    }

    /// How a cursor stands.
    ///
    /// # Errors
    /// `NotFound` where there is no log or no cursor of that name; as [`open`](Self::open).
    pub async fn show(&self, name: &str) -> Result<CursorStatus> {
        let saved = self.saved(SHOW, name).await?;
        let open = self.log.open(SHOW).await?;
        status(saved, &open).await.map_err(|error| error.in_operation(SHOW).with("cursor", name))
    }

    /// Sets a cursor, or makes it, whatever it had: a reader that has it open
    /// gets a `Conflict` when it saves next.
    ///
    /// # Errors
    /// `NotFound` where there is no log; `Conflict` for a position of another
    /// stream; `InvalidArgument` for a name or for what lies behind the log's
    /// end; those of the connection.
    pub async fn set(&self, name: &str, to: CursorStart) -> Result<CursorStatus> {
        check_name(SET, "cursor", "cursor", name)?;
        let told = |error: Error| error.in_operation(SET).with("cursor", name);
        let open = self.log.open(SET).await?;
        let sequence = self.before(&open, to).await.map_err(told)?;
        let mark = open.mark_at(sequence).await.map_err(told)?;
        let position = Position::new(open.info.created, sequence);
        let place = CursorPlace { position, stored_at: mark.map(|mark| mark.stored_at) };
        self.bucket.set(name, place).await.map_err(told)?;
        let saved = self.saved(SET, name).await?;
        status(saved, &open).await.map_err(told)
    }

    /// Removes a cursor, also one that can't be read: a reader that opens it
    /// next begins anew.
    ///
    /// # Errors
    /// `NotFound`; `InvalidArgument` for a name that is none; those of the connection.
    pub async fn remove(&self, name: &str) -> Result<()> {
        check_name(REMOVE, "cursor", "cursor", name)?;
        let told = |error: Error| error.in_operation(REMOVE).with("cursor", name);
        if !self.bucket.has(name).await.map_err(told)? {
            return Err(self.not_found(REMOVE, name));
        }
        self.bucket.remove(name).await.map_err(told)
    }

    async fn saved(&self, operation: &'static str, name: &str) -> Result<Saved> {
        check_name(operation, "cursor", "cursor", name)?;
        match self.bucket.get(name).await {
            Ok(saved) => saved.ok_or_else(|| self.not_found(operation, name)),
            Err(error) if error.is(ErrorKind::Corrupt) => {
                let error = error.in_operation(operation).with("cursor", name);
                Err(error.with_hint("set it to where reading shall go on, or remove it"))
            }
            Err(error) => Err(error.in_operation(operation).with("cursor", name)),
        }
    }

    fn not_found(&self, operation: &'static str, name: &str) -> Error {
        Error::new(ErrorKind::NotFound, operation, "there is no cursor of that name")
            .with("cursor", name)
            .with("stream", self.log.stream())
            .with_hint("list them, or set one")
    }

    /// The sequence behind which reading goes on.
    async fn before(&self, open: &OpenLog, to: CursorStart) -> Result<u64> {
        let state = &open.info.state;
        let sequence = match to {
            CursorStart::Beginning => return Ok(state.first_sequence.saturating_sub(1)),
            CursorStart::End => return Ok(state.last_sequence),
            CursorStart::Time(time) => {
                let first = self.log.first_stored_since(open, time).await?;
                return Ok(first.map_or(state.last_sequence, |first| first - 1));
            }
            CursorStart::Sequence(0) => {
                return Err(Error::invalid(SET, "start", "must be a sequence from 1"));
            }
            CursorStart::Sequence(sequence) => sequence - 1,
            CursorStart::After(position) if position.created != open.info.created => {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    SET,
                    "the position is of a stream that was made anew since",
                )
                .with("position", position.to_string())
                .with("created", open.info.created.to_string()));
            }
            CursorStart::After(position) => position.sequence,
        };
        if sequence > state.last_sequence {
            return Err(Error::invalid(SET, "start", "must not lie behind the log's end")
                .with("last_sequence", state.last_sequence.to_string()));
        }
        Ok(sequence)
    }
}

/// Whether the server has lost the message at a cursor's position.
async fn is_lost(saved: &Saved, open: &OpenLog) -> Result<bool> {
    let Some(mark) = saved.mark.filter(|_| saved.position.created == open.info.created) else {
        return Ok(false);
    };
    Ok(open.lost_from(vec![mark]).await?.is_some())
}

async fn status(saved: Saved, open: &OpenLog) -> Result<CursorStatus> {
    let is_lost =
        saved.position.sequence > open.info.state.last_sequence || is_lost(&saved, open).await?;
    let Saved { name, position, saved_at, .. } = saved;
    let state = &open.info.state;
    let (mut lag, mut gone) = (None, None);
    if position.created == open.info.created && !is_lost {
        // What has left the log is not to be read any more.
        let left = state.first_sequence.saturating_sub(1);
        gone = Some(left.saturating_sub(position.sequence));
        lag = Some(state.last_sequence.saturating_sub(position.sequence.max(left)));
    }
    Ok(CursorStatus { cursor: name, position: Some(position), saved_at, lag, gone })
}

#[async_trait]
impl Service for CursorService {
    /// Does nothing: cursors are made when they are saved.
    async fn start(&self) -> Result<()> {
        Ok(())
    }

    async fn stop(&self, _within: Duration) -> Result<StopReport> {
        Ok(StopReport::default())
    }

    async fn health(&self) -> Health {
        match self.log.open(LIST).await {
            Ok(_) => Health::healthy(),
            Err(error) => Health::unhealthy(format!("the event stream can't be reached: {error}")),
        }
    }
}

impl Provide for CursorService {
    const NAME: &'static str = "cursors";

    type Deps = (Arc<dyn ConnectionProvider>, Arc<dyn KvStore>, Arc<dyn Clock>);
    /// Where the log is: the section `events`.
    type Config = EventsConfig;

    fn interfaces() -> Interfaces<Self> {
        Interfaces::new()
    }

    fn build((connections, kv, clock): Self::Deps, config: EventsConfig) -> Result<Self> {
        Self::new(connections, kv, clock, config)
    }
}
