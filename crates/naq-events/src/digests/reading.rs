//! Reading what digests don't tell, and making digests of what none has.

use std::sync::Arc;

use futures::{StreamExt, stream};
use naq_core::events::{EventItem, RecordedEvent};
use naq_core::jetstream::{Delivery, ReadOptions, ReadStart, ReadUntil};
use naq_core::{BoxStream, Result};
use tokio::sync::MutexGuard;

use super::cell::Minute;
use super::digest::{Digest, Span};
use super::gather::{Gathering, Tally};
use super::kept::Purpose;
use super::rests::{Rest, Rests, runs};
use crate::fence::Mark;

/// How many parts are read again at the same time.
const AT_ONCE: usize = 4;

/// What is read, and why.
#[derive(Debug)]
pub(super) enum Part {
    /// What a digest has seen and can't tell apart.
    Again(Again),
    /// All that a digest has seen, which tells too little of it.
    Untold(Arc<Digest>),
    /// What no digest has.
    Rest(Rest),
}

/// Events to be read again.
#[derive(Debug)]
pub(super) struct Again {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) which: Which,
    /// How many of them the digest has seen.
    pub(super) expected: u64,
}

/// Which of the events between two sequences.
#[derive(Debug)]
pub(super) enum Which {
    /// Those of a minute of which only some lie in the range.
    Of(Minute),
    /// Those that a digest doesn't tell the minutes of.
    Apart(Arc<Digest>),
}

impl Which {
    fn has(&self, recorded: &RecordedEvent) -> bool {
        let of = Minute::of(recorded.timestamp());
        match self {
            Self::Of(minute) => *minute == of,
            Self::Apart(digest) => {
                digest.spans.binary_search_by_key(&of, |(minute, _)| *minute).is_err()
            }
        }
    }
}

/// The reading of a minute of which only some events lie in the range, and
/// whose cells don't tell all of them apart.
pub(super) fn edge(digest: &Digest, minute: Minute) -> Option<Again> {
    let at = digest.spans.binary_search_by_key(&minute, |(minute, _)| *minute).ok()?;
    let (_, Span { from, to }) = digest.spans[at];
    let expected = digest.cells_between(minute, minute).iter().map(|(_, cell)| cell.count).sum();
    let which = Which::Of(minute);
    Some(Again { from, to, which, expected })
}

impl Gathering<'_> {
    /// Reads what no digest has, and answers what is to be read again.
    ///
    /// The flight is over where digests are made of no more: nobody has to wait
    /// for what only this question needs.
    pub(super) async fn read(
        &mut self,
        parts: Vec<Part>,
        flight: Option<MutexGuard<'_, ()>>,
        tally: &mut impl Tally,
    ) -> Result<Vec<Again>> {
        let (mut rests, mut untold, mut again) = (Vec::new(), Vec::new(), Vec::new());
        for part in parts {
            match part {
                Part::Rest(rest) => rests.push(rest),
                Part::Untold(digest) => untold.push(digest),
                Part::Again(part) => again.push(part),
            }
        }
        // What follows one another is read at one go.
        for run in runs(rests) {
            // An answer that reads nothing is not as large as what reading takes.
            Box::pin(self.rests(run, tally)).await?;
        }
        drop(flight);
        for digest in untold {
            again.extend(Box::pin(self.untold(&digest, tally)).await?);
        }
        Ok(again)
    }

    /// Reads again what digests have seen and can't tell apart, a few parts at a time.
    pub(super) async fn again(&mut self, parts: Vec<Again>, tally: &mut impl Tally) -> Result<()> {
        let readings = parts.iter().enumerate().map(|(place, part)| {
            self.deliveries(part.from, part.to).map(move |delivery| (place, delivery))
        });
        let mut deliveries = stream::iter(readings.collect::<Vec<_>>()).flatten_unordered(AT_ONCE);
        let mut met = vec![0; parts.len()];
        while let Some((place, delivery)) = deliveries.next().await {
            let (Some((_, item)), Some(part)) = (self.item(delivery)?, parts.get(place)) else {
                continue;
            };
            if let EventItem::Event(recorded) = item
                && part.which.has(&recorded)
            {
                met[place] += 1;
                self.show_event(&recorded, None, tally)?;
            }
        }
        for (part, met) in parts.iter().zip(met) {
            self.basis.undecided += part.expected.saturating_sub(met);
        }
        Ok(())
    }

    /// Reads rests that follow one another, and makes digests of them.
    async fn rests(&mut self, run: Vec<Rest>, tally: &mut impl Tally) -> Result<()> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(()) };
        let (from, to) = (first.from, last.to);
        let mut rests = Rests::new(self.digests, self.open(), run, Purpose::Question);
        let mut deliveries = self.deliveries(rests.start(from), to);
        let (mut met, mut malformed) = (0, 0);
        while let Some(delivery) = deliveries.next().await {
            let met_now = match &delivery {
                Ok(Delivery::Message(message)) => Mark::from(message),
                _ => Mark::default(),
            };
            if met_now.sequence > 0 {
                let operation = self.ask.operation;
                rests.meet(met_now).map_err(|error| error.in_operation(operation))?;
                if met_now.sequence < from {
                    continue;
                }
            }
            let (sequence, item) = match self.item(delivery) {
                Ok(Some(message)) => message,
                Ok(None) => continue,
                Err(error) => {
                    rests.break_off().await;
                    return Err(error);
                }
            };
            // What is not kept was told, and the answer has it all the same.
            let _ = rests.come_to(sequence).await;
            met += 1;
            let draft = rests.lacking(met_now);
            match item {
                EventItem::Event(recorded) => {
                    let is_repeat = draft.map(|draft| draft.observe_and_tell(&recorded));
                    self.show_event(&recorded, is_repeat, tally)?;
                }
                _ => {
                    if let Some(draft) = draft {
                        draft.malformed(sequence);
                    }
                    malformed += 1;
                }
            }
        }
        let _ = rests.end().await;
        self.basis.malformed += malformed;
        self.basis.holes += (to + 1).saturating_sub(from).saturating_sub(met);
        Ok(())
    }

    /// What the log still has between two sequences, both included.
    pub(super) fn deliveries(&self, from: u64, to: u64) -> BoxStream<'static, Result<Delivery>> {
        let (log, open) = (self.ask.log, self.open());
        let from = from.max(open.info.state.first_sequence);
        if from > to {
            return stream::empty().boxed();
        }
        let options = ReadOptions::default()
            .with_start(ReadStart::Sequence(from))
            .with_until(ReadUntil::Sequence(to))
            .with_created(open.info.created);
        open.jetstream.read(log.stream(), options)
    }

    /// A delivery's sequence and what it is, where it is a message; counted.
    pub(super) fn item(&mut self, delivery: Result<Delivery>) -> Result<Option<(u64, EventItem)>> {
        let ask = self.ask;
        let delivery = delivery.map_err(|error| error.in_operation(ask.operation))?;
        let Delivery::Message(message) = delivery else { return Ok(None) };
        ask.meter.note(&message)?;
        self.basis.read += 1;
        Ok(Some((message.sequence, ask.log.as_counted(message, ask.open.info.created))))
    }
}
