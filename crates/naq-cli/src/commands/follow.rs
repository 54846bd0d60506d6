//! Following what comes until it ends, or somebody asks for the end.

use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use naq_core::clock::{ClockExt, SystemClock};
use naq_core::connection::{Connection, ConnectionProviderExt, ConnectionState};

use super::asked::Asked;
use crate::complain::Failure;
use crate::connect::Session;

/// How many items are taken at a time where they are there.
const BATCH: usize = 1_024;

/// How often it is told that time passes.
const SECOND: Duration = Duration::from_secs(1);

/// What a user reads when the server is gone under a reading.
pub(crate) const LOST: &str = "-- the connection is lost; reading goes on when it is back";

/// What there is to tell.
#[derive(Debug)]
pub(crate) enum Told<T> {
    /// What has come.
    Items(Vec<T>),
    /// The connection is gone under a reading that had begun.
    Lost,
    /// A second has passed, whether anything came in it or not; not told while
    /// the server is away.
    Second,
}

/// Hands `tell` what a reading brings, and when its connection is lost, until
/// it ends, or somebody asks for the end by Ctrl-C or SIGTERM.
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
    let mut asked = Asked::listen("follow")?;
    let clock = SystemClock::new();
    let mut second = pin!(clock.sleep(SECOND));
    let (mut has_begun, mut is_there) = (false, true);
    loop {
        tokio::select! {
            biased;
            () = asked.wait() => return Ok(()),
            Some(state) = states.next() => {
                is_there = state == ConnectionState::Connected;
                if state == ConnectionState::Disconnected && has_begun {
                    tell(Told::Lost).await?;
                }
            }
            () = &mut second => {
                if is_there {
                    tell(Told::Second).await?;
                }
                second.set(clock.sleep(SECOND));
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
