//! What the topics share: a log of one's own, and a reading that can't hang.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::StreamExt;
use naq_core::clock::{Clock, ManualClock, SystemClock};
use naq_core::config::{EventsConfig, RetentionAges, Size, StreamMode};
use naq_core::events::{
    Event, EventInput, EventItem, EventQuery, EventSinkExt, ReadEvents, RecordedEvent,
};
use naq_core::jetstream::{
    JetStream, JetStreamExt, PublishMessage, PurgeKeep, PurgeOptions, ReadOptions, StoredMessage,
    StreamInfo,
};
use naq_core::service::Service;
use naq_core::{BoxStream, Error, ErrorKind, Result, Timestamp};
use naq_events::EventService;

use crate::own_log::{Keeps, service};
use crate::timeless::{Timeless, WithoutTime};
use crate::{names, wait};

/// How long a topic waits for what must come. Deletion of a stream may take a
/// reader 15 s to notice; everything else is far quicker.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A log that only one topic knows: stream and subject root are its name.
pub(super) struct Own {
    pub(super) js: Arc<dyn JetStream>,
    pub(super) name: String,
    pub(super) config: EventsConfig,
    pub(super) events: Arc<EventService>,
}

impl Own {
    /// With the defaults.
    pub(super) async fn new(js: Arc<dyn JetStream>) -> Self {
        Self::with(js, |config| config).await
    }

    /// With what `configure` sets.
    pub(super) async fn with(
        js: Arc<dyn JetStream>,
        configure: impl FnOnce(EventsConfig) -> EventsConfig,
    ) -> Self {
        let name = names::unique("events");
        let config = configure(
            EventsConfig::default()
                .with_stream_name(name.as_str())
                .with_subject_root(name.as_str())
                // A server sets aside what a stream may take.
                .with_max_bytes(Size::from_mib(32)),
        );
        let events = service(&js, Arc::new(SystemClock::new()), config.clone(), Keeps::Nothing);
        events.start().await.unwrap();
        let name = config.stream_name.clone();
        Self { js, name, config, events }
    }

    /// A second service on the same log.
    pub(super) async fn another(&self) -> Arc<EventService> {
        self.started(Arc::new(SystemClock::new()), self.config.clone()).await
    }

    /// Another service, of this configuration.
    pub(super) async fn with_config(&self, config: EventsConfig) -> Arc<EventService> {
        self.started(Arc::new(SystemClock::new()), config).await
    }

    /// Why a service of this configuration does not start.
    pub(super) async fn refused(&self, config: EventsConfig) -> Error {
        let events = service(&self.js, Arc::new(SystemClock::new()), config, Keeps::Nothing);
        events.start().await.unwrap_err()
    }

    /// A service that asks at this time of the wall clock, which stands still
    /// and is all that it knows of the time.
    pub(super) async fn asking_at(&self, wall: Timestamp) -> Arc<EventService> {
        let clock = Arc::new(ManualClock::starting_at(wall));
        let config = self.config.clone().with_stream(StreamMode::Assume);
        let events = service(&self.timeless(), clock, config, Keeps::Nothing);
        events.start().await.unwrap();
        events
    }

    fn timeless(&self) -> Arc<dyn JetStream> {
        Arc::new(Timeless::new(Arc::clone(&self.js), WithoutTime))
    }

    /// A service with digests and these ages, at this time of the wall clock,
    /// which is all that it knows of the time.
    pub(super) async fn keeping_at(
        &self,
        wall: Timestamp,
        ages: RetentionAges,
    ) -> Arc<EventService> {
        self.keeping(self.timeless(), wall, ages).await
    }

    /// The same by this way to the log.
    pub(super) async fn keeping(
        &self,
        js: Arc<dyn JetStream>,
        wall: Timestamp,
        ages: RetentionAges,
    ) -> Arc<EventService> {
        let clock = Arc::new(ManualClock::starting_at(wall));
        let config = self.config.clone().with_stream(StreamMode::Assume).with_retention(ages);
        let events = service(&js, clock, config, Keeps::Digests);
        events.start().await.unwrap();
        events
    }

    async fn started(&self, clock: Arc<dyn Clock>, config: EventsConfig) -> Arc<EventService> {
        let events = service(&self.js, clock, config, Keeps::Nothing);
        events.start().await.unwrap();
        events
    }

    /// Stores an event and answers its sequence.
    pub(super) async fn log(&self, event: impl Into<EventInput>) -> u64 {
        let receipt = self.events.log_event_acked(event).await.unwrap();
        assert!(!receipt.duplicate, "{receipt:?}");
        receipt.sequence.unwrap()
    }

    /// Stores events, in order.
    pub(super) async fn log_all(&self, events: impl IntoIterator<Item = Event>) {
        for result in self.events.batch_log_events(events).await {
            result.unwrap();
        }
        let report = naq_core::events::EventSink::flush(&*self.events, PATIENCE).await.unwrap();
        assert!(report.is_clean(), "{report:?}");
    }

    /// Stores what no service wrote on `<root>.<tail>`, and answers its sequence.
    pub(super) async fn foreign(&self, tail: &str, payload: impl Into<bytes::Bytes>) -> u64 {
        let message = PublishMessage::new(format!("{}.{tail}", self.name), payload);
        self.js.publish(message).await.unwrap().sequence
    }

