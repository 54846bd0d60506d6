//! What the themes share: a log with reactions of one's own, and handlers that tell.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use naq_core::clock::SystemClock;
use naq_core::config::{EventsConfig, Size};
use naq_core::connection::{ConnectionProvider, SingleJetStream};
use naq_core::events::{Event, EventSinkExt, RecordedEvent};
use naq_core::jetstream::{JetStream, PublishMessage};
use naq_core::kv::KvStore;
use naq_core::service::Service;
use naq_events::EventService;
use naq_events::reactions::{GroupStart, Outcome, ReactOptions, Reaction, ReactionService};
use naq_kv::KvStoreService;
use naq_streams::StreamService;
use naq_tests::{names, wait};

/// How long a behaviour waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A log that only one behaviour knows, and its reactions.
pub(crate) struct Own {
    pub(crate) js: Arc<dyn JetStream>,
    pub(crate) config: EventsConfig,
    pub(crate) events: Arc<EventService>,
    pub(crate) reactions: Arc<ReactionService>,
    pub(crate) kv: Arc<dyn KvStore>,
}

impl Own {
    pub(crate) async fn new(js: Arc<dyn JetStream>) -> Self {
        Self::named(js, &names::unique("react")).await
    }

    /// One with that name.
    pub(crate) async fn named(js: Arc<dyn JetStream>, name: &str) -> Self {
        let config = EventsConfig::default()
            .with_stream_name(name)
            .with_subject_root(name)
            .with_max_bytes(Size::from_mib(32));
        let connections = SingleJetStream::provider(Arc::clone(&js));
        let streams = Arc::new(StreamService::new(Arc::clone(&connections)));
        let clock = Arc::new(SystemClock::new());
        let events =
            EventService::new(Arc::clone(&connections), streams, clock, config.clone()).unwrap();
        events.start().await.unwrap();
        let (reactions, kv) = reactions(connections, &config);
        Self { js, config, events: Arc::new(events), reactions, kv }
    }

    /// The same log with the reactions of whoever that connection is of.
    pub(crate) fn seen_by(&self, js: Arc<dyn JetStream>) -> Self {
        let (reactions, kv) = reactions(SingleJetStream::provider(Arc::clone(&js)), &self.config);
        let (config, events) = (self.config.clone(), Arc::clone(&self.events));
        Self { js, config, events, reactions, kv }
    }

    /// Another process's reactions on the same log.
    pub(crate) fn another(&self) -> Arc<ReactionService> {
        reactions(SingleJetStream::provider(Arc::clone(&self.js)), &self.config).0
    }

    pub(crate) async fn log(&self, event: Event) -> u64 {
        self.events.log_event_acked(event).await.unwrap().sequence.unwrap()
    }

    /// Stores what no service wrote.
    pub(crate) async fn foreign(&self, tail: &str, payload: &'static [u8]) -> u64 {
        let message = PublishMessage::new(format!("{}.{tail}", self.config.subject_root), payload);
        self.js.publish(message).await.unwrap().sequence
    }

    pub(crate) fn stream(&self) -> &str {
        &self.config.stream_name
    }
}

fn reactions(
    connections: Arc<dyn ConnectionProvider>,
    config: &EventsConfig,
) -> (Arc<ReactionService>, Arc<dyn KvStore>) {
    let clock = Arc::new(SystemClock::new());
    let streams = Arc::new(StreamService::new(Arc::clone(&connections)));
    let kv: Arc<dyn KvStore> = Arc::new(KvStoreService::new(Arc::clone(&connections)));
    let service =
        ReactionService::new(connections, streams, Arc::clone(&kv), clock, config.clone()).unwrap();
    (Arc::new(service), kv)
}

/// From the beginning, with short waits.
pub(crate) fn options() -> ReactOptions {
    ReactOptions::default()
        .with_start(GroupStart::Beginning)
        .with_backoff(Duration::from_millis(10), Duration::from_millis(50))
}

/// What a handler was given, in the order in which it was.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<(RecordedEvent, u64)>>>);

impl Seen {
    /// A handler that notes what it is given and is done.
    pub(crate) fn done(
        &self,
    ) -> impl Fn(Reaction) -> std::future::Ready<Outcome> + Send + Sync + use<> {
        self.answering(|_| Outcome::Done)
    }

    /// A handler that notes what it is given and answers as told.
    pub(crate) fn answering<F>(
        &self,
        answer: F,
    ) -> impl Fn(Reaction) -> std::future::Ready<Outcome> + Send + Sync + use<F>
    where
        F: Fn(&Reaction) -> Outcome + Send + Sync + 'static,
    {
        let seen = self.clone();
        move |reaction| {
            seen.note(&reaction);
            std::future::ready(answer(&reaction))
        }
    }

    /// A handler that notes what it is given and never ends.
    pub(crate) fn hanging(
        &self,
    ) -> impl Fn(Reaction) -> std::future::Pending<Outcome> + Send + Sync + use<> {
        let seen = self.clone();
        move |reaction| {
            seen.note(&reaction);
            std::future::pending()
        }
    }

    pub(crate) fn note(&self, reaction: &Reaction) {
        self.0.lock().unwrap().push((reaction.recorded.clone(), reaction.tries));
    }

    pub(crate) fn sequences(&self) -> Vec<u64> {
        self.0.lock().unwrap().iter().map(|(recorded, _)| recorded.sequence()).collect()
    }

    pub(crate) fn tries(&self) -> Vec<u64> {
        self.0.lock().unwrap().iter().map(|(_, tries)| *tries).collect()
    }

    pub(crate) fn recorded(&self) -> Vec<RecordedEvent> {
        self.0.lock().unwrap().iter().map(|(recorded, _)| recorded.clone()).collect()
    }

    /// Waits until it was given so many.
    pub(crate) async fn reach(&self, count: usize) {
        wait::until(&format!("{count} events to be handled"), PATIENCE, async || {
            self.0.lock().unwrap().len() >= count
        })
        .await;
    }
}

/// Waits until a group has nothing left to do.
pub(crate) async fn idle(own: &Own, group: &str) {
    wait::until("the group to be idle", PATIENCE, async || {
        own.reactions.group(group).await.is_ok_and(|status| status.lag == 0)
    })
    .await;
}
