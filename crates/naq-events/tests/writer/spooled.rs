//! Events of the spool against a server that the test plays.

use std::path::Path;
use std::sync::Arc;

use futures::StreamExt;
use naq_core::clock::ManualClock;
use naq_core::config::SpoolConfig;
use naq_core::events::{EventEncoder, EventSubjects};
use naq_core::jetstream::{MockJetStream, StreamConfig, StreamInfo, StreamState};
use naq_core::{Error, Timestamp};
use naq_events::spool::{SentContext, Spool, SpoolEntry, SpoolOptions};

use super::support::{SECOND, Server, assume, eventually, old_server, service};
use naq_events::prelude::*;

/// When the stream was made that the events were sent to.
const CREATED: Timestamp = Timestamp::from_nanos(9);

/// Leaves events in a spool that were sent long ago.
async fn leave_in_doubt(dir: &Path, jobs: &[&str]) {
    let (spool, _) = Spool::open(dir, SpoolOptions::default()).await.unwrap();
    let encoder = EventEncoder::new(EventSubjects::default());
    let sent_at = Timestamp::from_nanos(10);
    let sent = SentContext { stream_created: CREATED, last_sequence: 70, sent_at };
    let entry = |job: &&str| {
        let event = encoder.encode(&Event::job_paused(*job), sent_at).unwrap();
        SpoolEntry::new(event, sent_at).in_doubt(sent)
    };
    spool.try_append(jobs.iter().map(entry).collect()).unwrap().await.unwrap();
    spool.close().await.unwrap();
}

#[tokio::test]
async fn where_reading_is_denied_what_is_in_doubt_is_sent_and_counted_as_a_possible_duplicate() {
    let dir = tempfile::tempdir().unwrap();
    leave_in_doubt(dir.path(), &["a", "b", "c"]).await;
    let mut jetstream = MockJetStream::new();
    old_server(&mut jetstream);
    jetstream.expect_stream_info().returning(|_| {
        let mut state = StreamState::default();
        (state.first_sequence, state.last_sequence) = (1, 80);
        Ok(StreamInfo::new(StreamConfig::new("events", ["events.>"]), state, CREATED))
    });
    jetstream.expect_read().returning(|_, _| {
        let denied = Error::new(ErrorKind::PermissionDenied, "read", "as the test wants it");
        futures::stream::iter([Err(denied)]).boxed()
    });
    let (mut server, jetstream) = Server::on(jetstream);
    let config = assume().with_spool(SpoolConfig::in_folder(dir.path()));
    let service: Arc<EventService> = service(jetstream, &ManualClock::new(), config);
    service.start().await.unwrap();
    let mut session = server.session().await;
    assert_eq!(session.jobs(3).await, ["a", "b", "c"]);
    for _ in 0..3 {
        session.store();
    }
    eventually("all is stored", || service.counters().acked == 3).await;
    let counters = service.counters();
    assert_eq!((counters.recovered, counters.possible_duplicates), (3, 3), "{counters:?}");
    assert_eq!(counters.retried, 3, "they were sent by the program before");
    service.stop(SECOND).await.unwrap();
}
