//! A history by the subjects of its entity, and by a pass over the log where that can't be.

use std::sync::{Arc, Mutex};

use futures::{StreamExt, stream};
use naq_core::jetstream::{
    Capabilities, GetMessages, Headers, MockJetStream, NO_MESSAGE, ServerInfo, ServerVersion,
    StoredMessage, StreamConfig, StreamInfo, StreamState, SubjectCounts, WhichMany,
};
use naq_core::{Error, ErrorKind, Result, Timestamp};
use naq_events::prelude::*;

use crate::support::{CREATED, message, second, service};

/// A stream with 9 messages that answers direct gets, each time it is looked at
/// made at the next of these times, and has these subjects.
fn direct(created: &'static [Timestamp], counts: [(&'static str, u64); 2]) -> MockJetStream {
    let mut mock = MockJetStream::new();
    mock.expect_server_info()
        .returning(|| ServerInfo::new("test", "id", ServerVersion::new(2, 15, 1)));
    mock.expect_capabilities().returning(|| Capabilities::of(ServerVersion::new(2, 15, 1)));
    let created = Mutex::new(created.iter().cycle());
    let looked_at = Arc::new(move || {
        let mut state = StreamState::default();
        (state.first_sequence, state.last_sequence) = (1, 9);
        let mut config = StreamConfig::new("events", ["events.>"]);
        (config.allow_direct, config.replicas) = (Some(true), Some(1));
        StreamInfo::new(config, state, *created.lock().unwrap().next().unwrap())
    });
    let info = Arc::clone(&looked_at);
    mock.expect_stream_info().returning(move |_| Ok(info()));
    mock.expect_subject_counts().returning(move |_, filter, _| {
        assert_eq!(filter, "events.*.j");
        let counts = counts.map(|(subject, count)| (subject.to_owned(), count)).to_vec();
        Ok(SubjectCounts { info: looked_at(), counts, total: 2, next_offset: None })
    });
    mock
}

const SEVERAL: [(&str, u64); 2] = [("events.job_paused.j", 2), ("events.mine.j", 2)];

fn stored(n: u64) -> Result<StoredMessage> {
    Ok(StoredMessage {
        subject: "events.mine.j".to_owned(),
        sequence: n,
        stored_at: second(n),
        headers: Headers::new(),
        payload: format!(r#"{{"type":"mine","job_id":"j","n":{n}}}"#).into(),
    })
}

#[tokio::test]
async fn subjects_are_merged_in_stored_order_up_to_the_end_as_it_stood() {
    let mut mock = direct(&[CREATED], SEVERAL);
    mock.expect_get_messages().returning(|_, request: GetMessages| {
        let WhichMany::From { sequence: 1, subject: Some(subject), limit: 2 } = request.which
        else {
            panic!("{request:?}")
        };
        let found = if subject == "events.mine.j" { [4, 5] } else { [2, 12] };
        stream::iter(found.map(stored)).boxed()
    });
    let service = service(mock, &ManualClock::new()).await;
    let history = service.get_event_history("j", 9).await.unwrap();
    let sequences: Vec<_> = history.events.iter().map(RecordedEvent::sequence).collect();
    assert_eq!(sequences, [2, 4, 5]);
    assert_eq!((history.summary.total_events, history.summary.gone), (3, 0));
}

#[tokio::test]
async fn of_a_subject_with_one_message_the_last_is_got_unless_another_came_since() {
    let alone = [("events.job_paused.j", 1), ("events.mine.j", 1)];
    let mut mock = direct(&[CREATED], alone);
    mock.expect_get_messages().times(2).returning(move |_, request: GetMessages| {
        match request.which {
            WhichMany::LastBySubjects(mut subjects) => {
                subjects.sort();
                assert_eq!(subjects, alone.map(|(subject, _)| subject));
                // The one on the first subject is gone, and there is another on the second.
                let gone = Error::new(ErrorKind::NotFound, "get_messages", "as the test wants it");
                let gone = gone.with("error_code", NO_MESSAGE.to_string());
                stream::iter([Err(gone), stored(12)]).boxed()
            }
            WhichMany::From { sequence: 1, subject, limit: 1 } => {
                assert_eq!(subject.as_deref(), Some("events.mine.j"));
                stream::iter([stored(5)]).boxed()
            }
            other => panic!("{other:?}"),
        }
    });
    let service = service(mock, &ManualClock::new()).await;
    let history = service.get_event_history("j", 9).await.unwrap();
    assert_eq!(history.events.iter().map(RecordedEvent::sequence).collect::<Vec<_>>(), [5]);
}

/// What a history by a pass over the log has here: message 7.
async fn is_read(mut mock: MockJetStream) {
    mock.expect_read().times(1).returning(|_, options| {
        assert_eq!(options.subjects, ["events.*.j"]);
        stream::iter([message(7)]).boxed()
    });
    let service = service(mock, &ManualClock::new()).await;
    let history = service.get_event_history("j", 9).await.unwrap();
    assert_eq!(history.events.iter().map(RecordedEvent::sequence).collect::<Vec<_>>(), [7]);
}

#[tokio::test]
async fn who_may_not_get_reads_the_log() {
    let mut mock = direct(&[CREATED], SEVERAL);
    mock.expect_get_messages().returning(|_, _| {
        let denied =
            Error::new(ErrorKind::PermissionDenied, "get_messages", "as the test wants it");
        stream::iter([stored(4), Err(denied)]).boxed()
    });
    is_read(mock).await;
}

#[tokio::test]
async fn a_stream_that_was_made_anew_meanwhile_is_left_to_the_reading() {
    const OTHER: Timestamp = Timestamp::from_nanos(2_000);
    let mut mock = direct(&[CREATED, OTHER], SEVERAL);
    mock.expect_get_messages().returning(|_, _| stream::iter([stored(4)]).boxed());
    is_read(mock).await;
}
