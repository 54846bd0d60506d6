//! Stopping when the operating system asks for it.

use std::io;

use naq_core::{Error, ErrorKind, Result};

use crate::manager::ServiceManager;
use crate::stop::ShutdownReport;

impl ServiceManager {
    /// Runs until SIGINT or SIGTERM (Ctrl-C where there are no signals), then stops.
    ///
    /// A second signal ends the stop at once, whatever is left undone. The
    /// program should end with this call: the signals no longer kill it, also
    /// afterwards.
    ///
    /// # Errors
    /// Those of [`stop`](ServiceManager::stop); `Closed` when a second signal
    /// cut it short; `Unexpected` when the signals can't be listened for.
    pub async fn run_until_signal(&self) -> Result<ShutdownReport> {
        let mut signals = Signals::listen().map_err(|error| {
            Error::new(ErrorKind::Unexpected, "run_until_signal", "can't listen for signals")
                .with_source(error)
        })?;
        let signal = signals.next().await;
        tracing::info!(signal, "stopping; once more ends at once");
        tokio::select! {
            stopped = self.stop() => stopped,
            signal = signals.next() => {
                tracing::warn!(signal, "a second signal; ending without a full stop");
                Err(Error::new(ErrorKind::Closed, "run_until_signal", "ended by a second signal")
                    .with("signal", signal))
            }
        }
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> &'static str {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "Ctrl-C",
            Err(error) => {
                tracing::error!(%error, "can't listen for Ctrl-C any more");
                std::future::pending().await
            }
        }
    }
}
