//! What comes is read ahead of the next question, while somebody asks.

use std::sync::Arc;
use std::time::Duration;

use naq_core::ErrorKind;
use naq_core::clock::{Clock, ManualClock};
use naq_core::events::{EventQueryExt, EventStats};
use naq_core::jetstream::JetStream;
use naq_core::service::Service;
use naq_events::EventService;
use naq_tests::backend::connect;
use naq_tests::behaviours::block_on;
use naq_tests::counting::Counting;
use naq_tests::own_log::{Keeps, OwnLog, service};
use naq_tests::server::shared;
use naq_tests::wait;

const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);
const BUDGET: Duration = Duration::from_secs(10);

#[test]
fn what_comes_is_read_ahead_while_somebody_asks_in_memory() {
    block_on(wait::within("the questions", PATIENCE, follows(super::memory())));
}

#[test]
fn what_comes_is_read_ahead_while_somebody_asks_on_a_server() {
    block_on(wait::within("the questions", PATIENCE, async {
        follows(connect(&shared().await.url()).await).await;
    }));
}

/// A log, and a service on a clock that stands still.
struct Followed {
    own: OwnLog,
    counting: Arc<Counting>,
    clock: ManualClock,
    service: Arc<EventService>,
}

impl Followed {
    async fn new(js: Arc<dyn JetStream>) -> Self {
        let mut own = OwnLog::new(js, "following");
        let counting = Arc::new(Counting::of(Arc::clone(&own.js), &own.config.stream_name));
        own.js = Arc::clone(&counting) as Arc<dyn JetStream>;
        let clock = ManualClock::new();
        let config = own.config.clone();
        let service = service(&own.js, Arc::new(clock.clone()), config, Keeps::Digests);
        service.start().await.unwrap();
        Self { own, counting, clock, service }
    }

    async fn store(&self, events: usize) {
        let event = || ("log", br#"{"type":"log"}"#.to_vec());
        self.own.store((0..events).map(|_| event()).collect()).await;
    }

    async fn ask(&self) -> EventStats {
        self.service.get_event_stats(None, None).await.unwrap()
    }

    /// Lets a second pass, and waits until what has come by then is read.
    async fn pass_a_second(&self) {
        let rests = || self.clock.next_deadline() == Some(self.clock.monotonic() + SECOND);
        wait::until("it to rest", PATIENCE, async || rests()).await;
        self.clock.advance(SECOND);
        wait::until("it to have looked", PATIENCE, async || rests()).await;
    }
}

async fn follows(js: Arc<dyn JetStream>) {
    let followed = Followed::new(js).await;
    let counted = async || {
        let stats = followed.ask().await;
        (stats.total_events, stats.basis.read)
    };
    followed.store(300).await;
    assert_eq!(followed.clock.sleepers(), 0, "nobody has asked");
    assert_eq!(counted().await, (300, 300));

    for all in [500, 700] {
        followed.store(200).await;
        followed.counting.take();
        followed.pass_a_second().await;
        // The last one before them is looked at once more.
        assert_eq!(followed.counting.take().read, 200 + 1);
        assert_eq!(counted().await, (all, 0));
    }
    // Where nothing came nothing is read.
    followed.pass_a_second().await;
    assert_eq!(followed.counting.take().read, 0);

    // Each question makes it go on for a minute.
    followed.clock.advance(SECOND * 50);
    followed.pass_a_second().await;
    assert_eq!(counted().await, (700, 0));
    followed.store(100).await;
    followed.clock.advance(SECOND * 58);
    followed.pass_a_second().await;
    assert_eq!(followed.counting.take().read, 100 + 1);
    followed.store(100).await;
    let has_ended = async || followed.clock.sleepers() == 0;
    followed.clock.advance(SECOND);
    wait::until("it to end", PATIENCE, has_ended).await;
    assert_eq!(followed.counting.take().read, 0);

    // The next question begins it anew, and a stop ends it.
    assert_eq!(counted().await, (900, 100));
    followed.store(100).await;
    followed.pass_a_second().await;
    assert_eq!(counted().await, (1_000, 0));
    followed.service.stop(BUDGET).await.unwrap();
    wait::until("it to end", PATIENCE, has_ended).await;
    let closed = followed.service.get_event_stats(None, None).await.unwrap_err();
    assert!(closed.is(ErrorKind::Closed));
}
