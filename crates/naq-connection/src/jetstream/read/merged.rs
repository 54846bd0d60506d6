//! Several filters read as one: a consumer for each, and their messages in order.
//!
//! A server finds the next message of one filter fast. Of several it looks at
//! every subject of a block for each message: on 10,000 subjects that takes a
//! hundred times as long as reading everything. So what is there already is read
//! through a consumer for each filter, up to the stream's end as it stood at
//! the opening, and put in order here; only what comes live is read through one
//! consumer with all of them. A reader that falls behind goes back to the
//! first way.

use std::collections::VecDeque;

use futures::future::join_all;
use naq_core::jetstream::{Delivery, ReadStart, ReadUntil};
use naq_core::{Error, ErrorKind, Result, Timestamp};

use super::order::Order;
use super::plan::Plan;
use super::reader::Reader;
use super::steps::{self, Steps};
use crate::jetstream::NatsJetStream;

/// How many filters are read each by its own at most. Each holds what one or two
/// pulls brought.
pub(super) const MOST_SOURCES: usize = 8;
/// How far behind a live reader is that had better read the past.
const BEHIND: u64 = 5_000;

/// A read of several filters.
#[derive(Debug)]
pub(super) struct Merged {
    jetstream: NatsJetStream,
    plan: Plan,
    state: State,
    /// Known from the first opening on.
    created: Option<Timestamp>,
    /// The connection over which all was well last; none before the first opening.
    generation: Option<u64>,
    /// What is to be handed out.
    ready: VecDeque<Delivery>,
    /// The last sequence that was told of, or that lay before the first.
    position: u64,
    remaining: Option<u64>,
    /// Whether that it is caught up is still to be told.
    owes_caught_up: bool,
    /// Whether a consumer for each filter may be had.
    splits: bool,
}

/// Where it stands. An error of any part ends it.
#[derive(Debug)]
enum State {
    /// What is there is to be read from here on.
    Opening(ReadStart),
    /// What was there is read, each filter by its own.
    Past(Past),
    /// What comes is read, all filters by one consumer.
    Live(Box<Reader>),
    Ended,
}

/// The part of the log that was there.
#[derive(Debug)]
struct Past {
    sources: Vec<Source>,
    order: Order,
    /// The stream's last sequence at the opening.
    head: u64,
    /// Where this part ends: there, or where the whole read does.
    end: u64,
    /// The connection of the last break that was told, or of the opening.
    told: Option<u64>,
}

/// One filter's messages.
#[derive(Debug)]
struct Source {
    reader: Reader,
    is_over: bool,
    is_caught_up: bool,
    /// The break behind which it went on since this was last looked at.
    broke: Option<Break>,
}

/// The connection that a source had when it broke, and the one over which it went on.
#[derive(Debug, Clone, Copy)]
struct Break {
    before: Option<u64>,
    after: Option<u64>,
}

impl Merged {
    pub(super) fn new(jetstream: NatsJetStream, plan: Plan) -> Self {
        let state = match plan.start {
            ReadStart::New => State::Live(Box::new(Reader::new(jetstream.clone(), plan.clone()))),
            start => State::Opening(start),
        };
        Self {
            created: plan.created,
            generation: None,
            remaining: plan.limit,
            jetstream,
            plan,
            state,
            ready: VecDeque::new(),
            position: 0,
            owes_caught_up: true,
            splits: true,
        }
    }

