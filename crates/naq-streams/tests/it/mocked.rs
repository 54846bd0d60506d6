//! Which calls are made, in which order, and what happens when one fails.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use mockall::Sequence;
use mockall::predicate::{always, eq};
use naq_core::clock::ManualClock;
use naq_core::config::StreamsConfig;
use naq_core::connection::{MockConnectionProvider, SingleJetStream};
use naq_core::jetstream::{
    MockJetStream, Storage, StreamConfig, StreamInfo, StreamState, SubjectCounts,
};
use naq_core::service::{HealthState, Service};
use naq_core::{Error, ErrorKind, Timestamp};
use naq_streams::prelude::*;

fn service(mock: MockJetStream) -> StreamService {
    StreamService::new(SingleJetStream::provider(Arc::new(mock)))
        .with_clock(Arc::new(ManualClock::new()))
}

fn wanted() -> StreamConfig {
    StreamConfig::new("orders", ["orders.>"]).with_max_messages(100)
}

fn info(config: StreamConfig) -> StreamInfo {
    StreamInfo::new(config, StreamState::default(), Timestamp::default())
}

fn error(kind: ErrorKind) -> Error {
    Error::new(kind, "mock", "as told")
}

#[tokio::test]
async fn a_missing_stream_is_created_after_one_look() {
    let (mut mock, mut order) = (MockJetStream::new(), Sequence::new());
    mock.expect_stream_info()
        .with(eq("orders"))
        .times(1)
        .in_sequence(&mut order)
        .returning(|_| Err(error(ErrorKind::NotFound)));
    mock.expect_create_stream()
        .with(eq(wanted()))
        .times(1)
        .in_sequence(&mut order)
        .returning(|config| Ok(info(config)));
    let ensured = service(mock).ensure_stream(EnsureStream::new(wanted())).await.unwrap();
    assert_eq!(ensured.outcome, EnsureOutcome::Created);
}

#[tokio::test]
async fn an_equal_stream_is_left_alone() {
    let mut mock = MockJetStream::new();
    mock.expect_stream_info().times(1).returning(|_| Ok(info(wanted())));
    let ensured = service(mock).ensure_stream(EnsureStream::new(wanted())).await.unwrap();
    assert_eq!(ensured.outcome, EnsureOutcome::Unchanged);
}

#[tokio::test]
async fn who_loses_the_race_to_create_takes_what_the_winner_made() {
    let (mut mock, mut order) = (MockJetStream::new(), Sequence::new());
    mock.expect_stream_info()
        .times(1)
        .in_sequence(&mut order)
        .returning(|_| Err(error(ErrorKind::NotFound)));
    mock.expect_create_stream()
        .times(1)
        .in_sequence(&mut order)
        .returning(|_| Err(error(ErrorKind::AlreadyExists)));
    mock.expect_stream_info()
        .times(1)
        .in_sequence(&mut order)
        .returning(|_| Ok(info(wanted().with_max_messages(10))));
    mock.expect_update_stream()
        .times(1)
        .in_sequence(&mut order)
        .returning(|config| Ok(info(config)));
    let ensured = service(mock).ensure_stream(EnsureStream::new(wanted())).await.unwrap();
    let EnsureOutcome::Updated(changes) = ensured.outcome else { panic!("not updated") };
    assert_eq!(changes[0].to_string(), "max_messages from 10 to 100");
}

#[tokio::test]
async fn a_stream_deleted_before_the_update_is_made_anew() {
    let (mut mock, mut order) = (MockJetStream::new(), Sequence::new());
    mock.expect_stream_info()
        .times(1)
        .in_sequence(&mut order)
        .returning(|_| Ok(info(wanted().with_max_messages(10))));
    mock.expect_update_stream()
        .times(1)
        .in_sequence(&mut order)
        .returning(|_| Err(error(ErrorKind::NotFound)));
    mock.expect_stream_info()
        .times(1)
        .in_sequence(&mut order)
        .returning(|_| Err(error(ErrorKind::NotFound)));
    mock.expect_create_stream()
        .times(1)
        .in_sequence(&mut order)
        .returning(|config| Ok(info(config)));
    let ensured = service(mock).ensure_stream(EnsureStream::new(wanted())).await.unwrap();
    assert_eq!(ensured.outcome, EnsureOutcome::Created);
}

