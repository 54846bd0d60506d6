//! Reading what digests don't tell, and making digests of what none has.

use std::sync::Arc;

use futures::{StreamExt, stream};
use naq_core::events::{EventItem, RecordedEvent};
use naq_core::jetstream::{Delivery, ReadOptions, ReadStart, ReadUntil};
use naq_core::{BoxStream, Result};

use super::cell::Minute;
use super::digest::{Digest, Span};
use super::gather::{Gathering, Tally};
use super::kept::{Growing, Purpose};

/// How many parts are read again at the same time.
const AT_ONCE: usize = 4;

/// What is read, and why.
#[derive(Debug)]
pub(super) enum Part {
    /// What a digest has seen and can't tell apart.
    Again(Again),
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

/// What no digest has of a block, or what is read although one has it.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) block: u64,
    pub(super) from: u64,
    pub(super) to: u64,
    /// What a digest has seen before; `None` where it is not to be folded.
    pub(super) fold: Option<Option<Arc<Digest>>>,
}

/// The reading of a minute of which only some events lie in the range, and
/// whose cells don't tell all of them apart.
pub(super) fn edge(digest: &Digest, minute: Minute) -> Option<Part> {
    let at = digest.spans.binary_search_by_key(&minute, |(minute, _)| *minute).ok()?;
    let (_, Span { from, to }) = digest.spans[at];
    let expected = digest.cells_between(minute, minute).iter().map(|(_, cell)| cell.count).sum();
    let which = Which::Of(minute);
    Some(Part::Again(Again { from, to, which, expected }))
}

impl Gathering<'_> {
    /// Reads what no digest has, what follows one another at one go, and
    /// answers what is to be read again.
    pub(super) async fn read(
        &mut self,
        parts: Vec<Part>,
        tally: &mut impl Tally,
    ) -> Result<Vec<Again>> {
        let (mut run, mut again) = (Vec::<Rest>::new(), Vec::new());
        for part in parts {
            match part {
                Part::Rest(rest) => {
                    if run.last().is_some_and(|last| last.to + 1 != rest.from) {
                        self.rests(std::mem::take(&mut run), tally).await?;
                    }
                    run.push(rest);
                }
                Part::Again(part) => again.push(part),
            }
        }
        self.rests(run, tally).await?;
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
                tally.event(&recorded);
            }
        }
        for (part, met) in parts.iter().zip(met) {
            self.basis.undecided += part.expected.saturating_sub(met);
        }
        Ok(())
    }

    /// Reads what no digest has, and makes digests of it.
    async fn rests(&mut self, run: Vec<Rest>, tally: &mut impl Tally) -> Result<()> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(()) };
        let (from, to, created) = (first.from, last.to, self.ask.open.info.created);
        let replicas = self.ask.open.info.config.replicas.unwrap_or(1);
        let (digests, mut met, mut malformed) = (self.digests, 0, 0);
        let begin = |rest: &Rest| -> Option<Growing<'_>> {
            let digest = rest.fold.as_ref()?.as_deref();
            Some(digests.begin(created, rest.block, rest.from, digest))
        };
        let mut folded = Vec::new();
        let mut rests = run.into_iter();
        let mut rest = rests.next();
        let mut open = rest.as_ref().and_then(begin);
        let result = {
            let mut visit = |sequence: u64, item: EventItem| {
                while rest.as_ref().is_some_and(|rest| sequence > rest.to) {
                    folded.extend(open.take().zip(rest.take()));
                    rest = rests.next();
                    open = rest.as_ref().and_then(begin);
                }
                met += 1;
                let mut open = open.as_mut().filter(|open| open.lacks(sequence));
                match item {
                    EventItem::Event(recorded) => {
                        if let Some(open) = &mut open {
                            open.draft().observe(&recorded);
                        }
                        tally.event(&recorded);
                    }
                    _ => {
                        if let Some(open) = &mut open {
                            open.draft().malformed(sequence);
                        }
                        malformed += 1;
                    }
                }
            };
            self.messages(from, to, &mut visit).await
        };
        let is_whole = result.is_ok();
        folded.extend(open.take().zip(rest.take()));
        while let Some(rest) = rests.next().filter(|_| is_whole) {
            folded.extend(begin(&rest).zip(Some(rest)));
        }
        let count = folded.len();
        for (place, (mut open, rest)) in folded.into_iter().enumerate() {
            // The last one that a broken reading was in has no end yet.
            if is_whole || place + 1 < count {
                open.draft().reach(rest.to);
            }
            // What is not kept was told, and the answer has it all the same.
            let _ = digests.finish(open, replicas, Purpose::Question).await;
        }
        result?;
        self.basis.malformed += malformed;
        self.basis.holes += (to + 1).saturating_sub(from).saturating_sub(met);
        Ok(())
    }

    /// Shows each message between two sequences, both included, that is still there.
    async fn messages(
        &mut self,
        from: u64,
        to: u64,
        mut visit: impl FnMut(u64, EventItem) + Send,
    ) -> Result<()> {
        let mut deliveries = self.deliveries(from, to);
        while let Some(delivery) = deliveries.next().await {
            if let Some((sequence, item)) = self.item(delivery)? {
                visit(sequence, item);
            }
        }
        Ok(())
    }

    /// What the log still has between two sequences, both included.
    fn deliveries(&self, from: u64, to: u64) -> BoxStream<'static, Result<Delivery>> {
        let (log, open) = (self.ask.log, self.ask.open);
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
    fn item(&mut self, delivery: Result<Delivery>) -> Result<Option<(u64, EventItem)>> {
        let ask = self.ask;
        let delivery = delivery.map_err(|error| error.in_operation(ask.operation))?;
        let Delivery::Message(message) = delivery else { return Ok(None) };
        ask.meter.note(&message)?;
        self.basis.read += 1;
        Ok(Some((message.sequence, ask.log.as_counted(message, ask.open.info.created))))
    }
}
