//! Spools that are damaged, or for which the disk has no room, under programs that live on.

use std::fs;
use std::path::{Path, PathBuf};

use naq_core::config::{OverflowPolicy, Size, SpoolConfig, SpoolMode};
use naq_core::events::{EventSink, LossReason};
use naq_tests::faults::{Child, Load, PATIENCE, Round, Scene, quick, rounds};
use naq_tests::ledger::{Fate, Line};
use naq_tests::wait;

use crate::processes::program;
use crate::spooling::{all_accepted_are_safe, spooling, taken_over};
use crate::{events, ms, secs};

/// The files of events below a spool's folder, oldest first.
fn segments(spool: &Path) -> Vec<PathBuf> {
    let files = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let folders = files(spool).into_iter().filter(|path| path.is_dir());
    let mut segments: Vec<PathBuf> = folders
        .flat_map(|folder| files(&folder))
        .filter(|path| path.extension().is_some_and(|extension| extension == "events"))
        .collect();
    segments.sort();
    segments
}

/// The ids of events whose records are in a file, with where these are.
fn ids(bytes: &[u8]) -> Vec<(usize, String)> {
    const MARK: &[u8] = b"\"id\":\"p1-";
    let at = bytes.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK);
    at.map(|(at, _)| {
        let id = bytes[at + 6..].split(|byte| *byte == b'"').next().unwrap();
        (at, String::from_utf8(id.to_vec()).unwrap())
    })
    .collect()
}

