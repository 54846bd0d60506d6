//! Figures of one type of event: success rate and how long runs take.

use std::collections::BTreeMap;
use std::sync::Arc;

use naq_core::Result;
use naq_core::events::{AnalyticsRequest, EventAnalytics, Filter, RecordedEvent, TimeRange};

use crate::answer::{Question, Sources};
use crate::digests::{Cell, CellFilter, Digest, Grain, Key, MinuteRange, Name, Tally, listed};
use crate::measures::{MeasuresFold, Outcomes};
use crate::read::Meter;
use crate::stats::{group, in_range};

/// The operation that errors name.
pub(crate) const OPERATION: &str = "get_event_analytics";

/// Measures the events of a type whose own timestamp lies in the range: from
/// digests, where there are and the filter is about what they tell apart.
pub(crate) async fn analytics(
    sources: Sources<'_>,
    meter: &Arc<Meter>,
    request: AnalyticsRequest,
) -> Result<EventAnalytics> {
    let open = sources.log.open(OPERATION).await?;
    let of_type = Filter::new().event_type(request.event_type.clone());
    let filter = of_type.and(request.filter.clone());
    filter.validate().map_err(|error| error.in_operation(OPERATION))?;
    let cells = CellFilter::of(&filter);
    let question = Question {
        operation: OPERATION,
        open: &open,
        filter: &filter,
        cells: cells.as_ref(),
        range: MinuteRange::new(request.start, request.end),
        meter,
    };
    let mut fold = AnalyticsFold::new(&request, &filter, cells.as_ref());
    let answered = sources.answer(&question, &mut fold).await?;
    let mut analytics = fold.finish();
    (analytics.malformed, analytics.gone) = (answered.basis.malformed, answered.gone);
    analytics.basis = answered.basis;
    Ok(analytics)
}

#[derive(Clone)]
struct AnalyticsFold<'a> {
    request: &'a AnalyticsRequest,
    filter: &'a Filter,
    /// The filter as it is asked of cells.
    cells: Option<&'a CellFilter>,
    all: MeasuresFold,
    by_queue: BTreeMap<String, MeasuresFold>,
    by_job_name: BTreeMap<String, MeasuresFold>,
    unlisted: u64,
}

impl<'a> AnalyticsFold<'a> {
    fn new(
        request: &'a AnalyticsRequest,
        filter: &'a Filter,
        cells: Option<&'a CellFilter>,
    ) -> Self {
        Self {
            request,
            filter,
            cells,
            all: MeasuresFold::default(),
            by_queue: BTreeMap::new(),
            by_job_name: BTreeMap::new(),
            unlisted: 0,
        }
    }

    fn finish(self) -> EventAnalytics {
        let range = TimeRange { start: self.request.start, end: self.request.end };
        let named = |folds: BTreeMap<String, MeasuresFold>| {
            folds.into_iter().map(|(name, fold)| (name, fold.finish())).collect()
        };
        let mut analytics = EventAnalytics::new(self.request.event_type.clone(), range);
        analytics.measures = self.all.finish();
        analytics.by_queue = named(self.by_queue);
        analytics.by_job_name = named(self.by_job_name);
        analytics.unlisted = self.unlisted;
        analytics
    }
}

impl Tally for AnalyticsFold<'_> {
    fn grain(&self) -> Grain {
        Grain::Whole
    }

    fn lacks(&self, digest: &Digest) -> bool {
        let asks = |cells: &CellFilter| cells.asks_for(digest.dropped);
        digest.dropped.any() || self.cells.is_some_and(asks)
    }

    fn digest(&mut self, _: &Digest) -> u64 {
        0
    }

    fn cells(&mut self, digest: &Digest, cells: &[(Key, Cell)]) -> u64 {
        let Some(filter) = self.cells else { return 0 };
        let (mut choice, outcomes) = (filter.for_digest(digest), Outcomes::of(digest));
        // By place first: each cell is added once, and its group to all that it belongs to.
        let (mut parts, mut repeats) = (BTreeMap::<(Name, Name), MeasuresFold>::new(), 0);
        for (key, cell) in cells.iter().filter(|(key, _)| choice.passes(key)) {
            repeats += cell.repeats;
            parts.entry((key.queue, key.job_name)).or_default().add(&outcomes.told(key), cell);
        }
        for ((queue, job_name), part) in parts {
            self.all.merge(&part);
            for (measures, name) in [(&mut self.by_queue, queue), (&mut self.by_job_name, job_name)]
            {
                let measures = match (name, digest.name(name)) {
                    (Name::Absent, _) => continue,
                    (_, None) => None,
                    (_, Some(name)) => group(measures, name, EventAnalytics::MAX_GROUPS),
                };
                match measures {
                    Some(measures) => measures.merge(&part),
                    None => self.unlisted += part.total,
                }
            }
        }
        repeats
    }

    fn event(&mut self, recorded: &RecordedEvent) -> bool {
        let (event, request) = (&recorded.event, self.request);
        if !in_range(recorded.timestamp(), request.start, request.end)
            || !self.filter.matches_recorded(recorded)
        {
            return false;
        }
        self.all.observe(event);
        let groups = [
            (&mut self.by_queue, event.queue.as_deref()),
            (&mut self.by_job_name, event.job_name.as_deref()),
        ];
        for (measures, name) in groups {
            let Some(name) = name else { continue };
            match group(measures, &listed(name), EventAnalytics::MAX_GROUPS) {
                Some(measures) => measures.observe(event),
                None => self.unlisted += 1,
            }
        }
        true
    }
}
