//! Driving the behaviours of a conformance suite: one, or all at once with a result by name.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::LocalBoxFuture;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet, spawn_local};

use crate::wait;

/// What none of them needs.
const DEADLINE: Duration = Duration::from_secs(90);
/// How many run at once: most of them wait for answers, some measure time.
const AT_ONCE: usize = 12;

/// A behaviour that is ready to be driven.
pub struct Driven {
    /// Its theme and its sentence.
    pub name: String,
    /// Asserts it; panics where it doesn't hold.
    pub run: LocalBoxFuture<'static, ()>,
}

/// Drives one behaviour, with a deadline.
///
/// # Panics
/// When it does not hold.
pub async fn one(behaviour: Driven) {
    wait::within(&behaviour.name, DEADLINE, behaviour.run).await;
}

/// Drives behaviours, several at the same time.
///
/// # Panics
/// At the end, naming each that does not hold and how it failed.
pub async fn all(behaviours: Vec<Driven>) {
    LocalSet::new().run_until(all_here(behaviours)).await;
}

async fn all_here(behaviours: Vec<Driven>) {
    let start = Instant::now();
    let total = behaviours.len();
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for behaviour in behaviours {
        let room = Arc::clone(&room);
        running.spawn_local(async move {
            let _place = room.acquire_owned().await.expect("nobody closes it");
            let name = behaviour.name.clone();
            // A task of its own, so that a panic comes back with the name.
            spawn_local(one(behaviour)).await.err().map(|error| {
                let why = error.try_into_panic().map_or_else(|e| e.to_string(), |p| said(&*p));
                format!("{name}\n    {why}")
            })
        });
    }
    let mut failures: Vec<_> = running.join_all().await.into_iter().flatten().collect();
    failures.sort_unstable();
    assert!(
        failures.is_empty(),
        "{} of {total} behaviours do not hold ({:?}):\n{}",
        failures.len(),
        start.elapsed(),
        failures.join("\n"),
    );
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else {
        "a panic without words".to_owned()
    }
}
