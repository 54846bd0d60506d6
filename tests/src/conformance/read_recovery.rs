//! What a read says of what it missed, and of a stream that went away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use naq_core::ErrorKind;
use naq_core::jetstream::{
    JetStream, PublishMessage, PurgeKeep, PurgeOptions, ReadOptions, ReadStart, ReadUntil,
    StreamConfig,
};

use super::support::Seen::{CaughtUp, Gap, Message};
use super::support::{Own, PATIENCE, Reading, Seen, invalid};
use crate::{names, wait};

/// A reader notices within this time that its stream went away.
const NOTICED: Duration = Duration::from_secs(15);

fn to_head() -> ReadOptions {
    ReadOptions::default().with_until(ReadUntil::Head)
}

fn from(sequence: u64) -> ReadOptions {
    to_head().with_start(ReadStart::Sequence(sequence))
}

async fn purge_below(own: &Own, sequence: u64) {
    let keep = PurgeOptions::default().with_keep(PurgeKeep::FromSequence(sequence));
    own.js.purge_stream(&own.name, keep).await.unwrap();
}

pub async fn what_the_stream_let_go_before_a_sequence_was_read_is_a_gap(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a", "b", "a"]).await;
    purge_below(&own, 4).await;
    assert_eq!(own.read_all(from(2)).await, [Gap(2, 3), Message(4), Message(5), CaughtUp(5)]);
    assert_eq!(own.read_all(from(4)).await, [Message(4), Message(5), CaughtUp(5)]);
    let only_a = from(1).with_subject(own.subject("a"));
    assert_eq!(own.read_all(only_a).await, [Gap(1, 3), Message(5), CaughtUp(5)]);
}

pub async fn a_read_from_the_beginning_has_no_gap(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| config.with_max_messages(2)).await;
    own.store_all(["a", "b", "a", "b"]).await;
    assert_eq!(own.read_all(to_head()).await, [Message(3), Message(4), CaughtUp(4)]);
}

pub async fn what_a_limit_let_go_is_a_gap(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| config.with_max_messages(2)).await;
    own.store_all(["a", "b", "a", "b"]).await;
    assert_eq!(own.read_all(from(1)).await, [Gap(1, 2), Message(3), Message(4), CaughtUp(4)]);
}

pub async fn a_stream_purged_whole_is_a_gap_up_to_its_last_sequence(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a"]).await;
    own.js.purge_stream(&own.name, PurgeOptions::default()).await.unwrap();
    assert_eq!(own.read_all(from(2)).await, [Gap(2, 3), CaughtUp(3)]);
    assert_eq!(own.read_all(from(4)).await, [CaughtUp(3)]);
}

pub async fn holes_behind_the_first_sequence_are_no_gaps(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a", "b", "a", "c"]).await;
    own.js.delete_message(&own.name, 3).await.unwrap();
    let only_b = PurgeOptions::default().with_subject(own.subject("b"));
    own.js.purge_stream(&own.name, only_b).await.unwrap();
    assert_eq!(own.read_all(from(1)).await, [Message(1), Message(5), Message(6), CaughtUp(6)]);
    assert_eq!(own.read_all(from(2)).await, [Message(5), Message(6), CaughtUp(6)]);
}

/// The server doesn't tell a purge by subject of the head from any other.
pub async fn a_purge_of_the_heads_subject_is_a_gap(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "a", "b", "a", "b"]).await;
    let only_a = PurgeOptions::default().with_subject(own.subject("a"));
    own.js.purge_stream(&own.name, only_a).await.unwrap();
    assert_eq!(own.read_all(from(1)).await, [Gap(1, 2), Message(3), Message(5), CaughtUp(5)]);
}

pub async fn a_reader_that_the_stream_passes_is_told_the_gap(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    // More than a reader fetches ahead.
    let count: u64 = 400;
    let large = vec![b'x'; 256 * 1024];
    let messages =
        (0..count).map(|_| PublishMessage::new(own.subject("a"), large.clone())).collect();
    for ack in own.publish_many(messages).await {
        ack.unwrap();
    }
    let mut reading = own.read(to_head());
    assert_eq!(reading.next().await, Message(1));
    purge_below(&own, count).await;

    let mut position = 1;
    let mut gaps = 0;
    for seen in reading.rest().await {
        match seen {
            Message(sequence) => {
                assert_eq!(sequence, position + 1, "a message missing without a gap");
                position = sequence;
            }
            Gap(from, to) => {
                assert_eq!((from, to), (position + 1, count - 1));
                position = to;
                gaps += 1;
            }
            CaughtUp(sequence) => assert_eq!(sequence, count),
            other @ Seen::Resumed(_) => panic!("{other:?}"),
        }
    }
    assert_eq!((position, gaps), (count, 1));
}

