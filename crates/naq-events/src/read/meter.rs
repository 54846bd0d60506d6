//! How much a question has read, and when it has to stop.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use naq_core::clock::{Clock, ClockExt};
use naq_core::config::{EventsConfig, format_duration};
use naq_core::events::{EventItem, ScanLimits};
use naq_core::jetstream::StoredMessage;
use naq_core::{BoxStream, Error, ErrorKind, Result, RetryClass};

/// The clock is asked again after so many messages that come without a wait.
const LOOK_AFTER: u64 = 256;

/// How much may be read, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    messages: u64,
    bytes: u64,
    time: Duration,
}

impl Limits {
    /// What a configuration allows.
    pub(crate) const fn of(config: &EventsConfig) -> Self {
        Self {
            messages: config.scan_limit,
            bytes: config.scan_limit_bytes.bytes(),
            time: config.scan_limit_time,
        }
    }

    /// The same with what a question says of itself.
    pub(super) fn with(self, asked: ScanLimits) -> Self {
        Self {
            messages: asked.max_messages.unwrap_or(self.messages),
            bytes: asked.max_bytes.unwrap_or(self.bytes),
            time: asked.max_time.unwrap_or(self.time),
        }
    }
}

/// Counts what a question reads, and stops it at its limits.
#[derive(Debug)]
pub(crate) struct Meter {
    operation: &'static str,
    stream: Arc<str>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    messages: AtomicU64,
    bytes: AtomicU64,
    /// How many of the messages an index named.
    named: AtomicU64,
    /// The last sequence that was read.
    at: AtomicU64,
    /// When it has to end, in nanoseconds of the clock; 0 until that is looked up.
    deadline: AtomicU64,
}

impl Meter {
    pub(super) fn new(
        operation: &'static str,
        stream: Arc<str>,
        clock: Arc<dyn Clock>,
        limits: Limits,
    ) -> Self {
        let [messages, bytes, named, at, deadline] = Default::default();
        Self { operation, stream, clock, limits, messages, bytes, named, at, deadline }
    }

    /// How many messages may be read.
    pub(crate) const fn most_messages(&self) -> u64 {
        self.limits.messages
    }

    /// How many messages may still be read.
    pub(crate) fn left(&self) -> u64 {
        self.limits.messages.saturating_sub(self.messages.load(Ordering::Relaxed))
    }

