//! The same events into a bare channel, encoded before or by the way: what
//! handing anything over costs, and what it costs without naq.

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{BURST, Case};
use crate::Outcome;
use crate::pace::Pace;
use crate::workload::{Names, RawEncoder};

/// What each `try_send` took, in nanoseconds, while a task receives.
pub(super) async fn time(case: Case, calls: u64) -> Outcome<Vec<u64>> {
    let prepare = |encoder: &mut RawEncoder, n| Bytes::from(encoder.message("bench", n).payload);
    each_send(case, calls, prepare, |_, payload, _| payload).await
}

/// The same with the event encoded by serde_json, as a program without naq would.
pub(super) async fn time_encoding(case: Case, calls: u64) -> Outcome<Vec<u64>> {
    let encode = |encoder: &mut RawEncoder, names: Names, n| {
        Bytes::from(encoder.payload(black_box(&names), n))
    };
    each_send(case, calls, |_, n| Names::of(n), encode).await
}

/// Sends from the case's threads, at its pace, while a task receives: what is
/// prepared before, made a payload within the time that counts.
async fn each_send<P: 'static>(
    case: Case,
    calls: u64,
    prepare: fn(&mut RawEncoder, u64) -> P,
    payload: fn(&mut RawEncoder, P, u64) -> Bytes,
) -> Outcome<Vec<u64>> {
    let Case { threads, pace_per_s } = case;
    let each = calls / threads;
    let burst = if pace_per_s > 0 { each } else { BURST / threads };
    let (sender, mut receiver) = mpsc::channel::<Bytes>(5 * BURST as usize);
    let receiving = tokio::spawn(async move {
        let mut bytes = 0;
        while let Some(payload) = receiver.recv().await {
            bytes += payload.len();
        }
        bytes
    });
    let mut measured = Vec::with_capacity(calls as usize);
    let mut from = 0;
    while from < each {
        let to = each.min(from + burst);
        let start = Arc::new(Barrier::new(threads as usize));
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let (sender, start) = (sender.clone(), Arc::clone(&start));
                thread::spawn(move || {
                    let mut encoder = RawEncoder::new();
                    let numbers = thread * each + from..thread * each + to;
                    let prepared: Vec<P> =
                        numbers.clone().map(|n| prepare(&mut encoder, n)).collect();
                    start.wait();
                    let mut pace = Pace::per_second(pace_per_s / threads);
                    let sends = numbers.zip(prepared).map(|(n, prepared)| {
                        pace.wait();
                        let begun = Instant::now();
                        let sent = sender.try_send(payload(&mut encoder, prepared, n));
                        let took = begun.elapsed().as_nanos() as u64;
                        sent.map(|()| took).map_err(|error| error.to_string().into())
                    });
                    sends.collect::<Outcome<Vec<u64>>>()
                })
            })
            .collect();
        for worker in workers {
            let joined = tokio::task::spawn_blocking(|| worker.join()).await?;
            measured.extend(joined.map_err(|_| "a sending thread panicked")??);
        }
        from = to;
    }
    drop(sender);
    receiving.await?;
    Ok(measured)
}
