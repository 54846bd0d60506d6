//! Fetching many messages at once.

use std::sync::Arc;

use naq_core::jetstream::{
    Consistency, GetMessages, JetStream, PublishMessage, StoredMessage, WhichMany,
};
use naq_core::{ErrorKind, Result};

use super::support::{Own, collect, invalid, refused, sequences};
use crate::names;

impl Own {
    async fn get_many(&self, which: WhichMany) -> Vec<Result<StoredMessage>> {
        collect(self.js.get_messages(&self.name, GetMessages::new(which))).await
    }

    async fn get_all(&self, which: WhichMany) -> Vec<StoredMessage> {
        self.get_many(which).await.into_iter().map(Result::unwrap).collect()
    }

    fn lasts(&self, tails: &[&str]) -> WhichMany {
        WhichMany::LastBySubjects(tails.iter().map(|tail| self.subject(tail)).collect())
    }
}

const fn from(sequence: u64, limit: u64) -> WhichMany {
    WhichMany::From { sequence, subject: None, limit }
}

/// What was found, `None` for what was not.
#[track_caller]
fn found(results: Vec<Result<StoredMessage>>) -> Vec<Option<u64>> {
    let one = |result: Result<StoredMessage>| match result {
        Ok(message) => Some(message.sequence),
        Err(error) => {
            refused::<()>(Err(error), ErrorKind::NotFound);
            None
        }
    };
    results.into_iter().map(one).collect()
}

pub async fn sequences_are_answered_as_they_were_asked(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a", "b"]).await;
    own.js.delete_message(&own.name, 2).await.unwrap();
    let results = own.get_many(WhichMany::Sequences(vec![4, 2, 1, 9, 1, 3])).await;
    assert_eq!(found(results), [Some(4), None, Some(1), None, Some(1), Some(3)]);
    assert!(own.get_many(WhichMany::Sequences(Vec::new())).await.is_empty());
}

pub async fn many_sequences_are_answered(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_many("a", 2_500).await;
    let want: Vec<_> = (1..=2_500).rev().collect();
    let got = own.get_all(WhichMany::Sequences(want.clone())).await;
    assert_eq!(sequences(&got), want);
}

pub async fn the_last_of_each_subject_is_answered_as_it_was_asked(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a", "c"]).await;
    let results = own.get_many(own.lasts(&["c", "none", "a", "b"])).await;
    assert_eq!(found(results), [Some(4), None, Some(3), Some(2)]);
    assert!(own.get_many(own.lasts(&[])).await.is_empty());
}

/// The server answers for 1,024 subjects at most in one request.
pub async fn the_last_of_more_subjects_than_one_request_can_name(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| config.with_allow_direct(true)).await;
    let subjects: Vec<_> = (0..1_100).map(|n| own.subject(&format!("s.{n}"))).collect();
    let messages =
        subjects.iter().map(|subject| PublishMessage::new(subject.as_str(), "x")).collect();
    for ack in own.publish_many(messages).await {
        ack.unwrap();
    }
    let got = own.get_all(WhichMany::LastBySubjects(subjects)).await;
    assert_eq!(sequences(&got), (1..=1_100).collect::<Vec<_>>());
}

pub async fn the_first_ones_from_a_sequence_on(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a", "b", "a"]).await;
    own.js.delete_message(&own.name, 3).await.unwrap();
    let got = async |which| sequences(&own.get_all(which).await);
    assert_eq!(got(from(0, 2)).await, [1, 2]);
    assert_eq!(got(from(2, 2)).await, [2, 4]);
    assert_eq!(got(from(3, 100)).await, [4, 5]);
    assert_eq!(got(from(6, 100)).await, [0; 0]);
    let filtered = |tail, sequence, limit| WhichMany::From {
        sequence,
        subject: Some(own.subject(tail)),
        limit,
    };
    assert_eq!(got(filtered("a", 1, 100)).await, [1, 5]);
    assert_eq!(got(filtered("b", 1, 1)).await, [2]);
    assert_eq!(got(filtered("*", 2, 2)).await, [2, 4]);
    assert_eq!(got(filtered("none", 1, 100)).await, [0; 0]);
}

/// Where there are batches, each gives 1,000 messages. Elsewhere, and from the leader, each
/// message is a round trip.
pub async fn more_from_a_sequence_on_than_one_request_gives(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| config.with_allow_direct(true)).await;
    own.store_many("a", 1_200).await;
    for (consistency, limit) in [(Consistency::Leader, 50), (Consistency::Any, 1_050)] {
        let request = GetMessages::new(from(101, limit)).with_consistency(consistency);
        let got: Vec<_> = collect(own.js.get_messages(&own.name, request))
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(sequences(&got), (101..=100 + limit).collect::<Vec<_>>(), "{consistency:?}");
    }
}

pub async fn an_empty_stream_has_nothing_from_any_sequence(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    assert!(own.get_all(from(1, 10)).await.is_empty());
}

pub async fn who_answers_for_many_makes_no_difference_on_one_server(js: Arc<dyn JetStream>) {
    let direct = Own::with(Arc::clone(&js), |config| config.with_allow_direct(true)).await;
    let leader_only = Own::new(js).await;
    for own in [direct, leader_only] {
        own.store_all(["a", "b", "a"]).await;
        let whiches =
            [WhichMany::Sequences(vec![3, 9, 1]), own.lasts(&["b", "none", "a"]), from(1, 10)];
        for which in whiches {
            let by = async |consistency| {
                let request = GetMessages::new(which.clone()).with_consistency(consistency);
                let results = collect(own.js.get_messages(&own.name, request)).await;
                results.into_iter().map(Result::ok).collect::<Vec<_>>()
            };
            assert_eq!(by(Consistency::Leader).await, by(Consistency::Any).await, "{which:?}");
        }
    }
}

pub async fn a_request_for_many_that_makes_no_sense_is_refused(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store("a", "x").await;
    let refusal = async |which| {
        let mut results = own.get_many(which).await;
        assert_eq!(results.len(), 1, "an error ends the answer");
        results.remove(0)
    };
    invalid(refusal(own.lasts(&["a", "*"])).await, "subject");
    invalid(refusal(own.lasts(&["a..b"])).await, "subject");
    invalid(refusal(from(1, 0)).await, "limit");
    let subject = Some(own.subject("a..b"));
    invalid(refusal(WhichMany::From { sequence: 1, subject, limit: 1 }).await, "subject");
}

pub async fn many_messages_of_a_stream_that_is_not_there_are_not_found(js: Arc<dyn JetStream>) {
    let name = names::unique("nobody");
    for which in [from(1, 10), WhichMany::Sequences(vec![1, 2])] {
        for consistency in [Consistency::Leader, Consistency::Any] {
            let request = GetMessages::new(which.clone()).with_consistency(consistency);
            let mut results = collect(js.get_messages(&name, request)).await;
            let error = refused(results.remove(0), ErrorKind::NotFound);
            assert_eq!(error.get("stream"), Some(name.as_str()), "{error:?}");
        }
    }
}
