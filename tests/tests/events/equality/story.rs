//! What happens to one log, and who is asked meanwhile.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::future::{join, join_all};
use naq_core::Timestamp;
use naq_core::clock::ManualClock;
use naq_core::config::EventsConfig;
use naq_core::events::{EventQueryExt, EventStats};
use naq_core::jetstream::JetStream;
use naq_core::service::Service;
use naq_events::EventService;
use naq_tests::faults::Keepers;
use naq_tests::own_log::{Keeps, OwnLog, service};

use super::keeping::Keeper;
use super::log::{Manner, messages};
use super::losses::{COARSE_BEGIN, Tiers};
use super::model::{BLOCK, Model};
use super::questions::{Asked, Held};

pub(super) const PATIENCE: Duration = Duration::from_secs(120);
pub(super) const BUDGET: Duration = Duration::from_secs(10);
const ROUNDS: u64 = 5;
const PRODUCERS: usize = 3;

/// A log whose limit is at work has so many messages, more than come in a round.
pub(super) const LIMIT: u64 = 450;

/// A log, what was stored in it, and who keeps it.
pub(super) struct Story {
    pub(super) seed: u64,
    pub(super) random: fastrand::Rng,
    pub(super) own: OwnLog,
    pub(super) manner: Manner,
    pub(super) model: Model,
    pub(super) keeps: Keeps,
    /// How digests get coarser, if they do.
    pub(super) tiers: Option<Tiers>,
    pub(super) keeper: Option<Keeper>,
    /// Who keeps the log instead, where that is a process of its own.
    pub(super) processes: Option<Keepers>,
    pub(super) created: Timestamp,
    held: Held,
    /// The log's end when the long-lived service was asked last.
    asked_through: u64,
    /// Whether a block was made whole by what came last.
    pub(super) has_crossed: bool,
}

impl Story {
    /// One of four kinds in turn: of one block; with indexes; over the end of a
    /// block, whose digest is kept at any instant of the day; and the same with
    /// digests that get coarser.
    pub(super) fn new(js: Arc<dyn JetStream>, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut own = OwnLog::new(js, "equality");
        if random.u8(..3) == 0 {
            own.config = own.config.with_max_msgs(Some(LIMIT));
        }
        let (mut model, mut tiers) = (Model::default(), None);
        let mut manner = Manner::some(&mut random);
        let has_indexes = seed % 4 == 1 || random.u8(..4) == 0;
        let before_end = match seed % 4 {
            2 => random.u64(100..700),
            3 => {
                tiers = Some(Tiers::some(&mut random, &mut own.config));
                manner.apart = random.i64(40_000..150_000);
                COARSE_BEGIN
            }
            _ => BLOCK,
        };
        if before_end < BLOCK {
            model.begin = BLOCK * random.u64(1..4) - before_end;
        }
        Self {
            seed,
            random,
            own,
            manner,
            model,
            keeps: if has_indexes { Keeps::Indexes } else { Keeps::Digests },
            tiers,
            keeper: None,
            processes: None,
            created: Timestamp::default(),
            held: Held::default(),
            asked_through: 0,
            has_crossed: false,
        }
    }

    /// The same with keepers that are processes of their own.
    pub(super) fn kept_by(mut self, processes: Keepers) -> Self {
        self.processes = Some(processes);
        self
    }

    /// How services are made that ask about its log.
    pub(super) const fn config(&self) -> &EventsConfig {
        &self.own.config
    }

    /// Makes the log.
    pub(super) async fn begin(&mut self) {
        let config = EventService::stream_config(&self.own.config).unwrap();
        let config = config.with_first_sequence(self.model.begin + 1);
        self.own.js.create_stream(config).await.unwrap();
        self.created = self.own.info().await.created;
        self.define_indexes().await;
    }

