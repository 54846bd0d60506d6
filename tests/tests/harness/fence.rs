//! A writer that sends again without a fence is caught, on a real server's fast ingest.

use async_nats::{Client, Subscriber};
use naq_tests::ledger::{Book, Case, Line, Readings};
use serde_json::Value;

use super::ledger::{EVENTS, broken, found, stamp};
use super::*;

/// How many events are stored when the connection seems to be lost.
const STORED: u64 = 3;

/// One connection's words about a batch: numbers from 1 on, and answers to an inbox.
struct Sender {
    client: Client,
    inbox: String,
    answers: Subscriber,
    subject: String,
}

impl Sender {
    async fn new(client: Client, stream: &str) -> Self {
        let inbox = client.new_inbox();
        let answers = client.subscribe(format!("{inbox}.>")).await.unwrap();
        Self { client, inbox, answers, subject: format!("{stream}.{}", stamp(0).job) }
    }

    async fn say(&self, number: u64, operation: u8, payload: impl Into<bytes::Bytes>) {
        let reply = format!("{}.b.500.fail.{number}.{operation}.$FI", self.inbox);
        let subject = self.subject.clone();
        self.client.publish_with_reply(subject, reply, payload.into()).await.unwrap();
        self.client.flush().await.unwrap();
    }

    /// Sends event `n` of the batch.
    async fn send(&self, n: u64) {
        let operation = u8::from(n > 0);
        self.say(n + 1, operation, found(0, &stamp(n)).payload).await;
    }

    /// Ends the batch; answers how many of it are stored, if the server knows it.
    async fn end(&mut self, number: u64) -> Option<u64> {
        self.say(number, 3, "").await;
        let answer = async {
            loop {
                let answer = self.answers.next().await.unwrap();
                let body: Value = serde_json::from_slice(&answer.payload).unwrap();
                let is_end = answer.subject.ends_with(&format!(".{number}.3.$FI"));
                // A gap is told first.
                if is_end && (body["count"].is_u64() || body["error"].is_object()) {
                    return body["count"].as_u64();
                }
            }
        };
        wait::within("the answer to a batch's end", DEADLINE, answer).await
    }
}

/// A writer loses its connection in the middle of a batch and sends the rest
/// again over another one; then what the first one had sent arrives.
async fn play(fences: bool) -> Case {
    let server = shared().await;
    let js = jetstream::new(server.client().await);
    let name = names::unique("fence");
    let config = jetstream::stream::Config {
        name: name.clone(),
        subjects: vec![format!("{name}.>")],
        allow_direct: true,
        allow_batch_publish: true,
        ..Default::default()
    };
    js.create_stream(config).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let book = Book::open(&folder.path().join("ledger"));
    for n in 0..EVENTS {
        book.write(&Line::offered(&stamp(n)));
        book.write(&Line::Accepted { id: stamp(n).id() });
    }
    let mut old = Sender::new(server.client().await, &name).await;
    for n in 0..STORED {
        old.send(n).await;
    }
    let observer = server.client().await;
    wait::until("the first to be stored", DEADLINE, async || {
        stored(&observer, &name).await == STORED
    })
    .await;
    let mut new = Sender::new(server.client().await, &name).await;
    let prefix = match fences {
        true => new.end(EVENTS + 1).await.unwrap(),
        false => stored(&observer, &name).await,
    };
    for n in prefix..EVENTS {
        let subject = new.subject.clone();
        js.publish(subject, found(0, &stamp(n)).payload).await.unwrap().await.unwrap();
    }
    for n in STORED..EVENTS {
        old.send(n).await;
    }
    let known = old.end(EVENTS + 1).await;
    assert_eq!(known, (!fences).then_some(EVENTS), "a fenced batch is known no more");
    for n in 0..EVENTS {
        book.write(&Line::Acked { id: stamp(n).id(), sequence: None });
    }
    let readings = Readings::of(&observer, &name).await;
    Case { history: book.history(), readings, ..Case::default() }
}

#[tokio::test]
async fn who_sends_again_without_a_fence_is_caught_and_who_fences_is_not() {
    assert_eq!(broken(&play(true).await), [].into());
    assert!(broken(&play(false).await).contains("nothing_is_stored_twice"));
}
