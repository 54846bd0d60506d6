//! Reading newest first: window after window from the end back.
//!
//! A stream can only be read forwards. So it is read in windows of sequences,
//! the newest window first, and each window's matches are turned round. The
//! window grows while it finds little, because a server jumps over what a
//! subject filter leaves out, and shrinks when it finds more than is worth
//! keeping in memory.

use std::collections::VecDeque;

use futures::{StreamExt, stream};
use naq_core::events::{EventItem, Position, ReadEvents, ReadStart, ReadUntil};
use naq_core::jetstream::{self, Delivery};
use naq_core::{BoxStream, Result};

use super::open::Place;
use super::{Log, OpenLog, forward};

const FIRST_WINDOW: u64 = 1_024;
const WIDEST_WINDOW: u64 = 1 << 20;
/// How many items of one window are kept in memory at most.
const MOST_ITEMS: usize = 8_192;

/// Reads from the end of a place back to its start.
pub(super) fn read(
    log: Log,
    open: OpenLog,
    place: Place,
    options: ReadEvents,
) -> BoxStream<'static, Result<EventItem>> {
    let state = Backward {
        left: options.limit,
        log,
        open,
        place,
        options,
        window: FIRST_WINDOW,
        range: None,
        ready: VecDeque::new(),
    };
    stream::unfold(Some(state), Backward::step).boxed()
}

struct Backward {
    log: Log,
    open: OpenLog,
    place: Place,
    options: ReadEvents,
    left: Option<u64>,
    window: u64,
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
            None => self.find_range().await?,
        };
        if low > high {
            return Ok(false);
        }
        let from = low.max((high + 1).saturating_sub(self.window));
        let place = Place {
            start: jetstream::ReadStart::Sequence(from),
            until: jetstream::ReadUntil::Sequence(high),
        };
        let options = place.options(&self.log, &self.open, &self.options.filter);
        let mut deliveries = self.open.jetstream.read(self.log.stream(), options);
        let (mut items, mut events) = (VecDeque::new(), 0_u64);
        let mut lowest = low;
        while let Some(delivery) = deliveries.next().await {
            let delivery = match delivery? {
                Delivery::CaughtUp { .. } | Delivery::Resumed { .. } => continue,
                // What lies below is gone too.
                Delivery::Gap { to, .. } => {
                    lowest = to + 1;
                    Delivery::Gap { from: low, to }
                }
                message @ Delivery::Message(_) => message,
            };
            let created = self.open.info.created;
            let Some(item) = forward::item(delivery, created, &self.options.filter) else {
                continue;
            };
            events += u64::from(item.event().is_some());
            items.push_back(item);
            // The newest are wanted first: what is older than the limit lets through can go.
            while self.left.is_some_and(|left| events > left) {
                let oldest = items.pop_front();
                events -= u64::from(oldest.is_some_and(|item| item.event().is_some()));
            }
            if items.len() > MOST_ITEMS && from < high {
                self.range = Some((low, high));
                self.window = (self.window.min(high - from + 1) / 4).max(1);
                return Ok(true);
            }
        }
        if items.len() * 4 < MOST_ITEMS {
            self.window = (self.window * 4).min(WIDEST_WINDOW);
        }
        self.range = Some((low.max(lowest), from - 1));
        self.ready = items.into_iter().rev().collect();
        Ok(true)
    }

    /// The sequences between start and end, as the stream stood at the opening.
    async fn find_range(&self) -> Result<(u64, u64)> {
        let state = &self.open.info.state;
        let first = state.first_sequence.max(1);
        let low = match self.options.start {
            ReadStart::Time(time) => self
                .log
                .first_stored_since(&self.open, time)
                .await?
                .unwrap_or(state.last_sequence + 1),
            _ => match self.place.start {
                jetstream::ReadStart::Sequence(sequence) => sequence,
                _ => first,
            },
        };
        let high = match self.options.until {
            ReadUntil::Sequence(sequence) => sequence.min(state.last_sequence),
            ReadUntil::Time(time) => self
                .log
                .first_stored_since(&self.open, time)
                .await?
                .map_or(state.last_sequence, |sequence| sequence - 1),
            _ => state.last_sequence,
        };
        Ok((low.max(1), high))
    }
}
