//! Reading by an index: the events that it names are got one by one, and what
//! it doesn't cover is read as ever.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::{StreamExt, stream};
use naq_core::events::{EventItem, Filter, Position, ReadEvents, ReadStart, ReadUntil};
use naq_core::jetstream::{
    self, Consistency, GetMessage, GetMessages, StoredMessage, Which, WhichMany, is_no_message,
    subject_matches,
};
use naq_core::{BoxStream, Error, ErrorKind, Result};

use super::narrowing::{Narrowing, Part, most_gets};
use super::open::Place;
use super::{Log, Meter, OpenLog, backward, forward};
use crate::digests::MinuteRange;
use crate::indexes::Indexes;

const OPERATION: &str = "read_events";

/// How many blocks are looked up together: at first, and at most.
const FIRST_BLOCKS: u64 = 1;
const MOST_BLOCKS: u64 = 16;

/// How many events are got together: at first, and at most.
const FIRST_PAGE: usize = 64;
const LARGEST_PAGE: usize = 512;

/// A page ends behind so many bytes.
const PAGE_BYTES: usize = 8 << 20;

/// Reads what lies between two sequences, both included, by an index.
pub(super) fn read(
    log: Log,
    open: OpenLog,
    narrowing: Narrowing,
    (low, high): (u64, u64),
    options: ReadEvents,
    meter: &Arc<Meter>,
) -> BoxStream<'static, Result<EventItem>> {
    let first = open.info.state.first_sequence.max(1);
    let has_gap = low < first && low <= high && !options.newest_first;
    let gap = EventItem::Gap { from: low, to: high.min(first - 1) };
    let rest = (low.max(first) <= high).then_some((low.max(first), high));
    let mut indexed = Indexed::new(log, open, narrowing, (low, high), options, meter);
    indexed.rest = rest;
    indexed.ready.extend(has_gap.then_some(gap));
    stream::unfold(Some(indexed), Indexed::step).boxed()
}

/// Reads parts of what lies between two sequences, both included, in stored order.
pub(super) fn read_parts(
    log: Log,
    open: OpenLog,
    narrowing: Narrowing,
    (range, parts): ((u64, u64), VecDeque<Part>),
    filter: Filter,
    meter: &Arc<Meter>,
) -> BoxStream<'static, Result<EventItem>> {
    let options = ReadEvents::default().with_filter(filter);
    let mut indexed = Indexed::new(log, open, narrowing, range, options, meter);
    indexed.parts = parts;
    indexed.has_to_get = true;
    stream::unfold(Some(indexed), Indexed::step).boxed()
}

/// What was got at a time.
#[derive(Default)]
struct Page {
    messages: Vec<StoredMessage>,
    /// The sequences of which there is no message any more.
    gone: Vec<u64>,
    /// How many messages were asked for.
    looked_at: usize,
}

/// A reading by an index under way.
struct Indexed {
    log: Log,
    open: OpenLog,
    narrowing: Narrowing,
    filter: Filter,
    subjects: Vec<String>,
    left: Option<u64>,
    meter: Arc<Meter>,
    newest_first: bool,
    low: u64,
    high: u64,
    /// The log's first sequence, as far as is known.
    first: u64,
    /// What lies before it is told, forwards.
    position: u64,
    /// The sequences that no parts were made of yet.
    rest: Option<(u64, u64)>,
    blocks: u64,
    page: usize,
    /// What is to be read next.
    parts: VecDeque<Part>,
    /// What no index covers, being read.
    scan: Option<BoxStream<'static, Result<EventItem>>>,
    /// What is read and not told yet.
    ready: VecDeque<EventItem>,
    has_ended: bool,
    /// Whether it fails where single events can't be got.
    has_to_get: bool,
}

impl Indexed {
    /// A reading that has nothing to read yet.
    fn new(
        log: Log,
        open: OpenLog,
        narrowing: Narrowing,
        (low, high): (u64, u64),
        options: ReadEvents,
        meter: &Arc<Meter>,
    ) -> Self {
        let first = open.info.state.first_sequence.max(1);
        Self {
            subjects: options.filter.subject_filters(log.subjects()),
            left: options.limit,
            meter: Arc::clone(meter),
            newest_first: options.newest_first,
            filter: options.filter,
            position: low.max(first),
            rest: None,
            blocks: FIRST_BLOCKS,
            page: FIRST_PAGE,
            parts: VecDeque::new(),
            scan: None,
            has_ended: false,
            has_to_get: false,
            log,
            open,
            narrowing,
            low,
            high,
            first,
            ready: VecDeque::new(),
        }
    }

