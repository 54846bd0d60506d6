//! Who keeps the log of a story: a keeper that comes and goes, is stopped in
//! order or anywhere, and is killed.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join;
use naq_core::config::RetentionAges;
use naq_core::events::{EventQuery, StatsRequest};
use naq_core::service::Service;
use naq_events::EventService;
use naq_tests::faults::Keepers;
use naq_tests::mortal::{Life, Mortal};
use naq_tests::own_log::OwnLog;
use naq_tests::wait;

use super::story::{BUDGET, PATIENCE, Story};

/// The keeper, while there is one.
pub(super) struct Keeper {
    pub(super) service: Arc<EventService>,
    pub(super) life: Arc<Life>,
    /// What it has counted, by place.
    pub(super) counted: Vec<bool>,
    /// How far the digests went that it has begun with.
    began_with: u64,
}

impl Story {
    /// Lets the log's keeper come or go, or neither.
    pub(super) async fn keep(&mut self) {
        if let Some(processes) = self.processes.take() {
            return self.keep_by_process(processes, None).await;
        }
        let had_one = self.keeper.is_some();
        match (self.keeper.take(), self.random.u8(..3)) {
            (None, 0 | 1) => self.begin_to_keep().await,
            (Some(keeper), 0) => self.stop_keeping(keeper).await,
            (Some(keeper), 1) => self.kill(keeper).await,
            (keeper, _) => self.keeper = keeper,
        }
        let is_new = !had_one && self.model.begin > 0;
        if (self.has_crossed || is_new)
            && let Some(mut keeper) = self.keeper.take()
        {
            // What it keeps by that, or makes anew where it was lost, is known.
            has_digested(&keeper.service, self.model.end()).await;
            self.model.count_what_is_there(&mut keeper.counted);
            self.model.keep_read(&keeper.counted);
            self.keeper = Some(keeper);
        }
    }

    async fn begin_to_keep(&mut self) {
        let keeper = self.keeper(self.own.config.retention.clone()).await;
        match self.random.u8(..4) {
            0 => {
                // Wherever it is; what it has digested by then is found out.
                let rest = Duration::from_micros(self.random.u64(..20_000));
                tokio::time::sleep(rest).await;
                keeper.service.stop(BUDGET).await.unwrap();
                self.learn(&keeper.counted).await;
            }
            1 => self.kill(keeper).await,
            _ => self.keeper = Some(keeper),
        }
    }

    /// One that begins, and removes what is older than that.
    pub(super) async fn keeper(&self, ages: RetentionAges) -> Keeper {
        let (own, life) = self.mortal(ages);
        let service = own.keeper_of(self.keeps).await;
        let (counted, began_with) = (self.model.kept(), self.model.kept_through);
        Keeper { service, life, counted, began_with }
    }

    /// The log for a keeper of such ages, and what that lives by.
    pub(super) fn mortal(&self, ages: RetentionAges) -> (OwnLog, Arc<Life>) {
        let mortal = Mortal::of(Arc::clone(&self.own.js));
        let life = Arc::clone(mortal.between());
        let config = self.own.config.clone().with_retention(ages);
        (OwnLog { js: Arc::new(mortal), config }, life)
    }

    /// It has digested all, and is stopped.
    pub(super) async fn stop_keeping(&mut self, keeper: Keeper) {
        let Keeper { service, mut counted, began_with, .. } = keeper;
        let end = self.model.end();
        has_digested(&service, end).await;
        service.stop(BUDGET).await.unwrap();
        self.model.count_what_is_there(&mut counted);
        if self.has_crossed {
            self.model.keep_read(&counted);
        }
        if end > began_with {
            self.model.keep_what_grows(&counted);
        }
    }

    /// It ends as by a kill: between any two words with the server, it has none
    /// any more. What it has kept by then is found out.
    async fn kill(&mut self, keeper: Keeper) {
        let unread = self.model.end() - self.model.kept_through.max(self.model.begin);
        keeper.life.ends_after(self.random.u64(..2 * unread + 60));
        wait::until("the keeper's end", PATIENCE, async || keeper.life.is_over()).await;
        drop(keeper.service);
        self.learn(&keeper.counted).await;
    }

