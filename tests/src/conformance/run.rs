//! Driving behaviours: one by one, or all at once with a result by name.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::LocalBoxFuture;
use naq_core::jetstream::JetStream;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet, spawn_local};

use crate::wait;

/// What none of them needs.
const DEADLINE: Duration = Duration::from_secs(90);
/// How many run at once: most of them wait for answers, some measure time.
const AT_ONCE: usize = 12;

/// A behaviour and its name.
#[derive(Clone, Copy)]
pub struct Behaviour {
    /// The file it stands in.
    pub theme: &'static str,
    /// The sentence.
    pub name: &'static str,
    /// Asserts it; panics where it doesn't hold.
    pub run: fn(Arc<dyn JetStream>) -> LocalBoxFuture<'static, ()>,
}

impl fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.theme, self.name)
    }
}

macro_rules! list {
    ($($theme:ident { $($name:ident),* $(,)? })*) => {
        /// All behaviours, in the order of the list.
        pub fn all() -> Vec<Behaviour> {
            vec![$($(Behaviour {
                theme: stringify!($theme),
                name: stringify!($name),
                run: |js| Box::pin(super::$theme::$name(js)),
            }),*),*]
        }
    };
}

crate::for_each_behaviour!(list);

/// Drives one behaviour, with a deadline.
///
/// # Panics
/// When it does not hold.
pub async fn run_one(name: &str, js: Arc<dyn JetStream>) {
    let behaviour = all().into_iter().find(|behaviour| behaviour.name == name);
    let behaviour = behaviour.unwrap_or_else(|| panic!("there is no behaviour {name}"));
    wait::within(name, DEADLINE, (behaviour.run)(js)).await;
}

/// Drives all behaviours on one JetStream, several at the same time.
///
/// # Panics
/// At the end, naming each that does not hold and how it failed.
pub async fn run_all(js: Arc<dyn JetStream>) {
    LocalSet::new().run_until(run_all_here(js)).await;
}

async fn run_all_here(js: Arc<dyn JetStream>) {
    let start = Instant::now();
    let behaviours = all();
    let total = behaviours.len();
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for behaviour in behaviours {
        let (js, room) = (Arc::clone(&js), Arc::clone(&room));
        running.spawn_local(async move {
            let _place = room.acquire_owned().await.expect("nobody closes it");
            // A task of its own, so that a panic comes back with the name.
            let run = spawn_local(async move {
                wait::within(behaviour.name, DEADLINE, (behaviour.run)(js)).await;
            });
            run.await.err().map(|error| {
                let why = error.try_into_panic().map_or_else(|e| e.to_string(), |p| said(&*p));
                format!("{behaviour:?}\n    {why}")
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::all;

    #[test]
    fn the_list_has_every_behaviour_once() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/conformance");
        let mut written = BTreeSet::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let theme = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if ["mod", "run", "support"].contains(&theme.as_str()) {
                continue;
            }
            for line in fs::read_to_string(&path).unwrap().lines() {
                if let Some(rest) = line.strip_prefix("pub async fn ") {
                    written.insert(format!("{theme}::{}", rest.split('(').next().unwrap()));
                }
            }
        }
        let listed: Vec<_> = all().iter().map(|behaviour| format!("{behaviour:?}")).collect();
        let distinct: BTreeSet<_> = listed.iter().cloned().collect();
        assert_eq!(listed.len(), distinct.len(), "each once");
        assert_eq!(distinct, written);
    }
}
