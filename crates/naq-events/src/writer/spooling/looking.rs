//! What was read from the spool, until the stream said which of it it has.
//!
//! That is a question to the server, which may take its time or not answer at all.
//! It is asked beside the disk's work, so that writing to the spool never waits for it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{BoxFuture, MaybeDone, maybe_done};
use futures::{Future, FutureExt};
use naq_core::Result;

use super::doubts::{self, Cleared};
use super::fetching::Fetch;
use super::views::StreamView;
use crate::spool::{SpoolChunk, SpooledEvent};
use crate::writer::shared::Shared;

/// What was read, and what the stream says to it.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) fetch: Fetch,
    pub(super) chunk: SpoolChunk,
    pub(super) cleared: Cleared,
}

/// A question to the stream that is under way. Dropping it takes it back.
pub(super) struct Looking {
    /// The session that it is asked for.
    pub(super) session: u64,
    answer: MaybeDone<BoxFuture<'static, Result<Looked>>>,
}

impl Looking {
    /// Asks about what was read.
    pub(super) fn begin(shared: &Arc<Shared>, fetch: Fetch, chunk: SpoolChunk) -> Self {
        let session = fetch.session;
        Self { session, answer: maybe_done(look(Arc::clone(shared), fetch, chunk).boxed()) }
    }

    /// Waits until the answer is there.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.answer).poll(cx)
    }

    /// The answer, once it is there.
    pub(super) fn take(&mut self) -> Option<Result<Looked>> {
        Pin::new(&mut self.answer).take_output()
    }
}

async fn look(shared: Arc<Shared>, mut fetch: Fetch, chunk: SpoolChunk) -> Result<Looked> {
    let now = shared.now();
    if fetch.is_stale
        && let Ok(info) = fetch.jetstream.stream_info(&shared.stream).await
    {
        let view = StreamView::new(&info, now);
        shared.lock().stream_seen(view);
        fetch.view = Some(view);
    }
    let cleared = clear(&shared, &fetch, &chunk.events).await?;
    Ok(Looked { fetch, chunk, cleared })
}

/// Finds out about events that are in doubt and not recognised by their ids any more.
async fn clear(shared: &Shared, fetch: &Fetch, events: &[SpooledEvent]) -> Result<Cleared> {
    let doubtful: Vec<_> = events
        .iter()
        .filter_map(|event| Some((event, doubts::doubt(event, &fetch.recognition)?)))
        .collect();
    if doubtful.is_empty() {
        return Ok(Cleared::default());
    }
    doubts::clear(&*fetch.jetstream, &shared.stream, fetch.view, &doubtful).await
}