pub async fn what_was_examined_is_no_gap_when_it_goes(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a"]).await;
    let mut reading = own.read(ReadOptions::default());
    for want in [Message(1), Message(2), Message(3), CaughtUp(3)] {
        assert_eq!(reading.next().await, want);
    }
    own.js.purge_stream(&own.name, PurgeOptions::default()).await.unwrap();
    own.store("a", "next").await;
    assert_eq!(reading.next().await, Message(4));
}

pub async fn a_reader_that_never_rests_is_caught_up_once(js: Arc<dyn JetStream>) {
    let own = Arc::new(Own::new(js).await);
    own.store_all(["a", "b"]).await;
    let writer = {
        let own = Arc::clone(&own);
        tokio::spawn(async move {
            loop {
                own.store("a", "more").await;
                // So that it can be aborted where storing never waits.
                tokio::task::yield_now().await;
            }
        })
    };
    wait::until("a busy stream", PATIENCE, async || own.state().await.last_sequence > 10).await;
    let mut reading = own.read(ReadOptions::default());
    let caught_up = loop {
        if let CaughtUp(sequence) = reading.next().await {
            break sequence;
        }
    };
    assert!(caught_up > 10);
    for _ in 0..300 {
        assert!(matches!(reading.next().await, Message(_)), "once is enough");
    }
    writer.abort();
}

pub async fn a_stream_that_is_not_there_can_not_be_read(js: Arc<dyn JetStream>) {
    let name = names::unique("nobody");
    let error = Reading(js.read(&name, to_head())).error().await;
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    assert_eq!(error.get("stream"), Some(name.as_str()), "{error:?}");
    let error = Reading(js.read("a.b", to_head())).error().await;
    invalid::<()>(Err(error), "stream");
}

pub async fn a_stream_deleted_under_a_reader_is_not_found(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store("a", "x").await;
    let mut reading = own.read(ReadOptions::default());
    assert_eq!(reading.next().await, Message(1));
    assert_eq!(reading.next().await, CaughtUp(1));
    own.js.delete_stream(&own.name).await.unwrap();
    let start = Instant::now();
    let error = reading.error().await;
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    assert!(start.elapsed() < NOTICED, "noticed after {:?}", start.elapsed());
}

pub async fn a_stream_made_anew_under_a_reader_is_a_conflict(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store("a", "x").await;
    let mut reading = own.read(ReadOptions::default());
    assert_eq!(reading.next().await, Message(1));
    assert_eq!(reading.next().await, CaughtUp(1));
    own.js.delete_stream(&own.name).await.unwrap();
    let config = StreamConfig::new(&own.name, [own.subject(">")]);
    own.js.create_stream(config).await.unwrap();
    own.store("a", "of another stream").await;
    let start = Instant::now();
    let error = reading.error().await;
    // Noticed between the two steps, it was simply gone.
    assert!(matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound), "{error:?}");
    assert!(start.elapsed() < NOTICED, "noticed after {:?}", start.elapsed());
}

pub async fn a_read_of_a_stream_made_anew_is_a_conflict(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store("a", "x").await;
    let created = own.info().await.created;
    let meant = to_head().with_created(created);
    assert_eq!(own.read_all(meant.clone()).await, [Message(1), CaughtUp(1)]);
    own.js.delete_stream(&own.name).await.unwrap();
    let config = StreamConfig::new(&own.name, [own.subject(">")]);
    own.js.create_stream(config).await.unwrap();
    own.store("a", "of another stream").await;
    let error = own.read(meant).error().await;
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
    assert_eq!(error.get("stream"), Some(own.name.as_str()), "{error:?}");
}

pub async fn a_dropped_read_leaves_nothing_on_the_server(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b"]).await;
    let mut readings = [own.read(ReadOptions::default()), own.read(ReadOptions::default())];
    for reading in &mut readings {
        assert_eq!(reading.next().await, Message(1));
    }
    drop(readings);
    assert_eq!(own.read_all(to_head()).await.len(), 3);
    wait::until("the consumers to go", PATIENCE, async || own.state().await.consumers == 0).await;
}

pub async fn readers_do_not_take_messages_from_one_another(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b"]).await;
    let (mut one, mut two) = (own.read(ReadOptions::default()), own.read(ReadOptions::default()));
    for reading in [&mut one, &mut two] {
        for want in [Message(1), Message(2), CaughtUp(2)] {
            assert_eq!(reading.next().await, want);
        }
    }
    own.store("a", "3").await;
    assert_eq!(one.next().await, Message(3));
    assert_eq!(two.next().await, Message(3));
}