    /// How many messages were read.
    pub(crate) fn read(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// How many of them an index named.
    pub(crate) fn named(&self) -> u64 {
        self.named.load(Ordering::Relaxed)
    }

    /// Counts a message that an index named, and that was got by it.
    ///
    /// # Errors
    /// As [`note`](Self::note).
    pub(super) fn note_named(&self, message: &StoredMessage) -> Result<()> {
        self.note(message)?;
        self.named.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Counts a message that was read.
    ///
    /// # Errors
    /// `LimitReached` where that is one too many.
    pub(crate) fn note(&self, message: &StoredMessage) -> Result<()> {
        self.check((1, message.payload.len()), message.sequence)?;
        self.add((1, message.payload.len()), message.sequence);
        Ok(())
    }

    /// Whether so many messages and bytes more may be read, up to a sequence.
    ///
    /// # Errors
    /// `LimitReached` where they may not.
    pub(super) fn check(&self, (messages, bytes): (u64, usize), sequence: u64) -> Result<()> {
        let before = self.messages.load(Ordering::Relaxed);
        let messages = before.saturating_add(messages);
        if messages > self.limits.messages {
            return Err(self.too_many_messages(sequence));
        }
        let bytes = self.bytes.load(Ordering::Relaxed).saturating_add(bytes as u64);
        if bytes > self.limits.bytes {
            return Err(self
                .stopped("scan_limit_bytes", sequence, TOO_MUCH)
                .with("max_bytes", self.limits.bytes.to_string()));
        }
        let is_due = messages / LOOK_AFTER > before / LOOK_AFTER;
        if is_due && self.clock.monotonic() >= self.deadline() {
            return Err(self.too_long(sequence));
        }
        Ok(())
    }

    /// Counts what was read, up to a sequence.
    pub(super) fn add(&self, (messages, bytes): (u64, usize), sequence: u64) {
        self.messages.fetch_add(messages, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.at.store(sequence, Ordering::Relaxed);
    }

    /// Runs a question, or ends it when its time is over.
    ///
    /// # Errors
    /// `LimitReached` where it is over; those of the question.
    pub(crate) async fn within<T: Send>(
        &self,
        question: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        match self.clock.until(self.deadline(), question).await {
            Some(answer) => answer,
            None => Err(self.too_long(self.at.load(Ordering::Relaxed))),
        }
    }

    /// A reading that ends with an error where the search for its next event
    /// comes to the limits.
    pub(super) fn limit(
        self: Arc<Self>,
        items: BoxStream<'static, Result<EventItem>>,
    ) -> BoxStream<'static, Result<EventItem>> {
        Limited { items, meter: self, timer: None, has_ended: false }.boxed()
    }

    /// Half of what is left of messages, bytes and time, from now on: for what
    /// is read beside the question. [`take`](Self::take) counts it to the question.
    pub(crate) fn half(&self) -> Self {
        let left = self.deadline().saturating_sub(self.clock.monotonic());
        let bytes = self.limits.bytes.saturating_sub(self.bytes.load(Ordering::Relaxed));
        let limits = Limits { messages: self.left() / 2, bytes: bytes / 2, time: left / 2 };
        let (stream, clock) = (Arc::clone(&self.stream), Arc::clone(&self.clock));
        let half = Self::new(self.operation, stream, clock, limits);
        half.deadline();
        half
    }

    /// Counts what another meter has counted.
    pub(crate) fn take(&self, other: &Self) {
        let [messages, bytes, at] =
            [&other.messages, &other.bytes, &other.at].map(|it| it.load(Ordering::Relaxed));
        self.messages.fetch_add(messages, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.at.fetch_max(at, Ordering::Relaxed);
    }

    /// Waits until half of the time that is left now is over.
    pub(crate) fn half_time(&self) -> BoxFuture<'static, ()> {
        let now = self.clock.monotonic();
        self.sleep_until(now + self.deadline().saturating_sub(now) / 2)
    }

    fn sleep_until(&self, instant: Duration) -> BoxFuture<'static, ()> {
        let clock = Arc::clone(&self.clock);
        async move { clock.sleep_until(instant).await }.boxed()
    }

    /// An error for more messages than may be read.
    pub(super) fn too_many_messages(&self, sequence: u64) -> Error {
        self.stopped("scan_limit", sequence, TOO_MUCH)
            .with("max_messages", self.limits.messages.to_string())
    }

    fn too_long(&self, sequence: u64) -> Error {
        self.stopped("scan_limit_time", sequence, "the question reads the log for too long")
            .with("max_time", format_duration(self.limits.time))
    }

    fn stopped(&self, key: &str, sequence: u64, text: &'static str) -> Error {
        Error::new(ErrorKind::LimitReached, self.operation, text)
            .with_retry(RetryClass::Never)
            .with("stream", &*self.stream)
            .with("stopped_at_sequence", sequence.to_string())
            .with_hint(format!("raise `{key}` in the section `events`, or ask for less"))
    }

    /// When it has to end, on its clock; from the first look on.
    fn deadline(&self) -> Duration {
        match self.deadline.load(Ordering::Relaxed) {
            0 => {
                let deadline = self.clock.deadline(self.limits.time);
                let nanos = u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX);
                self.deadline.store(nanos, Ordering::Relaxed);
                deadline
            }
            nanos => Duration::from_nanos(nanos),
        }
    }

    /// Counts anew what is read, for one more pass over the log; the time goes on.
    pub(crate) fn begin_pass(&self) {
        for count in [&self.messages, &self.bytes, &self.named] {
            count.store(0, Ordering::Relaxed);
        }
    }

    /// Counts anew, with all the time there is.
    fn begin_anew(&self) {
        self.begin_pass();
        self.deadline.store(0, Ordering::Relaxed);
    }
}

const TOO_MUCH: &str = "the question would read too much of the log";

/// A reading with limits for the search for each next event.
struct Limited {
    items: BoxStream<'static, Result<EventItem>>,
    meter: Arc<Meter>,
    /// The end of the time for the next event, while it is waited for.
    timer: Option<BoxFuture<'static, ()>>,
    has_ended: bool,
}

impl Stream for Limited {
    type Item = Result<EventItem>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(item) = self.items.poll_next_unpin(cx) {
            if let Some(Ok(EventItem::Event(_))) = item {
                self.meter.begin_anew();
                self.timer = None;
            }
            return Poll::Ready(item);
        }
        let meter = Arc::clone(&self.meter);
        let timer = self.timer.get_or_insert_with(|| meter.sleep_until(meter.deadline()));
        ready!(timer.poll_unpin(cx));
        self.has_ended = true;
        Poll::Ready(Some(Err(meter.too_long(meter.at.load(Ordering::Relaxed)))))
    }
}

#[cfg(test)]
mod tests {
    use naq_core::clock::ManualClock;

    use super::*;

    #[test]
    fn the_clock_is_looked_at_however_many_messages_are_counted_together() {
        let clock = ManualClock::new();
        let limits = Limits::of(&EventsConfig::default());
        for step in [1, 7, 255, 256, 300, 512] {
            let meter = Meter::new("test", Arc::from("events"), Arc::new(clock.clone()), limits);
            let count = |sequence| {
                meter.check((step, 0), sequence).inspect(|()| meter.add((step, 0), sequence))
            };
            // From its first look on it has so much time.
            (1..=LOOK_AFTER).for_each(|sequence| count(sequence).unwrap());
            clock.advance(limits.time);
            let error = (0..=LOOK_AFTER / step).find_map(|sequence| count(sequence).err());
            assert!(error.unwrap().is(ErrorKind::LimitReached), "{step}");
        }
    }
}
