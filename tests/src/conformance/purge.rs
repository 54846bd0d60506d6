//! Purging, and removing single messages.

use std::sync::Arc;

use naq_core::ErrorKind;
use naq_core::jetstream::{JetStream, JetStreamExt, PurgeKeep, PurgeOptions};

use super::support::{Own, invalid, refused};

impl Own {
    async fn purge(&self, options: PurgeOptions) -> u64 {
        self.js.purge_stream(&self.name, options).await.unwrap()
    }
}

fn keeping(keep: PurgeKeep) -> PurgeOptions {
    PurgeOptions::default().with_keep(keep)
}

pub async fn a_purge_of_all_leaves_an_empty_stream_that_counts_on(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a"]).await;
    assert_eq!(own.purge(PurgeOptions::default()).await, 3);
    let state = own.state().await;
    assert_eq!((state.messages, state.bytes, state.num_subjects), (0, 0, 0));
    assert_eq!((state.first_sequence, state.last_sequence, state.num_deleted), (4, 3, 0));
    assert_eq!(own.purge(PurgeOptions::default()).await, 0);
    assert_eq!(own.store("a", "x").await, 4);
}

pub async fn a_purge_by_subject_leaves_the_others(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a", "b.c", "a"]).await;
    let only = |tail| PurgeOptions::default().with_subject(own.subject(tail));
    assert_eq!(own.purge(only("b")).await, 1);
    assert_eq!(own.sequences().await, [1, 3, 4, 5]);
    assert_eq!(own.purge(only("b.*")).await, 1);
    assert_eq!(own.sequences().await, [1, 3, 5]);
    assert_eq!(own.purge(only("nothing")).await, 0);
    assert_eq!(own.state().await.num_deleted, 2);
    assert_eq!(own.purge(only(">")).await, 3);
    assert_eq!(own.state().await.messages, 0);
}

pub async fn a_purge_of_the_heads_subject_moves_the_first_sequence(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "a", "b", "a", "b"]).await;
    let only_a = PurgeOptions::default().with_subject(own.subject("a"));
    assert_eq!(own.purge(only_a).await, 3);
    let state = own.state().await;
    assert_eq!((state.first_sequence, state.last_sequence, state.num_deleted), (3, 5, 1));
}

pub async fn a_purge_keeps_the_newest(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a", "b", "a"]).await;
    assert_eq!(own.purge(keeping(PurgeKeep::Newest(9))).await, 0);
    assert_eq!(own.purge(keeping(PurgeKeep::Newest(3))).await, 2);
    assert_eq!(own.sequences().await, [3, 4, 5]);
}

pub async fn a_purge_by_subject_keeps_the_newest_of_it(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a", "b", "a"]).await;
    let options = keeping(PurgeKeep::Newest(1)).with_subject(own.subject("a"));
    assert_eq!(own.purge(options).await, 2);
    assert_eq!(own.sequences().await, [2, 4, 5]);
}

pub async fn keeping_the_newest_none_purges_all(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b"]).await;
    assert_eq!(own.purge(keeping(PurgeKeep::Newest(0))).await, 2);
}

pub async fn a_purge_goes_up_to_a_sequence(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a", "b", "a"]).await;
    assert_eq!(own.purge(keeping(PurgeKeep::FromSequence(3))).await, 2);
    assert_eq!(own.sequences().await, [3, 4, 5]);
    assert_eq!(own.purge(keeping(PurgeKeep::FromSequence(2))).await, 0);
    assert_eq!(own.sequences().await, [3, 4, 5]);
}

pub async fn a_purge_by_subject_goes_up_to_a_sequence(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a", "b", "a"]).await;
    let options = keeping(PurgeKeep::FromSequence(4)).with_subject(own.subject("a"));
    assert_eq!(own.purge(options).await, 2);
    assert_eq!(own.sequences().await, [2, 4, 5]);
}

/// Servers before 2.14 take 1, and all of them 0, for "keep nothing".
pub async fn a_purge_up_to_the_first_sequence_removes_nothing(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a"]).await;
    for sequence in [0, 1] {
        let keep = keeping(PurgeKeep::FromSequence(sequence));
        assert_eq!(own.purge(keep.clone()).await, 0, "{sequence}");
        assert_eq!(own.purge(keep.with_subject(own.subject("a"))).await, 0, "{sequence}");
        assert_eq!(own.sequences().await, [1, 2, 3], "{sequence}");
    }
}

pub async fn a_purge_up_to_a_sequence_behind_the_last_removes_all(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a"]).await;
    assert_eq!(own.purge(keeping(PurgeKeep::FromSequence(4))).await, 3);
    let state = own.state().await;
    assert_eq!((state.messages, state.last_sequence), (0, 3));
    assert_eq!(own.store("a", "x").await, 4);
}

pub async fn a_purge_by_something_that_is_no_filter_is_refused(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store("a", "x").await;
    for filter in ["", "a..b", ">.a", "a b"] {
        let options = PurgeOptions::default().with_subject(filter);
        invalid(own.js.purge_stream(&own.name, options).await, "subject");
    }
    assert_eq!(own.sequences().await, [1]);
}

pub async fn a_deleted_message_leaves_a_hole(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a"]).await;
    own.js.delete_message(&own.name, 2).await.unwrap();
    assert_eq!(own.sequences().await, [1, 3]);
    assert_eq!(own.js.find_sequence(&own.name, 2).await.unwrap(), None);
    let state = own.state().await;
    assert_eq!((state.messages, state.num_deleted, state.num_subjects), (2, 1, 1));
}

pub async fn the_first_message_deleted_moves_the_first_sequence(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a"]).await;
    own.js.delete_message(&own.name, 2).await.unwrap();
    own.js.delete_message(&own.name, 1).await.unwrap();
    let state = own.state().await;
    assert_eq!((state.first_sequence, state.last_sequence, state.num_deleted), (3, 3, 0));
}

pub async fn the_last_message_deleted_leaves_the_last_sequence(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b"]).await;
    own.js.delete_message(&own.name, 2).await.unwrap();
    assert_eq!(own.state().await.last_sequence, 2);
    assert_eq!(own.store("a", "x").await, 3);
}

pub async fn a_message_that_is_not_there_can_not_be_deleted(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b"]).await;
    own.js.delete_message(&own.name, 1).await.unwrap();
    for sequence in [1, 3, 99] {
        let error = refused(own.js.delete_message(&own.name, sequence).await, ErrorKind::NotFound);
        assert_eq!(error.get("sequence"), Some(sequence.to_string().as_str()), "{error:?}");
    }
    assert_eq!(own.sequences().await, [2]);
}
