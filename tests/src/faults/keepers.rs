//! Keepers of one log in processes of their own, to be killed one after the other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use naq_events::EventService;
use naq_events::keeper::KeeperStatus;

use super::{Child, Order, PATIENCE};
use crate::wait;

/// The keepers that a test starts, as long as each is killed before the next one.
#[derive(Debug)]
pub struct Keepers {
    program: PathBuf,
    /// What the next one is to do; its configuration makes it a keeper.
    pub order: Order,
    before: BTreeSet<String>,
}

impl Keepers {
    /// Those that a program and an order make.
    pub fn new(program: &Path, order: Order) -> Self {
        Self { program: program.to_owned(), order, before: BTreeSet::new() }
    }

    /// The next one, when the log's asker sees it keep the log.
    ///
    /// # Panics
    /// When it doesn't in time.
    pub async fn next(&mut self, asker: &EventService) -> (Child, KeeperStatus) {
        let child = Child::start(&self.program, &self.order);
        let keeper = wait::some("another keeper", PATIENCE, async || self.shown(asker).await).await;
        (child, keeper)
    }

    /// The one that keeps the log now, unless it is one that was killed.
    ///
    /// # Panics
    /// When the log can't be asked.
    pub async fn shown(&self, asker: &EventService) -> Option<KeeperStatus> {
        let shown = asker.keeper().await.unwrap();
        shown.filter(|shown| !self.before.contains(&shown.keeper))
    }

    /// Kills it, as kill -9 does.
    ///
    /// # Panics
    /// When that isn't possible.
    pub fn kill(&mut self, mut child: Child, keeper: &KeeperStatus) {
        child.kill();
        self.before.insert(keeper.keeper.clone());
    }

    /// How many were killed.
    pub fn killed(&self) -> usize {
        self.before.len()
    }
}
