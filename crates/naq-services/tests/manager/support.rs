//! Toy services around mocks of their life, and a journal of what was called.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use naq_core::config::NaqConfig;
use naq_core::service::{Health, Interfaces, MockService, Provide, Service, StopReport};
use naq_core::{Error, ErrorKind, Result};

/// What was called, in order: "start base", "stop base".
#[derive(Debug, Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    pub(crate) fn entries(&self) -> Vec<String> {
        self.0.lock().expect("no holder of the lock panics").clone()
    }

    pub(crate) fn write(&self, what: &str, name: &str) {
        self.0.lock().expect("no holder of the lock panics").push(format!("{what} {name}"));
    }

    /// A life that starts and stops and writes it down.
    pub(crate) fn life(&self, name: &'static str) -> Life {
        let mut mock = self.starting(name);
        let journal = self.clone();
        mock.expect_stop().returning(move |_| {
            journal.write("stop", name);
            Ok(StopReport::default())
        });
        Life(mock)
    }

    /// A life whose start writes itself down; its stop is still to be said.
    pub(crate) fn starting(&self, name: &'static str) -> MockService {
        let mut mock = MockService::new();
        let journal = self.clone();
        mock.expect_start().returning(move || {
            journal.write("start", name);
            Ok(())
        });
        mock
    }

    /// A life that fails to start; any call of stop fails the test.
    pub(crate) fn failing(&self, name: &'static str) -> Life {
        let mut mock = MockService::new();
        let journal = self.clone();
        mock.expect_start().returning(move || {
            journal.write("fail", name);
            Err(Error::new(ErrorKind::Unavailable, "start", "no server"))
        });
        Life(mock)
    }

    /// A life whose stop fails.
    pub(crate) fn failing_to_stop(&self, name: &'static str) -> Life {
        let mut mock = self.starting(name);
        let journal = self.clone();
        mock.expect_stop().returning(move |_| {
            journal.write("stop", name);
            Err(Error::new(ErrorKind::Unavailable, "stop", "no farewell"))
        });
        Life(mock)
    }
}

/// What a toy is configured by: a mock of its life. Its section makes a calm one.
#[derive(Debug)]
pub(crate) struct Life(pub(crate) MockService);

impl From<&NaqConfig> for Life {
    fn from(_: &NaqConfig) -> Self {
        let mut mock = MockService::new();
        mock.expect_start().returning(|| Ok(()));
        mock.expect_stop().returning(|_| Ok(StopReport::default()));
        mock.expect_health().returning(Health::healthy);
        Self(mock)
    }
}

pub(crate) trait Floor: std::fmt::Debug + Send + Sync {
    fn level(&self) -> u8;
}

pub(crate) trait Roof: std::fmt::Debug + Send + Sync {}

/// A toy service: a name, what it depends on, what it offers.
macro_rules! toy {
    ($toy:ident = $name:literal, $deps:ty, |$interfaces:ident| $offers:expr) => {
        #[derive(Debug)]
        pub(crate) struct $toy {
            life: naq_core::service::MockService,
            #[allow(dead_code, reason = "held as a real service holds its dependencies")]
            pub(crate) deps: $deps,
        }

        #[async_trait::async_trait]
        impl naq_core::service::Service for $toy {
            async fn start(&self) -> naq_core::Result<()> {
                self.life.start().await
            }

            async fn stop(
                &self,
                within: std::time::Duration,
            ) -> naq_core::Result<naq_core::service::StopReport> {
                self.life.stop(within).await
            }

            async fn health(&self) -> naq_core::service::Health {
                self.life.health().await
            }
        }

        impl naq_core::service::Provide for $toy {
            const NAME: &'static str = $name;
            type Deps = $deps;
            type Config = $crate::support::Life;

            fn interfaces() -> naq_core::service::Interfaces<Self> {
                let $interfaces = naq_core::service::Interfaces::<Self>::new();
                $offers
            }

            fn build(deps: $deps, config: Self::Config) -> naq_core::Result<Self> {
                Ok(Self { life: config.0, deps })
            }
        }
    };
}

pub(crate) use toy;

toy!(Base = "base", (), |offers| offers.with::<dyn Floor>(|s| s));
toy!(Middle = "middle", (Arc<dyn Floor>,), |offers| offers.with::<dyn Roof>(|s| s));
toy!(Top = "top", (Arc<dyn Floor>, Arc<dyn Roof>), |offers| offers);

impl Floor for Base {
    fn level(&self) -> u8 {
        1
    }
}

impl Roof for Middle {}

/// An instance of one's own.
#[derive(Debug)]
pub(crate) struct Rock;

impl Floor for Rock {
    fn level(&self) -> u8 {
        0
    }
}

/// A life of its own, for what no mock can do: never come back.
#[derive(Debug)]
pub(crate) struct Stuck {
    pub(crate) in_start: bool,
}

pub(crate) struct StuckConfig(pub(crate) Stuck);

impl From<&NaqConfig> for StuckConfig {
    fn from(_: &NaqConfig) -> Self {
        Self(Stuck { in_start: false })
    }
}

#[async_trait]
impl Service for Stuck {
    async fn start(&self) -> Result<()> {
        if self.in_start { std::future::pending().await } else { Ok(()) }
    }

    async fn stop(&self, _within: Duration) -> Result<StopReport> {
        std::future::pending().await
    }

    async fn health(&self) -> Health {
        std::future::pending().await
    }
}

impl Provide for Stuck {
    const NAME: &'static str = "stuck";
    type Deps = (Arc<dyn Floor>,);
    type Config = StuckConfig;

    fn interfaces() -> Interfaces<Self> {
        Interfaces::new()
    }

    fn build(_: Self::Deps, config: StuckConfig) -> Result<Self> {
        Ok(config.0)
    }
}