#[tokio::test]
async fn a_stream_that_keeps_vanishing_ends_in_a_conflict() {
    let mut mock = MockJetStream::new();
    mock.expect_stream_info().returning(|_| Err(error(ErrorKind::NotFound)));
    mock.expect_create_stream().times(4).returning(|_| Err(error(ErrorKind::AlreadyExists)));
    let refused = service(mock).ensure_stream(EnsureStream::new(wanted())).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_failed_look_is_an_error_and_nothing_is_created() {
    let mut mock = MockJetStream::new();
    mock.expect_stream_info().times(1).returning(|_| Err(error(ErrorKind::Timeout)));
    let failed = service(mock).ensure_stream(EnsureStream::new(wanted())).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn what_cannot_be_mended_is_told_by_field_and_nothing_is_sent() {
    let mut mock = MockJetStream::new();
    mock.expect_stream_info()
        .times(1)
        .returning(|_| Ok(info(wanted().with_max_messages(10).with_storage(Storage::File))));
    let request = EnsureStream::new(wanted().with_storage(Storage::Memory));
    let refused = service(mock).ensure_stream(request).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(refused.get("storage"), Some("has file, wanted memory"));
    assert_eq!(refused.get("stream"), Some("orders"));
    assert_eq!(refused.get("max_messages"), None, "that field stands in nobody's way");
}

#[tokio::test]
async fn verifying_creates_and_changes_nothing() {
    let mut mock = MockJetStream::new();
    mock.expect_stream_info().times(1).returning(|_| Err(error(ErrorKind::NotFound)));
    let request = EnsureStream::new(wanted()).with_verify_only(true);
    let refused = service(mock).ensure_stream(request.clone()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);

    let mut mock = MockJetStream::new();
    mock.expect_stream_info().times(1).returning(|_| Ok(info(wanted().with_max_messages(10))));
    let refused = service(mock).ensure_stream(request).await.unwrap_err();
    assert_eq!(refused.get("max_messages"), Some("has 10, wanted 100"));
}

#[tokio::test]
async fn shrinking_is_refused_unless_the_request_or_the_configuration_allows_it() {
    let full = || {
        let mut held = info(wanted());
        held.state.messages = 60;
        held
    };
    let lower = EnsureStream::new(wanted().with_max_messages(50));

    let mut mock = MockJetStream::new();
    mock.expect_stream_info().returning(move |_| Ok(full()));
    let refused = service(mock).ensure_stream(lower.clone()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);

    for by_request in [true, false] {
        let mut mock = MockJetStream::new();
        mock.expect_stream_info().returning(move |_| Ok(full()));
        mock.expect_update_stream().times(1).returning(|config| Ok(info(config)));
        let service =
            service(mock).with_config(StreamsConfig::default().with_allow_shrinking(!by_request));
        let request = lower.clone().with_allow_loss(by_request);
        service.ensure_stream(request).await.unwrap();
    }
}

#[tokio::test]
async fn a_stream_is_sealed_by_an_update_behind_its_creation() {
    let (mut mock, mut order) = (MockJetStream::new(), Sequence::new());
    mock.expect_stream_info()
        .times(1)
        .in_sequence(&mut order)
        .returning(|_| Err(error(ErrorKind::NotFound)));
    mock.expect_create_stream()
        .withf(|config| config.sealed.is_none())
        .times(1)
        .in_sequence(&mut order)
        .returning(|config| Ok(info(config)));
    mock.expect_update_stream()
        .withf(|config| config.sealed == Some(true))
        .times(1)
        .in_sequence(&mut order)
        .returning(|config| Ok(info(config)));
    let request = EnsureStream::new(wanted().with_sealed(true));
    let ensured = service(mock).ensure_stream(request).await.unwrap();
    assert_eq!(ensured.outcome, EnsureOutcome::Created);
    assert_eq!(ensured.info.config.sealed, Some(true));
}

#[tokio::test]
async fn whether_a_stream_exists_is_not_guessed_from_a_failure() {
    let mut mock = MockJetStream::new();
    let mut order = Sequence::new();
    for answer in [Ok(()), Err(ErrorKind::NotFound), Err(ErrorKind::PermissionDenied)] {
        mock.expect_stream_info()
            .times(1)
            .in_sequence(&mut order)
            .returning(move |_| answer.map(|()| info(wanted())).map_err(error));
    }
    let service = service(mock);
    assert!(service.stream_exists("orders").await.unwrap());
    assert!(!service.stream_exists("orders").await.unwrap());
    let failed = service.stream_exists("orders").await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::PermissionDenied);
}

fn page(subjects: std::ops::Range<u64>, next_offset: Option<u64>) -> SubjectCounts {
    let counts = subjects.map(|n| (format!("orders.{n}"), n)).collect();
    let config = StreamConfig::new("orders", ["orders.>"]);
    let info = StreamInfo::new(config, StreamState::default(), Timestamp::from_nanos(0));
    SubjectCounts { info, counts, total: 5, next_offset }
}

#[tokio::test]
async fn subjects_are_counted_page_by_page() {
    let (mut mock, mut order) = (MockJetStream::new(), Sequence::new());
    for (offset, answer) in [(0, page(0..3, Some(3))), (3, page(3..5, None))] {
        mock.expect_subject_counts()
            .with(eq("orders"), eq("orders.*"), eq(offset))
            .times(1)
            .in_sequence(&mut order)
            .return_once(move |_, _, _| Ok(answer));
    }
    let counts: Vec<_> =
        service(mock).subject_counts("orders", "orders.*").try_collect().await.unwrap();
    assert_eq!(counts.len(), 5);
    assert_eq!(counts[4], ("orders.4".to_owned(), 4));
}

#[tokio::test]
async fn a_page_that_fails_ends_the_count_with_its_error() {
    let (mut mock, mut order) = (MockJetStream::new(), Sequence::new());
    mock.expect_subject_counts()
        .with(always(), always(), eq(0))
        .times(1)
        .in_sequence(&mut order)
        .return_once(|_, _, _| Ok(page(0..2, Some(2))));
    mock.expect_subject_counts()
        .with(always(), always(), eq(2))
        .times(1)
        .in_sequence(&mut order)
        .return_once(|_, _, _| Err(error(ErrorKind::Timeout)));
    let counts: Vec<_> = service(mock).subject_counts("orders", ">").collect().await;
    assert_eq!(counts.iter().filter(|count| count.is_ok()).count(), 2);
    assert_eq!(counts.len(), 3);
    assert_eq!(counts[2].as_ref().unwrap_err().kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn a_page_that_does_not_lead_on_is_not_asked_for_without_end() {
    let mut mock = MockJetStream::new();
    mock.expect_subject_counts().times(1).returning(|_, _, _| Ok(page(0..2, Some(0))));
    let counts: Vec<_> = service(mock).subject_counts("orders", ">").collect().await;
    assert_eq!(counts.len(), 2);
}

#[tokio::test]
async fn without_a_connection_every_call_says_so_and_health_is_bad() {
    let mut provider = MockConnectionProvider::new();
    provider.expect_get_jetstream().returning(|_| Err(error(ErrorKind::Unavailable)));
    let service = StreamService::new(Arc::new(provider));
    let failed = service.get_stream_info("orders").await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Unavailable);
    let listed: Vec<_> = service.list_streams().collect().await;
    assert_eq!(listed[0].as_ref().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(service.health().await.state, HealthState::Unhealthy);
}

#[tokio::test]
async fn who_may_not_list_streams_is_not_ill() {
    let mut mock = MockJetStream::new();
    mock.expect_list_streams()
        .returning(|_| futures::stream::iter([Err(error(ErrorKind::PermissionDenied))]).boxed());
    assert_eq!(service(mock).health().await.state, HealthState::Healthy);
}
