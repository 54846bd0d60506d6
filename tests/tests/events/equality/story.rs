//! What happens to one log, and who is asked meanwhile.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use futures::future::join_all;
use naq_core::Timestamp;
use naq_core::config::RetentionAges;
use naq_core::events::EventQueryExt;
use naq_core::jetstream::JetStream;
use naq_core::kv::KvBucketExt;
use naq_core::service::Service;
use naq_events::EventService;
use naq_tests::own_log::{DIGESTS, Keeps, OwnLog};
use naq_tests::wait;

use super::log::{KINDS, Manner, messages};
use super::model::Model;
use super::questions::{Asked, Held};

const PATIENCE: Duration = Duration::from_secs(120);
const BUDGET: Duration = Duration::from_secs(10);
const ROUNDS: u64 = 5;
const PRODUCERS: usize = 3;

/// A log whose limit is at work has so many messages, more than come in a round.
const LIMIT: u64 = 450;

/// A log, what was stored in it, and who keeps it.
pub(super) struct Story {
    seed: u64,
    random: fastrand::Rng,
    own: OwnLog,
    manner: Manner,
    model: Model,
    keeper: Option<Keeper>,
    held: Held,
    /// The log's end when the long-lived service was asked last.
    asked_through: u64,
}

/// The keeper, while there is one.
struct Keeper {
    service: Arc<EventService>,
    /// What it has counted, by place.
    counted: Vec<bool>,
    /// How far the digest went that it has begun with.
    began_with: u64,
}

impl Story {
    pub(super) fn new(js: Arc<dyn JetStream>, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut own = OwnLog::new(js, "equality");
        if random.u8(..3) == 0 {
            own.config = own.config.with_max_msgs(Some(LIMIT));
        }
        let manner = Manner::some(&mut random);
        let (model, held) = (Model::default(), Held::default());
        Self { seed, random, own, manner, model, keeper: None, held, asked_through: 0 }
    }

    /// Plays it to its end.
    pub(super) async fn play(mut self) {
        let long_lived = self.own.service(Keeps::Digests).await;
        let mut counted = Vec::new();
        let aged = self.random.u64(..ROUNDS);
        for round in 0..ROUNDS {
            let numbers = self.model.end()..self.model.end() + self.random.u64(150..350);
            self.store(numbers).await;
            self.keep().await;
            let fresh = self.own.service(Keeps::Digests).await;
            let kept = self.model.kept();
            let asked = self.asked(&fresh, &kept, format!("seed {}, {round}", self.seed));
            let basis = asked.everything().await;
            let is_kept = kept.iter().filter(|is_kept| **is_kept).count() as u64;
            assert_eq!(basis.from_digests, is_kept, "{}: {basis:?}", asked.about);
            self.something(&fresh, &kept, 3, &format!("{round}, fresh")).await;
            self.ask_keeper(2, &format!("{round}, keeper")).await;
            self.ask_long_lived(&long_lived, &mut counted, &format!("{round}, long-lived")).await;
            fresh.stop(BUDGET).await.unwrap();
            if round == aged {
                self.age().await;
            } else {
                self.lose().await;
            }
            self.model.look(&self.own).await;
        }
        if let Some(keeper) = self.keeper.take() {
            keeper.service.stop(BUDGET).await.unwrap();
        }
        long_lived.stop(BUDGET).await.unwrap();
        // A range may cut a minute of which nobody has kept more than figures.
        let Held { answers, decided } = self.held;
        assert!(decided * 2 > answers, "seed {}: {decided} of {answers}", self.seed);
    }

    /// Several producers store what has these numbers.
    async fn store(&mut self, numbers: std::ops::Range<u64>) {
        let count = numbers.end - numbers.start;
        let subjects = self.own.subjects();
        let mut messages = messages(&mut self.random, &subjects, numbers, self.manner);
        let mut parts = Vec::new();
        for left in (1..=PRODUCERS).rev() {
            let rest = messages.split_off(messages.len() / left);
            parts.push(std::mem::replace(&mut messages, rest));
        }
        join_all(parts.into_iter().map(|part| self.own.publish(part))).await;
        let before = self.model.end();
        self.model.look(&self.own).await;
        assert_eq!(self.model.end() - before, count);
    }

