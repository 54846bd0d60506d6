//! How fast the spool of this machine is: events per second, by policy, written and drained.
//!
//! `cargo run --release -p naq-events --example spool_rates [folder]`; without
//! a folder it takes a temporary one. Put it on the disk that the spool will
//! be on: `always` measures little else than that disk's sync.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use naq_core::events::{EncodedEvent, EventIds, EventType};
use naq_core::{Error, ErrorKind, Result, Timestamp};
use naq_events::spool::SpoolFsync;
use naq_events::spool::{
    PositionSet, ReadLimit, SentContext, Spool, SpoolEntry, SpoolOptions, SpoolOutcome,
    SpoolPosition,
};

/// How long each way is measured.
const SPAN: Duration = Duration::from_secs(2);
const PAYLOAD_BYTES: usize = 200;

struct Events {
    ids: EventIds,
    payload: Bytes,
}

impl Events {
    fn some(&self, count: usize) -> Vec<SpoolEntry> {
        let now = Timestamp::from_nanos(1_764_000_000_000_000_000);
        let event = |number| {
            let subject = format!("events.job_started.job-{number}");
            let payload = self.payload.clone();
            let id = self.ids.next(now);
            let entity = subject.rsplit('.').next();
            let event = EncodedEvent::restore(id, EventType::JobStarted, &subject, entity, payload);
            SpoolEntry::new(event, now)
        };
        (0..count).map(event).collect()
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let temporary = tempfile::tempdir().map_err(|error| {
        Error::new(ErrorKind::Unavailable, "example", "no temporary folder").with_source(error)
    })?;
    let folder = std::env::args_os().nth(1);
    let root = folder.as_deref().map_or(temporary.path(), Path::new).join("spool_rates");
    println!("events of {PAYLOAD_BYTES} bytes per second, in {}", root.display());
    println!(
        "{:>9} {:>12} {:>12} {:>12} {:>12}",
        "fsync", "1 by 1", "8 tasks", "by 100", "drained"
    );
    for fsync in [SpoolFsync::Always, SpoolFsync::Interval, SpoolFsync::Never] {
        let one = appended(&root, fsync, 1, 1).await?;
        let tasks = appended(&root, fsync, 8, 1).await?;
        let batches = appended(&root, fsync, 1, 100).await?;
        let drained = drained(&root, fsync).await?;
        println!("{fsync:>9} {one:>12.0} {tasks:>12.0} {batches:>12.0} {drained:>12.0}");
    }
    Ok(())
}

async fn open(root: &Path, fsync: SpoolFsync) -> Result<Spool> {
    let options = SpoolOptions::default().with_max_bytes(16 << 30).with_fsync(fsync);
    Ok(Spool::open(root, options).await?.0)
}

/// So many tasks, each waiting for the answer to its batch before the next one.
async fn appended(root: &Path, fsync: SpoolFsync, tasks: usize, batch: usize) -> Result<f64> {
    let spool = Arc::new(open(root, fsync).await?);
    let events = Arc::new(Events { ids: EventIds::new(), payload: payload() });
    let begun = Instant::now();
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let (spool, events) = (Arc::clone(&spool), Arc::clone(&events));
            tokio::spawn(async move {
                while begun.elapsed() < SPAN {
                    spool.append(events.some(batch)).await?;
                }
                Ok::<_, Error>(())
            })
        })
        .collect();
    for task in tasks {
        task.await.map_err(|error| {
            Error::new(ErrorKind::Unexpected, "example", "a task ended early").with_source(error)
        })??;
    }
    let rate = spool.status().events as f64 / begun.elapsed().as_secs_f64();
    empty(&spool).await?;
    Ok(rate)
}

/// Reading, marking as sent, and settling, in batches of 1,000.
async fn drained(root: &Path, fsync: SpoolFsync) -> Result<f64> {
    let spool = open(root, fsync).await?;
    let events = Events { ids: EventIds::new(), payload: payload() };
    for _ in 0..300 {
        spool.append(events.some(1_000)).await?;
    }
    let begun = Instant::now();
    let drained = empty(&spool).await?;
    Ok(drained as f64 / begun.elapsed().as_secs_f64())
}

async fn empty(spool: &Spool) -> Result<u64> {
    let now = Timestamp::from_nanos(1_764_000_000_000_000_000);
    let context = SentContext { stream_created: now, last_sequence: 1, sent_at: now };
    let (mut from, mut drained) = (SpoolPosition::START, 0);
    loop {
        let chunk = spool.read(from, ReadLimit::default()).await?;
        if chunk.events.is_empty() {
            return Ok(drained);
        }
        from = chunk.next;
        let positions: PositionSet = chunk.events.iter().map(|event| event.position).collect();
        spool.mark_sent(positions.clone(), context).await?;
        drained += spool.settle(positions, SpoolOutcome::Acked).await?;
    }
}

fn payload() -> Bytes {
    Bytes::from(vec![b'x'; PAYLOAD_BYTES])
}