    /// Opens a reader for each filter. All end at the stream's end as the first
    /// one finds it, so that none gives what another one can't have seen.
    async fn open(&mut self, start: ReadStart) -> Result<State> {
        let mut sources = Vec::with_capacity(self.plan.subjects.len());
        let mut plan = self.plan.clone().up_to_the_head(None);
        (plan.start, plan.limit, plan.created) = (start, self.remaining, self.created);
        let mut place = None;
        for filter in &self.plan.subjects {
            let part = plan.clone().of_one(filter.clone());
            let mut reader = match self.generation {
                None => Reader::new(self.jetstream.clone(), part),
                since => Reader::part(self.jetstream.clone(), part, since),
            };
            if place.is_none() {
                let opened = match reader.opened().await {
                    Err(error) if error.is(ErrorKind::PermissionDenied) => {
                        return Ok(self.without_parts(start, &error));
                    }
                    opened => opened?,
                };
                self.created = Some(opened.created);
                self.generation = opened.generation;
                self.position = self.position.max(match start {
                    // The opened reader may stand behind a gap, which is to be told.
                    ReadStart::Sequence(sequence) => sequence.saturating_sub(1),
                    _ => opened.position,
                });
                plan = plan.up_to_the_head(Some(opened.head));
                plan.created = self.created;
                place = Some(opened);
            }
            sources.push(Source::new(reader));
        }
        let (head, end) = place.map_or((0, 0), |place| (place.head, place.end));
        let order = Order::of(sources.len());
        let mut past = Past { sources, order, head, end, told: self.generation };
        match past.fill().await {
            Ok(()) => Ok(State::Past(past)),
            Err(error) if is_one_too_many(&error) => Ok(self.without_parts(start, &error)),
            Err(error) => Err(error),
        }
    }

    /// Reads through one consumer where several can't be had.
    fn without_parts(&mut self, start: ReadStart, error: &Error) -> State {
        tracing::debug!(stream = %self.plan.stream, %error, "several filters share a consumer");
        self.splits = false;
        self.live_from(start)
    }

    fn live_from(&self, start: ReadStart) -> State {
        let mut plan = self.plan.clone();
        (plan.start, plan.limit, plan.created) = (start, self.remaining, self.created);
        State::Live(Box::new(Reader::in_turn(self.jetstream.clone(), plan, self.generation)))
    }

    /// Hands out the one that comes first.
    async fn read_past(&mut self, mut past: Past) -> Result<State> {
        past.fill().await?;
        if past.has_news_of_a_break() {
            self.owes_caught_up = true;
            self.ready.push_back(Delivery::Resumed { sequence: self.position });
        }
        let Some(first) = past.order.first() else { return Ok(self.behind_past(&past)) };
        if let Some(delivery) = past.order.take(first, self.position) {
            self.tell(delivery);
        }
        if self.remaining == Some(0) {
            if self.position >= past.head {
                self.tell_caught_up(past.head);
            }
            return Ok(State::Ended);
        }
        Ok(State::Past(past))
    }

    /// All that was there has been told.
    fn behind_past(&mut self, past: &Past) -> State {
        if past.sources.iter().all(|source| source.is_caught_up) {
            self.tell_caught_up(past.head);
        }
        self.position = self.position.max(past.end);
        // A break that one of them saw is told; that of the last one isn't yet.
        self.generation = past.sources.iter().filter_map(|source| source.reader.generation()).max();
        match self.plan.until {
            ReadUntil::Head => State::Ended,
            ReadUntil::Sequence(sequence) if sequence <= past.end => State::Ended,
            _ => {
                let asked = match self.plan.start {
                    ReadStart::Sequence(sequence) => sequence,
                    _ => 0,
                };
                let behind = past.end.saturating_add(1);
                self.live_from(ReadStart::Sequence(behind.max(asked)))
            }
        }
    }

    async fn read_live(&mut self, mut reader: Box<Reader>) -> Result<State> {
        let Some(delivery) = steps::next(&mut *reader).await else { return Ok(State::Ended) };
        match delivery? {
            Delivery::CaughtUp { sequence } => self.tell_caught_up(sequence),
            Delivery::Resumed { sequence } => {
                self.owes_caught_up = true;
                self.ready.push_back(Delivery::Resumed { sequence });
            }
            delivery => {
                let is_message = matches!(delivery, Delivery::Message(_));
                self.tell(delivery);
                if is_message
                    && self.splits
                    && self.remaining != Some(0)
                    && reader.pending() > BEHIND
                {
                    self.created = self.created.or(reader.created());
                    self.generation = reader.generation();
                    return Ok(State::Opening(ReadStart::Sequence(self.position + 1)));
                }
            }
        }
        Ok(State::Live(reader))
    }

