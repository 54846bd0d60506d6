//! Random questions, and the answers of a service and of the model side by side.

use std::collections::BTreeMap;

use naq_core::Timestamp;
use naq_core::events::{
    AnalyticsRequest, AnswerBasis, Bucket, Event, EventMeasures, EventQuery, EventStats, GroupBy,
    MadeFrom, Measure, MeasuredField, QueryRequest, StatsRequest, TopErrorsRequest,
};
use naq_events::EventService;
use naq_tests::own_log::Keeps;

use super::cases::{Case, Times, cases, minutes, times};
use super::expressions;
use super::figures::{Figures, Known};
use super::log::{KINDS, at};
use super::model::{Model, Stored};

/// Behind all events, whatever the clock: an open end of some questions would
/// be another instant for each who is asked.
const END: i64 = 400_000_000;

/// Who is asked, and what it may know.
pub(super) struct Asked<'a> {
    /// The service.
    pub(super) service: &'a EventService,
    /// Everything that was stored.
    pub(super) model: &'a Model,
    /// The last sequence that it can know of.
    pub(super) through: u64,
    /// What of it the service can know from digests, by place.
    pub(super) counted: &'a [bool],
    /// What the service keeps.
    pub(super) keeps: Keeps,
    /// When the log was made.
    pub(super) created: Timestamp,
    /// By so many minutes digests tell times apart at least.
    pub(super) grain: i64,
    /// How long the log is, in milliseconds.
    pub(super) span: i64,
    /// Who and when, for failures.
    pub(super) about: String,
}

/// How many answers were held against the model, and how many of them left
/// nothing undecided.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Held {
    pub(super) answers: u64,
    pub(super) decided: u64,
    /// How many readings went by what an index names.
    pub(super) by_index: u64,
}

impl Held {
    fn count(&mut self, basis: &AnswerBasis) -> bool {
        self.answers += 1;
        self.decided += u64::from(basis.undecided == 0);
        basis.undecided == 0
    }
}

