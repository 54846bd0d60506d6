//! Reading in stored order, to an end or live.

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, future, stream};
use naq_core::clock::ClockExt;
use naq_core::events::{EventItem, Filter, Position, ReadEvents, RecordedEvent};
use naq_core::jetstream::{self, Delivery, StoredMessage};
use naq_core::{BoxStream, Result, Timestamp};

use super::open::Place;
use super::{Log, Meter, OpenLog};

/// Reads from a place to its end.
pub(super) fn read(
    log: &Log,
    open: &OpenLog,
    place: Place,
    (filter, limit): (Filter, Option<u64>),
    meter: &Arc<Meter>,
) -> BoxStream<'static, Result<EventItem>> {
    let deliveries = open.jetstream.read(log.stream(), place.options(log, open, &filter));
    let (created, meter) = (open.info.created, Arc::clone(meter));
    let reading = Reading { deliveries, filter, created, left: limit, meter };
    stream::unfold(Some(reading), Reading::step).boxed()
}

/// A delivery as an item; `None` for an event that the filter doesn't let through.
pub(super) fn item(delivery: Delivery, created: Timestamp, filter: &Filter) -> Option<EventItem> {
    let position = |sequence| Position::new(created, sequence);
    Some(match delivery {
        Delivery::Message(message) => match decode(message, created) {
            EventItem::Event(recorded) if !filter.matches_recorded(&recorded) => return None,
            item => item,
        },
        Delivery::CaughtUp { sequence } => EventItem::CaughtUp { position: position(sequence) },
        Delivery::Gap { from, to } => EventItem::Gap { from, to },
        Delivery::Resumed { sequence } => EventItem::Resumed { position: position(sequence) },
    })
}

/// A message as an event, or as word of what is wrong with it.
pub(crate) fn decode(message: StoredMessage, created: Timestamp) -> EventItem {
    let StoredMessage { subject, sequence, stored_at, payload, .. } = message;
    match RecordedEvent::decode(Position::new(created, sequence), stored_at, subject, payload) {
        Ok(recorded) => EventItem::Event(Box::new(recorded)),
        Err(malformed) => EventItem::Malformed(Box::new(malformed)),
    }
}

/// The delivery, counted if it is a message.
fn noted(meter: &Meter, delivery: Delivery) -> Result<Delivery> {
    if let Delivery::Message(message) = &delivery {
        meter.note(message)?;
    }
    Ok(delivery)
}

/// A reading under way.
struct Reading {
    deliveries: BoxStream<'static, Result<Delivery>>,
    filter: Filter,
    created: Timestamp,
    left: Option<u64>,
    meter: Arc<Meter>,
}

impl Reading {
    /// The next item; with the state `None` the reading is over.
    async fn step(state: Option<Self>) -> Option<(Result<EventItem>, Option<Self>)> {
        let mut reading = state?;
        loop {
            let delivery = reading.deliveries.next().await?;
            let delivery = match delivery.and_then(|delivery| noted(&reading.meter, delivery)) {
                Ok(delivery) => delivery,
                Err(error) => return Some((Err(error.in_operation("read_events")), None)),
            };
            let Some(item) = item(delivery, reading.created, &reading.filter) else { continue };
            if let (EventItem::Event(_), Some(left)) = (&item, &mut reading.left) {
                *left -= 1;
                if *left == 0 {
                    return Some((Ok(item), None));
                }
            }
            return Some((Ok(item), Some(reading)));
        }
    }
}

/// How long after the end time the log is looked at
/// once more: what the server stored just before the time must be in.
const GRACE: Duration = Duration::from_millis(50);

