//! What the child processes of these tests do: this binary runs itself again.
//!
//! A child is told what to do by its environment, and tells what it did, line
//! by line, on its output, each line behind `naq-spool:`.

use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use naq_events::spool::SpoolFsync;
use naq_events::spool::{PositionSet, Spool, SpoolOptions, SpoolOutcome};

use crate::{entries, numbers, read_all};

const ROLE: &str = "NAQ_TEST_SPOOL_ROLE";
const ROOT: &str = "NAQ_TEST_SPOOL_ROOT";
const FIRST: &str = "NAQ_TEST_SPOOL_FIRST";
const MARK: &str = "naq-spool:";

/// A child process, killed when it is dropped.
pub(crate) struct Told {
    pub(crate) child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Told {
    /// The next thing that the child tells: a word and a number.
    pub(crate) fn next(&mut self) -> Option<(String, u64)> {
        loop {
            let line = self.lines.next()?.ok()?;
            if let Some((_, said)) = line.split_once(MARK) {
                let (word, number) = said.trim().split_once(' ')?;
                return Some((word.to_owned(), number.parse().ok()?));
            }
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts this binary again in a role; `wrap` turns the command into another.
pub(crate) fn start(
    role: &str,
    root: &Path,
    first: u64,
    wrap: impl Fn(PathBuf) -> Command,
) -> Told {
    let mut command = wrap(std::env::current_exe().unwrap());
    command.args(["--exact", "child::plays_its_role", "--nocapture", "--test-threads=1"]);
    command.env(ROLE, role).env(ROOT, root).env(FIRST, first.to_string());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    Told { child, lines }
}

fn tell(word: &str, number: u64) {
    println!("{MARK}{word} {number}");
}

/// Nothing, unless a test has started this binary again for it.
#[tokio::test]
async fn plays_its_role() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let root = PathBuf::from(std::env::var_os(ROOT).unwrap());
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    match role.as_str() {
        "write" => write(&root, first).await,
        "fill" => fill(&root).await,
        role => panic!("no such role: {role}"),
    }
}

/// Adds and settles events until it is killed.
async fn write(root: &Path, first: u64) {
    let options = SpoolOptions::default().with_segment_bytes(4_000).with_fsync(SpoolFsync::Never);
    let (spool, _) = Spool::open(root, options).await.unwrap();
    let mut next = first;
    for round in 0_u64.. {
        let last = next + round % 17;
        let positions = spool.append(entries(next..=last)).await.unwrap();
        tell("accepted", last);
        next = last + 1;
        // All but the last 50 events, as they come out of the spool.
        if round % 5 == 4 && positions.end().get() > 50 {
            let all = read_all(&spool).await;
            let done = &all[..all.len().saturating_sub(50)];
            if let Some(end) = done.last() {
                tell("settling", crate::number(end));
                let positions: PositionSet = done.iter().map(|event| event.position).collect();
                spool.settle(positions, SpoolOutcome::Acked).await.unwrap();
                tell("settled", crate::number(end));
            }
        }
    }
}

/// Adds events until the disk is full, makes room, and goes on.
async fn fill(root: &Path) {
    let options = SpoolOptions::default().with_segment_bytes(16 << 20);
    let (spool, _) = Spool::open(root, options).await.unwrap();
    for number in 1.. {
        if let Err(error) = spool.append(entries(number..=number)).await {
            assert_eq!(error.kind(), naq_core::ErrorKind::LimitReached, "{error:?}");
            assert!(spool.status().trouble.is_some());
            tell("full", number);
            break;
        }
    }
    let kept = numbers(&spool).await;
    tell("kept", kept.len() as u64);
    let all = read_all(&spool).await.iter().map(|event| event.position).collect();
    spool.settle(all, SpoolOutcome::Acked).await.unwrap();
    let full = kept.len() as u64 + 1;
    let added = spool.append(entries(full..=full)).await.unwrap();
    tell("added", added.end().get());
    spool.close().await.unwrap();
}