    /// Plays it to its end.
    pub(super) async fn play(mut self) {
        self.begin().await;
        let long_lived = self.long_lived().await;
        let mut counted = Vec::new();
        let aged = self.random.u64(..ROUNDS);
        for round in 0..ROUNDS {
            let numbers = self.model.count()..self.model.count() + self.random.u64(150..350);
            self.store(numbers).await;
            self.keep().await;
            self.index(round).await;
            let about = format!("{round}, long-lived");
            if self.has_crossed {
                // It may have counted more of the block, whose digest it keeps then.
                self.ask_long_lived(&long_lived, &mut counted, &about).await;
            }
            self.ask_beside_keeper(&format!("{round}, beside")).await;
            let fresh = self.ask_fresh(2, &format!("{round}, fresh")).await;
            self.ask_keeper(1, &format!("{round}, keeper")).await;
            self.ask_long_lived(&long_lived, &mut counted, &about).await;
            fresh.stop(BUDGET).await.unwrap();
            if self.has_crossed && self.tiers.is_some() {
                self.coarsen().await;
            } else if round == aged {
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
        // A range may cut a minute of which nobody has kept more than figures,
        // or, where digests get coarser, a day.
        let Held { answers, decided, by_index } = self.held;
        let least = if self.tiers.is_some() { answers / 3 } else { answers / 2 };
        assert!(decided > least, "seed {}: {decided} of {answers}", self.seed);
        let has_indexes = self.keeps == Keeps::Indexes;
        assert_eq!(by_index > 0, has_indexes, "seed {}: {by_index} of {answers}", self.seed);
    }

    /// A service that is asked before each loss.
    async fn long_lived(&self) -> Arc<EventService> {
        if self.model.begin == 0 {
            return self.own.service(self.keeps).await;
        }
        // Its time stands still, so that it reads nothing unasked: who keeps the
        // digest of a block that gets whole has to be known.
        let clock = Arc::new(ManualClock::starting_at(SystemTime::now().into()));
        let service = service(&self.own.js, clock, self.own.config.clone(), self.keeps);
        service.start().await.unwrap();
        service
    }

    /// Several producers store what has these numbers. Meanwhile the keeper, if
    /// there is one, digests it, and is asked.
    pub(super) async fn store(&mut self, numbers: std::ops::Range<u64>) {
        let count = numbers.end - numbers.start;
        let subjects = self.own.subjects();
        let mut messages = messages(&mut self.random, &subjects, numbers, self.manner);
        let mut parts = Vec::new();
        for left in (1..=PRODUCERS).rev() {
            let rest = messages.split_off(messages.len() / left);
            parts.push(std::mem::replace(&mut messages, rest));
        }
        let storing = join_all(parts.into_iter().map(|part| self.own.publish(part)));
        // What a limit takes meanwhile, nobody may have counted; and which digest
        // of a block that is whole it has in memory then, is not known.
        let is_told_apart = self.model.begin == 0 && self.own.config.max_msgs != Some(LIMIT);
        let asked = self.keeper.as_ref().filter(|_| is_told_apart);
        let asking = async {
            match asked {
                Some(keeper) => ask_again_and_again(&keeper.service).await,
                None => Vec::new(),
            }
        };
        let (_, answers) = join(storing, asking).await;
        let before = self.model.end();
        self.model.look(&self.own).await;
        assert_eq!(self.model.end() - before, count);
        self.has_crossed = before / BLOCK < self.model.end() / BLOCK;
        if let Some(keeper) = &self.keeper {
            for got in &answers {
                let asked = self.asked(&keeper.service, &keeper.counted, "while it is stored");
                assert!(got.basis.through >= before, "{}: {:?}", asked.about, got.basis);
                Asked { through: got.basis.through, ..asked }.hold(got);
            }
        }
    }

    /// Asks a service that has just been started, and answers it.
    pub(super) async fn ask_fresh(&mut self, questions: usize, about: &str) -> Arc<EventService> {
        let fresh = self.own.service(self.keeps).await;
        let kept = self.model.kept();
        let basis = self.asked(&fresh, &kept, about).everything().await;
        let is_kept = kept.iter().filter(|is_kept| **is_kept).count() as u64;
        assert_eq!(basis.from_digests, is_kept, "seed {}, {about}: {basis:?}", self.seed);
        self.model.keep_read(&[]);
        self.something(&fresh, &kept, questions, about).await;
        fresh
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
        let (holes, lacks) = (stats.basis.holes, self.model.lacks(counted));
        if holes > lacks {
            // One that has not is no reason to lose what was counted.
            let (reach, asked) = (self.model.kept_through, self.asked_through);
            assert!(reach > asked, "seed {}, {about}: {holes} > {lacks}: {reach}", self.seed);
            let had = self.model.place(asked / BLOCK * BLOCK);
            for (counted, stored) in counted.iter_mut().zip(&self.model.all).skip(had) {
                *counted = stored.is_kept || stored.is_there;
            }
        }
        self.asked(service, counted, about).hold(&stats);
        if self.has_crossed {
            self.model.keep_read(counted);
        }
        self.asked_through = self.model.end();
        self.asked(service, counted, about).everything().await;
        self.something(service, counted, 1, about).await;
    }

    pub(super) fn asked<'a>(
        &'a self,
        service: &'a EventService,
        counted: &'a [bool],
        about: &str,
    ) -> Asked<'a> {
        Asked {
            service,
            model: &self.model,
            through: self.model.end(),
            counted,
            keeps: self.keeps,
            created: self.created,
            grain: self.tiers.map_or(1, |tiers| tiers.minutes),
            span: self.model.count().cast_signed() * self.manner.apart,
            about: format!("seed {}, {about}", self.seed),
        }
    }

    pub(super) async fn something(
        &mut self,
        service: &EventService,
        counted: &[bool],
        questions: usize,
        about: &str,
    ) {
        let (mut random, mut held) = (self.random.fork(), self.held);
        let asked = self.asked(service, counted, about);
        for _ in 0..questions {
            asked.something(&mut random, &mut held).await;
        }
        self.held = held;
    }
}

/// Asks for everything some times, from two sides.
async fn ask_again_and_again(service: &EventService) -> Vec<EventStats> {
    let mut answers = Vec::new();
    for _ in 0..3 {
        let ask = || service.get_event_stats(None, None);
        let (one, other) = join(ask(), ask()).await;
        answers.extend([one.unwrap(), other.unwrap()]);
    }
    answers
}