impl Asked<'_> {
    /// All that it can know of, and whether it has counted it.
    fn stored(&self) -> impl Iterator<Item = (&Stored, bool)> {
        let counted = self.counted.iter().copied().chain(std::iter::repeat(false));
        self.model.all.iter().zip(counted).take(self.model.place(self.through))
    }

    /// What it can answer from: what it has counted, or what is there.
    fn known(&self, is_from_digests: bool) -> impl Iterator<Item = Known<'_>> {
        let is_known = move |(stored, counted): &(&Stored, bool)| {
            stored.is_there || (is_from_digests && *counted)
        };
        let known = self.stored().filter(is_known);
        known.filter_map(|(stored, _)| Some((stored.event.as_ref()?, stored.at)))
    }

    /// Asks for everything, and holds what the answer says of itself against
    /// what happened; answers how many messages it has from digests.
    pub(super) async fn everything(&self) -> AnswerBasis {
        let got = self.service.stats(StatsRequest::default()).await.unwrap();
        self.hold(&got);
        got.basis
    }

    /// Holds an answer about everything against what happened. What has left
    /// the log before anybody has counted it is a hole, and nothing else is.
    pub(super) fn hold(&self, got: &EventStats) {
        let (about, basis) = (&self.about, got.basis);
        let known = self.stored().filter(|(stored, counted)| stored.is_there || *counted);
        let known: Vec<bool> = known.map(|(stored, _)| stored.event.is_none()).collect();
        assert_eq!(basis.through, self.through, "{about}: {basis:?}");
        assert_eq!(basis.holes, self.through - known.len() as u64, "{about}: {basis:?}");
        let malformed = known.iter().filter(|is_none| **is_none).count() as u64;
        assert_eq!((basis.malformed, got.malformed), (malformed, malformed), "{about}: {basis:?}");
        assert_eq!(basis.undecided, 0, "{about}: {basis:?}");
        assert_eq!(basis.from_digests + basis.read, known.len() as u64, "{about}: {basis:?}");
        let told = got.total_events + got.malformed + basis.holes;
        assert_eq!(told, self.through, "{about}: {basis:?}");
        let figures = Figures::of(self.known(true), |_| true, (None, None));
        assert_eq!(counts(got), figures.stats(), "{about}");
    }

    /// Asks something of each kind.
    pub(super) async fn something(&self, random: &mut fastrand::Rng, held: &mut Held) {
        let known = random.choice(cases()).unwrap();
        let case = if random.bool() { known } else { expressions::some(random, self.span) };
        let minutes = match self.grain {
            1 => *random.choice(&[0, 1]).unwrap(),
            grain => *random.choice(&[0, 1, 60, grain, grain]).unwrap(),
        };
        let times = times(random, self.span, minutes);
        self.stats(&case, (times, minutes), held).await;
        self.analytics(random, (times, minutes), held).await;
        self.query(random, &case, (times, minutes), held).await;
        self.errors(random, times, held).await;
        self.readings(random, held).await;
    }

    /// Holds what an answer says that it was made from against what could tell it.
    fn made_from(&self, source: Option<MadeFrom>, basis: &AnswerBasis, about: &str) {
        let source = match source {
            None if self.keeps == Keeps::Indexes => None,
            Some(MadeFrom::Index) | None if self.keeps != Keeps::Indexes => Some(MadeFrom::Log),
            source => source,
        };
        let made_from = basis.made_from;
        assert_eq!(made_from, source.unwrap_or(made_from), "{about}");
        if source == Some(MadeFrom::Digests) {
            return;
        }
        assert_ne!(made_from, MadeFrom::Digests, "{about}");
        assert_eq!(basis.holes, self.model.first() - 1, "{about}");
        assert!(basis.from_index <= basis.read, "{about}");
    }

    async fn stats(&self, case: &Case, (times, minutes): (Times, i64), held: &mut Held) {
        let request = StatsRequest::default().with_range(times.0, times.1);
        let got = self.service.stats(request.with_filter(case.filter())).await.unwrap();
        let is_from_digests = case.source == Some(MadeFrom::Digests);
        let figures = Figures::of(self.known(is_from_digests), &*case.passes, times);
        let expected = figures.stats();
        let about = format!("{}: {:?} {times:?} {:?}", self.about, case.text, got.basis);
        self.made_from(case.source, &got.basis, &about);
        let is_decided = held.count(&got.basis);
        assert!(is_decided || (is_from_digests && minutes < self.grain), "{about}");
        assert!(got.total_events <= expected.total_events, "{about}: {expected:?}");
        let missing = expected.total_events - got.total_events;
        assert!(missing <= got.basis.undecided, "{about}: {expected:?}");
        assert_eq!(got.unlisted, 0, "{about}");
        if is_decided {
            assert_eq!(counts(&got), expected, "{about}");
        }
    }

    async fn analytics(
        &self,
        random: &mut fastrand::Rng,
        (times, minutes): (Times, i64),
        held: &mut Held,
    ) {
        let kind = *random.choice(&KINDS).unwrap();
        let request = AnalyticsRequest::new(kind).with_range(times.0, times.1);
        let got = self.service.analytics(request).await.unwrap();
        let about = format!("{}: {kind} {times:?} {:?}", self.about, got.basis);
        let of_kind = |event: &Event| event.event_type.as_str() == kind;
        let figures = Figures::of(self.known(true), of_kind, times);
        let (count, there) = (got.measures.total_count, figures.events.len() as u64);
        assert!(count <= there && there <= count + got.basis.undecided, "{about}: {there}");
        if !held.count(&got.basis) {
            assert!(minutes < self.grain, "{about}");
            return;
        }
        assert_measures(&got.measures, &figures.measures(), &about);
        let by_queue = figures.measures_by(|event| event.queue.as_deref());
        let by_job_name = figures.measures_by(|event| event.job_name.as_deref());
        for (got, expected) in [(&got.by_queue, by_queue), (&got.by_job_name, by_job_name)] {
            assert!(got.keys().eq(expected.keys()), "{about}: {got:?} {expected:?}");
            for (got, expected) in got.values().zip(expected.values()) {
                assert_measures(got, expected, &about);
            }
        }
        assert_eq!(got.unlisted, 0, "{about}");
    }

    async fn query(
        &self,
        random: &mut fastrand::Rng,
        case: &Case,
        (times, whole): (Times, i64),
        held: &mut Held,
    ) {
        let times = (times.0, Some(times.1.unwrap_or(at(END))));
        let mut groups = vec![GroupBy::Type, GroupBy::Queue, GroupBy::JobName, GroupBy::Outcome];
        random.shuffle(&mut groups);
        groups.truncate(random.usize(0..=3));
        let has_worker = random.u8(..5) == 0;
        if has_worker {
            groups.truncate(2);
            groups.insert(0, GroupBy::Worker);
        }
        let (duration, wait) = (MeasuredField::Duration, MeasuredField::QueueWait);
        let mut measures = vec![
            Measure::Count,
            Measure::Rate,
            Measure::SuccessRate,
            Measure::Mean(duration),
            Measure::Mean(wait),
            Measure::Min(wait),
            Measure::Max(wait),
            Measure::Min(duration),
            Measure::Max(duration),
            Measure::Percentile(random.u16(1..=999), duration),
            Measure::Percentile(random.u16(1..=999), wait),
        ];
        random.shuffle(&mut measures);
        measures.truncate(random.usize(1..=measures.len()));
        let mut request = QueryRequest::new(case.filter())
            .with_range(times.0, times.1)
            .with_group_by(groups)
            .with_measures(measures);
        request.bucket = match random.u8(..5) {
            // From a start on to the end of all times there are too many minutes.
            0 if times.0.is_none() || times.1 < Some(at(END)) => Some(Bucket::Minute),
            1 if times.0.is_none() || times.1 < Some(at(END)) => Some(Bucket::Hour),
            2 => Some(Bucket::Day),
            _ => None,
        };
        if request.bucket == Some(Bucket::Minute) {
            // Each minute's groups of a long log are more rows than an answer has.
            request.group_by.truncate(1);
        }
        let got = self.service.query(request.clone()).await.unwrap();
        let about = format!("{}: {request:?} {:?}", self.about, got.basis);
        assert!(got.rows.is_sorted_by_key(|row| row.time), "{about}");
        let source = match case.source {
            // Workers are no business of digests.
            Some(MadeFrom::Digests) if has_worker => None,
            source => source,
        };
        self.made_from(source, &got.basis, &about);
        if !held.count(&got.basis) {
            let is_told = whole >= self.grain
                && request.bucket.is_none_or(|bucket| minutes(bucket) >= self.grain);
            assert!(source == Some(MadeFrom::Digests) && !is_told, "{about}");
            return;
        }
        let known = self.known(source == Some(MadeFrom::Digests));
        let expected = Figures::of(known, &*case.passes, times).rows(&request);
        let rows: BTreeMap<_, _> = got
            .rows
            .iter()
            .map(|row| ((row.time, row.group.clone()), row.values.clone()))
            .collect();
        assert_eq!((rows.len(), got.unlisted), (got.rows.len(), 0), "{about}");
        assert!(rows.keys().eq(expected.keys()), "{about}: {rows:?}, not {expected:?}");
        for (key, values) in &rows {
            for ((measure, got), expected) in
                request.measures.iter().zip(values).zip(&expected[key])
            {
                let about = format!("{about}: {measure} of {key:?}");
                assert_close(*got, *expected, tolerance(*measure), &about);
            }
        }
    }

    async fn errors(&self, random: &mut fastrand::Rng, times: Times, held: &mut Held) {
        let times = (times.0, Some(times.1.unwrap_or(at(END))));
        let limit = random.usize(1..8);
        let mut request =
            TopErrorsRequest::default().with_range(times.0, times.1).with_limit(limit);
        if random.u8(..4) == 0 {
            request = request.with_new_since(at(random.i64(-60..self.span / 1_000 + 60)));
        }
        let got = self.service.top_errors(request.clone()).await.unwrap();
        let about = format!("{}: {request:?} {:?}", self.about, got.basis);
        held.count(&got.basis);
        // When an error was seen first is known from the whole log.
        let everything = Figures::of(self.known(true), |_| true, (None, None));
        let mut expected = everything.errors(&request);
        let (total, different) =
            (expected.iter().map(|error| error.count).sum::<u64>(), expected.len() as u64);
        expected.truncate(limit);
        assert_eq!(got.errors, expected, "{about}");
        let counted = (got.total, got.different, got.unlisted, got.basis.undecided);
        assert_eq!(counted, (total, different, 0, 0), "{about}");
    }
}