    /// Lets the log's keeper come or go, or neither.
    async fn keep(&mut self) {
        match self.keeper.take() {
            None if self.random.bool() => self.begin_to_keep().await,
            Some(keeper) if self.random.bool() => self.stop_keeping(keeper).await,
            keeper => self.keeper = keeper,
        }
    }

    async fn begin_to_keep(&mut self) {
        let service = self.own.keeper().await;
        if self.random.u8(..3) == 0 {
            // Wherever it is; what it has digested by then is found out.
            let rest = Duration::from_micros(self.random.u64(..20_000));
            tokio::time::sleep(rest).await;
            service.stop(BUDGET).await.unwrap();
            self.learn().await;
            return;
        }
        let began_with = self.model.kept_through;
        self.keeper = Some(Keeper { service, counted: self.model.kept(), began_with });
    }

    /// It has digested all, and is stopped.
    async fn stop_keeping(&mut self, keeper: Keeper) {
        let Keeper { service, mut counted, began_with } = keeper;
        let end = self.model.end();
        has_digested(&service, end).await;
        service.stop(BUDGET).await.unwrap();
        if end > began_with {
            self.model.count_what_is_there(&mut counted);
            self.model.keep(&counted, end);
        }
    }

    /// Finds out what a keeper has kept that was stopped somewhere.
    async fn learn(&mut self) {
        let fresh = self.own.service(Keeps::Digests).await;
        let kept = self.model.kept();
        let basis = self.asked(&fresh, &kept, format!("seed {}", self.seed)).everything().await;
        fresh.stop(BUDGET).await.unwrap();
        self.model.keep_first(basis.from_digests);
    }

    /// Asks the keeper, which has counted all that is there then.
    async fn ask_keeper(&mut self, questions: usize, about: &str) {
        let Some(mut keeper) = self.keeper.take() else { return };
        // As long as it digests, what it has counted by then is not at hand.
        has_digested(&keeper.service, self.model.end()).await;
        self.model.count_what_is_there(&mut keeper.counted);
        let told = format!("seed {}, {about}", self.seed);
        self.asked(&keeper.service, &keeper.counted, told).everything().await;
        self.something(&keeper.service, &keeper.counted, questions, about).await;
        self.keeper = Some(keeper);
    }

    /// Asks a service that was asked before each loss, and has counted all.
    async fn ask_long_lived(
        &mut self,
        service: &EventService,
        counted: &mut Vec<bool>,
        about: &str,
    ) {
        self.model.count_what_is_there(counted);
        // A kept digest that lacks something, and has come further, it may take
        // for the better one.
        let stats = service.get_event_stats(None, None).await.unwrap();
        let mut kept = self.model.kept();
        self.model.count_what_is_there(&mut kept);
        let (holes, lacks) = (stats.basis.holes, self.model.lacks(counted));
        if holes > lacks {
            // One that has not is no reason to lose what was counted.
            let (reach, asked) = (self.model.kept_through, self.asked_through);
            assert!(reach > asked, "seed {}, {about}: {holes} > {lacks}: {reach}", self.seed);
            *counted = kept;
        }
        self.asked_through = self.model.end();
        let told = format!("seed {}, {about}", self.seed);
        self.asked(service, counted, told).everything().await;
        self.something(service, counted, 2, about).await;
    }

