//! How quick each answer is meant to be, and how far that is met.

use serde::Serialize;

use super::{Asked, Run};
use crate::report;

/// How quick an answer is meant to be.
struct Limit {
    question: &'static str,
    ms: Option<f64>,
    /// So many times what the raw consumer takes.
    of_consumer: Option<f64>,
    /// So many times what the raw scan takes.
    of_scan: Option<f64>,
    /// Whether it may not take longer for a log that is longer.
    is_flat: bool,
}

impl Limit {
    const fn of(question: &'static str, ms: f64) -> Self {
        Self { question, ms: Some(ms), of_consumer: None, of_scan: None, is_flat: true }
    }
}

const LIMITS: &[Limit] = &[
    Limit { of_consumer: Some(1.2), ..Limit::of("history_job", 3.0) },
    Limit::of("history_recurring_job", 30.0),
    Limit::of("history_worker_index", 30.0),
    Limit::of("filter_indexed", 50.0),
    Limit::of("stats_hour_warm", 5.0),
    Limit::of("stats_day_warm", 5.0),
    Limit::of("analytics_type_by_queue_warm", 10.0),
    Limit::of("top_errors_warm", 10.0),
    Limit { is_flat: false, ..Limit::of("first_answer_cold", 200.0) },
    Limit {
        ms: None,
        of_scan: Some(1.3),
        is_flat: false,
        ..Limit::of("first_answer_no_digests", 0.0)
    },
];

/// A log ten times as long may take this much longer, or a millisecond.
const FLAT: f64 = 1.5;
const FLAT_MS: f64 = 1.0;
/// naq's share of the rate at which a raw consumer reads and decodes what a filter means.
const STREAM: f64 = 0.9;
/// The share of the log's bytes that digests and indexes may take.
const STORAGE: f64 = 0.05;

/// How far one target is met.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    events: u64,
    name: &'static str,
    target: String,
    measured: f64,
    limit: f64,
    is_met: bool,
}

/// Judges what was measured, of each run and of the runs beside the first.
pub(super) fn judge(runs: &[Run]) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for run in runs {
        for limit in LIMITS {
            let Some(asked) = run.asked(limit.question) else { continue };
            let mut at_most = |target: String, limit_ms: f64| {
                verdicts.push(Verdict {
                    events: run.events,
                    name: limit.question,
                    target,
                    measured: asked.p50_ms,
                    limit: limit_ms,
                    is_met: asked.p50_ms <= limit_ms,
                });
            };
            if let Some(ms) = limit.ms {
                at_most(format!("at most {ms} ms"), ms);
            }
            if let (Some(times), Some(raw)) = (limit.of_consumer, asked.raw_consumer_p50_ms) {
                at_most(format!("at most {times} × the raw consumer"), times * raw);
            }
            if let (Some(times), Some(raw)) = (limit.of_scan, asked.raw_scan_ms) {
                at_most(format!("at most {times} × the raw scan"), times * raw);
            }
            let first = runs.first().filter(|first| first.events < run.events);
            let shorter = first.filter(|_| limit.is_flat).and_then(|it| it.asked(limit.question));
            if let Some(Asked { p50_ms, .. }) = shorter {
                let ms = (p50_ms * FLAT).max(FLAT_MS);
                at_most(format!("at most {FLAT} × the shortest log, or {FLAT_MS} ms"), ms);
            }
        }
        verdicts.push(Verdict {
            events: run.events,
            name: "stream_filtered",
            target: format!("at least {STREAM} × the raw consumer"),
            measured: run.stream_filtered.ratio,
            limit: STREAM,
            is_met: run.stream_filtered.ratio >= STREAM,
        });
        verdicts.push(storage("storage", run.events, run.storage.share));
    }
    verdicts
}

/// Judges what is stored beside a log of so many events, by its share of the log's bytes.
pub(super) fn storage(name: &'static str, events: u64, share: f64) -> Verdict {
    Verdict {
        events,
        name,
        target: format!("at most {STORAGE} × the log's bytes"),
        measured: share,
        limit: STORAGE,
        is_met: share <= STORAGE,
    }
}

/// Prints them.
pub(super) fn show(verdicts: &[Verdict]) {
    let rows = verdicts.iter().map(|verdict| {
        vec![
            format!("{}, {}", verdict.name, verdict.target),
            report::thousands(verdict.events as f64),
            format!("{:.2}", verdict.measured),
            format!("{:.2}", verdict.limit),
            if verdict.is_met { "yes" } else { "NO" }.to_owned(),
        ]
    });
    println!("\n{}", report::table(&["target", "events", "measured", "limit", "met"], rows));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_slow_is_told() {
        let run = |events, ms| {
            let mut run = Run::new(events);
            let mut asked = Asked::new("history_job", &[ms]);
            asked.raw_consumer_p50_ms = Some(2.0);
            run.questions.push(asked);
            run
        };
        let met = |runs: &[Run]| -> Vec<bool> {
            let verdicts = judge(runs);
            verdicts.iter().filter(|it| it.name == "history_job").map(|it| it.is_met).collect()
        };
        assert_eq!(met(&[run(100, 1.0)]), [true, true]);
        assert_eq!(met(&[run(100, 2.5)]), [true, false]);
        assert_eq!(met(&[run(100, 1.0), run(1_000, 1.6)]), [true, true, true, true, false]);
        assert_eq!(met(&[run(100, 0.5), run(1_000, 0.9)]), [true, true, true, true, true]);
    }
}