    /// Finds out what somebody has kept who has ended anywhere, and had counted
    /// this before: the first of what it can have kept, and if it has removed
    /// anything, nothing else than that. Answers how many are kept.
    pub(super) async fn learn(&mut self, counted: &[bool]) -> u64 {
        let fresh = self.own.service(self.keeps).await;
        let got = fresh.stats(StatsRequest::default()).await.unwrap();
        self.model.keep_first(got.basis.from_digests, counted);
        let kept = self.model.kept();
        self.asked(&fresh, &kept, "behind an end").hold(&got);
        self.model.keep_read(&[]);
        fresh.stop(BUDGET).await.unwrap();
        got.basis.from_digests
    }

    /// A keeper of these ages removes what it finds too old, and is killed
    /// meanwhile, or soon after that.
    pub(super) async fn keep_and_remove(&mut self, ages: RetentionAges) {
        if let Some(processes) = self.processes.take() {
            return self.keep_by_process(processes, Some(ages)).await;
        }
        if let Some(keeper) = self.keeper.take() {
            self.stop_keeping(keeper).await;
        }
        let keeper = self.keeper(ages).await;
        let asker = self.own.service(self.keeps).await;
        if self.random.bool() {
            keeper.life.ends_after(self.random.u64(..2 * self.model.count() + 100));
        }
        wait::until("the keeper's end, or what it removes", PATIENCE, async || {
            let shown = asker.keeper().await.unwrap();
            keeper.life.is_over() || shown.is_some_and(|shown| shown.removed > 0)
        })
        .await;
        asker.stop(BUDGET).await.unwrap();
        keeper.life.ends_after(0);
        drop(keeper.service);
        self.learn(&keeper.counted).await;
    }

    /// The same, or without ages, by a process that is killed at any instant.
    async fn keep_by_process(&mut self, mut keepers: Keepers, ages: Option<RetentionAges>) {
        let kept = self.model.kept();
        if ages.is_some() || self.random.u8(..4) > 0 {
            let asker = self.own.service(self.keeps).await;
            let order = keepers.order.clone();
            let all = |ages: &RetentionAges| {
                let others = ages.others().map(|age| ("*".to_owned(), age));
                let named = ages.named().map(|(kind, age)| (kind.to_owned(), age));
                named.chain(others).collect::<Vec<_>>()
            };
            for (kind, age) in ages.iter().flat_map(all) {
                let line = format!("retention.\"{kind}\" = \"{}s\"\n", age.as_secs());
                keepers.order.config.push_str(&line);
            }
            let (child, keeper) = keepers.next(&asker).await;
            asker.stop(BUDGET).await.unwrap();
            tokio::time::sleep(Duration::from_micros(self.random.u64(..300_000))).await;
            keepers.kill(child, &keeper);
            keepers.order = order;
            self.learn(&kept).await;
        }
        self.processes = Some(keepers);
    }

    /// Asks the keeper from two sides while it digests what has come.
    pub(super) async fn ask_beside_keeper(&mut self, about: &str) {
        let Some(mut keeper) = self.keeper.take() else { return };
        self.model.count_what_is_there(&mut keeper.counted);
        self.model.find_whole(&mut keeper.counted);
        let ask = || self.asked(&keeper.service, &keeper.counted, about);
        let (one, other) = (ask(), ask());
        join(one.everything(), other.everything()).await;
        self.keeper = Some(keeper);
    }

    /// Asks the keeper, which has counted all that is there then.
    pub(super) async fn ask_keeper(&mut self, questions: usize, about: &str) {
        let Some(mut keeper) = self.keeper.take() else { return };
        // Until then, what it has counted is not at hand for questions of each kind.
        has_digested(&keeper.service, self.model.end()).await;
        self.model.find_whole(&mut keeper.counted);
        self.asked(&keeper.service, &keeper.counted, about).everything().await;
        self.something(&keeper.service, &keeper.counted, questions, about).await;
        self.keeper = Some(keeper);
    }
}

/// Waits until a keeper has digested everything.
pub(super) async fn has_digested(keeper: &EventService, end: u64) {
    wait::until("the keeper to have digested all", PATIENCE, async || {
        let shown = keeper.keeper().await.unwrap();
        keeper.is_keeper() && shown.is_some_and(|shown| shown.through == end)
    })
    .await;
}
