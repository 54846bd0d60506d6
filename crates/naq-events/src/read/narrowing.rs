//! Which events an index names for a filter, and what of the log it doesn't cover.

use std::cmp::Reverse;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use naq_core::config::SubjectLayout;
use naq_core::events::{ExplainedIndex, Filter, FilterLookup, FilterPlan, IndexField};

use super::{Log, Meter, OpenLog};
use crate::digests::{MinuteRange, block_end, block_of, block_start};
use crate::indexes::{Definition, IndexBlock, Indexes, MAX_FIELDS};

/// From so many events of a block on, reading the block is quicker than getting them.
const DENSE: usize = 4_096;

/// Up to so many events that are wanted, getting them is quicker all the same.
const FEW: u64 = 256;

/// How many blocks are looked up together, and how many at most, to explain a reading.
pub(super) const BLOCKS: u64 = 16;
const MOST_EXPLAINED: u64 = 64;

/// How many events of a block are got one by one at most, for a reading that
/// wants so many in all.
pub(super) fn most_gets(wanted: Option<u64>) -> usize {
    if wanted.is_none_or(|wanted| wanted > FEW) { DENSE } else { usize::MAX }
}

/// An index that a filter can be looked up in.
#[derive(Debug)]
pub(crate) struct Narrowing {
    indexes: Arc<Indexes>,
    definition: Definition,
    lookup: FilterLookup,
    /// When the events happened that can pass.
    happened: MinuteRange,
    /// Whether single events can't be got: all is read then.
    is_given_up: AtomicBool,
}

/// Whether the server chooses by job, or whatever else events are of.
fn is_by_job(log: &Log, plan: &FilterPlan) -> bool {
    plan.is_by_subject
        && log.subjects().layout() == SubjectLayout::Entity
        && !plan.subjects.iter().any(|subject| subject.ends_with(".>"))
}

/// The fields of which an index would name what passes a filter: those of which
/// it asks for values, where the server can't choose by them.
pub(super) fn could_index(log: &Log, filter: &Filter, plan: &FilterPlan) -> Vec<String> {
    let is_done = |name: &str| plan.is_by_subject && name == "type";
    let fields = filter.fields().into_iter().filter(|name| !is_done(name));
    let fields: Vec<IndexField> = fields.filter_map(|name| IndexField::new(name).ok()).collect();
    let Some(lookup) = filter.lookup(&fields).filter(|_| !is_by_job(log, plan)) else {
        return Vec::new();
    };
    let places = equal(&lookup).into_iter().filter_map(|place| fields.get(place));
    places.map(|field| field.as_str().to_owned()).take(MAX_FIELDS).collect()
}

/// The fields by which a lookup finds what is equal, which an index does however
/// many values there are.
fn equal(lookup: &FilterLookup) -> BTreeSet<usize> {
    match lookup {
        FilterLookup::All(members) => members.iter().flat_map(equal).collect(),
        FilterLookup::Any(members) => {
            let each: Vec<_> = members.iter().map(equal).collect();
            let is_whole = each.iter().all(|fields| !fields.is_empty());
            each.into_iter().filter(|_| is_whole).flatten().collect()
        }
        FilterLookup::Field(field) => field.exactly().map(|_| field.place()).into_iter().collect(),
    }
}

/// What is read of the log, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// These sequences alone, in the order of reading.
    Gets(VecDeque<u64>),
    /// All between these sequences, both included.
    Scan { from: u64, to: u64 },
}

impl Part {
    /// For a reading that goes back.
    pub(super) fn reversed(self) -> Self {
        match self {
            Self::Gets(sequences) => Self::Gets(sequences.into_iter().rev().collect()),
            scan => scan,
        }
    }
}

impl Narrowing {
    /// The log's index that names the fewest events for a filter, as a block at
    /// its end tells, or of those that name as many the one that knows most of what
    /// is asked for; `None` where there is none, or where the server chooses better
    /// by subject. Only what happened in a range is asked for.
    pub(super) async fn find(
        (log, open): (&Log, &OpenLog),
        indexes: &Arc<Indexes>,
        filter: &Filter,
        range: &MinuteRange,
    ) -> Option<Self> {
        let plan = filter.plan(log.subjects());
        if filter.fields().is_empty() || is_by_job(log, &plan) {
            return None;
        }
        let is_done = |name: &str| plan.is_by_subject && name == "type";
        let list = indexes.listed().await;
        let known = list.iter().filter_map(|definition| {
            let lookup = filter.lookup(&definition.fields)?;
            let names = lookup.places();
            let names = names.iter().filter_map(|place| definition.fields.get(*place));
            let count = names.filter(|field| !is_done(field.as_str())).count();
            (count > 0).then(|| (count, Self::new(indexes, definition, lookup, filter)))
        });
        let mut known: Vec<(usize, Self)> = known.collect();
        // The first of those that know as much.
        known.sort_by_key(|(count, _)| Reverse(*count));
        let mut found = match known.len() {
            0 | 1 => known.pop()?.1,
            _ => {
                let mut least = None;
                for (_, narrowing) in known {
                    let named = narrowing.named_at_the_end(open).await;
                    if least.as_ref().is_none_or(|(fewest, _)| named < *fewest) {
                        least = Some((named, narrowing));
                    }
                }
                least?.1
            }
        };
        found.happened = found.happened.and(range);
        Some(found)
    }

    /// How many events of the log's last whole block, or of its only one, it
    /// names, whenever they happened; more than any block has where that has to
    /// be read.
    async fn named_at_the_end(&self, open: &OpenLog) -> u64 {
        let block = block_of(open.info.state.last_sequence).saturating_sub(1);
        let loaded = self.indexes.load(&self.definition, open, &[block]).await.pop().flatten();
        let named =
            loaded.and_then(|block| block.candidates(&self.lookup, &MinuteRange::default()));
        named.map_or(u64::MAX, |named| named.len() as u64)
    }