/// What is counted, without what it was counted from.
fn counts(stats: &EventStats) -> EventStats {
    let mut counts = EventStats::default();
    counts.total_events = stats.total_events;
    counts.event_types.clone_from(&stats.event_types);
    counts.queues.clone_from(&stats.queues);
    counts.job_names.clone_from(&stats.job_names);
    (counts.first_event, counts.last_event) = (stats.first_event, stats.last_event);
    (counts.lost, counts.unlisted) = (stats.lost, stats.unlisted);
    counts
}

/// Seconds are kept to the nanosecond, and percentiles within a hundredth.
const fn tolerance(measure: Measure) -> f64 {
    match measure {
        Measure::Percentile(..) => 0.01,
        _ => 1e-9,
    }
}

#[track_caller]
fn assert_close(got: Option<f64>, expected: Option<f64>, tolerance: f64, about: &str) {
    let is_close = match (got, expected) {
        (Some(got), Some(expected)) => (got - expected).abs() <= tolerance * expected.abs() + 2e-9,
        (got, expected) => got == expected,
    };
    assert!(is_close, "{about}: {got:?}, not {expected:?}");
}

#[track_caller]
fn assert_measures(got: &EventMeasures, expected: &EventMeasures, about: &str) {
    assert_eq!(got.total_count, expected.total_count, "{about}");
    for (got, expected, tolerance) in [
        (got.success_rate, expected.success_rate, 1e-9),
        (got.average_duration, expected.average_duration, 1e-9),
        (got.min_duration, expected.min_duration, 1e-9),
        (got.max_duration, expected.max_duration, 1e-9),
        (got.percentiles.p50, expected.percentiles.p50, 0.01),
        (got.percentiles.p95, expected.percentiles.p95, 0.01),
        (got.percentiles.p99, expected.percentiles.p99, 0.01),
    ] {
        assert_close(got, expected, tolerance, about);
    }
}
