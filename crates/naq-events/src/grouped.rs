//! Figures by group and stretch of time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use naq_core::events::{
    Bucket, GroupBy, Measure, MeasuredField, QueryAnswer, QueryRequest, QueryRow, RecordedEvent,
};
use naq_core::{Result, Timestamp};

use crate::answer::{Question, Sources};
use crate::digests::{
    Cell, CellFilter, Digest, Grain, Key, Minute, MinuteRange, Name, Outcome, Tally, fingerprint,
    listed,
};
use crate::measures::{MeasuresFold, Outcomes, outcome};
use crate::read::Meter;
use crate::stats::in_range;

/// The operation that errors name.
pub(crate) const OPERATION: &str = "query";

/// Measures groups of events: from digests, where there are, and groups and
/// filter are about what they tell apart.
pub(crate) async fn query(
    sources: Sources<'_>,
    meter: &Arc<Meter>,
    request: QueryRequest,
) -> Result<QueryAnswer> {
    let open = sources.log.open(OPERATION).await?;
    let cells = CellFilter::of(&request.filter);
    let mut fold = GroupedFold::new(&request, cells.as_ref());
    let question = Question {
        operation: OPERATION,
        open: &open,
        filter: &request.filter,
        cells: cells.as_ref().filter(|_| fold.is_about_cells()),
        range: MinuteRange::new(request.start, request.end),
        meter,
    };
    let answered = sources.answer(&question, &mut fold).await?;
    let undecided = fold.undecided;
    let mut answer = fold.finish(open.opened_at)?;
    answer.basis = answered.basis;
    answer.basis.undecided += undecided;
    Ok(answer)
}

/// What a row is about.
type RowKey = (Option<Timestamp>, Vec<Option<String>>);

/// The rows of an answer in the making.
#[derive(Clone)]
pub(crate) struct GroupedFold<'a> {
    request: &'a QueryRequest,
    /// The filter as it is asked of cells.
    cells: Option<&'a CellFilter>,
    rows: BTreeMap<RowKey, MeasuresFold>,
    /// The time of the first event that is in a row.
    first: Option<Timestamp>,
    has_too_many: bool,
    unlisted: u64,
    undecided: u64,
}

impl<'a> GroupedFold<'a> {
    /// An answer without a row.
    pub(crate) fn new(request: &'a QueryRequest, cells: Option<&'a CellFilter>) -> Self {
        Self {
            request,
            cells,
            rows: BTreeMap::new(),
            first: None,
            has_too_many: false,
            unlisted: 0,
            undecided: 0,
        }
    }

    /// Whether digests tell the groups apart.
    pub(crate) fn is_about_cells(&self) -> bool {
        let groups = &self.request.group_by;
        groups.iter().all(|group| {
            matches!(group, GroupBy::Type | GroupBy::Queue | GroupBy::JobName | GroupBy::Outcome)
        })
    }

    /// The row of a key, made if there is room for one more.
    fn row(&mut self, key: RowKey, first: Timestamp) -> Option<&mut MeasuresFold> {
        self.first = Some(self.first.map_or(first, |had| had.min(first)));
        if self.rows.len() >= QueryAnswer::MAX_ROWS && !self.rows.contains_key(&key) {
            self.has_too_many = true;
            return None;
        }
        Some(self.rows.entry(key).or_default())
    }

    /// Where the stretch of time that a cell lies in begins; an error where it lies in several.
    fn time(&self, cell: &Cell) -> std::result::Result<Option<Timestamp>, ()> {
        let Some(bucket) = self.request.bucket else { return Ok(None) };
        let (first, last) = (bucket.start(cell.first), bucket.start(cell.last));
        if first == last { Ok(Some(first)) } else { Err(()) }
    }

