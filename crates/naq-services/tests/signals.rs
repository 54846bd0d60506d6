//! Real signals: alone in their process, because they reach all of it.
#![cfg(unix)]

use std::process::Command;

use naq_core::ErrorKind;
use naq_core::service::{Health, Interfaces, Provide, Service, StopReport};
use naq_services::ServiceManager;

/// Hangs in its stop, so that a second signal finds the manager stopping.
#[derive(Debug)]
struct Hanging;

#[async_trait::async_trait]
impl Service for Hanging {
    async fn start(&self) -> naq_core::Result<()> {
        Ok(())
    }

    async fn stop(&self, _: std::time::Duration) -> naq_core::Result<StopReport> {
        raise("-INT");
        std::future::pending().await
    }

    async fn health(&self) -> Health {
        Health::healthy()
    }
}

impl Provide for Hanging {
    const NAME: &'static str = "hanging";
    type Deps = ();
    type Config = ();

    fn interfaces() -> Interfaces<Self> {
        Interfaces::new()
    }

    fn build((): (), (): ()) -> naq_core::Result<Self> {
        Ok(Self)
    }
}

fn raise(signal: &str) {
    let pid = std::process::id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().expect("`kill` is there").success());
}

#[tokio::test]
async fn a_signal_stops_and_a_second_one_ends_at_once() {
    let services = ServiceManager::builder().start().await.unwrap();
    let mut run = Box::pin(services.run_until_signal());
    // The first poll installs the handlers; before it a signal would end this process.
    assert!(futures::poll!(&mut run).is_pending());
    raise("-TERM");
    assert!(run.await.unwrap().is_clean());

    let services = ServiceManager::builder().register::<Hanging>().start().await.unwrap();
    let mut run = Box::pin(services.run_until_signal());
    assert!(futures::poll!(&mut run).is_pending());
    raise("-TERM");
    let error = run.await.unwrap_err();
    assert_eq!((error.kind(), error.get("signal")), (ErrorKind::Closed, Some("SIGINT")));
}
