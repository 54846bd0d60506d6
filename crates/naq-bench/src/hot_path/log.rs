//! The calls that log.

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use futures::FutureExt;
use naq_core::events::{EventSink, EventSinkExt};
use naq_events::EventService;

use super::{BURST, Case, PATIENCE};
use crate::Outcome;
use crate::pace::Pace;
use crate::workload::Names;

/// What each call took, in nanoseconds.
pub(super) async fn time(events: &Arc<EventService>, case: Case, calls: u64) -> Outcome<Vec<u64>> {
    each_call(events, case, calls, |events, names, n| {
        let begun = Instant::now();
        let result = log(events, names, n);
        let took = begun.elapsed().as_nanos() as u64;
        result.map(|()| took)
    })
    .await
}

/// How many allocations each call made on its thread.
pub(super) async fn count_allocations(
    events: &Arc<EventService>,
    case: Case,
    calls: u64,
) -> Outcome<Vec<u64>> {
    each_call(events, case, calls, |events, names, n| {
        let mut result = Ok(());
        let counted = allocation_counter::measure(|| result = log(events, names, n));
        result.map(|()| counted.count_total)
    })
    .await
}

/// Makes an event and logs it. A call that would wait fails.
fn log(events: &EventService, names: &Names, n: u64) -> Outcome {
    match events.log_event(black_box(names.event(n))).now_or_never() {
        Some(result) => Ok(result?),
        None => Err("a call had to wait for room".into()),
    }
}

type Call = fn(&EventService, &Names, u64) -> Outcome<u64>;

/// Makes the calls from the case's threads, at its pace, and waits until all is stored.
async fn each_call(
    events: &Arc<EventService>,
    case: Case,
    calls: u64,
    call: Call,
) -> Outcome<Vec<u64>> {
    let Case { threads, pace_per_s } = case;
    let each = calls / threads;
    // At a pace the buffer never fills.
    let burst = if pace_per_s > 0 { each } else { BURST / threads };
    let mut measured = Vec::with_capacity(calls as usize);
    let mut from = 0;
    while from < each {
        let to = each.min(from + burst);
        let start = Arc::new(Barrier::new(threads as usize));
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let (events, start) = (Arc::clone(events), Arc::clone(&start));
                thread::spawn(move || {
                    let numbers = thread * each + from..thread * each + to;
                    let names: Vec<Names> = numbers.clone().map(Names::of).collect();
                    start.wait();
                    let mut pace = Pace::per_second(pace_per_s / threads);
                    let calls = numbers.zip(&names).map(|(n, names)| {
                        pace.wait();
                        call(&events, names, n)
                    });
                    calls.collect::<Outcome<Vec<u64>>>()
                })
            })
            .collect();
        for worker in workers {
            let joined = tokio::task::spawn_blocking(|| worker.join()).await?;
            measured.extend(joined.map_err(|_| "a logging thread panicked")??);
        }
        let report = events.flush(PATIENCE).await?;
        if !report.is_clean() {
            return Err(format!("not all events are stored: {report:?}").into());
        }
        from = to;
    }
    Ok(measured)
}
