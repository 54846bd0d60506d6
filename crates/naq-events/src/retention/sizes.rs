//! How much room each type of event takes: counted, or estimated from samples.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use naq_core::Result;
use naq_core::events::ScanLimits;
use naq_core::jetstream::{Delivery, ReadOptions, ReadStart, ReadUntil, Storage};
use serde::Serialize;

use super::SIZES;
use super::room::room;
use crate::read::{Log, OpenLog};

/// How many places of a long log are looked at.
const SAMPLES: u64 = 64;

/// How many messages are read at each.
const RUN: u64 = 512;

/// How many places are looked at together.
const TOGETHER: usize = 8;

/// A log of no more messages than this is counted, whatever was asked.
const SHORT: u64 = 2 * SAMPLES * RUN;

/// How many types are told apart.
const MOST_KINDS: usize = 10_000;

/// How much room the log takes, by type of event.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EventSizes {
    /// How many messages the log holds; the server's, exact.
    pub messages: u64,
    /// How many bytes it takes, headers, subjects and the server's overhead
    /// included; the server's, exact.
    pub bytes: u64,
    /// Whether every message was looked at: else what `kinds` says is
    /// estimated from samples, and kinds of few events may be missing.
    pub is_exact: bool,
    /// How many messages were looked at.
    pub read: u64,
    /// The types, the largest first; those beyond 10,000 are one without a name.
    pub kinds: Vec<KindSize>,
}

/// How much room a type of event takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct KindSize {
    /// The type, as the subject says; `None` for what no event's subject is.
    pub event_type: Option<String>,
    /// How many there are.
    pub events: u64,
    /// How many bytes they take.
    pub bytes: u64,
}

/// Counts and bytes by type.
type Sums = BTreeMap<Option<String>, (f64, f64)>;

/// What a read of a part of the log met.
#[derive(Debug, Default)]
struct Part {
    sums: Sums,
    read: u64,
    last: u64,
}

/// Counts what the log holds by type, or estimates it.
pub(super) async fn sizes(log: &Log, exact: bool) -> Result<EventSizes> {
    let open = log.open(SIZES).await?;
    let state = &open.info.state;
    let (messages, bytes) = (state.messages, state.bytes);
    let is_exact = exact || messages <= SHORT;
    let mut read = 0;
    let mut sums = Sums::new();
    if messages > 0 && is_exact {
        let part = part(log, &open, state.first_sequence, state.last_sequence, None).await?;
        (sums, read) = (part.sums, part.read);
    } else if messages > 0 {
        let places = places(state.first_sequence, state.last_sequence);
        let parts = places.into_iter().map(|(from, to)| {
            let open = &open;
            async move {
                let mut part = part(log, open, from, to, Some(RUN)).await?;
                if part.read == RUN {
                    // The rest of the place is taken to be as its beginning.
                    let share = (to - from + 1) as f64 / (part.last.max(from) - from + 1) as f64;
                    scale(&mut part.sums, share, share);
                }
                Ok::<_, naq_core::Error>(part)
            }
        });
        let parts: Vec<Part> = stream::iter(parts).buffered(TOGETHER).try_collect().await?;
        for part in parts {
            read += part.read;
            part.sums.into_iter().for_each(|(kind, sum)| add(&mut sums, kind, sum));
        }
        let total = sums.values().fold((0.0, 0.0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        if total.0 > 0.0 && total.1 > 0.0 {
            scale(&mut sums, messages as f64 / total.0, bytes as f64 / total.1);
        }
    }
    let mut kinds: Vec<KindSize> = sums
        .into_iter()
        .map(|(event_type, (events, bytes))| KindSize {
            event_type,
            // Sums of messages of a stream: far below what a float counts exactly.
            events: events.round() as u64,
            bytes: bytes.round() as u64,
        })
        .collect();
    kinds.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.event_type.cmp(&b.event_type)));
    Ok(EventSizes { messages, bytes, is_exact, read, kinds })
}

/// Even parts of the sequences between two, both included.
fn places(first: u64, last: u64) -> Vec<(u64, u64)> {
    let span = (last - first + 1).div_ceil(SAMPLES).max(1);
    (0..SAMPLES)
        .map(|place| first + place * span)
        .take_while(|from| *from <= last)
        .map(|from| (from, (from + span - 1).min(last)))
        .collect()
}

/// Adds up the messages between two sequences, both included, at most so many.
async fn part(log: &Log, open: &OpenLog, from: u64, to: u64, most: Option<u64>) -> Result<Part> {
    let mut options = ReadOptions::default()
        .with_start(ReadStart::Sequence(from))
        .with_until(ReadUntil::Sequence(to))
        .with_headers_only(true)
        .with_created(open.info.created);
    options.limit = most;
    let storage = open.info.config.storage.unwrap_or(Storage::File);
    let meter = log.meter(SIZES, ScanLimits::default());
    let mut deliveries = open.jetstream.read(log.stream(), options);
    let mut part = Part::default();
    while let Some(delivery) = deliveries.next().await {
        let Delivery::Message(message) = delivery? else { continue };
        meter.note(&message)?;
        (part.read, part.last) = (part.read + 1, message.sequence);
        let kind = log.subjects().parse(&message.subject).map(|parsed| parsed.event_type);
        let kind = kind.map(|event_type| event_type.as_str().to_owned());
        add(&mut part.sums, kind, (1.0, room(storage, &message) as f64));
    }
    Ok(part)
}

fn add(sums: &mut Sums, kind: Option<String>, (events, bytes): (f64, f64)) {
    let has_room = sums.len() < MOST_KINDS || sums.contains_key(&kind);
    let kind = kind.filter(|_| has_room);
    let sum = sums.entry(kind).or_default();
    *sum = (sum.0 + events, sum.1 + bytes);
}

fn scale(sums: &mut Sums, events: f64, bytes: f64) {
    for sum in sums.values_mut() {
        *sum = (sum.0 * events, sum.1 * bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_cover_every_sequence_once() {
        for (first, last) in [(1, 1), (5, 70), (1, 65_537), (1_000, 9_999_999)] {
            let places = places(first, last);
            assert!(places.len() as u64 <= SAMPLES);
            assert_eq!((places[0].0, places[places.len() - 1].1), (first, last));
            assert!(places.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0));
        }
    }
}