/// Changes one byte of a record in the middle, and leaves half a record at the
/// end, as a kill does. Answers whose record is damaged.
fn damage(spool: &Path, round: &mut Round) -> String {
    let segment = segments(spool).pop().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let ids = ids(&bytes);
    // None of those that may have been stored before the server went.
    let (at, id) = ids[round.random.usize(ids.len() / 2..ids.len() - 1)].clone();
    bytes[at + 1] ^= 0x20;
    let last = bytes.windows(4).rposition(|window| window == [0xF5, b'n', b'q', 0xFF]).unwrap();
    let some = round.random.usize(1..bytes.len() - last);
    bytes.extend_from_within(last..last + some);
    fs::write(&segment, &bytes).unwrap();
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_end_and_a_damaged_record_of_a_spool_cost_that_record_alone() {
    rounds("spool damaged", async |mut round| {
        let mut scene = Scene::new().await;
        let (order, spool) = spooling(&scene, &round, SpoolMode::Always);
        let mut child = Child::start(program(), &order);
        // Everything stays in the spool.
        scene.server.kill();
        round.sometime(ms(500)).await;
        wait::until("some to be on disk", PATIENCE, async || {
            scene.book.history().count(|fate| fate.accepted) > 100
        })
        .await;
        child.kill();
        let lost = damage(&spool, &mut round);
        scene.server.restart().await;
        let (next, producer) = taken_over(&scene, &spool).await;
        let counters = producer.events.counters();
        assert_eq!((counters.corrupt, counters.torn, counters.failed), (1, 1, 1), "{counters:?}");
        assert!(counters.is_balanced(), "{counters:?}");
        scene.book.write(&Line::Failed { id: lost, kind: "damaged".to_owned() });
        all_accepted_are_safe(&scene);
        let case = scene.judge().await;
        let told = case.notices();
        assert_eq!((told.len(), told[0].reason, told[0].count), (1, LossReason::Corrupt, 1));
        let kept = fs::read_dir(spool.join("1").join("quarantine")).unwrap().count();
        assert_eq!(kept, 1, "what was damaged is set aside");
        next.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_without_room_for_the_spool_is_told_and_the_program_lives_on() {
    rounds("disk full", async |mut round| {
        let mut scene = Scene::new().await;
        let (mut order, _) = spooling(&scene, &round, SpoolMode::Overflow);
        order.config.push_str("buffer_max_events = 500\noverflow = \"fail\"\n");
        // The ledger's file has to do with as much.
        order.file_limit = Some(2 << 20);
        (order.pad, order.rest) = (8_000, ms(20));
        let mut child = Child::start(program(), &order);
        round.sometime(ms(500)).await;
        scene.server.kill();
        wait::until("events to be refused", PATIENCE, async || {
            !child.is_over() && rejected(&scene) > 20
        })
        .await;
        scene.server.restart().await;
        let acked = || scene.book.history().count(Fate::is_acked);
        let before = acked();
        wait::until("events to go past the spool again", PATIENCE, async || acked() > before).await;
        child.terminate();
        let (code, said) = child.ended(PATIENCE).await;
        assert_eq!(code, Some(0), "{said}");
        all_accepted_are_safe(&scene);
        let case = scene.judge().await;
        let kinds = case.history.rejections();
        // And some came when it had been told to end.
        let known = |kind: &&str| ["limit reached", "closed"].contains(kind);
        assert!(kinds.iter().all(known) && kinds.contains(&"limit reached"), "{kinds:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_holds_up_no_event_that_only_needs_the_disk() {
    rounds("server frozen, with a spool", async |mut round| {
        let scene = Scene::new().await;
        let mode = round.random.choice([SpoolMode::Always, SpoolMode::Overflow]).unwrap();
        let mut config = events(quick(&scene.server.url()), |mut events| {
            let dir = scene.folder().join("spool");
            events.spool = SpoolConfig::in_folder(dir).with_mode(mode);
            if mode == SpoolMode::Overflow {
                // Full in a moment.
                events = events.with_buffer_max_events(200_usize);
            }
            // A call that waits for the server is refused.
            events.with_overflow(OverflowPolicy::Spool).with_overflow_wait(secs(1))
        });
        config.connection = config.connection.with_ping_interval(secs(1));
        let (program, producer) = scene.program("p1", config).await;
        let logging = producer.load(&Load::steady(round.seed));
        round.sometime(ms(500)).await;
        scene.server.pause().await;
        round.rest(secs(3), secs(12)).await;
        scene.server.resume();
        round.sometime(ms(500)).await;
        logging.end().await;
        wait::until("the spool to be empty", PATIENCE, async || {
            producer.events.counters().spooled == 0
        })
        .await;
        let case = scene.ends_well(program, &producer).await;
        assert!(case.history.rejections().is_empty(), "{mode}: {:?}", case.history.rejections());
    })
    .await;
}

fn rejected(scene: &Scene) -> u64 {
    scene.book.history().rejections().len() as u64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_full_buffer_drops_is_counted_and_told_in_the_stream() {
    rounds("events dropped", async |mut round| {
        let mut scene = Scene::new().await;
        let overflow = [OverflowPolicy::DropNewest, OverflowPolicy::DropOldest];
        let overflow = overflow[round.random.usize(0..2)];
        let config = events(quick(&scene.server.url()), |events| {
            events
                .with_overflow(overflow)
                .with_buffer_max_events(200_usize)
                .with_buffer_max_bytes(Size::from_mib(1))
        });
        let (program, producer) = scene.program("p1", config).await;
        let logging = ["a", "b", "c"].map(|job| producer.load(&Load::flood(round.seed, job)));
        round.sometime(ms(300)).await;
        scene.server.kill();
        wait::until("events to be dropped", PATIENCE, async || {
            producer.events.counters().dropped > 100
        })
        .await;
        scene.server.restart().await;
        round.sometime(ms(300)).await;
        for logging in logging {
            logging.end().await;
        }
        let report = producer.events.flush(PATIENCE).await.unwrap();
        assert_eq!(report.pending, 0, "{report:?}");
        wait::until("the stream to be told", PATIENCE, async || {
            let account = producer.events.account();
            account.untold + account.counters.pending == 0
        })
        .await;
        producer.count();
        let case = scene.judge().await;
        let reason = match overflow {
            OverflowPolicy::DropNewest => LossReason::DropNewest,
            _ => LossReason::DropOldest,
        };
        let told: u64 = case
            .notices()
            .iter()
            .filter(|notice| notice.reason == reason)
            .map(|notice| notice.count)
            .sum();
        assert!(told > 0, "{:?}", case.notices());
        program.services.stop().await.unwrap();
    })
    .await;
}
