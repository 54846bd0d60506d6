//! What a fetch makes of what it brings.

use std::future::ready;
use std::sync::Arc;

use naq_core::config::EventsConfig;
use naq_core::events::Position;
use naq_core::jetstream::{AckToken, Acknowledge, ConsumerMessage, MockJetStream, StoredMessage};
use naq_core::{Error, ErrorKind, Timestamp};

use super::super::dead::{DeadCause, DeadLetter, DeadStreams};
use super::super::handler::{Outcome, Reaction};
use super::*;

fn delivery(message: StoredMessage) -> ConsumerMessage {
    let token = AckToken::new(message.sequence.to_string());
    ConsumerMessage { message, deliveries: 1, pending: 0, token }
}

/// A replay as naq writes it, and a message of somebody else's before it.
fn deliveries(dead: &DeadStreams) -> Vec<ConsumerMessage> {
    let letter = DeadLetter {
        sequence: 1,
        group: "g".into(),
        cause: DeadCause::Rejected,
        reason: String::new(),
        tries: 1,
        died_at: Timestamp::default(),
        stored_at: Timestamp::default(),
        subject: "events.x".into(),
        position: Position::new(Timestamp::default(), 7),
        payload: "{}".into(),
        is_kept: true,
    };
    let replay = dead.replay_message(&letter);
    let stored = |sequence, headers, payload| StoredMessage {
        subject: replay.subject.to_string(),
        sequence,
        stored_at: Timestamp::default(),
        headers,
        payload,
    };
    let foreign = stored(1, Default::default(), "x".into());
    vec![delivery(foreign), delivery(stored(2, replay.headers.clone(), replay.payload.clone()))]
}

#[tokio::test]
async fn a_foreign_message_that_can_not_be_ended_costs_no_replay() {
    let dead = DeadStreams::of(&EventsConfig::default());
    let brought = deliveries(&dead);
    let mut jetstream = MockJetStream::new();
    jetstream.expect_fetch().once().return_once(move |_, _, _| Ok(brought));
    jetstream
        .expect_acknowledge()
        .once()
        .withf(|token, answer| {
            token.as_str() == "1" && matches!(answer, Acknowledge::Terminate { .. })
        })
        .returning(|_, _| Err(Error::new(ErrorKind::Unavailable, "acknowledge", "cut off")));
    let dispatcher = Arc::new(Dispatcher::of_tests(jetstream, |_: Reaction| ready(Outcome::Done)));
    let stream = "events_replay".to_owned();
    let (group, source) = (Arc::from("g"), Source::Replay);
    let origin = Origin { dispatcher: Arc::clone(&dispatcher), group, stream, source, in_hand: 8 };
    let works = origin.fetch(8).await.unwrap();
    let sequences: Vec<_> = works.iter().map(|work| work.position.sequence).collect();
    assert_eq!((sequences, dispatcher.hand.len()), (vec![7], 1));
}