    /// Logs an event that is stored later than all before it, and answers when.
    pub(super) async fn log_later_than_all(&self) -> Timestamp {
        let last = self.stored().await.last().map(|message| message.stored_at);
        wait::until("the clock to go on", PATIENCE, async || last.is_none_or(|last| now() > last))
            .await;
        self.log(Event::log("later")).await;
        self.stored().await.last().unwrap().stored_at
    }

    /// Removes the head of the log, as a limit does.
    pub(super) async fn purge_below(&self, sequence: u64) {
        let options = PurgeOptions::default().with_keep(PurgeKeep::FromSequence(sequence));
        self.js.purge_stream(&self.name, options).await.unwrap();
    }

    /// Deletes the stream, and makes one of the same name.
    pub(super) async fn make_anew(&self) {
        self.js.delete_stream(&self.name).await.unwrap();
        let config = EventService::stream_config(&self.config).unwrap();
        self.js.create_stream(config).await.unwrap();
    }

    pub(super) async fn info(&self) -> StreamInfo {
        self.js.stream_info(&self.name).await.unwrap()
    }

    /// All stored messages.
    pub(super) async fn stored(&self) -> Vec<StoredMessage> {
        let all = self.js.read_to_head(&self.name, ReadOptions::default());
        wait::within("a read to the head", PATIENCE, all).await.unwrap()
    }

    /// The sequences of all stored messages.
    pub(super) async fn sequences(&self) -> Vec<u64> {
        self.stored().await.iter().map(|message| message.sequence).collect()
    }

    /// Opens a reading.
    pub(super) fn read(&self, options: ReadEvents) -> Reading {
        Reading(self.events.read_events(options))
    }

    /// All that a reading gives until it ends by itself.
    pub(super) async fn read_all(&self, options: ReadEvents) -> Vec<Seen> {
        self.read(options).rest().await
    }
}

/// The wall time of this machine, which is the server's too.
pub(super) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// A time of the past, `seconds` after a fixed one.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos((1_700_000_000 + seconds) * 1_000_000_000)
}

/// The error of what must have failed with this kind.
#[track_caller]
pub(super) fn refused<T: Debug>(result: Result<T>, kind: ErrorKind) -> Error {
    match result {
        Err(error) if error.is(kind) => error,
        Err(error) => panic!("expected {kind:?}, got {:?}: {error:?}", error.kind()),
        Ok(value) => panic!("expected {kind:?}, got the answer {value:?}"),
    }
}

/// As [`refused`] with `InvalidArgument`, which must name the field.
#[track_caller]
pub(super) fn invalid<T: Debug>(result: Result<T>, field: &str) {
    let error = refused(result, ErrorKind::InvalidArgument);
    assert_eq!(error.get("field"), Some(field), "{error:?}");
}

/// An item, as short as an assertion wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// An event by its sequence.
    Event(u64),
    /// What is no event, by its sequence.
    Malformed(u64),
    CaughtUp(u64),
    Gap(u64, u64),
    Resumed(u64),
}

/// What these sequences look like when they are events.
pub(super) fn events(sequences: impl IntoIterator<Item = u64>) -> Vec<Seen> {
    sequences.into_iter().map(Seen::Event).collect()
}

/// An open reading whose every step has a deadline.
pub(super) struct Reading(pub(super) BoxStream<'static, Result<EventItem>>);

impl Reading {
    /// The next item or error; `None` at the end.
    pub(super) async fn step(&mut self) -> Option<Result<EventItem>> {
        wait::within("an item", PATIENCE, self.0.next()).await
    }

    /// The next item, which must come.
    pub(super) async fn next(&mut self) -> Seen {
        match self.step().await {
            Some(Ok(item)) => seen(&item),
            Some(Err(error)) => panic!("the reading broke: {error:?}"),
            None => panic!("the reading ended"),
        }
    }

    /// The next item, which must be an event.
    pub(super) async fn event(&mut self) -> RecordedEvent {
        match self.step().await {
            Some(Ok(EventItem::Event(recorded))) => *recorded,
            other => panic!("expected an event, got {other:?}"),
        }
    }

    /// The error with which the reading must end, whatever comes before it.
    pub(super) async fn error(&mut self) -> Error {
        loop {
            match self.step().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    assert!(self.step().await.is_none(), "an error ends a reading");
                    return error;
                }
                None => panic!("the reading ended without an error"),
            }
        }
    }

    /// What comes until the reading ends by itself.
    pub(super) async fn rest(&mut self) -> Vec<Seen> {
        let mut all = Vec::new();
        while let Some(item) = self.step().await {
            all.push(seen(&item.unwrap()));
        }
        all
    }
}

fn seen(item: &EventItem) -> Seen {
    match item {
        EventItem::Event(recorded) => Seen::Event(recorded.sequence()),
        EventItem::Malformed(malformed) => Seen::Malformed(malformed.sequence()),
        EventItem::CaughtUp { position } => Seen::CaughtUp(position.sequence),
        EventItem::Gap { from, to } => Seen::Gap(*from, *to),
        EventItem::Resumed { position } => Seen::Resumed(position.sequence),
        other => panic!("an item that the suite doesn't know: {other:?}"),
    }
}