    /// A cell that lies in several stretches of time, by these, where its events
    /// are known one by one.
    fn split(&self, key: &Key, cell: &Cell) -> Vec<(Key, Cell)> {
        let Some(bucket) = self.request.bucket.filter(|_| self.time(cell).is_err()) else {
            return Vec::new();
        };
        let starts: BTreeSet<_> = cell.few.iter().map(|moment| bucket.start(moment.at)).collect();
        let part = |start| cell.when(|at| bucket.start(at) == start).map(|part| (*key, part));
        starts.into_iter().filter_map(part).collect()
    }

    /// What of a key tells groups apart, with everything else left out.
    fn of_groups(&self, key: &Key) -> Key {
        let has = |group| self.request.group_by.contains(&group);
        let name = |group, name| if has(group) { name } else { Name::Absent };
        Key {
            minute: Minute::APART,
            event_type: name(GroupBy::Type, key.event_type),
            queue: name(GroupBy::Queue, key.queue),
            job_name: name(GroupBy::JobName, key.job_name),
            outcome: if has(GroupBy::Outcome) { key.outcome } else { Outcome::Open },
        }
    }

    /// The group of a cell; `None` where the digest doesn't tell it.
    fn group(&self, digest: &Digest, key: &Key) -> Option<Vec<Option<String>>> {
        let told = |name: Name| match name {
            Name::Absent => Some(None),
            name => digest.name(name).map(|name| Some(name.to_owned())),
        };
        let groups = self.request.group_by.iter();
        let values = groups.map(|group| match group {
            GroupBy::Type => told(key.event_type),
            GroupBy::Queue => told(key.queue),
            GroupBy::JobName => told(key.job_name),
            _ => Some(named(key.outcome)),
        });
        values.collect()
    }

    /// The answer, with rates up to `now` where the range has no end.
    fn finish(self, now: Timestamp) -> Result<QueryAnswer> {
        self.check()?;
        let request = self.request;
        let start = request.start.or(self.first).unwrap_or(now);
        let end = request.end.unwrap_or(now);
        let mut answer = QueryAnswer::new(request);
        answer.unlisted = self.unlisted;
        for ((time, group), fold) in self.rows {
            let stretch = match (time, request.bucket) {
                (Some(time), Some(bucket)) => {
                    let next = time.saturating_add(bucket.length());
                    next.min(end).since(time.max(start))
                }
                _ => end.since(start),
            };
            let measures = request.measures.iter();
            let values = measures.map(|measure| value(&fold, *measure, stretch)).collect();
            answer.rows.push(QueryRow::new(time, group, values));
        }
        answer.rows.sort_by(|a, b| {
            let first = |row: &QueryRow| row.values.first().copied().flatten().unwrap_or(-1.0);
            a.time.cmp(&b.time).then_with(|| first(b).total_cmp(&first(a)))
        });
        Ok(answer)
    }
}

