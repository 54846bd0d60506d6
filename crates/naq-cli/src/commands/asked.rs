//! Being asked to end: Ctrl-C and SIGTERM.

use naq_core::{Error, ErrorKind};

/// Hears when somebody asks the program to end, from when it was made on.
#[cfg(unix)]
pub(crate) struct Asked([tokio::signal::unix::Signal; 2]);

#[cfg(unix)]
impl Asked {
    /// Listens from now on.
    ///
    /// # Errors
    /// `Unexpected` where the system doesn't let it.
    pub(crate) fn listen(operation: &'static str) -> naq_core::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let heard = |kind| {
            signal(kind).map_err(|error| {
                Error::new(ErrorKind::Unexpected, operation, "signals can't be heard")
                    .with_source(error)
            })
        };
        Ok(Self([heard(SignalKind::terminate())?, heard(SignalKind::interrupt())?]))
    }

    /// Waits until somebody asks.
    pub(crate) async fn wait(&mut self) {
        let [terminate, interrupt] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

/// Hears when somebody asks the program to end.
#[cfg(not(unix))]
pub(crate) struct Asked;

#[cfg(not(unix))]
impl Asked {
    /// Listens from now on.
    ///
    /// # Errors
    /// `Unexpected` where the system doesn't let it.
    pub(crate) fn listen(_operation: &'static str) -> naq_core::Result<Self> {
        Ok(Self)
    }

    /// Waits until somebody asks.
    pub(crate) async fn wait(&mut self) {
        // Where even that can't be waited for, the program ends without it.
        let _ = tokio::signal::ctrl_c().await;
    }
}