    fn asked<'a>(
        &'a self,
        service: &'a EventService,
        counted: &'a [bool],
        about: String,
    ) -> Asked<'a> {
        let span = self.model.end().cast_signed() * self.manner.apart;
        Asked { service, model: &self.model, counted, span, about }
    }

    async fn something(
        &mut self,
        service: &EventService,
        counted: &[bool],
        questions: usize,
        about: &str,
    ) {
        let (mut random, mut held) = (self.random.fork(), self.held);
        let asked = self.asked(service, counted, format!("seed {}, {about}", self.seed));
        for _ in 0..questions {
            asked.something(&mut random, &mut held).await;
        }
        self.held = held;
    }

    /// Something leaves the log, or the digests are no more what they were.
    async fn lose(&mut self) {
        match self.random.u8(..6) {
            0 | 1 => self.own.purge_below(self.random.u64(1..=self.model.end() + 1)).await,
            2 => self.own.purge_type(self.random.choice(&KINDS).unwrap()).await,
            3 => {
                self.own.damage(DIGESTS, &mut self.random).await;
                self.model.keep(&[], 0);
            }
            _ => {}
        }
    }

    /// What is a second old goes, by its type, and digests keep what it was.
    async fn age(&mut self) {
        let second = Duration::from_secs(1);
        let ages = match self.random.u8(..3) {
            0 => RetentionAges::default().with_age("*", second),
            1 => RetentionAges::default().with_age("log", second).with_age("mine", second),
            _ => RetentionAges::default().with_age("job_started", second),
        };
        let stored = Timestamp::from(SystemTime::now());
        wait::until("the events to be old", PATIENCE, async || {
            Timestamp::from(SystemTime::now()) > stored.saturating_add(2 * second)
        })
        .await;
        let config = self.own.config.clone().with_retention(ages);
        let own = OwnLog { js: Arc::clone(&self.own.js), config };
        let service = own.service(Keeps::Digests).await;
        let steps: Vec<_> = service.apply_retention(Duration::ZERO).try_collect().await.unwrap();
        assert!(self.own.config.max_msgs == Some(LIMIT) || !steps.is_empty());
        service.stop(BUDGET).await.unwrap();
        let mut counted = self.model.kept();
        self.model.count_what_is_there(&mut counted);
        self.model.keep(&counted, self.model.end());
    }
}

/// Waits until a keeper has digested everything.
async fn has_digested(keeper: &EventService, end: u64) {
    wait::until("the keeper to have digested all", PATIENCE, async || {
        let shown = keeper.keeper().await.unwrap();
        keeper.is_keeper() && shown.is_some_and(|shown| shown.through == end)
    })
    .await;
}

/// A log of more than one block, whose digests are kept, used and lost.
pub(super) async fn large(js: Arc<dyn JetStream>, random: fastrand::Rng) {
    const EVENTS: u64 = 67_000;
    const BLOCK: usize = 65_536;
    let mut story = Story::new(js, 0);
    story.random = random;
    story.own.config.max_msgs = None;
    story.manner = Manner { apart: 80, malformed: 4_000 };
    // It makes the stream, too.
    let service = story.own.keeper().await;
    story.store(0..EVENTS).await;
    let keeper = Keeper { service, counted: Vec::new(), began_with: 0 };
    story.stop_keeping(keeper).await;

    let ask = async |story: &mut Story, from_digests: u64, questions: usize, about: &str| {
        let fresh = story.own.service(Keeps::Digests).await;
        let kept = story.model.kept();
        let basis = story.asked(&fresh, &kept, about.to_owned()).everything().await;
        assert_eq!(basis.from_digests, from_digests, "{about}: {basis:?}");
        story.something(&fresh, &kept, questions, about).await;
        fresh.stop(BUDGET).await.unwrap();
    };
    ask(&mut story, EVENTS, 3, "all is there").await;
    story.own.purge_below(60_001).await;
    story.own.purge_type("log").await;
    story.model.look(&story.own).await;
    ask(&mut story, EVENTS, 3, "the beginning is gone").await;

    let [first, second] = &story.own.kept(DIGESTS).await[..] else { panic!("two blocks are kept") };
    assert!(first < second);
    story.own.bucket(DIGESTS).delete(first).await.unwrap();
    let mut kept = vec![true; EVENTS as usize];
    kept[..BLOCK].fill(false);
    story.model.keep(&kept, EVENTS);
    ask(&mut story, EVENTS - BLOCK as u64, 2, "a digest is gone").await;
}
