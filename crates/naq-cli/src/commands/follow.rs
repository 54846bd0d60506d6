//! Following what comes until it ends, or somebody presses Ctrl-C.

use std::pin::pin;

use futures::StreamExt;
use futures::stream::BoxStream;
use naq_core::connection::{Connection, ConnectionProviderExt, ConnectionState};

use crate::complain::Failure;
use crate::connect::Session;

/// How many items are taken at a time where they are there.
const BATCH: usize = 1_024;

/// What a user reads when the server is gone under a reading.
pub(crate) const LOST: &str = "-- the connection is lost; reading goes on when it is back";

/// What there is to tell.
#[derive(Debug)]
pub(crate) enum Told<T> {
    /// What has come.
    Items(Vec<T>),
    /// The connection is gone under a reading that had begun.
    Lost,
}

/// Hands `tell` what a reading brings, and when its connection is lost.
///
/// What is lost before the first item is not told: nothing has begun that would
/// say later that it goes on.
pub(crate) async fn follow<T>(
    session: &Session,
    items: BoxStream<'_, T>,
    mut tell: impl AsyncFnMut(Told<T>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut items = items.ready_chunks(BATCH);
    let mut states = session.connections()?.default_connection().await?.state_changes().fuse();
    let mut interrupt = pin!(tokio::signal::ctrl_c());
    let mut has_begun = false;
    loop {
        tokio::select! {
            biased;
            _ = &mut interrupt => return Ok(()),
            Some(state) = states.next() => {
                if state == ConnectionState::Disconnected && has_begun {
                    tell(Told::Lost).await?;
                }
            }
            batch = items.next() => match batch {
                Some(batch) => {
                    has_begun = true;
                    tell(Told::Items(batch)).await?;
                }
                None => return Ok(()),
            },
        }
    }
}
