//! Reading the log: what every question is made of.
//!
//! [`Log`] is the stream of events as questions see it. A reading is opened
//! once ([`open`]), no wider than its filter needs ([`narrow`]), goes
//! [`forward`] or [`backward`], and becomes [`EventItem`]s; questions that
//! fold the whole log use [`scan`], and those about one [`entity`] its
//! subjects, or an index ([`entity_indexed`]). Where an index names the events
//! that a filter asks for ([`narrowing`]), they are got one by one
//! ([`indexed`]). What a reading costs, [`explain`] says, and what it may cost
//! at most, a [`meter`].

mod backward;
mod entity;
mod entity_indexed;
mod explain;
mod forward;
mod indexed;
mod meter;
mod narrow;
mod narrowing;
mod open;
mod scan;

use std::fmt::Debug;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use futures::stream::TryStreamExt;
use naq_core::clock::Clock;
use naq_core::connection::{ConnectionProvider, ServerRef};
use naq_core::events::{
    AnswerBasis, EventItem, EventSubjects, MalformedReason, ReadEvents, ReadUntil, RecordedEvent,
    ScanLimits,
};
use naq_core::jetstream::{JetStream, StoredMessage, StreamInfo};
use naq_core::{BoxStream, Error, Result, Timestamp, token};

use crate::digests::MinuteRange;
use crate::fence::{Fence, Turn};
use crate::indexes::Indexes;

pub(crate) use entity::{EntitySubjects, OfEntity};
pub(crate) use forward::decode;
pub(crate) use meter::{Limits, Meter};
pub(crate) use scan::{Scan, ScanEnd};

/// The stream of events as questions see it: where it is, and how its subjects are made.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    connections: Arc<dyn ConnectionProvider>,
    clock: Arc<dyn Clock>,
    stream: Arc<str>,
    subjects: EventSubjects,
    limits: Limits,
    fence: Arc<Fence>,
}

/// The log at the moment of a question: the stream's end then is the question's end.
#[derive(Debug, Clone)]
pub(crate) struct OpenLog {
    /// The way to the server.
    pub(crate) jetstream: Arc<dyn JetStream>,
    /// The stream as it stood.
    pub(crate) info: StreamInfo,
    /// When that was, by this machine's clock.
    pub(crate) opened_at: Timestamp,
    /// When that was, as far as it matters to what was made of it.
    pub(crate) turn: Turn,
}

impl OpenLog {
    /// What time it was at the opening: the server's, or this machine's where
    /// that is the earlier one, or the server doesn't say. By a clock that is
    /// wrong nothing is older than it is.
    pub(crate) fn now(&self) -> Timestamp {
        self.info.told_at.map_or(self.opened_at, |told_at| told_at.min(self.opened_at))
    }

    /// How many replicas the stream has.
    pub(crate) fn replicas(&self) -> u32 {
        self.info.config.replicas.unwrap_or(1)
    }

    /// What an answer says of the log that it was made from.
    pub(crate) fn basis(&self) -> AnswerBasis {
        let state = &self.info.state;
        let mut basis = AnswerBasis::default();
        basis.as_of = Some(self.opened_at);
        if state.last_sequence > 0 {
            (basis.first_sequence, basis.through) = (state.first_sequence, state.last_sequence);
            (basis.oldest_stored, basis.newest_stored) = (state.first_time, state.last_time);
            basis.removed = state.num_deleted;
        }
        basis
    }
}

impl Log {
    /// A log in a stream.
    pub(crate) fn new(
        connections: Arc<dyn ConnectionProvider>,
        clock: Arc<dyn Clock>,
        stream: &str,
        subjects: EventSubjects,
        limits: Limits,
    ) -> Self {
        let (stream, fence) = (Arc::from(stream), Arc::default());
        Self { connections, clock, stream, subjects, limits, fence }
    }

    /// The stream's name.
    pub(crate) fn stream(&self) -> &str {
        &self.stream
    }

    /// How the events' subjects are made.
    pub(crate) fn subjects(&self) -> &EventSubjects {
        &self.subjects
    }

    /// Counts what a question reads from now on, and stops it at its limits.
    pub(crate) fn meter(&self, operation: &'static str, limits: ScanLimits) -> Arc<Meter> {
        let (stream, clock) = (Arc::clone(&self.stream), Arc::clone(&self.clock));
        Arc::new(Meter::new(operation, stream, clock, self.limits.with(limits)))
    }

    /// The clock that ages are measured by.
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// A message as figures count it. An event under the subject of another
    /// type is none: types are asked of the server by subject, and each way to
    /// a figure has to come to the same.
    pub(crate) fn as_counted(&self, message: StoredMessage, created: Timestamp) -> EventItem {
        self.counts(decode(message, created))
    }

