//! What a JetStream is, as a plain state machine: no locks, no async, no clock.
//!
//! Each operation is given the time. Ages and TTLs are applied when a stream
//! is touched, so nothing needs to run in between.

mod batch;
mod by_name;
mod config;
mod consumer;
mod consumer_config;
mod cursor;
mod dedupe;
mod delivery;
mod filters;
mod get;
mod limits;
mod publish;
mod purge;
mod refusal;
mod request;
mod routes;
mod store;
mod stream;
mod subjects;
mod wire;

#[cfg(test)]
mod laws;

use std::collections::BTreeMap;
use std::time::Duration;

use naq_core::Timestamp;
use naq_core::jetstream::{
    BatchAck, PublishAck, PublishMessage, ServerVersion, StreamConfig, StreamInfo,
};

use crate::MemoryLimits;

use config::Config;
use request::Request;
use routes::Routes;
use stream::Stream;

pub(crate) use cursor::{Cursor, Next};
pub(crate) use refusal::Refusal;

/// The time of an operation: wall time stamps and ages, monotonic time waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) wall: Timestamp,
    pub(crate) monotonic: Duration,
}

/// All streams of a JetStream.
#[derive(Debug)]
pub(crate) struct Model {
    streams: BTreeMap<String, Stream>,
    routes: Routes,
    version: ServerVersion,
    limits: MemoryLimits,
    /// How many streams have ever been made.
    made: u64,
    /// How many atomic batches there were.
    batches: u64,
    /// The weight of all streams.
    used: u64,
}

impl Model {
    pub(crate) fn new(version: ServerVersion, limits: MemoryLimits) -> Self {
        Self {
            streams: BTreeMap::new(),
            routes: Routes::default(),
            version,
            limits,
            made: 0,
            batches: 0,
            used: 0,
        }
    }

    /// Works on a stream as it stands at a moment, and keeps the account of memory.
    fn on<T>(
        &mut self,
        stream: &str,
        now: Moment,
        work: impl FnOnce(&mut Stream, u64) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let Some(stream) = self.streams.get_mut(stream) else {
            return Err(Refusal::NoStream(stream.to_owned()));
        };
        let before = stream.weight();
        stream.pass_time(now);
        let others = self.used - before;
        let room = self.limits.max_bytes.saturating_sub(others + stream.weight());
        let result = work(stream, room);
        self.used = others + stream.weight();
        result
    }

    pub(crate) fn create_stream(
        &mut self,
        asked: &StreamConfig,
        now: Moment,
    ) -> Result<StreamInfo, Refusal> {
        let version = self.version;
        let config = Config::create(asked, version)?;
        if self.streams.contains_key(&config.name) {
            return self.on(&config.name, now, |stream, _| {
                if stream.config == config {
                    Ok(stream.info(version, now))
                } else {
                    Err(Refusal::StreamExists(config.name.clone()))
                }
            });
        }
        self.check_overlap(&config)?;
        if self.streams.len() as u64 >= self.limits.max_streams {
            return Err(Refusal::TooManyStreams { limit: self.limits.max_streams });
        }
        self.made += 1;
        let stream = Stream::new(config, now.wall, self.made);
        self.used += stream.weight();
        let info = stream.info(version, now);
        self.routes.add(&info.config.name, &info.config.subjects);
        self.streams.insert(info.config.name.clone(), stream);
        Ok(info)
    }

    pub(crate) fn update_stream(
        &mut self,
        asked: &StreamConfig,
        now: Moment,
    ) -> Result<StreamInfo, Refusal> {
        let version = self.version;
        let Some(stream) = self.streams.get(&asked.name) else {
            return Err(Refusal::NoStream(asked.name.clone()));
        };
        let config = stream.config.updated(asked, version)?;
        self.check_overlap(&config)?;
        self.routes.remove(&config.name, &stream.config.subjects);
        self.routes.add(&config.name, &config.subjects);
        self.on(&asked.name, now, |stream, _| {
            stream.reconfigure(config, now);
            Ok(stream.info(version, now))
        })
    }