/// Reads what was stored before a time, and waits for the time if it is to come.
///
/// It reads live until the time has passed, by the earlier of the server's
/// clock and this machine's, and then from there to the log's end as it stands: so an event that was stored just before the
/// time is told, however quiet the log falls afterwards.
pub(super) fn read_until_time(
    log: Log,
    open: OpenLog,
    mut place: Place,
    ReadEvents { filter, limit, .. }: ReadEvents,
    end: Timestamp,
    meter: &Arc<Meter>,
) -> BoxStream<'static, Result<EventItem>> {
    let wait = end.since(open.now());
    let wait = if wait.is_zero() { wait } else { wait + GRACE };
    let deadline = log.clock().deadline(wait);
    if place.start == jetstream::ReadStart::New {
        // The part after the time must begin where the live one did, even if
        // that one never got to say how far it was.
        let behind = open.info.state.last_sequence.saturating_add(1);
        place.start = jetstream::ReadStart::Sequence(behind);
    }
    let live = (!wait.is_zero())
        .then(|| open.jetstream.read(log.stream(), place.options(&log, &open, &filter)));
    let state = Timed {
        log,
        open,
        place,
        filter,
        left: limit,
        meter: Arc::clone(meter),
        end,
        deadline,
        live,
        rest: None,
        is_caught_up: false,
    };
    stream::unfold(Some(state), Timed::step).boxed()
}

/// A reading that ends at a time.
struct Timed {
    log: Log,
    open: OpenLog,
    place: Place,
    filter: Filter,
    left: Option<u64>,
    meter: Arc<Meter>,
    end: Timestamp,
    deadline: Duration,
    /// What comes while the time is still ahead.
    live: Option<BoxStream<'static, Result<Delivery>>>,
    /// What is left to read when it has passed.
    rest: Option<BoxStream<'static, Result<Delivery>>>,
    /// Whether that was told, since the last `Resumed`.
    is_caught_up: bool,
}

impl Timed {
    async fn step(state: Option<Self>) -> Option<(Result<EventItem>, Option<Self>)> {
        let mut timed = state?;
        loop {
            let delivery = timed.next_delivery().await?;
            let delivery = match delivery.and_then(|delivery| noted(&timed.meter, delivery)) {
                Ok(delivery) => delivery,
                Err(error) => return Some((Err(error.in_operation("read_events")), None)),
            };
            timed.note(&delivery);
            if matches!(&delivery, Delivery::Message(message) if message.stored_at >= timed.end) {
                return None;
            }
            match &delivery {
                // The part after the time catches up again: it is told once.
                Delivery::CaughtUp { .. } if timed.is_caught_up => continue,
                Delivery::CaughtUp { .. } => timed.is_caught_up = true,
                Delivery::Resumed { .. } => timed.is_caught_up = false,
                _ => {}
            }
            let created = timed.open.info.created;
            let Some(item) = item(delivery, created, &timed.filter) else { continue };
            if let (EventItem::Event(_), Some(left)) = (&item, &mut timed.left) {
                *left -= 1;
                if *left == 0 {
                    return Some((Ok(item), None));
                }
            }
            return Some((Ok(item), Some(timed)));
        }
    }

    async fn next_delivery(&mut self) -> Option<Result<Delivery>> {
        if let Some(live) = &mut self.live {
            let clock = self.log.clock();
            let time_is_up = clock.sleep_until(self.deadline).fuse();
            match future::select(live.next(), time_is_up).await {
                future::Either::Left((delivery, _)) => return delivery,
                future::Either::Right(_) => self.live = None,
            }
        }
        let rest = self.rest.get_or_insert_with(|| {
            let place = Place { until: jetstream::ReadUntil::Head, ..self.place };
            let options = place.options(&self.log, &self.open, &self.filter);
            self.open.jetstream.read(self.log.stream(), options)
        });
        rest.next().await
    }

    /// Remembers how far it has read, for the part after the time.
    fn note(&mut self, delivery: &Delivery) {
        let read = match delivery {
            Delivery::Message(message) => message.sequence,
            Delivery::CaughtUp { sequence } | Delivery::Resumed { sequence } => *sequence,
            Delivery::Gap { to, .. } => *to,
        };
        if self.rest.is_none() {
            self.place.start = jetstream::ReadStart::Sequence(read.saturating_add(1));
        }
    }
}
