//! Lines on their way into the log, and what became of each.

use std::collections::VecDeque;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use indicatif::ProgressBar;
use naq_core::config::EventsConfig;
use naq_core::events::{EventInput, EventReceipt, EventSink};
use naq_core::{Error, ErrorKind};
use tokio::task::unconstrained;
use tokio::time::Instant;

use super::lines::{Batch, Batches, Line};
use super::tally::{End, Tally};
use crate::complain::what;
use crate::output::{Notes, human, sanitize};

/// So many lines, or so many bytes, are on their way at a time: enough for the
/// server's full speed, and a bound on memory.
const MOST_LINES: usize = 8_192;
const MOST_BYTES: usize = 32 << 20;

/// What a line takes of the buffer beside its bytes, at the most.
const BESIDE: usize = 1_024;

/// So long without a confirmation is told; and after so much longer once more.
const SILENCE: Duration = Duration::from_secs(2);
const LONG_SILENCE: Duration = Duration::from_secs(28);

/// How much is on its way at a time.
///
/// Never more than the buffer holds: so each line is accepted at once, in the
/// order of the lines. Lines that wait for room would overtake each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    lines: usize,
    bytes: usize,
}

impl Room {
    /// As much as the buffer of this configuration holds.
    pub(crate) fn of(config: &EventsConfig) -> Self {
        let bytes = usize::try_from(config.buffer_max_bytes.bytes()).unwrap_or(usize::MAX);
        Self {
            lines: config.buffer_max_events.min(MOST_LINES),
            // What an event gets on its way into the buffer is no more than it is.
            bytes: (bytes / 2).min(MOST_BYTES),
        }
    }

    const fn has(self, lines: usize, bytes: usize) -> bool {
        // One line alone is always tried: the buffer itself says if it is too large.
        lines == 0 || lines < self.lines && bytes < self.bytes
    }
}

/// Stores line after line, in order, and tells each that is rejected.
///
/// Ends at the end of the lines, at Ctrl-C, or where going on makes no sense:
/// a server that is away, a right that is missing. What was on its way then is
/// waited for.
pub(crate) async fn run(
    events: &dyn EventSink,
    mut lines: Batches,
    room: Room,
    bar: &ProgressBar,
    notes: Notes,
) -> Tally {
    let mut ingest = Ingest { tally: Tally::default(), bar, notes, begun: Instant::now() };
    let mut under_way = FuturesOrdered::new();
    let mut bytes_under_way = 0;
    let mut read = VecDeque::new();
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let mut settled_at = Instant::now();
    let mut end = None;
    loop {
        while end.is_none() || matches!(end, Some(End::Whole)) {
            if !room.has(under_way.len(), bytes_under_way) {
                break;
            }
            let Some(Line { number, text }) = read.pop_front() else { break };
            let Some(text) = text else {
                ingest.reject(number, "longer than any event may be");
                continue;
            };
            let line = (number, text.len() + BESIDE);
            bytes_under_way += line.1;
            ingest.tally.lines += 1;
            let input = EventInput::from_json(&text);
            let logged = async move { (line, events.log_acked(input).await) };
            // A task that yields to others would let later lines go first.
            under_way.push_back(unconstrained(logged));
        }
        tokio::select! {
            biased;
            Some((line, result)) = under_way.next(), if !under_way.is_empty() => {
                let (number, size): (u64, usize) = line;
                bytes_under_way -= size;
                if let Some(stop) = ingest.settle(number, result) {
                    end = Some(match end {
                        None | Some(End::Whole) => stop,
                        Some(earlier) => earlier,
                    });
                }
                settled_at = Instant::now();
            }
            () = tokio::time::sleep_until(settled_at + SILENCE), if !under_way.is_empty() => {
                ingest.tell_of_silence();
                settled_at = Instant::now() + LONG_SILENCE;
            }
            // Once is enough: at the second the shell's own way ends the program.
            _ = &mut interrupt, if end.is_none() => end = Some(End::Interrupted),
            batch = lines.recv(), if end.is_none() && read.is_empty() => match batch {
                Some(Ok(Batch { lines, position })) => {
                    bar.set_position(position);
                    read.extend(lines);
                }
                Some(Err(error)) => end = Some(End::Unreadable(error)),
                None => end = Some(End::Whole),
            },
            else => break,
        }
        let is_over = match end {
            Some(End::Whole) => read.is_empty(),
            Some(_) => true,
            None => false,
        };
        if under_way.is_empty() && is_over {
            break;
        }
    }
    ingest.tally.end = end.unwrap_or(End::Whole);
    ingest.tally.took = ingest.begun.elapsed();
    ingest.tally
}

struct Ingest<'a> {
    tally: Tally,
    bar: &'a ProgressBar,
    notes: Notes,
    begun: Instant,
}

impl Ingest<'_> {
    /// Counts what became of a line; says whether there is no sense in going on.
    fn settle(&mut self, number: u64, result: Result<EventReceipt, Error>) -> Option<End> {
        match result {
            Ok(receipt) => {
                if receipt.is_spooled() {
                    self.tally.spooled += 1;
                    return None;
                }
                self.tally.stored += 1;
                self.tally.duplicates += u64::from(receipt.duplicate);
                if self.tally.stored.is_multiple_of(1_000) {
                    self.bar.set_message(human::counted(self.tally.stored, "event"));
                }
                None
            }
            Err(error) if is_about_the_line(error.kind()) => {
                self.tally.lines -= 1;
                self.reject(number, &about_the_line(&what(&error)));
                None
            }
            Err(error) => {
                self.tally.not_stored += 1;
                let first = self.tally.first_not_stored.get_or_insert(number);
                // The others fail for the same reason, and would bury it.
                (*first == number).then_some(End::Stopped(error))
            }
        }
    }

    fn tell_of_silence(&self) {
        let pending = human::counted(self.tally.under_way(), "event");
        let note = format!("-- the server confirms nothing at the moment, with {pending} waiting");
        self.bar.suspend(|| self.notes.line(&self.notes.paint().warn(note)));
    }

    fn reject(&mut self, number: u64, reason: &str) {
        self.tally.lines += 1;
        self.tally.rejected += 1;
        let what = self.notes.paint().bad("rejected:");
        let line = format!("line {number}: {what} {}", sanitize(reason));
        self.bar.suspend(|| self.notes.line(&line));
    }
}

/// What is wrong, without the JSON parser's count of lines, which is always of this one.
fn about_the_line(what: &str) -> String {
    what.replace(" at line 1 column ", " at column ")
}

/// Whether another line may fare better.
fn is_about_the_line(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::InvalidArgument | ErrorKind::TooLarge | ErrorKind::Conflict)
}