    /// The log's first index of a field that a filter asks for.
    pub(super) async fn of_field(
        indexes: &Arc<Indexes>,
        filter: &Filter,
        field: &str,
    ) -> Option<Self> {
        let list = indexes.listed().await;
        let has_field =
            |definition: &&Definition| definition.fields.iter().any(|it| it.as_str() == field);
        let definition = list.iter().find(has_field)?;
        let lookup = filter.lookup(&definition.fields)?;
        Some(Self::new(indexes, definition, lookup, filter))
    }

    fn new(
        indexes: &Arc<Indexes>,
        definition: &Definition,
        lookup: FilterLookup,
        filter: &Filter,
    ) -> Self {
        let (least, most) = filter.happened_range();
        Self {
            happened: MinuteRange::new(least, most),
            indexes: Arc::clone(indexes),
            definition: definition.clone(),
            lookup,
            is_given_up: AtomicBool::new(false),
        }
    }

    /// What it would make of a reading between two sequences, both included.
    pub(super) async fn explain(
        &self,
        open: &OpenLog,
        (from, to): (u64, u64),
        wanted: Option<u64>,
    ) -> ExplainedIndex {
        let mut index = ExplainedIndex::default();
        (index.name, index.fields) = self.names();
        let (mut named, mut scanned) = (0, 0);
        let mut rest = (from <= to).then_some((from, to));
        if rest.is_some_and(|(from, to)| block_of(to) - block_of(from) >= MOST_EXPLAINED) {
            return index;
        }
        while let Some(range) = rest {
            let (now, later) = split(range, BLOCKS, false);
            for part in self.parts(open, now, most_gets(wanted)).await {
                match part {
                    Part::Gets(sequences) => named += sequences.len() as u64,
                    Part::Scan { from, to } => scanned += to + 1 - from,
                }
            }
            rest = later;
        }
        (index.named, index.scanned) = (Some(named), Some(scanned));
        index
    }

    /// Lets the index follow a log that has grown, as far as a meter allows.
    pub(super) async fn follow(&self, log: &Log, open: &OpenLog, meter: &Meter) {
        self.indexes.follow(log, open, &self.definition, meter).await;
    }

    /// Names no single events any more.
    pub(super) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }

    /// Names these sequences no more: they have left the log.
    pub(super) fn forget(&self, open: &OpenLog, gone: &[u64]) {
        self.indexes.forget(&self.definition, open, gone);
    }

    /// What has to be read between two sequences, in stored order, where of a
    /// block so many events are got one by one at most.
    pub(super) async fn parts(
        &self,
        open: &OpenLog,
        (from, to): (u64, u64),
        most_gets: usize,
    ) -> Vec<Part> {
        if self.is_given_up.load(Ordering::Relaxed) {
            return vec![Part::Scan { from, to }];
        }
        let blocks: Vec<u64> = (block_of(from)..=block_of(to)).collect();
        let loaded = self.indexes.load(&self.definition, open, &blocks).await;
        let mut parts = Parts::default();
        for (block, loaded) in blocks.into_iter().zip(loaded) {
            let range = (from.max(block_start(block)), to.min(block_end(block)));
            parts.add(range, loaded.as_deref(), (&self.lookup, &self.happened), most_gets);
        }
        parts.0
    }

    /// The index's name, and the names of the fields that narrow.
    fn names(&self) -> (String, Vec<String>) {
        let field = |place| self.definition.fields.get(place);
        let names = self.lookup.places().into_iter().filter_map(field);
        let fields = names.map(|field| field.as_str().to_owned()).collect();
        (self.definition.index.name.clone(), fields)
    }
}

#[derive(Debug, Default)]
struct Parts(Vec<Part>);

impl Parts {
    /// What has to be read of a block, or of a part of it.
    fn add(
        &mut self,
        (from, to): (u64, u64),
        block: Option<&IndexBlock>,
        (lookup, happened): (&FilterLookup, &MinuteRange),
        most_gets: usize,
    ) {
        let known =
            block.and_then(|block| Some((block.through, block.candidates(lookup, happened)?)));
        let Some((through, candidates)) = known else { return self.scan(from, to) };
        let covered = to.min(through);
        let named: VecDeque<u64> =
            candidates.into_iter().filter(|it| (from..=covered).contains(it)).collect();
        if named.len() > most_gets {
            self.scan(from, covered);
        } else if !named.is_empty() {
            match self.0.last_mut() {
                Some(Part::Gets(before)) => before.extend(named),
                _ => self.0.push(Part::Gets(named)),
            }
        }
        self.scan(from.max(covered + 1), to);
    }

    fn scan(&mut self, from: u64, to: u64) {
        if from > to {
            return;
        }
        match self.0.last_mut() {
            Some(Part::Scan { to: before, .. }) if *before + 1 == from => *before = to,
            _ => self.0.push(Part::Scan { from, to }),
        }
    }
}

/// So many blocks from the end where reading begins, and what is left.
pub(super) fn split(
    (from, to): (u64, u64),
    blocks: u64,
    newest_first: bool,
) -> ((u64, u64), Option<(u64, u64)>) {
    if newest_first {
        let low = from.max(block_start((block_of(to) + 1).saturating_sub(blocks)));
        ((low, to), (from < low).then(|| (from, low - 1)))
    } else {
        let high = to.min(block_end(block_of(from).saturating_add(blocks - 1)));
        ((from, high), (high < to).then(|| (high + 1, to)))
    }
}
