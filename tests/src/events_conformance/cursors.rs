//! Named cursors: reading goes on where it was left, and nobody moves back unseen.

use std::sync::Arc;

use naq_core::ErrorKind;
use naq_core::clock::SystemClock;
use naq_core::connection::SingleJetStream;
use naq_core::events::{Event, Position, ReadEvents};
use naq_core::jetstream::{JetStream, PublishMessage};
use naq_core::kv::{BucketConfig, KvBucketExt, KvStore};
use naq_events::cursors::{CursorService, CursorStart};
use naq_kv::KvStoreService;

use super::support::{Own, Seen, events, invalid, refused};

fn kv(own: &Own) -> Arc<dyn KvStore> {
    Arc::new(KvStoreService::new(SingleJetStream::provider(Arc::clone(&own.js))))
}

/// The cursors of another process.
fn cursors(own: &Own) -> CursorService {
    let connections = SingleJetStream::provider(Arc::clone(&own.js));
    let clock = Arc::new(SystemClock::new());
    CursorService::new(connections, kv(own), clock, own.config.clone()).unwrap()
}

async fn with_events(js: Arc<dyn JetStream>, count: u64) -> Own {
    let own = Own::new(js).await;
    own.log_all((0..count).map(|n| Event::job_paused(format!("j{n}")))).await;
    own
}

async fn position(own: &Own, sequence: u64) -> Position {
    Position::new(own.info().await.created, sequence)
}

pub async fn a_reader_goes_on_where_another_process_saved(js: Arc<dyn JetStream>) {
    let own = with_events(js, 5).await;
    let mut cursor = cursors(&own).open("c").await.unwrap();
    assert_eq!((cursor.name(), cursor.position()), ("c", None));
    let mut reading = own.read(cursor.reading(ReadEvents::default()));
    for sequence in 1..=3 {
        let recorded = reading.event().await;
        assert_eq!(recorded.sequence(), sequence);
        cursor.save(recorded.position).await.unwrap();
    }
    let saved = cursor.position();
    cursor.save(saved.unwrap()).await.unwrap();
    let other = cursors(&own).open("c").await.unwrap();
    assert_eq!(other.position(), saved);
    let rest = own.read_all(other.reading(ReadEvents::default())).await;
    assert_eq!(rest, [events([4, 5]), vec![Seen::CaughtUp(5)]].concat());
}

pub async fn of_two_readers_of_a_cursor_one_saves(js: Arc<dyn JetStream>) {
    let own = with_events(js, 3).await;
    let service = cursors(&own);
    let (mut one, mut other) = (service.open("c").await.unwrap(), service.open("c").await.unwrap());
    one.save(position(&own, 1).await).await.unwrap();
    let error = refused(other.save(position(&own, 2).await).await, ErrorKind::Conflict);
    assert_eq!(error.get("cursor"), Some("c"));
    let mut other = service.open("c").await.unwrap();
    other.save(position(&own, 2).await).await.unwrap();
    refused(one.save(position(&own, 3).await).await, ErrorKind::Conflict);
    assert_eq!(service.show("c").await.unwrap().position.unwrap().sequence, 2);
}

pub async fn a_cursor_goes_back_only_where_it_is_set(js: Arc<dyn JetStream>) {
    let own = with_events(js, 3).await;
    let service = cursors(&own);
    let mut cursor = service.open("c").await.unwrap();
    cursor.save(position(&own, 2).await).await.unwrap();
    invalid(cursor.save(position(&own, 1).await).await, "position");
    let status = service.set("c", CursorStart::Beginning).await.unwrap();
    assert_eq!((status.position.unwrap().sequence, status.lag), (0, Some(3)));
    refused(cursor.save(position(&own, 3).await).await, ErrorKind::Conflict);
    assert_eq!(service.open("c").await.unwrap().position(), Some(position(&own, 0).await));
}

pub async fn a_cursor_is_set_by_place_and_time(js: Arc<dyn JetStream>) {
    let own = with_events(js, 4).await;
    let later = own.log_later_than_all().await;
    let service = cursors(&own);
    let behind = position(&own, 1).await;
    for (to, sequence) in [
        (CursorStart::Beginning, 0),
        (CursorStart::End, 5),
        (CursorStart::Sequence(4), 3),
        (CursorStart::Time(later), 4),
        (CursorStart::After(behind), 1),
    ] {
        let status = service.set("c", to).await.unwrap();
        assert_eq!(status.position.unwrap().sequence, sequence, "{to:?}");
        assert_eq!(status.lag, Some(5 - sequence), "{to:?}");
    }
    invalid(service.set("c", CursorStart::Sequence(0)).await, "start");
    invalid(service.set("c", CursorStart::Sequence(7)).await, "start");
    let foreign = Position::new(later, 1);
    refused(service.set("c", CursorStart::After(foreign)).await, ErrorKind::Conflict);
    assert_eq!(service.show("c").await.unwrap().position, Some(behind));
}

