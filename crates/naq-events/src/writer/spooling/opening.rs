//! Opening the spool, and giving it back.

use std::sync::Arc;
use std::time::Duration;

use naq_core::clock::ClockExt;
use naq_core::config::EventsConfig;
use naq_core::events::LossReason;
use naq_core::{Error, ErrorKind, Result};

use super::keeper::{self, KeeperGuard};
use super::state::Spooling;
use crate::spool::{Recovered, Spool, SpoolOptions, spool_folders};
use crate::writer::Writer;

/// How long opening the spool may take: all marks are read, and the events of the last segment.
const OPENING: Duration = Duration::from_secs(60);

/// A spool that was just opened.
#[derive(Debug)]
pub(crate) struct OpenedSpool {
    spool: Spool,
    recovered: Recovered,
    state: Box<Spooling>,
}

impl Writer {
    /// Opens the spool, if the configuration names one.
    ///
    /// # Errors
    /// Those of [`Spool::open`]; `Timeout` for a disk that doesn't answer.
    pub(crate) async fn open_spool(&self, config: &EventsConfig) -> Result<Option<OpenedSpool>> {
        let Some(dir) = &config.spool.dir else { return Ok(None) };
        let clock = &self.shared.clock;
        let opening = Spool::open(dir, SpoolOptions::from(&config.spool));
        let Some(opened) = clock.until(clock.deadline(OPENING), opening).await else {
            return Err(Error::new(
                ErrorKind::Timeout,
                "start",
                "the spool's disk does not answer",
            )
            .with("path", dir.display().to_string())
            .with_hint("look for errors of the disk in the system's log"));
        };
        let (spool, recovered) = opened.map_err(|error| error.in_operation("start"))?;
        let left = recovered.events > 0;
        let state = Box::new(Spooling::new(config, left));
        tell(&recovered);
        tell_others(dir.clone());
        Ok(Some(OpenedSpool { spool, recovered, state }))
    }

    /// Goes on with a spool that was just opened.
    ///
    /// # Errors
    /// `Unsupported` outside a tokio runtime.
    pub(in crate::writer) fn use_spool(&self, opened: OpenedSpool) -> Result<KeeperGuard> {
        let OpenedSpool { spool, recovered, state: spooling } = opened;
        let spool = Arc::new(spool);
        let (shared, hasher) = (Arc::clone(&self.shared), self.hasher.clone());
        let guard = keeper::spawn(shared, Arc::clone(&spool), hasher)?;
        let mut state = self.shared.lock();
        state.spooling = Some(spooling);
        state.ledger.recover(recovered.events, recovered.torn, recovered.corrupt);
        let now = state.steady.at(self.shared.now());
        state.losses.add_nameless(recovered.corrupt, LossReason::Corrupt, now);
        drop(state);
        self.shared.set_spool(Some(spool));
        // It may have looked before there was anything to see.
        self.shared.keeper_nudge.notify_one();
        Ok(guard)
    }
}

/// Says what an earlier process left.
fn tell(recovered: &Recovered) {
    let Recovered { folder, events, in_doubt, torn, corrupt, lost_marks, .. } = recovered;
    let folder = folder.display();
    if corrupt + lost_marks > 0 {
        tracing::warn!(%folder, events, corrupt, lost_marks, "the spool was damaged");
    }
    if events + torn > 0 {
        tracing::info!(%folder, events, in_doubt, torn, "events in the spool are sent first");
    }
}

/// Says where there are events that this process doesn't send.
fn tell_others(dir: std::path::PathBuf) {
    let look = move || {
        let folders = spool_folders(&dir).unwrap_or_default();
        let left = folders.iter().filter(|folder| !folder.is_owned && folder.events > 0);
        let (count, events) =
            left.fold((0_u64, 0), |(n, sum), folder| (n + 1, sum + folder.events));
        if count > 0 {
            tracing::warn!(
                dir = %dir.display(),
                folders = count,
                events,
                "ended programs left events in the spool; `naq spool replay` sends them",
            );
        }
    };
    // For the program's log alone: nobody waits for it.
    drop(tokio::task::spawn_blocking(look));
}
