//! One direction of one connection, and what is done to it.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::Mutex;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// What a link holds at most, in bytes; past it, it reads no more.
const BUFFER: usize = 1 << 20;
const CHUNK: usize = 16 << 10;
/// A throttled link writes this often.
const THROTTLE_STEPS_PER_SECOND: u32 = 50;

/// What is done to the bytes that go one way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    pub(super) held: bool,
    /// Connections up to this number live on without their client, and may be held.
    pub(super) stranded: u64,
    pub(super) stranded_held: bool,
    pub(super) delay: Duration,
    pub(super) bytes_per_second: Option<u32>,
}

impl Faults {
    /// The same without any hold, delay and throttle.
    pub(super) fn healed(self) -> Self {
        Self { stranded: self.stranded, ..Self::default() }
    }
}

/// What all connections share that is about one direction.
#[derive(Debug, Default)]
pub(super) struct Lane {
    faults: watch::Sender<Faults>,
    count: Mutex<Count>,
}

#[derive(Debug, Default)]
struct Count {
    passed: u64,
    cut_at: Option<u64>,
    cut_resets: bool,
}

/// What may be written now.
struct Grant {
    bytes: usize,
    /// The kind of error with which the link ends then.
    then_cut: Option<ErrorKind>,
}

impl Lane {
    pub(super) fn change(&self, change: impl FnOnce(&mut Faults)) {
        self.faults.send_modify(change);
    }

    /// Whether this connection lives on without its client.
    pub(super) fn has_stranded(&self, connection: u64) -> bool {
        self.faults.borrow().stranded >= connection
    }

    pub(super) fn passed(&self) -> u64 {
        self.count.lock().unwrap().passed
    }

    pub(super) fn cut_after(&self, bytes: u64, resets: bool) {
        let mut count = self.count.lock().unwrap();
        count.cut_at = Some(count.passed + bytes);
        count.cut_resets = resets;
    }

    /// Cuts nothing any more.
    pub(super) fn call_off_cut(&self) {
        self.count.lock().unwrap().cut_at = None;
    }

    /// Counts up to `wanted` bytes as passed, no further than a cut that is due.
    fn take(&self, wanted: usize) -> Grant {
        let Count { passed, cut_at, cut_resets } = &mut *self.count.lock().unwrap();
        let room = cut_at.map_or(u64::MAX, |at| at - *passed);
        let bytes = room.min(wanted as u64);
        *passed += bytes;
        // Once: the next connection is whole.
        let due = cut_at.take_if(|at| *at == *passed).is_some();
        let then_cut = due.then_some(if *cut_resets {
            ErrorKind::ConnectionReset
        } else {
            ErrorKind::ConnectionAborted
        });
        Grant { bytes: bytes as usize, then_cut }
    }
}

/// Bytes on their way.
struct Chunk {
    due: Instant,
    bytes: Vec<u8>,
}

/// Reads, keeps for as long as the faults say, and writes.
pub(super) struct Link<'a> {
    lane: &'a Lane,
    /// Which connection it is of, from 1 on.
    connection: u64,
    faults: watch::Receiver<Faults>,
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    chunks: VecDeque<Chunk>,
    held_bytes: usize,
    read_ended: bool,
}

impl<'a> Link<'a> {
    pub(super) fn new(
        lane: &'a Lane,
        connection: u64,
        from: ReadHalf<'a>,
        to: WriteHalf<'a>,
    ) -> Self {
        let faults = lane.faults.subscribe();
        let chunks = VecDeque::new();
        Self { lane, connection, faults, from, to, chunks, held_bytes: 0, read_ended: false }
    }

    /// Ends well when the source has ended and everything was passed on, its end
    /// included; with an error when a side breaks or a cut was due:
    /// `ConnectionReset` where that is to be a reset.
    pub(super) async fn run(mut self) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let faults = *self.faults.borrow_and_update();
            let is_stranded = faults.stranded >= self.connection;
            let is_held = faults.held || is_stranded && faults.stranded_held;
            let due = self.chunks.front().map(|chunk| chunk.due);
            if self.read_ended && due.is_none() && !is_held {
                return self.to.shutdown().await;
            }
            tokio::select! {
                changed = self.faults.changed() => {
                    changed.map_err(|_| io::Error::from(ErrorKind::BrokenPipe))?;
                }
                read = self.from.read(&mut buffer), if !self.read_ended && self.held_bytes < BUFFER => {
                    let bytes = match read {
                        // Its client resets it: what came before is on its way all the same.
                        Err(_) if is_stranded => &[],
                        read => &buffer[..read?],
                    };
                    self.read_ended = bytes.is_empty();
                    self.held_bytes += bytes.len();
                    if !self.read_ended {
                        let due = Instant::now() + faults.delay;
                        self.chunks.push_back(Chunk { due, bytes: bytes.to_vec() });
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() && !is_held => {
                    self.write_next(faults.bytes_per_second).await?;
                }
            }
        }
    }

    /// Writes the oldest chunk, or what of it a throttle lets pass at a time.
    async fn write_next(&mut self, bytes_per_second: Option<u32>) -> io::Result<()> {
        let Some(chunk) = self.chunks.front_mut() else { return Ok(()) };
        let step = bytes_per_second.map(|rate| rate.div_ceil(THROTTLE_STEPS_PER_SECOND));
        let wanted = step.map_or(chunk.bytes.len(), |step| chunk.bytes.len().min(step as usize));
        let grant = self.lane.take(wanted);
        self.to.write_all(&chunk.bytes[..grant.bytes]).await?;
        if let Some(kind) = grant.then_cut {
            return Err(io::Error::from(kind));
        }
        self.held_bytes -= grant.bytes;
        if grant.bytes == chunk.bytes.len() {
            self.chunks.pop_front();
        } else {
            chunk.bytes.drain(..grant.bytes);
        }
        if let Some(rate) = bytes_per_second {
            sleep(Duration::from_secs_f64(grant.bytes as f64 / f64::from(rate))).await;
        }
        Ok(())
    }
}
