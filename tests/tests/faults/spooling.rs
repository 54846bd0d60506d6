//! Programs with a spool: begun, killed, and followed by another one on the same folder.

use std::path::{Path, PathBuf};

use naq_core::config::SpoolMode;
use naq_core::events::EventSink;
use naq_tests::faults::{Order, PATIENCE, Producer, Program, Round, Scene, quick};
use naq_tests::ledger::Line;
use naq_tests::wait;

use crate::events;
use crate::processes::order;

/// An order to log on and on, with a spool; and the spool's folder.
pub(crate) fn spooling(scene: &Scene, round: &Round, mode: SpoolMode) -> (Order, PathBuf) {
    let spool = scene.folder().join("spool");
    let mut order = order(scene, round, &scene.server.url());
    let dir = spool.display();
    order.config.push_str(&format!("spool.dir = \"{dir}\"\nspool.mode = \"{mode}\"\n"));
    (order, spool)
}

/// A program that sends what another one has left in a spool; none of it is left,
/// and the stream is told of what the spool has lost.
pub(crate) async fn taken_over(scene: &Scene, spool: &Path) -> (Program, Producer) {
    let config = events(quick(&scene.server.url()), |mut events| {
        events.spool = events.spool.with_dir(spool.to_owned());
        events
    });
    let (next, producer) = scene.program("p2", config).await;
    producer.log_acked("after", 0, 10).await.unwrap();
    wait::until("the spool to be empty", PATIENCE, async || {
        let account = producer.events.account();
        account.counters.spooled + account.untold == 0
    })
    .await;
    (next, producer)
}

/// Writes down that nothing may be missing of what a receipt says is on disk.
pub(crate) fn all_spooled_are_safe(scene: &Scene) {
    let history = scene.book.history();
    for id in history.open() {
        if history.events[&id].spooled {
            scene.book.write(&Line::Acked { id, sequence: None });
        }
    }
}

/// Writes down that nothing may be missing of what the program was told to be
/// safe before it ended: of what its call for acceptance, or a receipt, came back for.
pub(crate) fn all_accepted_are_safe(scene: &Scene) {
    all_spooled_are_safe(scene);
    let history = scene.book.history();
    // The odd jobs wait for outcomes: that naq has got their events isn't its word yet.
    let waits_for_acceptance = |job: &str| ["job0", "job2", "job4"].contains(&job);
    for id in history.open() {
        if waits_for_acceptance(history.events[&id].series.trim_start_matches("p1-")) {
            scene.book.write(&Line::Acked { id, sequence: None });
        }
    }
}
