//! A JetStream that tells what the test lays down, and remembers what it was asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{StreamExt, stream};
use naq_core::clock::ManualClock;
use naq_core::config::StreamMode;
use naq_core::connection::SingleJetStream;
use naq_core::jetstream::{
    Delivery, Headers, MockJetStream, PurgeKeep, ReadOptions, ReadStart, ReadUntil, ServerInfo,
    ServerVersion, StoredMessage, StreamConfig, StreamInfo, StreamState, SubjectCounts,
};
use naq_core::streams::MockStreamManager;
use naq_core::{BoxStream, Error, ErrorKind, Result, Timestamp};
use naq_events::prelude::*;

/// When the stream was made.
pub(crate) const CREATED: Timestamp = Timestamp::from_nanos(1_000);

/// Second `n` of the log's time, at which message `n` was stored.
pub(crate) fn second(n: u64) -> Timestamp {
    Timestamp::from_nanos(i64::try_from(n).unwrap() * 1_000_000_000)
}

/// What the service asked, in order, in words.
pub(crate) type Asked = Arc<Mutex<Vec<String>>>;

pub(crate) fn asked(asked: &Asked) -> Vec<String> {
    std::mem::take(&mut *asked.lock().unwrap())
}

/// Answers a read.
pub(crate) type Answer = Box<dyn Fn(&ReadOptions) -> Vec<Result<Delivery>> + Send>;

/// A JetStream with a stream of messages `first` to `last`.
pub(crate) fn jetstream(first: u64, last: u64, read: Answer) -> (MockJetStream, Asked) {
    reading(first, last, move |options| stream::iter(read(options)).boxed())
}

/// The same, whose reads are streams that the test makes.
pub(crate) fn reading(
    first: u64,
    last: u64,
    read: impl Fn(&ReadOptions) -> BoxStream<'static, Result<Delivery>> + Send + 'static,
) -> (MockJetStream, Asked) {
    let log = Asked::default();
    let mut mock = MockJetStream::new();
    mock.expect_server_info()
        .returning(|| ServerInfo::new("test", "id", ServerVersion::new(2, 15, 1)));
    let info = move || {
        let mut state = StreamState::default();
        state.messages = (last + 1) - first;
        (state.first_sequence, state.last_sequence) = (first, last);
        (state.first_time, state.last_time) = (Some(second(first)), Some(second(last)));
        StreamInfo::new(StreamConfig::new("events", ["events.>"]), state, CREATED)
    };
    let told = Arc::clone(&log);
    mock.expect_stream_info().returning(move |_| {
        told.lock().unwrap().push("info".to_owned());
        Ok(info())
    });
    let told = Arc::clone(&log);
    mock.expect_subject_counts().returning(move |_, filter, _| {
        told.lock().unwrap().push(format!("count {filter}"));
        Ok(SubjectCounts { info: info(), counts: Vec::new(), total: 0, next_offset: None })
    });
    let told = Arc::clone(&log);
    mock.expect_read().returning(move |_, options| {
        assert_eq!(options.created, Some(CREATED), "{options:?}");
        told.lock().unwrap().push(in_words(&options));
        read(&options)
    });
    let told = Arc::clone(&log);
    mock.expect_purge_stream().returning(move |_, options| {
        let PurgeKeep::FromSequence(keep) = options.keep else { panic!("{options:?}") };
        let subject = options.subject.unwrap_or_default();
        told.lock().unwrap().push(format!("purge {subject} below {keep}"));
        Ok(keep - first)
    });
    (mock, log)
}

fn in_words(options: &ReadOptions) -> String {
    let start = match options.start {
        ReadStart::Sequence(sequence) => sequence.to_string(),
        other => format!("{other:?}"),
    };
    let until = match options.until {
        ReadUntil::Sequence(sequence) => sequence.to_string(),
        other => format!("{other:?}"),
    };
    let mut words = vec![format!("read {start}..{until}")];
    words.extend(options.subjects.iter().cloned());
    words.extend(options.headers_only.then(|| "headers".to_owned()));
    words.join(" ")
}

/// A started service on it.
pub(crate) async fn service(mock: MockJetStream, clock: &ManualClock) -> Arc<EventService> {
    let connections = SingleJetStream::provider(Arc::new(mock));
    let config = EventsConfig::default().with_stream(StreamMode::Assume);
    let streams = Arc::new(MockStreamManager::new());
    let clock = Arc::new(clock.clone());
    let service = Arc::new(EventService::new(connections, streams, clock, config).unwrap());
    service.start().await.unwrap();
    service
}

/// Message `n` of job `j`.
pub(crate) fn message(n: u64) -> Result<Delivery> {
    payload(n, format!(r#"{{"type":"job_paused","job_id":"j","n":{n}}}"#))
}

pub(crate) fn payload(n: u64, payload: impl Into<Vec<u8>>) -> Result<Delivery> {
    Ok(Delivery::Message(StoredMessage {
        subject: "events.job_paused.j".to_owned(),
        sequence: n,
        stored_at: second(n),
        headers: Headers::new(),
        payload: payload.into().into(),
    }))
}

pub(crate) fn broken() -> Result<Delivery> {
    Err(Error::new(ErrorKind::Unavailable, "read", "as the test wants it"))
}

/// The messages that a read of a whole stream `first..=last` gives, and its end.
pub(crate) fn all_of(options: &ReadOptions, first: u64, last: u64) -> Vec<Result<Delivery>> {
    let from = match options.start {
        ReadStart::Sequence(sequence) => sequence.max(first),
        ReadStart::Time(time) => (first..=last).find(|n| second(*n) >= time).unwrap_or(last + 1),
        _ => first,
    };
    let to = match options.until {
        ReadUntil::Sequence(sequence) => sequence.min(last),
        _ => last,
    };
    let limit = options.limit.unwrap_or(u64::MAX);
    let mut all: Vec<_> = (from..=to).take(usize::try_from(limit).unwrap()).map(message).collect();
    if all.len() as u64 <= limit && to == last {
        all.push(Ok(Delivery::CaughtUp { sequence: last }));
    }
    all
}

/// Items in words: `3`, `malformed 4`, `caught up 5`, `gap 1-2`, or the error's kind.
pub(crate) async fn told(service: &EventService, options: ReadEvents) -> Vec<String> {
    let items = service.read_events(options).map(|item| item_in_words(&item)).collect();
    tokio::time::timeout(Duration::from_secs(10), items).await.expect("the reading ends")
}

pub(crate) fn item_in_words(item: &Result<EventItem>) -> String {
    match item {
        Ok(EventItem::Event(recorded)) => recorded.sequence().to_string(),
        Ok(EventItem::Malformed(malformed)) => format!("malformed {}", malformed.sequence()),
        Ok(EventItem::CaughtUp { position }) => format!("caught up {}", position.sequence),
        Ok(EventItem::Gap { from, to }) => format!("gap {from}-{to}"),
        Ok(EventItem::Resumed { position }) => format!("resumed {}", position.sequence),
        Ok(other) => format!("{other:?}"),
        Err(error) => format!("{} in {}", error.kind(), error.operation()),
    }
}

pub(crate) fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