impl Tally for GroupedFold<'_> {
    fn check(&self) -> Result<()> {
        if self.has_too_many { Err(self.request.too_many_rows()) } else { Ok(()) }
    }

    fn grain(&self) -> Grain {
        match self.request.bucket {
            None => Grain::Whole,
            Some(Bucket::Hour) => Grain::Hour,
            Some(Bucket::Day) => Grain::Day,
            Some(_) => Grain::Minute,
        }
    }

    fn lacks(&self, digest: &Digest) -> bool {
        let is_apart = self.request.bucket.is_some()
            && digest
                .cells_apart()
                .iter()
                .any(|(_, cell)| !cell.is_sharp() && self.time(cell).is_err());
        let (dropped, groups) = (digest.dropped, &self.request.group_by);
        let is_left_out = groups.iter().any(|group| match group {
            GroupBy::Type => dropped.event_types,
            GroupBy::Queue => dropped.queues,
            GroupBy::JobName => dropped.job_names,
            _ => false,
        });
        is_apart || is_left_out || self.cells.is_some_and(|cells| cells.asks_for(dropped))
    }

    fn digest(&mut self, _: &Digest) -> u64 {
        0
    }

    fn cells(&mut self, digest: &Digest, cells: &[(Key, Cell)]) -> u64 {
        let Some(filter) = self.cells else { return 0 };
        let (mut choice, outcomes) = (filter.for_digest(digest), Outcomes::of(digest));
        // By place first, so that names are looked up once for each row.
        let mut parts = HashMap::<(Option<Timestamp>, Key), Vec<&(Key, Cell)>>::new();
        let asked: Vec<_> = cells.iter().filter(|(key, _)| choice.passes(key)).collect();
        let is_told = |cell: &Cell| cell.is_sharp() || self.time(cell).is_ok();
        let told = asked.iter().filter(|(_, cell)| is_told(cell));
        let repeats = told.map(|(_, cell)| cell.repeats).sum();
        let split: Vec<_> = asked.iter().flat_map(|(key, cell)| self.split(key, cell)).collect();
        for entry in asked.into_iter().chain(&split) {
            let (key, cell) = entry;
            match self.time(cell) {
                Ok(time) => parts
                    .entry((time, self.of_groups(&outcomes.told(key))))
                    .or_default()
                    .push(entry),
                // What is known one by one is in the parts that it was split in.
                Err(()) if cell.is_sharp() => {}
                Err(()) => self.undecided += cell.count,
            }
        }
        for ((time, key), cells) in parts {
            let Some(group) = self.group(digest, &key) else {
                self.unlisted += cells.iter().map(|(_, cell)| cell.count).sum::<u64>();
                continue;
            };
            let Some(first) = cells.iter().map(|(_, cell)| cell.first).min() else { continue };
            if let Some(row) = self.row((time, group), first) {
                cells.iter().for_each(|(key, cell)| row.add(&outcomes.told(key), cell));
            }
        }
        repeats
    }

    fn event(&mut self, recorded: &RecordedEvent) -> bool {
        let (request, at) = (self.request, recorded.timestamp());
        if !in_range(at, request.start, request.end) || !request.filter.matches_recorded(recorded) {
            return false;
        }
        let event = &recorded.event;
        let text = |text: Option<&str>| text.map(|name| listed(name).into_owned());
        let groups = request.group_by.iter().map(|group| match group {
            GroupBy::Type => text(Some(event.event_type.as_str())),
            GroupBy::Queue => text(event.queue.as_deref()),
            GroupBy::JobName => text(event.job_name.as_deref()),
            GroupBy::Worker => text(event.worker_id.as_deref()),
            GroupBy::ErrorType => text(event.error_type.as_deref()),
            GroupBy::Fingerprint => event.error.as_deref().map(fingerprint),
            _ => named(outcome(event)),
        });
        let key = (request.bucket.map(|bucket| bucket.start(at)), groups.collect());
        if let Some(row) = self.row(key, at) {
            row.observe(event);
        }
        true
    }
}

/// The name of an outcome; `None` where there is none.
fn named(outcome: Outcome) -> Option<String> {
    let success = outcome.success()?;
    Some(if success { "success" } else { "failure" }.to_owned())
}

/// A figure; a rate is over a stretch of time.
fn value(fold: &MeasuresFold, measure: Measure, stretch: Duration) -> Option<f64> {
    let of = |field| match field {
        MeasuredField::QueueWait => &fold.waits,
        _ => &fold.durations,
    };
    match measure {
        Measure::Count => Some(fold.total as f64),
        Measure::Rate => {
            let seconds = stretch.as_secs_f64();
            (seconds > 0.0).then(|| fold.total as f64 / seconds)
        }
        Measure::SuccessRate => fold.success_rate(),
        Measure::Mean(field) => of(field).mean(),
        Measure::Min(field) => of(field).min(),
        Measure::Max(field) => of(field).max(),
        Measure::Percentile(thousandths, field) => {
            of(field).quantile(f64::from(thousandths) / 1_000.0)
        }
        _ => None,
    }
}
