//! A suite of behaviours: the list of them, driving them on what they are of, and
//! the tests that it makes.

use std::fmt;
use std::future::Future;

use futures::future::LocalBoxFuture;

use crate::driving::{self, Driven};
use crate::server::{NatsServer, Version};

/// A behaviour of `S`, and its name.
#[derive(Clone, Copy)]
pub struct Behaviour<S> {
    /// The file it stands in.
    pub theme: &'static str,
    /// The sentence.
    pub name: &'static str,
    /// Asserts it; panics where it doesn't hold.
    pub run: fn(S) -> LocalBoxFuture<'static, ()>,
}

impl<S> fmt::Debug for Behaviour<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.theme, self.name)
    }
}

impl<S: Clone> Behaviour<S> {
    fn on(&self, on: &S) -> Driven {
        Driven { name: format!("{self:?}"), run: (self.run)(on.clone()) }
    }
}

/// Drives the behaviour of a name, with a deadline.
///
/// # Panics
/// When it does not hold, and when there is none.
pub async fn one<S: Clone>(all: &[Behaviour<S>], name: &str, on: &S) {
    let behaviour = all.iter().find(|behaviour| behaviour.name == name);
    let behaviour = behaviour.unwrap_or_else(|| panic!("there is no behaviour {name}"));
    driving::one(behaviour.on(on)).await;
}

/// Drives all behaviours on one, several at the same time.
///
/// # Panics
/// At the end, naming each that does not hold and how it failed.
pub async fn all<S: Clone>(all: &[Behaviour<S>], on: &S) {
    driving::all(all.iter().map(|behaviour| behaviour.on(on)).collect()).await;
}

/// Runs a test on a runtime with two threads.
///
/// # Panics
/// As the test does, and where there can be no runtime.
pub fn block_on(test: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(test);
}

/// Runs a test with the URL of a server of its own.
///
/// # Panics
/// As the test does, and where there is no such server.
pub fn on_version(version: Version, test: impl AsyncFnOnce(String)) {
    block_on(async {
        let server = NatsServer::builder().version(version).start().await;
        test(server.url()).await;
    });
}

/// The tests of a suite, `for_each_…!(suite_tests)`: each behaviour on the latest
/// server and in memory, and on each older server all of them as one test, which
/// names those that do not hold.
///
/// Beside it stand the suite's `run_one` and `run_all`, `connect(&url)` and
/// `memory()`, which make what the behaviours are of.
#[macro_export]
macro_rules! suite_tests {
    ($($theme:ident { $($name:ident),* $(,)? })*) => {
        mod server_2_15 {
            $($(#[test] fn $name() {
                $crate::behaviours::block_on(async {
                    let server = $crate::server::shared().await;
                    super::run_one(stringify!($name), &super::connect(&server.url()).await).await;
                });
            })*)*
        }

        mod memory {
            $($(#[test] fn $name() {
                $crate::behaviours::block_on(super::run_one(stringify!($name), &super::memory()));
            })*)*
        }

        #[test]
        fn server_2_14_holds_every_behaviour() {
            all_on($crate::server::Version::V2_14);
        }

        #[test]
        fn server_2_12_holds_every_behaviour() {
            all_on($crate::server::Version::V2_12);
        }

        #[test]
        fn server_2_11_holds_every_behaviour() {
            all_on($crate::server::Version::V2_11);
        }

        #[test]
        fn server_2_10_holds_every_behaviour() {
            all_on($crate::server::Version::V2_10);
        }

        fn all_on(version: $crate::server::Version) {
            $crate::behaviours::on_version(version, async |url| run_all(&connect(&url).await).await);
        }
    };
}

/// The module that lists `theme { behaviour, … }` gets `all`, `run_one` and
/// `run_all` of a suite on its type `On`, and the test that the list is whole.
#[macro_export]
macro_rules! list_behaviours {
    ($($theme:ident { $($name:ident),* $(,)? })*) => {
        /// All behaviours, in the order of the list.
        pub fn all() -> Vec<$crate::behaviours::Behaviour<On>> {
            vec![$($($crate::behaviours::Behaviour {
                theme: stringify!($theme),
                name: stringify!($name),
                run: |on| Box::pin($theme::$name(on)),
            }),*),*]
        }

        /// Drives one behaviour, with a deadline.
        ///
        /// # Panics
        /// When it does not hold.
        pub async fn run_one(name: &str, on: &On) {
            $crate::behaviours::one(&all(), name, on).await;
        }

        /// Drives all behaviours, several at the same time.
        ///
        /// # Panics
        /// At the end, naming each that does not hold and how it failed.
        pub async fn run_all(on: &On) {
            $crate::behaviours::all(&all(), on).await;
        }

        #[cfg(test)]
        #[test]
        fn the_list_has_every_behaviour_once() {
            $crate::behaviours::tests::hold_to_its_folder(module_path!(), &all());
        }
    };
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::Behaviour;

    /// Each public function of the files of a suite stands in its list, once.
    pub(crate) fn hold_to_its_folder<S>(module: &str, all: &[Behaviour<S>]) {
        let suite = module.rsplit("::").next().unwrap();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(suite);
        let mut written = BTreeSet::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let theme = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if ["mod", "support"].contains(&theme.as_str()) {
                continue;
            }
            for line in fs::read_to_string(&path).unwrap().lines() {
                if let Some(rest) = line.strip_prefix("pub async fn ") {
                    written.insert(format!("{theme}::{}", rest.split('(').next().unwrap()));
                }
            }
        }
        let listed: Vec<_> = all.iter().map(|behaviour| format!("{behaviour:?}")).collect();
        let distinct: BTreeSet<_> = listed.iter().cloned().collect();
        assert_eq!(listed.len(), distinct.len(), "each once");
        assert_eq!(distinct, written);
    }
}
