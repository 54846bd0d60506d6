//! What a story's log loses, and what becomes of its digests and indexes.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use naq_core::Timestamp;
use naq_core::config::{EventsConfig, RetentionAges};
use naq_core::events::{EventQuery, Filter, ReadEvents};
use naq_core::service::Service;
use naq_tests::own_log::{DIGESTS, INDEXES, Keeps, OwnLog};
use naq_tests::wait;

use super::keeping::has_digested;
use super::log::KINDS;
use super::model::BLOCK;
use super::readings;
use super::story::{BUDGET, LIMIT, PATIENCE, Story};

/// Where digests are to get coarser, so many messages come before a block's end.
pub(super) const COARSE_BEGIN: u64 = 120;

/// How the digests of a story get coarser.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiers {
    /// So many minutes they tell apart at least, in the end.
    pub(super) minutes: i64,
}

impl Tiers {
    /// By hours, by days, or by hours and then by days.
    pub(super) fn some(random: &mut fastrand::Rng, config: &mut EventsConfig) -> Self {
        let [one, two] = [1, 2].map(Duration::from_secs);
        let (hours, days) = *random
            .choice(&[(Some(one), None), (None, Some(one)), (Some(one), Some(two))])
            .unwrap();
        (config.digest_hours_after, config.digest_days_after) = (hours, days);
        Self { minutes: if days.is_some() { 1_440 } else { 60 } }
    }
}

impl Story {
    /// Defines the indexes of the story, if it has any.
    pub(super) async fn define_indexes(&self) {
        if self.keeps == Keeps::Indexes {
            let maker = self.own.service(self.keeps).await;
            for (name, fields) in readings::INDEXES {
                maker.create_event_index(name, fields).await.unwrap();
            }
            maker.stop(BUDGET).await.unwrap();
        }
    }

    /// Damages indexes, or builds them, or neither; first they are built.
    pub(super) async fn index(&mut self, round: u64) {
        if self.keeps != Keeps::Indexes {
            return;
        }
        match self.random.u8(..3) {
            0 if round > 0 => self.own.damage(INDEXES, &mut self.random).await,
            1 if round > 0 => {}
            _ => {
                let maker = self.own.service(self.keeps).await;
                for (name, _) in readings::INDEXES {
                    let built: Vec<_> = maker.build_event_index(name).try_collect().await.unwrap();
                    assert_eq!(built.last().map(|it| it.through), Some(self.model.end()));
                }
                let by_worker = Filter::parse("worker_id = w0").unwrap();
                let options = ReadEvents::default().with_filter(by_worker);
                let explained = maker.explain(options).await.unwrap();
                let index = explained.index.as_ref();
                assert_eq!(index.and_then(|it| it.scanned), Some(0), "{explained:?}");
                maker.stop(BUDGET).await.unwrap();
            }
        }
    }

    /// Something leaves the log, or the digests are no more what they were.
    pub(super) async fn lose(&mut self) {
        match self.random.u8(..6) {
            0 | 1 => {
                let below = self.random.u64(self.model.begin + 1..=self.model.end() + 1);
                self.own.purge_below(below).await;
            }
            2 => self.own.purge_type(self.random.choice(&KINDS).unwrap()).await,
            // Where digests get coarser, nobody remembers for long what they were.
            3 if self.tiers.is_none() => {
                self.own.damage(DIGESTS, &mut self.random).await;
                self.model.keep(&[], 0);
            }
            _ => {}
        }
    }

    /// What is a second old goes, by its type, and digests keep what it was.
    pub(super) async fn age(&mut self) {
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
        if self.processes.is_some() || self.random.bool() {
            return self.keep_and_remove(ages).await;
        }
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

    /// A block that is whole leaves the log, and the keeper makes its digest coarser.
    pub(super) async fn coarsen(&mut self) {
        let whole = self.model.end() / BLOCK * BLOCK;
        self.own.purge_below(self.random.u64(whole + 1..=self.model.end() + 1)).await;
        let keeper = match self.keeper.take() {
            Some(keeper) => keeper,
            None => self.keeper(RetentionAges::default()).await,
        };
        has_digested(&keeper.service, self.model.end()).await;
        wait::until("the digest to get coarser", PATIENCE, async || {
            let shown = keeper.service.keeper().await.unwrap();
            shown.is_some_and(|shown| shown.digests_coarsened > 0)
        })
        .await;
        self.model.look(&self.own).await;
        self.stop_keeping(keeper).await;
    }
}
