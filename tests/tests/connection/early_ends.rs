//! A server that says "no messages" though there are: no read ends short.

use std::sync::{Arc, Mutex};

use futures::StreamExt;
use naq_core::jetstream::{Delivery, JetStream, ReadOptions, ReadUntil};
use naq_tests::wait;
use serde_json::{Value, json};

use crate::fake::{Answer, FakeServer};
use crate::{PATIENCE, connect_to, quick};

/// How many messages the stream has.
const MESSAGES: u64 = 5;
const EMPTY: Answer = Answer::Status("404 No Messages");

/// A stream of five messages, and a consumer at a time.
#[derive(Debug, Default)]
struct Stream {
    /// The sequence that the consumer delivers next.
    next: u64,
    delivered: u64,
    consumers: usize,
    pulls: usize,
}

impl Stream {
    fn made(&mut self, request: &[u8], pending: impl Fn(&Self) -> u64) -> Answer {
        let request: Value = serde_json::from_slice(request).unwrap();
        self.next = request["config"]["opt_start_seq"].as_u64().unwrap_or(1);
        (self.delivered, self.pulls) = (0, 0);
        self.consumers += 1;
        Answer::Payload(json!({ "num_pending": pending(self) }).to_string())
    }

    /// The next so many messages, and that there are no more.
    fn give(&mut self, messages: u64) -> Vec<Answer> {
        let mut answers = Vec::new();
        let behind = (self.next + messages).min(MESSAGES + 1);
        for sequence in self.next..behind {
            self.delivered += 1;
            let (delivered, pending) = (self.delivered, MESSAGES - sequence);
            answers.push(Answer::Delivery {
                subject: "s.1".to_owned(),
                ack_subject: format!("$JS.ACK.S.C.1.{sequence}.{delivered}.1000000000.{pending}"),
                payload: sequence.to_string(),
            });
        }
        self.next = behind;
        answers.push(EMPTY);
        answers
    }
}

/// A server with the stream, whose pulls are answered by `pulled`.
async fn serve(
    pulled: impl Fn(&mut Stream) -> Vec<Answer> + Send + Sync + 'static,
    pending: impl Fn(&Stream) -> u64 + Send + Sync + 'static,
) -> (FakeServer, Arc<Mutex<Stream>>) {
    let stream = Arc::new(Mutex::new(Stream::default()));
    let shared = Arc::clone(&stream);
    let answers = move |subject: &str, payload: &[u8]| {
        let mut stream = shared.lock().unwrap();
        match subject.strip_prefix("$JS.API.").unwrap_or_default() {
            "STREAM.INFO.S" => vec![Answer::Payload(info())],
            creating if creating.starts_with("CONSUMER.CREATE.S.") => {
                vec![stream.made(payload, &pending)]
            }
            pull if pull.starts_with("CONSUMER.MSG.NEXT.S.") => {
                stream.pulls += 1;
                pulled(&mut stream)
            }
            _ => Vec::new(),
        }
    };
    (FakeServer::answering("2.15.1", Arc::new(answers)).await, stream)
}

fn info() -> String {
    json!({
        "config": { "name": "S", "subjects": ["s.>"], "retention": "limits", "storage": "file" },
        "created": "2026-01-02T03:04:05Z",
        "state": {
            "messages": MESSAGES, "bytes": 100, "first_seq": 1, "last_seq": MESSAGES,
            "first_ts": "2026-01-02T03:04:05Z", "last_ts": "2026-01-02T03:04:05Z",
        },
    })
    .to_string()
}

async fn jetstream(server: &FakeServer) -> Arc<dyn JetStream> {
    connect_to(&server.url(), quick()).await.jetstream()
}

/// Reads to the head: the sequences, and those at which it was caught up.
async fn read(server: &FakeServer) -> (Vec<u64>, Vec<u64>) {
    let jetstream = jetstream(server).await;
    let mut reading = jetstream.read("S", ReadOptions::default().with_until(ReadUntil::Head));
    let (mut sequences, mut caught_up) = (Vec::new(), Vec::new());
    while let Some(delivery) = wait::within("a delivery", PATIENCE, reading.next()).await {
        match delivery.unwrap() {
            Delivery::Message(message) => sequences.push(message.sequence),
            Delivery::CaughtUp { sequence } => caught_up.push(sequence),
            other => panic!("{other:?}"),
        }
    }
    (sequences, caught_up)
}

#[tokio::test]
async fn a_pull_that_ends_early_is_asked_for_more() {
    let pulled = |stream: &mut Stream| match stream.pulls {
        1 => stream.give(2),
        _ => stream.give(MESSAGES),
    };
    let (server, stream) = serve(pulled, |_| MESSAGES).await;
    assert_eq!(read(&server).await, (vec![1, 2, 3, 4, 5], vec![5]));
    assert_eq!(stream.lock().unwrap().consumers, 1);
}

#[tokio::test]
async fn a_consumer_that_gives_no_more_is_replaced_behind_what_it_gave() {
    let pulled = |stream: &mut Stream| match (stream.consumers, stream.pulls) {
        (1, 1) => stream.give(2),
        (1, _) => vec![EMPTY],
        _ => stream.give(MESSAGES),
    };
    let (server, _) = serve(pulled, |_| MESSAGES).await;
    assert_eq!(read(&server).await, (vec![1, 2, 3, 4, 5], vec![5]));
}

#[tokio::test]
async fn what_went_meanwhile_is_not_waited_for() {
    let pulled = |stream: &mut Stream| match (stream.consumers, stream.pulls) {
        (1, 1) => stream.give(2),
        _ => vec![EMPTY],
    };
    let pending = |stream: &Stream| if stream.consumers == 1 { MESSAGES } else { 0 };
    let (server, _) = serve(pulled, pending).await;
    assert_eq!(read(&server).await, (vec![1, 2], vec![5]));
}

#[tokio::test]
async fn a_server_that_never_gives_what_it_says_it_has_is_not_believed() {
    let (server, stream) = serve(|_| vec![EMPTY], |_| MESSAGES).await;
    let jetstream = jetstream(&server).await;
    let mut reading = jetstream.read("S", ReadOptions::default().with_until(ReadUntil::Head));
    let tries =
        wait::until("some consumers", PATIENCE, async || stream.lock().unwrap().consumers > 3);
    tokio::select! {
        ended = reading.next() => panic!("{ended:?}"),
        () = tries => {}
    }
}
