//! The order of one entity's events.

use naq_core::jetstream::PublishMessage;

use super::support::{
    MS, SECOND, advance, assume, eventually, job, old_server, service, started, within,
};
use naq_events::prelude::*;

async fn log(service: &EventService, job: &str, message: &str) {
    service.log_job_progress(job, message).await.unwrap();
}

fn text(message: &PublishMessage) -> String {
    let event: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
    event["message"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_failed_publish_keeps_the_events_behind_it_in_order() {
    let (service, mut server, clock) = started(assume()).await;
    for message in ["1", "2", "3"] {
        log(&service, "a", message).await;
    }
    log(&service, "b", "1").await;
    let mut session = server.session().await;
    let first = session.message().await;
    assert_eq!((job(&first), text(&first)), ("a".to_owned(), "1".to_owned()));
    assert_eq!(session.jobs(1).await, ["b"]);
    session.refuse(ErrorKind::LimitReached);
    session.store();
    eventually("b is stored", || service.counters().acked == 1).await;
    assert!(session.is_quiet(), "the events behind a refused one wait");
    advance(&clock, 500 * MS).await;
    let again = session.message().await;
    assert_eq!((&again.message_id, &again.payload), (&first.message_id, &first.payload));
    assert!(session.is_quiet(), "and while it is under way again");
    for next in ["2", "3"] {
        session.store();
        assert_eq!(text(&session.message().await), next);
    }
    session.store();
    let report = service.flush(SECOND).await.unwrap();
    assert!(report.is_clean());
    assert_eq!(service.counters().retried, 1);
}

#[tokio::test]
async fn a_session_that_breaks_is_replaced_and_nothing_overtakes() {
    let (service, mut server, clock) = started(assume()).await;
    for message in ["1", "2"] {
        log(&service, "a", message).await;
    }
    let mut session = server.session().await;
    let first = session.message().await;
    drop(session);
    advance(&clock, 100 * MS).await;
    let mut session = server.session().await;
    assert_eq!(session.message().await, first);
    assert!(session.is_quiet());
    session.store();
    assert_eq!(text(&session.message().await), "2");
}

#[tokio::test]
async fn events_without_an_entity_hold_nothing_back() {
    let (service, mut server, _clock) = started(assume()).await;
    for _ in 0..3 {
        service.log_event("hello").await.unwrap();
    }
    let mut session = server.session().await;
    for _ in 0..3 {
        assert_eq!(session.message().await.subject, "events.log");
    }
}

#[tokio::test]
async fn a_worker_and_a_job_hold_each_other_back_only_by_name() {
    let (service, mut server, _clock) = started(assume()).await;
    service.log_worker_started("w", "q").await.unwrap();
    service.log_job_started("j", "w", "q").await.unwrap();
    let mut session = server.session().await;
    assert_eq!(session.jobs(2).await, ["w", "j"]);
}

mod under_random_refusals {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::{Arc, Mutex};

    use futures::StreamExt;
    use naq_core::clock::ManualClock;
    use naq_core::jetstream::{MockJetStream, PublishAck, Published};
    use naq_core::{BoxStream, Error, Result};
    use proptest::prelude::*;

    use super::*;

    /// What the server does with a message.
    #[derive(Debug, Clone, Copy)]
    enum Fate {
        Stored,
        Full,
        NoConnection,
        StoredButUnanswered,
        LostUnanswered,
        SessionEnds,
    }

    fn fate() -> impl Strategy<Value = Fate> {
        prop_oneof![
            6 => Just(Fate::Stored),
            2 => Just(Fate::Full),
            1 => Just(Fate::NoConnection),
            1 => Just(Fate::StoredButUnanswered),
            1 => Just(Fate::LostUnanswered),
            1 => Just(Fate::SessionEnds),
        ]
    }

    /// A stream that deduplicates, and goes wrong as it is told.
    #[derive(Debug, Default)]
    struct Store {
        fates: Vec<Fate>,
        ids: BTreeSet<String>,
        stored: Vec<(String, String)>,
    }

    impl Store {
        fn take(&mut self, message: &PublishMessage) -> Option<Result<PublishAck>> {
            let refused = |kind| Some(Err(Error::new(kind, "publish", "as it is told")));
            match self.fates.pop().unwrap_or(Fate::Stored) {
                Fate::Stored => Some(Ok(self.store(message))),
                Fate::Full => refused(ErrorKind::LimitReached),
                Fate::NoConnection => refused(ErrorKind::Unavailable),
                Fate::StoredButUnanswered => {
                    self.store(message);
                    refused(ErrorKind::OutcomeUnknown)
                }
                Fate::LostUnanswered => refused(ErrorKind::OutcomeUnknown),
                Fate::SessionEnds => None,
            }
        }

        fn store(&mut self, message: &PublishMessage) -> PublishAck {
            let id = message.message_id.clone().unwrap_or_default();
            let duplicate = !self.ids.insert(id);
            if !duplicate {
                self.stored.push((job(message), text(message)));
            }
            let sequence = self.stored.len() as u64;
            PublishAck { stream: "events".to_owned(), sequence, duplicate }
        }
    }

    fn jetstream(store: &Arc<Mutex<Store>>) -> MockJetStream {
        let mut jetstream = MockJetStream::new();
        old_server(&mut jetstream);
        let store = Arc::clone(store);
        jetstream.expect_publish_many().returning(move |messages, _| {
            let store = Arc::clone(&store);
            // Up to three under way, answered in order, as a pipeline does it.
            let answers = messages
                .map(std::future::ready)
                .buffered(3)
                .map(move |message| store.lock().unwrap().take(&message));
            let answers: BoxStream<'static, _> =
                answers.take_while(|answer| std::future::ready(answer.is_some())).boxed();
            let answers = answers.filter_map(std::future::ready);
            answers.map(|answer| answer.map(Published::One)).boxed()
        });
        jetstream
    }

    /// Lets all tasks run, then moves the clock to what they wait for.
    async fn settle_down(service: &EventService, clock: &ManualClock) {
        within(async {
            while service.counters().pending > 0 {
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                if let Some(deadline) = clock.next_deadline() {
                    clock.advance(deadline.saturating_sub(clock.monotonic()));
                }
            }
        })
        .await;
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn each_job_s_events_are_stored_once_and_in_order(
            fates in prop::collection::vec(fate(), 0..80),
            jobs in prop::collection::vec(0_u8..4, 1..40),
        ) {
            let store = Arc::new(Mutex::new(Store { fates, ..Store::default() }));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let counters = runtime.unwrap().block_on(async {
                let clock = ManualClock::new();
                let config = assume().with_delivery_timeout(3_600 * SECOND);
                let service = service(jetstream(&store), &clock, config);
                service.start().await.unwrap();
                for (number, job) in jobs.iter().enumerate() {
                    log(&service, &job.to_string(), &number.to_string()).await;
                }
                settle_down(&service, &clock).await;
                service.counters()
            });
            prop_assert!(counters.is_balanced());
            prop_assert_eq!(counters.acked, jobs.len() as u64);
            let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for (number, job) in jobs.iter().enumerate() {
                expected.entry(job.to_string()).or_default().push(number.to_string());
            }
            let mut stored: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for (job, number) in &store.lock().unwrap().stored {
                stored.entry(job.clone()).or_default().push(number.clone());
            }
            prop_assert_eq!(stored, expected);
        }
    }
}
