//! Statistics and analytics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use naq_core::config::RetentionAges;
use naq_core::events::{
    AnalyticsRequest, Event, EventAnalytics, EventQuery, EventQueryExt, EventStats, Filter,
    ScanLimits, StatsRequest,
};
use naq_core::jetstream::JetStream;
use naq_core::{ErrorKind, Timestamp};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::support::{Own, at, invalid, now, refused};

fn counted<const N: usize>(counts: [(&str, u64); N]) -> BTreeMap<String, u64> {
    counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

pub async fn statistics_count_by_type_queue_and_job_name(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let time = |event: Event, seconds| event.with_timestamp(at(seconds));
    own.log(time(Event::job_started("a", "w", "emails").with_job_name("mail"), 5)).await;
    own.log(time(Event::job_completed("a", 1.0, true), 3)).await;
    own.log(time(Event::worker_started("w", "emails"), 9)).await;
    own.log(time(Event::new("invoice_sent").with_queue("billing"), 4)).await;
    own.foreign("log", "no event").await;
    let stats = own.events.get_event_stats(None, None).await.unwrap();
    let expected =
        [("invoice_sent", 1), ("job_completed", 1), ("job_started", 1), ("worker_started", 1)];
    assert_eq!((stats.total_events, stats.event_types), (4, counted(expected)));
    assert_eq!(stats.queues, counted([("billing", 1), ("emails", 2)]));
    assert_eq!(stats.job_names, counted([("mail", 1)]));
    assert_eq!((stats.first_event, stats.last_event), (Some(at(3)), Some(at(9))));
    assert_eq!((stats.malformed, stats.gone, stats.unlisted), (1, 0, 0));
    let state = own.info().await.state;
    assert_eq!((stats.stream_messages, stats.stream_size), (5, state.bytes));
    assert_eq!(stats.subjects, [format!("{}.>", own.name)]);
    assert_eq!(stats.num_subjects, 5);
    assert_eq!((stats.start_time, stats.end_time), (None, None));
}

pub async fn a_range_is_by_the_events_timestamps_with_both_its_ends(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    // Stored in another order than they happened.
    for seconds in [7, 1, 9, 3, 5] {
        own.log(Event::job_completed("j", 1.0, true).with_timestamp(at(seconds))).await;
    }
    let total = async |start: Option<Timestamp>, end: Option<Timestamp>| {
        let stats = own.events.get_event_stats(start, end).await.unwrap();
        assert_eq!((stats.start_time, stats.end_time), (start, end));
        let analytics = own.events.get_event_analytics("job_completed", start, end).await.unwrap();
        assert_eq!((analytics.time_range.start, analytics.time_range.end), (start, end));
        assert_eq!(analytics.measures.total_count, stats.total_events);
        stats.total_events
    };
    assert_eq!(total(Some(at(3)), Some(at(7))).await, 3);
    assert_eq!(total(Some(at(3).saturating_add(Duration::from_micros(1))), Some(at(7))).await, 2);
    assert_eq!(total(Some(at(3)), Some(at(7).saturating_sub(Duration::from_micros(1)))).await, 2);
    assert_eq!(total(Some(at(5)), None).await, 3);
    assert_eq!(total(None, Some(at(5))).await, 3);
    assert_eq!(total(Some(at(5)), Some(at(5))).await, 1);
    assert_eq!(total(Some(at(10)), None).await, 0);
}

pub async fn an_event_without_a_timestamp_happened_when_it_was_stored(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.foreign("log", r#"{"type":"log"}"#).await;
    let stored_at = own.stored().await[0].stored_at;
    let stats = own.events.get_event_stats(Some(stored_at), Some(stored_at)).await.unwrap();
    assert_eq!((stats.total_events, stats.first_event), (1, Some(stored_at)));
}

pub async fn an_event_under_another_type_s_subject_is_no_event(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log_all([Event::job_failed("a", "x", 1.0), Event::new("a.b").with_job_id("a")]).await;
    own.foreign("job_started.a", r#"{"type":"job_failed","job_id":"a"}"#).await;
    own.foreign("job_failed", r#"{"type":"job_started"}"#).await;
    let keeping = own.keeping_at(now(), RetentionAges::default()).await;
    let all = counted([("a.b", 1), ("job_failed", 1)]);
    let failed = Filter::parse("type = job_failed").unwrap();
    // By reading, by what is digested on the way, and by digests.
    for service in [&own.events, &keeping, &keeping] {
        let stats = service.get_event_stats(None, None).await.unwrap();
        assert_eq!((stats.event_types, stats.malformed), (all.clone(), 2));
        let mut request = StatsRequest::default();
        request.filter = failed.clone();
        let stats = service.stats(request).await.unwrap();
        assert_eq!(stats.event_types, counted([("job_failed", 1)]));
    }
}

pub async fn figures_of_an_empty_log_are_none_and_not_zero(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let stats = own.events.get_event_stats(None, None).await.unwrap();
    let mut expected = EventStats::default();
    expected.subjects = vec![format!("{}.>", own.name)];
    // When it was looked at, and that nothing is in it twice, is known all the same.
    (expected.basis.as_of, expected.basis.duplicates) = (stats.basis.as_of, Some(0));
    assert!(stats.basis.as_of.is_some());
    assert_eq!(stats, expected);
    let analytics = own.events.get_event_analytics("job_completed", None, None).await.unwrap();
    let mut expected = EventAnalytics::new("job_completed", Default::default());
    (expected.basis.as_of, expected.basis.duplicates) = (analytics.basis.as_of, Some(0));
    assert_eq!(analytics, expected);
}

pub async fn analytics_are_over_the_events_that_have_the_field(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log(Event::job_completed("a", 1.0, true).with_queue("q").with_job_name("mail")).await;
    own.log(Event::job_completed("b", 3.0, false).with_queue("q")).await;
    own.log(Event::new("job_completed").with_job_id("c").with_queue("r")).await;
    own.log(Event::new("job_completed").with_success(true)).await;
    own.log(Event::job_failed("d", "x", 99.0)).await;
    own.foreign("job_completed.x", "no event").await;
    own.foreign("job_failed.x", "no event").await;
    let analytics = own.events.get_event_analytics("job_completed", None, None).await.unwrap();
    let all = analytics.measures;
    assert_eq!((all.total_count, all.success_rate), (4, Some(2.0 / 3.0)));
    assert_eq!(all.average_duration, Some(2.0));
    assert_eq!((all.min_duration, all.max_duration), (Some(1.0), Some(3.0)));
    let q = &analytics.by_queue["q"];
    assert_eq!((q.total_count, q.success_rate, q.max_duration), (2, Some(0.5), Some(3.0)));
    let r = &analytics.by_queue["r"];
    assert_eq!((r.total_count, r.success_rate, r.average_duration), (1, None, None));
    assert_eq!((r.percentiles.p50, r.percentiles.p99), (None, None));
    let names: Vec<_> = analytics.by_job_name.keys().collect();
    assert_eq!(names, ["mail"]);
    // What is of another type isn't read.
    assert_eq!(analytics.malformed, 1);
}

pub async fn percentiles_are_within_one_percent_of_a_true_one(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    // From a millisecond to hours, none twice.
    let duration = |n: i32| 0.001 * 1.02_f64.powi(n);
    own.log_all((1..=1_000).map(|n| Event::job_completed("j", duration(n * 611 % 1_009), true)))
        .await;
    let mut durations: Vec<_> = (1..=1_000).map(|n| duration(n * 611 % 1_009)).collect();
    durations.sort_by(f64::total_cmp);
    let analytics = own.events.get_event_analytics("job_completed", None, None).await.unwrap();
    let told = analytics.measures.percentiles;
    for (told, share) in [(told.p50, 0.5), (told.p95, 0.95), (told.p99, 0.99)] {
        let told = told.unwrap();
        let rank = share * 999.0_f64;
        let (below, above) = (durations[rank.floor() as usize], durations[rank.ceil() as usize]);
        assert!((below * 0.99..=above * 1.01).contains(&told), "{share}: {told} {below} {above}");
    }
}

pub async fn figures_are_those_of_a_naive_fold(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let mut runner = TestRunner::deterministic();
    let name = || prop::option::of("[ab]");
    // Durations are kept to the nanosecond.
    let seconds = (100_000_000..9_000_000_000_u64).prop_map(|nanos| nanos as f64 / 1e9);
    let fields = ("[xy]", name(), name(), 0..20_i64, prop::option::of(seconds));
    let one = (fields, prop::option::of(any::<bool>()));
    let logged: Vec<_> = (0..300).map(|_| one.new_tree(&mut runner).unwrap().current()).collect();
    own.log_all(logged.iter().map(|((kind, queue, job_name, seconds, duration), success)| {
        let mut event = Event::new(kind.as_str()).with_timestamp(at(*seconds));
        event.queue = queue.as_deref().map(Into::into);
        event.job_name = job_name.as_deref().map(Into::into);
        (event.duration, event.success) = (*duration, *success);
        event
    }))
    .await;
    for (start, end) in [(0, 19), (5, 5), (3, 11), (19, 19)] {
        let inside: Vec<_> =
            logged.iter().filter(|((.., seconds, _), _)| (start..=end).contains(seconds)).collect();
        let (start, end) = (Some(at(start)), Some(at(end)));
        let stats = own.events.get_event_stats(start, end).await.unwrap();
        assert_eq!(stats.total_events, inside.len() as u64);
        let count = |of: &dyn Fn(&(_, _, _, _, _)) -> Option<String>| {
            let mut counts = BTreeMap::new();
            for name in inside.iter().filter_map(|(fields, _)| of(fields)) {
                *counts.entry(name).or_insert(0_u64) += 1;
            }
            counts
        };
        assert_eq!(
            stats.event_types,
            count(&|(kind, ..): &(String, _, _, _, _)| Some(kind.clone()))
        );
        assert_eq!(stats.queues, count(&|(_, queue, ..)| queue.clone()));
        assert_eq!(stats.job_names, count(&|(_, _, name, ..)| name.clone()));
        let times = inside.iter().map(|((.., seconds, _), _)| at(*seconds));
        assert_eq!(stats.first_event, times.clone().min());
        assert_eq!(stats.last_event, times.max());

        let analytics = own.events.get_event_analytics("x", start, end).await.unwrap().measures;
        let of_type: Vec<_> = inside.iter().filter(|((kind, ..), _)| kind == "x").collect();
        assert_eq!(analytics.total_count, of_type.len() as u64);
        let outcomes: Vec<_> = of_type.iter().filter_map(|(_, success)| *success).collect();
        let good = outcomes.iter().filter(|success| **success).count();
        let rate = (!outcomes.is_empty()).then(|| good as f64 / outcomes.len() as f64);
        assert_eq!(analytics.success_rate, rate);
        let durations: Vec<_> =
            of_type.iter().filter_map(|((.., duration), _)| *duration).collect();
        assert_eq!(analytics.max_duration, durations.iter().copied().reduce(f64::max));
        assert_eq!(analytics.min_duration, durations.iter().copied().reduce(f64::min));
        let mean = durations.iter().sum::<f64>() / durations.len() as f64;
        let told = analytics.average_duration.unwrap_or(f64::NAN);
        assert!(durations.is_empty() || (told - mean).abs() < 1e-9, "{told} {mean}");
    }
}

pub async fn figures_that_may_not_read_enough_say_where_they_stopped(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| config.with_scan_limit(3_u64)).await;
    for _ in 0..4 {
        own.log(Event::log("x")).await;
    }
    let error = refused(own.events.get_event_stats(None, None).await, ErrorKind::LimitReached);
    assert_eq!(error.get("stopped_at_sequence"), Some("4"), "{error:?}");
    let error =
        refused(own.events.get_event_analytics("log", None, None).await, ErrorKind::LimitReached);
    assert_eq!(error.operation(), "get_event_analytics");
    let whole = ScanLimits::unlimited();
    let stats = own.events.stats(StatsRequest::default().with_scan(whole)).await.unwrap();
    assert_eq!(stats.total_events, 4);
    let analytics = own.events.analytics(AnalyticsRequest::new("log").with_scan(whole)).await;
    assert_eq!(analytics.unwrap().measures.total_count, 4);
    // A type of which there is less is read.
    let other = own.events.get_event_analytics("job_failed", None, None).await.unwrap();
    assert_eq!(other.measures.total_count, 0);
}

pub async fn wrong_questions_for_figures_are_refused_by_field(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let (start, end) = (Some(at(2)), Some(at(1)));
    invalid(own.events.get_event_stats(start, end).await, "end_time");
    invalid(own.events.get_event_analytics("log", start, end).await, "end_time");
    invalid(own.events.get_event_analytics("", None, None).await, "type");
    let none = ScanLimits::default().with_max_messages(0);
    invalid(own.events.stats(StatsRequest::default().with_scan(none)).await, "max_messages");
}
