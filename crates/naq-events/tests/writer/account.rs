//! The account of all events, sampled while threads log and a server refuses.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use naq_core::clock::SystemClock;
use naq_core::config::OverflowPolicy;
use naq_core::connection::SingleJetStream;
use naq_core::events::LossReason;
use naq_core::jetstream::{MockJetStream, PublishAck, Published};
use naq_core::streams::MockStreamManager;

use super::support::{SECOND, assume, eventually, old_server};
use naq_events::prelude::*;

/// Every seventh message is refused for good, every eleventh for the moment;
/// `notices` are told the ids of what tells of losses.
fn moody(notices: &Arc<Mutex<HashSet<String>>>) -> MockJetStream {
    let mut jetstream = MockJetStream::new();
    old_server(&mut jetstream);
    let (count, notices) = (Arc::new(AtomicU64::new(0)), Arc::clone(notices));
    jetstream.expect_publish_many().returning(move |messages, _| {
        let (count, notices) = (Arc::clone(&count), Arc::clone(&notices));
        let answers = messages.map(move |message| {
            if message.subject == "events.events_lost" {
                notices.lock().unwrap().extend(message.message_id);
            }
            let sequence = count.fetch_add(1, Ordering::Relaxed);
            let refused = |kind| Err(Error::new(kind, "publish", "in a mood"));
            match sequence {
                n if n % 7 == 0 => refused(ErrorKind::PermissionDenied),
                n if n % 11 == 0 => refused(ErrorKind::LimitReached),
                _ => Ok(Published::One(PublishAck {
                    stream: "events".to_owned(),
                    sequence,
                    duplicate: false,
                })),
            }
        });
        answers.boxed()
    });
    jetstream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_account_is_balanced_at_every_instant_under_load() {
    const THREADS: u64 = 4;
    const EACH: u64 = 5_000;
    let config = assume()
        .with_buffer_max_events(500_usize)
        .with_overflow(OverflowPolicy::DropOldest)
        .with_delivery_timeout(2 * SECOND);
    let notices = Arc::default();
    let connections = SingleJetStream::provider(Arc::new(moody(&notices)));
    let streams = Arc::new(MockStreamManager::new());
    let clock = Arc::new(SystemClock::new());
    let service = Arc::new(EventService::new(connections, streams, clock, config).unwrap());
    service.start().await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let sampler = std::thread::spawn({
        let (service, done) = (Arc::clone(&service), Arc::clone(&done));
        move || {
            let mut samples = 0_u64;
            while !done.load(Ordering::Relaxed) {
                let account = service.account();
                let counters = account.counters;
                assert!(counters.is_balanced(), "{counters:?}");
                assert!(counters.pending <= 500, "{counters:?}");
                let lost = |reasons: &[LossReason]| -> u64 {
                    let losses = account.losses.iter();
                    let of_these = losses.filter(|loss| reasons.contains(&loss.reason));
                    of_these.map(|loss| loss.count).sum()
                };
                let dropped = lost(&[LossReason::DropNewest, LossReason::DropOldest]);
                assert_eq!(dropped, counters.dropped);
                // Notices that fail are no losses of their own.
                let lost = lost(&[LossReason::Failed, LossReason::Unknown]);
                assert_eq!(lost, counters.failed + counters.unknown);
                samples += 1;
            }
            samples
        }
    });
    let loggers: Vec<_> = (0..THREADS)
        .map(|thread| {
            let service = Arc::clone(&service);
            std::thread::spawn(move || {
                for number in 0..EACH {
                    let job = format!("{thread}-{}", number % 50);
                    service.try_log_event(Event::job_progress(job, "…")).unwrap();
                    if number % 10 == 0 {
                        service.try_log_event(Event::new("")).unwrap_err();
                    }
                }
            })
        })
        .collect();
    for logger in loggers {
        tokio::task::spawn_blocking(|| logger.join()).await.unwrap().unwrap();
    }
    let report = service.flush(10 * SECOND).await.unwrap();
    // Their bytes are counted, and they themselves aren't.
    eventually("the service's own events end", || service.counters().pending_bytes == 0).await;
    done.store(true, Ordering::Relaxed);
    assert!(sampler.join().unwrap() > 0);
    assert_eq!(report.pending, 0);
    let counters = service.counters();
    let told = notices.lock().unwrap().len() as u64;
    assert!(told > 0, "{counters:?}");
    assert!(counters.notices <= told, "{counters:?}");
    assert_eq!(counters.offered, THREADS * (EACH + EACH / 10));
    assert_eq!(counters.rejected, THREADS * EACH / 10);
    assert_eq!((counters.pending, counters.pending_bytes), (0, 0));
    assert!(counters.acked > 0 && counters.failed > 0, "{counters:?}");
}
