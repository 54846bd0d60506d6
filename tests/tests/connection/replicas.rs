//! A replica that lags behind its leader says "no messages" of what itself has: no read believes it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use naq_core::jetstream::{Delivery, JetStream, ReadOptions, ReadStart, ReadUntil};
use naq_tests::wait;
use serde_json::{Value, json};

use crate::fake::{Answer, FakeServer};
use crate::{PATIENCE, connect_to, quick};

/// How many messages the leader has stored.
const MESSAGES: u64 = 5;
const LEADER: &str = "n0";
const FOLLOWER: &str = "n1";

/// A stream, and a consumer at a time on one of its replicas.
#[derive(Debug)]
struct Stream {
    replicas: u64,
    /// The last sequence that the leader still has.
    led: u64,
    /// The sequence that the consumer delivers next.
    next: u64,
    delivered: u64,
    consumers: usize,
    pulls: usize,
    /// Which messages the leader was asked for.
    asked: Vec<Value>,
    /// What is told as the last sequence, each once and the last one ever after.
    lasts: VecDeque<u64>,
    /// Whether the first consumer is deleted once it has given all.
    breaks: bool,
    /// How many pulls of each consumer nobody knows of yet.
    unheard: usize,
}

/// Where the consumer is, and how far that replica has got.
type Place = (&'static str, u64);

impl Stream {
    fn made(&mut self, request: &[u8], place: impl Fn(&Self) -> Place) -> Answer {
        let request: Value = serde_json::from_slice(request).unwrap();
        self.next = request["config"]["opt_start_seq"].as_u64().unwrap_or(1);
        (self.delivered, self.pulls) = (0, 0);
        self.consumers += 1;
        let (server, has) = place(self);
        let pending = (has + 1).saturating_sub(self.next);
        Answer::Payload(
            json!({ "num_pending": pending, "cluster": { "leader": server } }).to_string(),
        )
    }

    /// All that the replica has and hasn't given; without a wait, that there is no more.
    fn pulled(&mut self, request: &[u8], place: impl Fn(&Self) -> Place) -> Vec<Answer> {
        let request: Value = serde_json::from_slice(request).unwrap();
        self.pulls += 1;
        if self.pulls <= self.unheard {
            return vec![Answer::Status("503")];
        }
        let (_, has) = place(self);
        let mut answers = Vec::new();
        for sequence in self.next..=has {
            self.delivered += 1;
            let (delivered, pending) = (self.delivered, has - sequence);
            answers.push(Answer::Delivery {
                subject: "s.1".to_owned(),
                ack_subject: format!("$JS.ACK.S.C.1.{sequence}.{delivered}.1000000000.{pending}"),
                payload: sequence.to_string(),
            });
        }
        self.next = self.next.max(has + 1);
        if request["no_wait"] == true {
            answers.push(Answer::Status("404 No Messages"));
        } else if self.breaks && self.consumers == 1 {
            answers.push(Answer::Status("409 Consumer Deleted"));
        }
        answers
    }

    /// The leader's next message from a sequence on.
    fn got(&mut self, request: &[u8]) -> Answer {
        let request: Value = serde_json::from_slice(request).unwrap();
        let sequence = request["seq"].as_u64().unwrap_or(self.led);
        self.asked.push(request);
        Answer::Payload(if sequence <= self.led {
            let time = "2026-01-02T03:04:05Z";
            json!({ "message": { "subject": "s.1", "seq": sequence, "time": time } }).to_string()
        } else {
            let error =
                json!({ "code": 404, "err_code": 10037, "description": "no message found" });
            json!({ "error": error }).to_string()
        })
    }

    fn info(&mut self) -> Answer {
        let last = self.lasts[0];
        if self.lasts.len() > 1 {
            self.lasts.pop_front();
        }
        let info = json!({
            "config": {
                "name": "S", "subjects": ["s.>"], "retention": "limits", "storage": "file",
                "num_replicas": self.replicas,
            },
            "created": "2026-01-02T03:04:05Z",
            "state": {
                "messages": MESSAGES, "bytes": 100, "first_seq": 1, "last_seq": last,
                "first_ts": "2026-01-02T03:04:05Z", "last_ts": "2026-01-02T03:04:05Z",
            },
            "cluster": { "name": "c", "leader": LEADER },
        });
        Answer::Payload(info.to_string())
    }
}

/// A server with the stream, whose consumer is where `place` says.
struct Lagging {
    server: FakeServer,
    stream: Arc<Mutex<Stream>>,
}

impl Lagging {
    /// On three replicas.
    async fn start(place: impl Fn(&Stream) -> Place + Send + Sync + 'static) -> Self {
        Self::of(3, MESSAGES, place).await
    }

    /// On so many replicas, of which the leader has messages up to `led`.
    async fn of(
        replicas: u64,
        led: u64,
        place: impl Fn(&Stream) -> Place + Send + Sync + 'static,
    ) -> Self {
        let stream = Arc::new(Mutex::new(Stream {
            replicas,
            led,
            next: 1,
            delivered: 0,
            consumers: 0,
            pulls: 0,
            asked: Vec::new(),
            lasts: VecDeque::from([MESSAGES]),
            breaks: false,
            unheard: 0,
        }));
        let shared = Arc::clone(&stream);
        let answers = move |subject: &str, payload: &[u8]| {
            let mut stream = shared.lock().unwrap();
            match subject.strip_prefix("$JS.API.").unwrap_or_default() {
                "STREAM.INFO.S" => vec![stream.info()],
                "STREAM.MSG.GET.S" => vec![stream.got(payload)],
                creating if creating.starts_with("CONSUMER.CREATE.S.") => {
                    vec![stream.made(payload, &place)]
                }
                pull if pull.starts_with("CONSUMER.MSG.NEXT.S.") => stream.pulled(payload, &place),
                _ => Vec::new(),
            }
        };
        Self { server: FakeServer::answering("2.15.1", Arc::new(answers)).await, stream }
    }

    /// How many consumers there were, and what the leader was asked.
    fn seen(&self) -> (usize, Vec<Value>) {
        let stream = self.stream.lock().unwrap();
        (stream.consumers, stream.asked.clone())
    }

    async fn jetstream(&self) -> Arc<dyn JetStream> {
        connect_to(&self.server.url(), quick()).await.jetstream()
    }

    /// Reads until it ends, or until `enough` came: the sequences, and those at
    /// which it was caught up.
    async fn read(&self, options: ReadOptions, enough: usize) -> (Vec<u64>, Vec<u64>) {
        let mut reading = self.jetstream().await.read("S", options);
        let (mut sequences, mut caught_up) = (Vec::new(), Vec::new());
        while sequences.len() + caught_up.len() < enough
            && let Some(delivery) = wait::within("a delivery", PATIENCE, reading.next()).await
        {
            match delivery.unwrap() {
                Delivery::Message(message) => sequences.push(message.sequence),
                Delivery::CaughtUp { sequence } => caught_up.push(sequence),
                other => panic!("{other:?}"),
            }
        }
        (sequences, caught_up)
    }

    async fn read_to_head(&self) -> (Vec<u64>, Vec<u64>) {
        self.read(ReadOptions::default().with_until(ReadUntil::Head), usize::MAX).await
    }
}

fn whole() -> (Vec<u64>, Vec<u64>) {
    (vec![1, 2, 3, 4, 5], vec![5])
}

#[tokio::test]
async fn what_a_replica_gets_late_is_waited_for() {
    let lagging =
        Lagging::start(|stream| (FOLLOWER, if stream.pulls < 2 { 2 } else { MESSAGES })).await;
    assert_eq!(lagging.read_to_head().await, whole());
    let asked = json!({ "seq": 3, "next_by_subj": ">" });
    assert_eq!(lagging.seen(), (1, vec![asked]));
}

#[tokio::test]
async fn a_replica_that_stays_behind_is_left_for_another() {
    let lagging =
        Lagging::start(|stream| (FOLLOWER, if stream.consumers < 3 { 2 } else { MESSAGES })).await;
    assert_eq!(lagging.read_to_head().await, whole());
}

#[tokio::test]
async fn a_replica_that_stays_behind_ends_no_read_short() {
    let lagging = Lagging::start(|_| (FOLLOWER, 2)).await;
    let reading = lagging.read(ReadOptions::default().with_until(ReadUntil::Head), 3);
    let tries = wait::until("some consumers", PATIENCE, async || lagging.seen().0 > 3);
    tokio::select! {
        ended = reading => panic!("{ended:?}"),
        () = tries => {}
    }
}

#[tokio::test]
async fn a_tail_hands_out_what_its_replica_gets_late() {
    let lagging =
        Lagging::start(|stream| (FOLLOWER, if stream.pulls < 2 { 2 } else { MESSAGES })).await;
    assert_eq!(lagging.read(ReadOptions::default(), 6).await, whole());
}

#[tokio::test]
async fn each_filter_is_asked_for_behind_what_came() {
    let lagging =
        Lagging::start(|stream| (FOLLOWER, if stream.pulls < 2 { 2 } else { MESSAGES })).await;
    let options =
        ReadOptions::default().with_subjects(vec!["s.1".to_owned()]).with_until(ReadUntil::Head);
    assert_eq!(lagging.read(options, usize::MAX).await, whole());
    assert_eq!(lagging.seen().1, [json!({ "seq": 3, "next_by_subj": "s.1" })]);
}

#[tokio::test]
async fn a_replica_that_has_nothing_since_a_time_is_not_believed_either() {
    let lagging =
        Lagging::start(|stream| (FOLLOWER, if stream.pulls < 2 { 0 } else { MESSAGES })).await;
    let options =
        |time| ReadOptions::default().with_start(ReadStart::Time(time)).with_until(ReadUntil::Head);
    let long_ago = naq_core::Timestamp::from_nanos(1);
    assert_eq!(lagging.read(options(long_ago), usize::MAX).await, whole());
    assert_eq!(lagging.seen(), (1, vec![json!({ "last_by_subj": ">" })]));
}

#[tokio::test]
async fn the_last_of_each_subject_is_not_what_a_replica_had_that_lags() {
    let lagging =
        Lagging::start(|stream| (FOLLOWER, if stream.consumers < 2 { 2 } else { MESSAGES })).await;
    let options =
        ReadOptions::default().with_start(ReadStart::LastPerSubject).with_until(ReadUntil::Head);
    let (sequences, caught_up) = lagging.read(options, usize::MAX).await;
    assert_eq!((sequences.last(), caught_up), (Some(&MESSAGES), vec![MESSAGES]));
}

#[tokio::test]
async fn what_the_leader_lacks_too_is_not_waited_for() {
    let lagging = Lagging::of(3, 2, |_| (FOLLOWER, 2)).await;
    assert_eq!(lagging.read_to_head().await, (vec![1, 2], vec![5]));
    assert_eq!(lagging.seen().0, 1);
}

#[tokio::test]
async fn a_leader_is_believed_at_once() {
    let lagging = Lagging::of(3, 2, |_| (LEADER, 2)).await;
    assert_eq!(lagging.read_to_head().await, (vec![1, 2], vec![5]));
    assert_eq!(lagging.seen(), (1, vec![]));
}

#[tokio::test]
async fn the_one_replica_of_a_stream_is_believed_at_once() {
    let lagging = Lagging::of(1, 2, |_| (FOLLOWER, 2)).await;
    assert_eq!(lagging.read_to_head().await, (vec![1, 2], vec![5]));
    assert_eq!(lagging.seen(), (1, vec![]));
}

#[tokio::test]
async fn who_has_got_all_that_was_there_asks_nobody() {
    let lagging = Lagging::start(|_| (FOLLOWER, MESSAGES)).await;
    assert_eq!(lagging.read_to_head().await, whole());
    assert_eq!(lagging.seen(), (1, vec![]));
}

#[tokio::test]
async fn a_leader_that_has_not_got_all_again_yet_has_no_other_stream() {
    let lagging = Lagging::start(|_| (FOLLOWER, MESSAGES)).await;
    {
        let mut stream = lagging.stream.lock().unwrap();
        stream.breaks = true;
        stream.lasts = VecDeque::from([MESSAGES, 3, MESSAGES]);
    }
    let mut reading = lagging.jetstream().await.read("S", ReadOptions::default());
    let resumed = wait::within("the resumption", PATIENCE, async {
        loop {
            if let Delivery::Resumed { sequence } = reading.next().await.unwrap().unwrap() {
                break sequence;
            }
        }
    });
    assert_eq!(resumed.await, MESSAGES);
}

#[tokio::test]
async fn a_consumer_that_not_all_servers_know_of_yet_is_asked_again() {
    let lagging = Lagging::start(|_| (FOLLOWER, MESSAGES)).await;
    lagging.stream.lock().unwrap().unheard = 2;
    assert_eq!(lagging.read_to_head().await, whole());
    assert_eq!(lagging.seen().0, 1);
}