    async fn step(state: Option<Self>) -> Option<(Result<EventItem>, Option<Self>)> {
        let mut indexed = state?;
        match indexed.next().await {
            Ok(Some(item)) => {
                if let (EventItem::Event(_), Some(left)) = (&item, &mut indexed.left) {
                    *left -= 1;
                    if *left == 0 {
                        return Some((Ok(item), None));
                    }
                }
                Some((Ok(item), Some(indexed)))
            }
            Ok(None) => None,
            Err(error) => Some((Err(error.in_operation(OPERATION)), None)),
        }
    }

    async fn next(&mut self) -> Result<Option<EventItem>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(item));
            }
            if let Some(scan) = &mut self.scan {
                match scan.next().await.transpose()? {
                    None => self.scan = None,
                    Some(EventItem::CaughtUp { .. }) => {}
                    // Newest first, what is gone is told at the end.
                    Some(EventItem::Gap { to, .. }) if self.newest_first => self.has_gone(to + 1),
                    Some(item) => return Ok(Some(item)),
                }
                continue;
            }
            match self.parts.pop_front() {
                Some(Part::Scan { from, to }) => self.begin_scan(from, to),
                Some(Part::Gets(sequences)) => self.get_page(sequences).await?,
                None if self.plan().await => {}
                None if self.has_ended => return Ok(None),
                None => self.end(),
            }
        }
    }

    fn has_gone(&mut self, first: u64) {
        self.first = self.first.max(first);
    }

    /// What is told at the end.
    fn end(&mut self) {
        self.has_ended = true;
        let gone = self.high.min(self.first - 1);
        if self.newest_first && self.low <= gone {
            self.ready.push_back(EventItem::Gap { from: self.low, to: gone });
        }
        let last = self.open.info.state.last_sequence;
        if self.newest_first || self.high >= last {
            let position = Position::new(self.open.info.created, last);
            self.ready.push_back(EventItem::CaughtUp { position });
        }
    }

    /// Looks some more blocks up; `false` where there are none left.
    async fn plan(&mut self) -> bool {
        let Some((from, to)) = self.rest else { return false };
        let (now, rest) = super::narrowing::split((from, to), self.blocks, self.newest_first);
        self.blocks = (self.blocks * 2).min(MOST_BLOCKS);
        self.rest = rest;
        let parts = self.narrowing.parts(&self.open, now, most_gets(self.left)).await;
        self.parts = if self.newest_first {
            parts.into_iter().rev().map(Part::reversed).collect()
        } else {
            parts.into()
        };
        true
    }

    fn begin_scan(&mut self, from: u64, to: u64) {
        let filter = self.filter.clone();
        self.scan = Some(if self.newest_first {
            let (log, open) = (self.log.clone(), self.open.clone());
            backward::read_between(log, open, (from, to), filter, &self.meter)
        } else {
            let place = Place {
                start: jetstream::ReadStart::Sequence(from),
                until: jetstream::ReadUntil::Sequence(to),
            };
            self.position = to + 1;
            forward::read(&self.log, &self.open, place, (filter, None), &self.meter)
        });
    }

    /// Gets the next events of these, and leaves the others for later.
    async fn get_page(&mut self, mut sequences: VecDeque<u64>) -> Result<()> {
        let page: Vec<u64> = sequences.iter().take(self.page).copied().collect();
        let Page { messages, gone, looked_at } = match self.get(&page).await {
            Err(error) if error.is(ErrorKind::PermissionDenied) && !self.has_to_get => {
                tracing::info!(%error, "these credentials may get no single events");
                self.scan_rest(&sequences);
                return Ok(());
            }
            result => result?,
        };
        self.page = (self.page * 2).min(LARGEST_PAGE);
        let info = self.open.jetstream.stream_info(self.log.stream()).await?;
        let created = self.open.info.created;
        if info.created != created {
            // What was got may be of the other stream.
            let text = "the stream was made anew while it was read";
            return Err(Error::new(ErrorKind::Conflict, OPERATION, text)
                .with("stream", self.log.stream())
                .with("created", info.created.to_string())
                .with_hint("begin at the beginning, or at a time"));
        }
        // What a server has lost at its end is no message now, and another one soon.
        if info.state.last_sequence >= self.open.info.state.last_sequence
            && self.open.is_as_opened()
        {
            self.narrowing.forget(&self.open, &gone);
        }
        self.has_gone(info.state.first_sequence);
        if !self.newest_first {
            let behind = messages.first().map_or(self.first, |message| message.sequence);
            let gone = self.first.min(behind).min(self.high + 1);
            if self.position < gone {
                self.ready.push_back(EventItem::Gap { from: self.position, to: gone - 1 });
            }
            self.position = gone.max(page.get(looked_at - 1).map_or(0, |last| last + 1));
        }
        for message in messages {
            self.meter.note_named(&message)?;
            if !self.subjects.iter().any(|filter| subject_matches(filter, &message.subject)) {
                continue;
            }
            match forward::decode(message, created) {
                EventItem::Event(recorded) if !self.filter.matches_recorded(&recorded) => {}
                item => self.ready.push_back(item),
            }
        }
        sequences.drain(..looked_at);
        if !sequences.is_empty() {
            self.parts.push_front(Part::Gets(sequences));
        }
        Ok(())
    }

    /// Gets the first of these messages.
    async fn get(&mut self, page: &[u64]) -> Result<Page> {
        let stream = self.log.stream();
        let request = GetMessages::new(WhichMany::Sequences(page.to_vec()))
            .with_consistency(Consistency::Any);
        let mut results = self.open.jetstream.get_messages(stream, request);
        let may_be_stale = self.open.info.config.replicas.is_none_or(|replicas| replicas > 1);
        let (mut got, mut bytes) = (Page::default(), 0);
        while bytes < PAGE_BYTES
            && let Some(sequence) = page.get(got.looked_at)
            && let Some(result) = results.next().await
        {
            let result = match result {
                Err(error) if may_be_stale && is_no_message(&error) => {
                    // A replica may not have it yet.
                    let which = GetMessage::new(Which::Sequence(*sequence));
                    self.open.jetstream.get_message(stream, which).await
                }
                result => result,
            };
            match result {
                Ok(message) => {
                    bytes += message.payload.len();
                    got.messages.push(message);
                }
                Err(error) if is_no_message(&error) => got.gone.push(*sequence),
                Err(error) => return Err(error),
            }
            got.looked_at += 1;
        }
        if got.looked_at == 0 {
            let text = "the answer ended before its first message";
            return Err(Error::new(ErrorKind::Unexpected, OPERATION, text));
        }
        Ok(got)
    }

    /// Reads what was still to be got instead.
    fn scan_rest(&mut self, sequences: &VecDeque<u64>) {
        self.narrowing.give_up();
        let (Some(a), Some(b)) = (sequences.front(), sequences.back()) else { return };
        self.parts.push_front(Part::Scan { from: *a.min(b), to: *a.max(b) });
    }
}

/// Whether a reading is of nothing that is still to come.
pub(super) fn is_of_the_past(open: &OpenLog, options: &ReadEvents) -> bool {
    let ends = match options.until {
        ReadUntil::Head => true,
        ReadUntil::Sequence(sequence) => sequence <= open.info.state.last_sequence,
        ReadUntil::Time(time) => time <= open.now(),
        _ => false,
    };
    ends && options.start != ReadStart::New && open.info.state.last_sequence > 0
}

/// The index that a reading of what happened in a range goes by, if there is
/// one for it.
pub(super) async fn narrowing(
    log: &Log,
    open: &OpenLog,
    indexes: Option<&Arc<Indexes>>,
    (options, range): (&ReadEvents, &MinuteRange),
) -> Option<Narrowing> {
    let indexes = indexes.filter(|_| is_of_the_past(open, options))?;
    Narrowing::find((log, open), indexes, &options.filter, range).await
}