pub async fn a_cursor_says_how_far_it_is_behind_and_what_is_gone(js: Arc<dyn JetStream>) {
    let own = with_events(js, 6).await;
    let service = cursors(&own);
    assert_eq!(service.list().await.unwrap(), []);
    service.set("b", CursorStart::Sequence(3)).await.unwrap();
    service.set("a", CursorStart::End).await.unwrap();
    own.purge_below(5).await;
    let list = service.list().await.unwrap();
    let facts: Vec<_> = list.iter().map(|it| (it.cursor.as_str(), it.lag, it.gone)).collect();
    assert_eq!(facts, [("a", Some(0), Some(0)), ("b", Some(2), Some(2))]);
    assert_eq!(service.show("b").await.unwrap(), list[1]);
}

pub async fn a_cursor_that_can_t_be_read_is_in_nobody_s_way(js: Arc<dyn JetStream>) {
    let own = with_events(js, 3).await;
    let service = cursors(&own);
    service.set("b", CursorStart::Sequence(3)).await.unwrap();
    let kv = kv(&own);
    let key = format!("{}.a", own.name);
    kv.bucket("naq_cursors").unwrap().put(&key, "nonsense").await.unwrap();
    let list = service.list().await.unwrap();
    let facts: Vec<_> = list.iter().map(|it| (it.cursor.as_str(), it.lag)).collect();
    assert_eq!(facts, [("a", None), ("b", Some(1))]);
    assert_eq!(list[0].position, None);
    refused(service.open("a").await, ErrorKind::Corrupt);
    refused(service.show("a").await, ErrorKind::Corrupt);
    service.remove("a").await.unwrap();
    refused(service.show("a").await, ErrorKind::NotFound);
}

pub async fn a_cursor_of_a_log_made_anew_is_a_conflict(js: Arc<dyn JetStream>) {
    let own = with_events(js, 3).await;
    let service = cursors(&own);
    let mut cursor = service.open("c").await.unwrap();
    cursor.save(position(&own, 2).await).await.unwrap();
    own.make_anew().await;
    let message = PublishMessage::new(format!("{}.x", own.name), r#"{"type":"x"}"#);
    own.js.publish(message).await.unwrap();
    let status = service.show("c").await.unwrap();
    assert_eq!((status.lag, status.gone), (None, None));
    let error = own.read(cursor.reading(ReadEvents::default())).error().await;
    assert_eq!(error.kind(), ErrorKind::Conflict);
    refused(cursor.save(position(&own, 3).await).await, ErrorKind::Conflict);
    service.set("c", CursorStart::Beginning).await.unwrap();
    let cursor = service.open("c").await.unwrap();
    let all = own.read_all(cursor.reading(ReadEvents::default())).await;
    assert_eq!(all, [Seen::Event(1), Seen::CaughtUp(1)]);
}

pub async fn cursors_of_other_logs_and_names_are_others(js: Arc<dyn JetStream>) {
    let (own, other) = (with_events(Arc::clone(&js), 2).await, with_events(js, 2).await);
    cursors(&own).set("c", CursorStart::End).await.unwrap();
    assert_eq!(cursors(&other).open("c").await.unwrap().position(), None);
    assert_eq!(cursors(&other).list().await.unwrap(), []);
    let service = cursors(&own);
    refused(service.show("d").await, ErrorKind::NotFound);
    refused(service.remove("d").await, ErrorKind::NotFound);
    service.remove("c").await.unwrap();
    refused(service.show("c").await, ErrorKind::NotFound);
    let mut anew = service.open("c").await.unwrap();
    anew.save(position(&own, 1).await).await.unwrap();
    assert_eq!(service.show("c").await.unwrap().lag, Some(1));
}

pub async fn wrong_cursors_are_refused_by_field(js: Arc<dyn JetStream>) {
    let own = with_events(js, 1).await;
    let service = cursors(&own);
    for name in ["", "a.b", "a b", ">"] {
        invalid(service.open(name).await.map(drop), "cursor");
        invalid(service.show(name).await, "cursor");
        invalid(service.set(name, CursorStart::End).await, "cursor");
        invalid(service.remove(name).await, "cursor");
    }
    let bucket = kv(&own).ensure_bucket(BucketConfig::new("naq_cursors")).await.unwrap();
    bucket.put(&format!("{}.c", own.name), "no cursor").await.unwrap();
    refused(service.open("c").await.map(drop), ErrorKind::Corrupt);
    own.js.delete_stream(&own.name).await.unwrap();
    refused(service.set("d", CursorStart::End).await, ErrorKind::NotFound);
}
