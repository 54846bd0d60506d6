//! Reading newest first: window after window from the end back.
//!
//! A stream can only be read forwards. So it is read in windows of sequences,
//! the newest window first, and each window's matches are turned round. The
//! window grows while it finds little, because a server jumps over what a
//! subject filter leaves out, and shrinks when it finds more than is worth
//! keeping in memory.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::{StreamExt, stream};
use naq_core::events::{EventItem, Filter, Position, ReadEvents};
use naq_core::jetstream::{self, Delivery};
use naq_core::{BoxStream, Result};

use super::open::Place;
use super::{Log, Meter, OpenLog, forward};

const FIRST_WINDOW: u64 = 1_024;
const WIDEST_WINDOW: u64 = 1 << 20;
/// How many items of one window are kept in memory at most.
const MOST_ITEMS: usize = 8_192;
/// How many bytes of them are kept in memory at most, if there is more than one.
const MOST_BYTES: usize = 32 << 20;

/// Reads from the end back to the start.
pub(super) fn read(
    log: Log,
    open: OpenLog,
    options: ReadEvents,
    meter: &Arc<Meter>,
) -> BoxStream<'static, Result<EventItem>> {
    begin(log, open, options, None, meter)
}

/// Reads what lies between two sequences, both included.
pub(super) fn read_between(
    log: Log,
    open: OpenLog,
    range: (u64, u64),
    filter: Filter,
    meter: &Arc<Meter>,
) -> BoxStream<'static, Result<EventItem>> {
    begin(log, open, ReadEvents::default().with_filter(filter), Some(range), meter)
}

fn begin(
    log: Log,
    open: OpenLog,
    options: ReadEvents,
    range: Option<(u64, u64)>,
    meter: &Arc<Meter>,
) -> BoxStream<'static, Result<EventItem>> {
    let state = Backward {
        left: options.limit,
        log,
        open,
        options,
        window: FIRST_WINDOW,
        meter: Arc::clone(meter),
        range,
        ready: VecDeque::new(),
    };
    stream::unfold(Some(state), Backward::step).boxed()
}

struct Backward {
    log: Log,
    open: OpenLog,
    options: ReadEvents,
    left: Option<u64>,
    window: u64,
    meter: Arc<Meter>,
    /// The sequences that are still to be read, both ends included; found on the first step.
    range: Option<(u64, u64)>,
    /// What is read and not told yet, the newest first.
    ready: VecDeque<EventItem>,
}

impl Backward {
    async fn step(state: Option<Self>) -> Option<(Result<EventItem>, Option<Self>)> {
        let mut backward = state?;
        loop {
            if let Some(item) = backward.ready.pop_front() {
                if let (EventItem::Event(_), Some(left)) = (&item, &mut backward.left) {
                    *left -= 1;
                    if *left == 0 {
                        return Some((Ok(item), None));
                    }
                }
                return Some((Ok(item), Some(backward)));
            }
            match backward.read_window().await {
                Ok(true) => {}
                Ok(false) => {
                    let position = Position::new(
                        backward.open.info.created,
                        backward.open.info.state.last_sequence,
                    );
                    return Some((Ok(EventItem::CaughtUp { position }), None));
                }
                Err(error) => return Some((Err(error.in_operation("read_events")), None)),
            }
        }
    }

    /// Reads the next window; `false` where there is none left.
    async fn read_window(&mut self) -> Result<bool> {
        let (low, high) = match self.range {
            Some(range) => range,
            None => {
                let (low, high) = self.log.sequences(&self.open, &self.options).await?;
                (low.max(1), high)
            }
        };
        if low > high {
            return Ok(false);
        }
        // What a window has is known when all of it is read: no window has more
        // than may still be read.
        let left = self.meter.left();
        if left == 0 {
            return Err(self.meter.too_many_messages(high));
        }
        let from = low.max((high + 1).saturating_sub(self.window.min(left)));
        let place = Place {
            start: jetstream::ReadStart::Sequence(from),
            until: jetstream::ReadUntil::Sequence(high),
        };
        let options = place.options(&self.log, &self.open, &self.options.filter);
        let mut deliveries = self.open.jetstream.read(self.log.stream(), options);
        let mut window = Window::default();
        let (mut lowest, mut read) = (low, (0, 0));
        while let Some(delivery) = deliveries.next().await {
            let delivery = delivery?;
            match &delivery {
                Delivery::CaughtUp { .. } | Delivery::Resumed { .. } => continue,
                // The stream begins behind it now: what lies below is gone too.
                Delivery::Gap { to, .. } => lowest = to + 1,
                Delivery::Message(message) => {
                    read = (read.0 + 1, read.1 + message.payload.len());
                    self.meter.check(read, message.sequence)?;
                }
            }
            let created = self.open.info.created;
            if let Some(item) = forward::item(delivery, created, &self.options.filter) {
                window.push(item, self.left);
            }
            if window.is_too_large() && from < high {
                self.range = Some((low, high));
                self.window = (self.window.min(high - from + 1) / 4).max(1);
                return Ok(true);
            }
        }
        self.meter.add(read, from);
        if lowest > from && low < from {
            window.tell_gone(low, from - 1);
        }
        if window.is_small() {
            self.window = (self.window * 4).min(WIDEST_WINDOW);
        }
        self.range = Some((low.max(lowest), from - 1));
        self.ready = window.items.into_iter().rev().collect();
        Ok(true)
    }
}

/// What a window gave, the oldest first.
#[derive(Default)]
struct Window {
    items: VecDeque<EventItem>,
    events: u64,
    bytes: usize,
}

impl Window {
    /// Adds an item, and lets go what is older than the `left` newest events.
    fn push(&mut self, item: EventItem, left: Option<u64>) {
        self.events += u64::from(item.event().is_some());
        self.bytes += size(&item);
        self.items.push_back(item);
        while left.is_some_and(|left| self.events > left)
            && let Some(oldest) = self.items.pop_front()
        {
            self.events -= u64::from(oldest.event().is_some());
            self.bytes -= size(&oldest);
        }
    }

    /// Puts a gap before everything else, as one with a gap that follows it directly.
    fn tell_gone(&mut self, first: u64, last: u64) {
        if let Some(EventItem::Gap { from, .. }) = self.items.front_mut()
            && *from == last + 1
        {
            *from = first;
        } else {
            self.items.push_front(EventItem::Gap { from: first, to: last });
        }
    }

    fn is_too_large(&self) -> bool {
        self.items.len() > MOST_ITEMS || self.bytes > MOST_BYTES
    }

    fn is_small(&self) -> bool {
        self.items.len() < MOST_ITEMS / 4 && self.bytes < MOST_BYTES / 4
    }
}

/// What keeping an item takes, about.
fn size(item: &EventItem) -> usize {
    match item {
        EventItem::Event(recorded) => recorded.payload.len(),
        EventItem::Malformed(malformed) => malformed.payload.len(),
        _ => 0,
    }
}
