//! What is asked of one stream, by its name.

use std::time::Duration;

use naq_core::Timestamp;
use naq_core::jetstream::{
    AckToken, Acknowledge, Capabilities, ConsumerConfig, ConsumerInfo, ConsumerMessage,
    FetchOptions, PurgeOptions, ReadOptions, StoredMessage, SubjectCounts, Which,
    filters_are_nested,
};

use super::cursor::Cursor;
use super::delivery::Answered;
use super::refusal::Refusal;
use super::stream::Stream;
use super::{Model, Moment};

/// What a consumer delivered, and when a message that is out is due again.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) messages: Vec<ConsumerMessage>,
    pub(crate) due: Option<Duration>,
}

impl Model {
    pub(crate) fn purge(
        &mut self,
        stream: &str,
        options: &PurgeOptions,
        now: Moment,
    ) -> Result<u64, Refusal> {
        self.on(stream, now, |stream, _| stream.purge(options))
    }

    pub(crate) fn delete_message(
        &mut self,
        stream: &str,
        sequence: u64,
        now: Moment,
    ) -> Result<(), Refusal> {
        self.on(stream, now, |stream, _| stream.delete_message(sequence))
    }

    pub(crate) fn get(
        &mut self,
        stream: &str,
        which: &Which,
        now: Moment,
    ) -> Result<StoredMessage, Refusal> {
        self.on(stream, now, |stream, _| stream.get(which))
    }

    /// At most `most` messages from a sequence on, in the stream's order.
    pub(crate) fn get_from(
        &mut self,
        stream: &str,
        sequence: u64,
        filter: Option<&str>,
        most: usize,
        now: Moment,
    ) -> Result<Vec<StoredMessage>, Refusal> {
        self.on(stream, now, |stream, _| Ok(stream.get_from(sequence, filter, most)))
    }

    pub(crate) fn subject_counts(
        &mut self,
        stream: &str,
        filter: &str,
        offset: u64,
        now: Moment,
    ) -> Result<SubjectCounts, Refusal> {
        let version = self.version;
        self.on(stream, now, |stream, _| Ok(stream.subject_counts(filter, offset, version, now)))
    }

    /// Opens a read of a stream as it stands now.
    pub(crate) fn open(
        &mut self,
        stream: &str,
        options: &ReadOptions,
        now: Moment,
    ) -> Result<Cursor, Refusal> {
        self.on(stream, now, |stream, _| Cursor::open(stream, options))
    }

    /// Works on the stream that a cursor reads, if it still is the same one.
    pub(crate) fn read<T>(
        &mut self,
        cursor: &mut Cursor,
        now: Moment,
        work: impl FnOnce(&mut Cursor, &Stream) -> T,
    ) -> Result<T, Refusal> {
        let name = cursor.stream.clone();
        self.on(&name, now, |stream, _| {
            if stream.identity == cursor.identity {
                Ok(work(cursor, stream))
            } else {
                Err(Refusal::MadeAnew(name.clone()))
            }
        })
    }

    pub(crate) fn create_consumer(
        &mut self,
        stream: &str,
        config: ConsumerConfig,
        now: Moment,
    ) -> Result<ConsumerInfo, Refusal> {
        let version = self.version;
        self.on(stream, now, |stream, room| {
            if filters_are_nested(&config.subjects) && !Capabilities::of(version).nested_filters {
                let (option, needs) = ("nested filters", "2.11");
                return Err(Refusal::Version { option, needs, version: version.to_string() });
            }
            stream.create_consumer(config, room, now)
        })
    }

    pub(crate) fn consumer_info(
        &mut self,
        stream: &str,
        consumer: &str,
        now: Moment,
    ) -> Result<ConsumerInfo, Refusal> {
        self.on(stream, now, |stream, _| stream.consumer_info(consumer, now))
    }

    /// All consumers of a stream, by name.
    pub(crate) fn list_consumers(
        &mut self,
        stream: &str,
        now: Moment,
    ) -> Result<Vec<ConsumerInfo>, Refusal> {
        self.on(stream, now, |stream, _| {
            let names: Vec<String> = stream.consumers.keys().cloned().collect();
            names.iter().map(|name| stream.consumer_info(name, now)).collect()
        })
    }

    pub(crate) fn delete_consumer(
        &mut self,
        stream: &str,
        consumer: &str,
        now: Moment,
    ) -> Result<(), Refusal> {
        self.on(stream, now, |stream, _| stream.delete_consumer(consumer))
    }

    /// Delivers what is there; where nothing is, tells when something is due again.
    pub(crate) fn fetch(
        &mut self,
        stream: &str,
        consumer: &str,
        options: &FetchOptions,
        now: Moment,
    ) -> Result<Fetched, Refusal> {
        self.on(stream, now, |stream, _| {
            let messages = stream.fetch(consumer, options, now)?;
            let due = stream.consumer(consumer)?.next_due();
            Ok(Fetched { messages, due })
        })
    }

    /// Takes an answer and tells for which stream it was.
    pub(crate) fn acknowledge(
        &mut self,
        token: &AckToken,
        answer: &Acknowledge,
        now: Moment,
    ) -> Result<String, Refusal> {
        let answered = Answered::parse(token)
            .ok_or_else(|| Refusal::invalid("token", "must be one that a delivery gave"))?;
        self.on(&answered.stream, now, |stream, _| stream.acknowledge(&answered, answer, now))?;
        Ok(answered.stream)
    }

    /// When a stream will store a marker by itself.
    pub(crate) fn next_marker(&self, stream: &str) -> Option<Timestamp> {
        self.streams.get(stream)?.next_marker()
    }
}
