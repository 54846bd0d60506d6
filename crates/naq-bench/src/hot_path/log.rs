//! The calls that log.

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use futures::FutureExt;
use naq_core::events::{Event, EventSink, EventSinkExt};
use naq_events::EventService;

use super::{BURST, Case, PATIENCE};
use crate::Outcome;
use crate::pace::Pace;
use crate::workload::Names;

/// What a call took, and what making its event took before, in nanoseconds.
pub(super) struct Took {
    pub(super) log: u64,
    pub(super) event: u64,
}

/// What each call took.
pub(super) async fn time(events: &Arc<EventService>, case: Case, calls: u64) -> Outcome<Vec<Took>> {
    each_call(events, case, calls, |events, names, n| {
        let begun = Instant::now();
        let event = black_box(names.event(n));
        let made = Instant::now();
        let result = log(events, event);
        let (event, log) = (made - begun, made.elapsed());
        result.map(|()| Took { log: log.as_nanos() as u64, event: event.as_nanos() as u64 })
    })
    .await
}

/// How many allocations each call made on its thread, the event's making included.
pub(super) async fn count_allocations(
    events: &Arc<EventService>,
    case: Case,
    calls: u64,
) -> Outcome<Vec<u64>> {
    each_call(events, case, calls, |events, names, n| {
        let mut result = Ok(());
        let logging = || result = log(events, black_box(names.event(n)));
        let counted = allocation_counter::measure(logging);
        result.map(|()| counted.count_total)
    })
    .await
}

/// Logs an event. A call that would wait fails.
fn log(events: &EventService, event: Event) -> Outcome {
    match events.log_event(event).now_or_never() {
        Some(result) => Ok(result?),
        None => Err("a call had to wait for room".into()),
    }
}

type Call<T> = fn(&EventService, &Names, u64) -> Outcome<T>;

/// Makes the calls from the case's threads, at its pace, and waits until all is stored.
async fn each_call<T: Send + 'static>(
    events: &Arc<EventService>,
    case: Case,
    calls: u64,
    call: Call<T>,
) -> Outcome<Vec<T>> {
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
                    calls.collect::<Outcome<Vec<T>>>()
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
