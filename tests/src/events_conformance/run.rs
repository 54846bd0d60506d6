//! Driving behaviours: one by one, or all at once with a result by name.

use std::fmt;
use std::sync::Arc;

use futures::future::LocalBoxFuture;
use naq_core::jetstream::JetStream;

use crate::driving::{self, Driven};

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

impl Behaviour {
    fn on(&self, js: &Arc<dyn JetStream>) -> Driven {
        Driven { name: format!("{self:?}"), run: (self.run)(Arc::clone(js)) }
    }
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

crate::for_each_events_behaviour!(list);

/// Drives one behaviour, with a deadline.
///
/// # Panics
/// When it does not hold.
pub async fn run_one(name: &str, js: &Arc<dyn JetStream>) {
    let behaviour = all().into_iter().find(|behaviour| behaviour.name == name);
    let behaviour = behaviour.unwrap_or_else(|| panic!("there is no behaviour {name}"));
    driving::one(behaviour.on(js)).await;
}

/// Drives all behaviours on one JetStream, several at the same time.
///
/// # Panics
/// At the end, naming each that does not hold and how it failed.
pub async fn run_all(js: &Arc<dyn JetStream>) {
    driving::all(all().iter().map(|behaviour| behaviour.on(js)).collect()).await;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::all;

    #[test]
    fn the_list_has_every_behaviour_once() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/events_conformance");
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
