//! Figures of one type of event: success rate and how long runs take.

use std::collections::BTreeMap;

use naq_core::Result;
use naq_core::events::{
    AnalyticsRequest, Event, EventAnalytics, EventMeasures, Filter, Percentiles, RecordedEvent,
    TimeRange,
};
use sketches_ddsketch::{Config, DDSketch};

use crate::read::{Log, Scan};
use crate::stats::{group, in_range};

/// The operation that errors name.
pub(crate) const OPERATION: &str = "get_event_analytics";

/// Measures the events of a type whose own timestamp lies in the range, in one pass.
pub(crate) async fn analytics(log: &Log, request: AnalyticsRequest) -> Result<EventAnalytics> {
    let open = log.open(OPERATION).await?;
    let of_type = Filter::new().event_type(request.event_type.clone());
    let filter = of_type.and(request.filter.clone());
    filter.validate().map_err(|error| error.in_operation(OPERATION))?;
    let scan = Scan::of(OPERATION, log, &filter, request.scan);
    let mut fold = AnalyticsFold::new(&request);
    let measure = |recorded: RecordedEvent| {
        if filter.matches_recorded(&recorded) {
            fold.observe(&recorded);
        }
    };
    let end = scan.run(log, &open, measure).await?;
    let mut analytics = fold.finish();
    (analytics.malformed, analytics.gone) = (end.malformed, end.gone);
    Ok(analytics)
}

struct AnalyticsFold<'a> {
    request: &'a AnalyticsRequest,
    all: MeasuresFold,
    by_queue: BTreeMap<String, MeasuresFold>,
    by_job_name: BTreeMap<String, MeasuresFold>,
    unlisted: u64,
}

impl<'a> AnalyticsFold<'a> {
    fn new(request: &'a AnalyticsRequest) -> Self {
        Self {
            request,
            all: MeasuresFold::default(),
            by_queue: BTreeMap::new(),
            by_job_name: BTreeMap::new(),
            unlisted: 0,
        }
    }

    fn observe(&mut self, recorded: &RecordedEvent) {
        let (event, request) = (&recorded.event, self.request);
        if !in_range(recorded.timestamp(), request.start, request.end) {
            return;
        }
        self.all.observe(event);
        let groups = [
            (&mut self.by_queue, event.queue.as_deref()),
            (&mut self.by_job_name, event.job_name.as_deref()),
        ];
        for (measures, name) in groups {
            let Some(name) = name else { continue };
            match group(measures, name, EventAnalytics::MAX_GROUPS) {
                Some(measures) => measures.observe(event),
                None => self.unlisted += 1,
            }
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

/// Figures of a set of events, each over those that have the field.
#[derive(Default)]
struct MeasuresFold {
    total: u64,
    outcomes: u64,
    successes: u64,
    durations: Option<Durations>,
}

impl MeasuresFold {
    fn observe(&mut self, event: &Event) {
        self.total += 1;
        if let Some(success) = event.success {
            self.outcomes += 1;
            self.successes += u64::from(success);
        }
        if let Some(seconds) = event.duration {
            self.durations.get_or_insert_with(Durations::new).observe(seconds);
        }
    }

    fn finish(self) -> EventMeasures {
        let mut measures = EventMeasures::default();
        measures.total_count = self.total;
        measures.success_rate =
            (self.outcomes > 0).then(|| self.successes as f64 / self.outcomes as f64);
        if let Some(durations) = self.durations {
            measures.average_duration = Some(durations.sum / durations.count as f64);
            measures.min_duration = Some(durations.min);
            measures.max_duration = Some(durations.max);
            measures.percentiles = Percentiles::new(
                durations.quantile(0.50),
                durations.quantile(0.95),
                durations.quantile(0.99),
            );
        }
        measures
    }
}

/// How durations are distributed: exact sums, and a sketch for the percentiles.
struct Durations {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    sketch: DDSketch,
}

/// The sketch tells durations apart from a nanosecond on; shorter ones count as zero.
const SHORTEST: f64 = 1e-9;

/// Enough bins, each wider than the one before by twice the relative error,
/// to reach from a nanosecond to beyond 10,000 years.
const BINS: u32 = 3_000;

impl Durations {
    fn new() -> Self {
        Self {
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: 0.0,
            sketch: DDSketch::new(Config::new(Percentiles::RELATIVE_ERROR, BINS, SHORTEST)),
        }
    }

    fn observe(&mut self, seconds: f64) {
        self.count += 1;
        self.sum += seconds;
        self.min = self.min.min(seconds);
        self.max = self.max.max(seconds);
        self.sketch.add(seconds);
    }

    /// The least duration that this share of them did not exceed (the nearest
    /// rank); within the sketch's error, and never outside what was seen.
    fn quantile(&self, share: f64) -> Option<f64> {
        let rank = (share * self.count as f64).ceil().max(1.0);
        // The sketch takes a share of the way from the first to the last rank
        // and cuts it: half a rank more makes up for what division loses.
        let way = match self.count {
            0 | 1 => 0.0,
            count => ((rank - 0.5) / (count - 1) as f64).min(1.0),
        };
        let seconds = self.sketch.quantile(way).ok().flatten()?;
        Some(seconds.clamp(self.min, self.max))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn figures_are_over_the_events_that_have_the_field() {
        let mut fold = MeasuresFold::default();
        fold.observe(&Event::new("x"));
        fold.observe(&Event::new("x").with_success(true));
        fold.observe(&Event::new("x").with_success(false).with_duration(2.0));
        fold.observe(&Event::new("x").with_duration(4.0));
        let measures = fold.finish();
        assert_eq!(measures.total_count, 4);
        assert_eq!(measures.success_rate, Some(0.5));
        assert_eq!(measures.average_duration, Some(3.0));
        assert_eq!((measures.min_duration, measures.max_duration), (Some(2.0), Some(4.0)));
    }

    #[test]
    fn nothing_has_no_figures() {
        assert_eq!(MeasuresFold::default().finish(), EventMeasures::default());
    }

    proptest! {
        #[test]
        fn percentiles_keep_their_error(mut seconds in prop::collection::vec(1e-6_f64..1e6, 1..400)) {
            let mut durations = Durations::new();
            seconds.iter().for_each(|&s| durations.observe(s));
            seconds.sort_by(f64::total_cmp);
            for share in [0.5, 0.95, 0.99] {
                let rank = (share * seconds.len() as f64).ceil() as usize;
                let (exact, got) = (seconds[rank - 1], durations.quantile(share).unwrap());
                prop_assert!((got - exact).abs() <= exact * 0.01 + 1e-12, "{share}: {got}, {exact}");
            }
        }
    }
}