    /// What is read, as figures count it: see [`as_counted`](Self::as_counted).
    pub(crate) fn counts(&self, item: EventItem) -> EventItem {
        match item {
            EventItem::Event(recorded) if !self.is_under_its_type(&recorded) => {
                let rule = "must be that of its subject";
                let reason = MalformedReason::Field { field: "type", rule };
                EventItem::Malformed(Box::new(recorded.into_malformed(reason)))
            }
            item => item,
        }
    }

    fn is_under_its_type(&self, recorded: &RecordedEvent) -> bool {
        let tail = recorded.subject.strip_prefix(self.subjects.root());
        // What is under no subject of the log's is of no type by it.
        tail.and_then(|tail| tail.strip_prefix('.')).is_none_or(|tail| {
            let of = tail.split_once('.').map_or(tail, |(of, _)| of);
            of == token::encode(recorded.event.event_type.as_str())
        })
    }

    /// Connects, and looks at the stream.
    pub(crate) async fn open(&self, operation: &'static str) -> Result<OpenLog> {
        let told = |error: Error| error.in_operation(operation);
        let jetstream = self.connections.get_jetstream(&ServerRef::Default).await.map_err(told)?;
        let opened_at = self.clock.now();
        let info = jetstream.stream_info(&self.stream).await.map_err(told)?;
        Ok(self.opened(jetstream, info, opened_at))
    }

    /// The log as this was told of it a moment ago.
    fn opened(
        &self,
        jetstream: Arc<dyn JetStream>,
        info: StreamInfo,
        opened_at: Timestamp,
    ) -> OpenLog {
        // Asked behind the stream: what is told of may be an earlier run's, but
        // not a later one's.
        let server = jetstream.server_info().id;
        let turn = self.fence.turn(server, &info);
        OpenLog { jetstream, info, opened_at, turn }
    }

    /// What is known of the log's server.
    pub(crate) fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Reads what is there by one of the indexes; `None` where there is none
    /// for the filter, or the reading is of what is to come. An event that didn't
    /// happen in the range may be left out: it counts by the event's own time,
    /// or that of its storing where it has none.
    pub(crate) async fn read_indexed(
        &self,
        open: &OpenLog,
        indexes: Option<&Arc<Indexes>>,
        (options, range): (ReadEvents, &MinuteRange),
        meter: &Arc<Meter>,
    ) -> Result<Option<BoxStream<'static, Result<EventItem>>>> {
        let options = narrow::by_storing(options, self, open);
        let Some(found) = indexed::narrowing(self, open, indexes, (&options, range)).await else {
            return Ok(None);
        };
        let range = self.sequences(open, &options).await?;
        if range.1 == open.info.state.last_sequence {
            found.follow(self, open, meter).await;
        }
        let (log, open) = (self.clone(), open.clone());
        Ok(Some(indexed::read(log, open, found, range, options, meter)))
    }

    /// Reads events as [`EventQuery::read_events`](naq_core::events::EventQuery::read_events) has it.
    ///
    /// `settled` is awaited first: what the asking program logged before is in.
    /// What is there already is read by one of the indexes, where one helps.
    pub(crate) fn read_events(
        &self,
        settled: impl Future<Output = Result<()>> + Send + 'static,
        indexes: Option<Arc<Indexes>>,
        options: ReadEvents,
    ) -> BoxStream<'static, Result<EventItem>> {
        let log = self.clone();
        let opening = async move {
            options.validate()?;
            settled.await?;
            let open = log.open("read_events").await?;
            let options = narrow::by_storing(options, &log, &open);
            let is_of_the_past = indexed::is_of_the_past(&open, &options);
            let limits = if is_of_the_past { options.scan } else { ScanLimits::unlimited() };
            let meter = log.meter("read_events", limits);
            let limited =
                |items| if is_of_the_past { Arc::clone(&meter).limit(items) } else { items };
            let place = open::Place::find(&log, &open, &options).await?;
            let asked = (options.clone(), &MinuteRange::default());
            let found = log.read_indexed(&open, indexes.as_ref(), asked, &meter).await?;
            Ok::<_, Error>(limited(if let Some(found) = found {
                found
            } else if options.newest_first {
                backward::read(log, open, options, &meter)
            } else if let ReadUntil::Time(end) = options.until {
                forward::read_until_time(log, open, place, options, end, &meter)
            } else {
                forward::read(&log, &open, place, (options.filter, options.limit), &meter)
            }))
        };
        stream::once(opening).try_flatten().boxed()
    }
}