    /// Hands out a message or a gap.
    fn tell(&mut self, delivery: Delivery) {
        match &delivery {
            Delivery::Message(message) => {
                self.position = message.sequence;
                self.remaining = self.remaining.map(|remaining| remaining.saturating_sub(1));
            }
            Delivery::Gap { to, .. } => self.position = *to,
            Delivery::CaughtUp { .. } | Delivery::Resumed { .. } => {}
        }
        self.ready.push_back(delivery);
    }

    fn tell_caught_up(&mut self, sequence: u64) {
        if std::mem::take(&mut self.owes_caught_up) {
            self.ready.push_back(Delivery::CaughtUp { sequence });
        }
    }
}

impl Steps for Merged {
    fn ready(&mut self) -> &mut VecDeque<Delivery> {
        &mut self.ready
    }

    async fn step(&mut self) -> Result<bool> {
        self.state = match std::mem::replace(&mut self.state, State::Ended) {
            State::Ended => return Ok(false),
            State::Opening(start) => self.open(start).await?,
            State::Past(past) => self.read_past(past).await?,
            State::Live(reader) => self.read_live(reader).await?,
        };
        Ok(true)
    }
}

/// Whether a consumer was refused that another one is there for: rights may be
/// given by filter, and a stream may bound its consumers.
fn is_one_too_many(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::LimitReached)
}

impl Past {
    /// Waits until every source that isn't at its end has its next one.
    async fn fill(&mut self) -> Result<()> {
        let pairs = self.sources.iter_mut().zip(self.order.places());
        let filled = join_all(pairs.map(|(source, next)| source.fill(next))).await;
        filled.into_iter().collect()
    }

    /// Whether a source broke and nobody was told. A break of the connection is met
    /// by every source, by each when it asks for its next one, and is told once.
    fn has_news_of_a_break(&mut self) -> bool {
        let mut is_news = false;
        for broke in self.sources.iter_mut().filter_map(|source| source.broke.take()) {
            is_news |= broke.is_news(self.told);
            self.told = self.told.max(broke.after);
        }
        is_news
    }
}

impl Break {
    /// Whether those who were told of breaks up to the connection `told` know nothing of it.
    fn is_news(self, told: Option<u64>) -> bool {
        let is_its_own = self.before.is_none() || self.before == self.after;
        is_its_own || self.after > told
    }
}

impl Source {
    fn new(reader: Reader) -> Self {
        Self { reader, is_over: false, is_caught_up: false, broke: None }
    }

    /// Waits for the next message or gap, if it isn't here already.
    async fn fill(&mut self, next: &mut Option<Delivery>) -> Result<()> {
        while next.is_none() && !self.is_over {
            let before = self.reader.generation();
            match steps::next(&mut self.reader).await.transpose()? {
                None => self.is_over = true,
                Some(Delivery::CaughtUp { .. }) => self.is_caught_up = true,
                Some(Delivery::Resumed { .. }) => {
                    self.broke = Some(Break { before, after: self.reader.generation() });
                    self.is_caught_up = false;
                }
                Some(delivery) => *next = Some(delivery),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_break_of_the_connection_is_news_once_and_one_of_a_consumer_always() {
        let broke = |before, after| Break { before, after: Some(after) };
        assert!(broke(Some(1), 2).is_news(Some(1)));
        assert!(!broke(Some(1), 2).is_news(Some(2)));
        assert!(broke(Some(2), 2).is_news(Some(2)));
        assert!(broke(None, 2).is_news(Some(2)));
    }
}