    fn check_overlap(&self, config: &Config) -> Result<(), Refusal> {
        for other in self.streams.values().filter(|other| other.config.name != config.name) {
            for subject in &config.subjects {
                if other.config.overlap(subject) {
                    return Err(Refusal::SubjectsOverlap {
                        subject: subject.clone(),
                        stream: other.config.name.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    pub(crate) fn stream_info(&mut self, stream: &str, now: Moment) -> Result<StreamInfo, Refusal> {
        let version = self.version;
        self.on(stream, now, |stream, _| Ok(stream.info(version, now)))
    }

    pub(crate) fn delete_stream(&mut self, stream: &str) -> Result<(), Refusal> {
        let Some(stream) = self.streams.remove(stream) else {
            return Err(Refusal::NoStream(stream.to_owned()));
        };
        self.routes.remove(&stream.config.name, &stream.config.subjects);
        self.used -= stream.weight();
        Ok(())
    }

    /// The streams with a subject that overlaps a filter, by name.
    pub(crate) fn list_streams(&mut self, filter: Option<&str>, now: Moment) -> Vec<StreamInfo> {
        let names: Vec<String> = self
            .streams
            .values()
            .filter(|stream| filter.is_none_or(|filter| stream.config.overlap(filter)))
            .map(|stream| stream.config.name.clone())
            .collect();
        names.iter().filter_map(|name| self.stream_info(name, now).ok()).collect()
    }

    /// Stores a message whose subject has been checked.
    pub(crate) fn publish(
        &mut self,
        message: PublishMessage,
        now: Moment,
    ) -> Result<PublishAck, Refusal> {
        let request = Request::new(message, self.version, self.limits.max_payload)?;
        let stream = self.stream_for(&request.subject)?.to_owned();
        self.on(&stream, now, |stream, room| stream.publish(request, room, now.wall))
    }

    /// Stores the next message of a fast batch of which `stream` took the ones before.
    pub(crate) fn publish_in_batch(
        &mut self,
        message: PublishMessage,
        batch: &str,
        stream: Option<&str>,
        now: Moment,
    ) -> Result<PublishAck, Refusal> {
        let request = Request::new(message, self.version, self.limits.max_payload)?;
        let target = self.batched_stream_for(&request.subject)?;
        if stream.is_some_and(|stream| stream != target) {
            return Err(Refusal::UnknownBatch(batch.to_owned()));
        }
        self.on(&target, now, |stream, room| stream.publish(request, room, now.wall))
    }

    /// The stream that takes a subject, which must take fast batches.
    pub(crate) fn batched_stream_for(&self, subject: &str) -> Result<String, Refusal> {
        let name = self.stream_for(subject)?;
        match self.streams.get(name) {
            Some(stream) if !stream.config.allow_batched_publish => Err(Refusal::BatchedDisabled),
            _ => Ok(name.to_owned()),
        }
    }

    /// Fails unless the pretended version has fast ingest.
    pub(crate) fn check_fast_ingest(&self) -> Result<(), Refusal> {
        if self.version.at_least(2, 14) {
            return Ok(());
        }
        Err(Refusal::Version {
            option: "fast ingest",
            needs: "2.14",
            version: self.version.to_string(),
        })
    }

    /// Stores all messages, whose subjects have been checked, or none.
    pub(crate) fn publish_atomic(
        &mut self,
        messages: Vec<PublishMessage>,
        now: Moment,
    ) -> Result<BatchAck, Refusal> {
        if messages.is_empty() || messages.len() > batch::MAX_MESSAGES {
            return Err(Refusal::invalid("messages", "must be 1 to 1000 messages"));
        }
        if !self.version.at_least(2, 12) {
            return Err(Refusal::Version {
                option: "an atomic batch",
                needs: "2.12",
                version: self.version.to_string(),
            });
        }
        let requests = messages
            .into_iter()
            .map(|message| Request::new(message, self.version, self.limits.max_payload))
            .collect::<Result<Vec<_>, _>>()?;
        let stream = self.stream_for(&requests[0].subject)?.to_owned();
        for request in &requests[1..] {
            if self.stream_for(&request.subject)? != stream {
                return Err(Refusal::invalid("messages", "must all be for one stream"));
            }
        }
        self.batches += 1;
        // As long as a client of a server makes them: they count towards a stream's bytes.
        let id = format!("memory{:016}", self.batches);
        self.on(&stream, now, |stream, room| stream.publish_atomic(requests, &id, room, now.wall))
    }

    /// The stream that takes a subject.
    fn stream_for(&self, subject: &str) -> Result<&str, Refusal> {
        self.routes.find(subject).ok_or_else(|| Refusal::NoStreamFor(subject.to_owned()))
    }
}
