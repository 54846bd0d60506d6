//! Reading a stream in order: from the past into the present, through breaks.
//!
//! A read is a named ephemeral pull consumer without acknowledgements. First it
//! pulls without waiting until the server says that nothing is left, then with
//! pulls that stand for a while. Whatever breaks it (connection, server,
//! consumer), the read looks at the stream again, makes a new consumer behind
//! the last sequence that was examined, and says so (`opening`). A break that no
//! consumer saw, because one was just being made, is known by the number of the
//! connection. Several filters are read each by its own as far as that is faster
//! (`merged`). Of a stream with several replicas any one may be read, and none is
//! believed to have all that the leader has (`replicas`).
//!
//! Nothing runs while the reader doesn't ask: what was pulled waits in the
//! client, at most two pulls of it, and no more is pulled. That is how a slow
//! reader slows the server down and nobody's memory fills.

mod consumer;
mod merged;
mod opening;
mod order;
mod plan;
mod progress;
mod reader;
mod replicas;
mod steps;

use futures::StreamExt;
use futures::stream;
use naq_core::jetstream::{Delivery, ReadOptions};
use naq_core::{BoxStream, Result};

use self::merged::Merged;
use self::plan::Plan;
use self::reader::Reader;
use super::NatsJetStream;

const OPERATION: &str = "read";

/// Opens a read; nothing is sent before the first delivery is asked for.
pub(super) fn open(
    jetstream: NatsJetStream,
    stream: &str,
    options: ReadOptions,
) -> BoxStream<'static, Result<Delivery>> {
    match Plan::new(stream, options) {
        Ok(plan) if plan.is_split() => steps::deliveries(Merged::new(jetstream, plan)),
        Ok(plan) => steps::deliveries(Reader::new(jetstream, plan)),
        Err(error) => stream::iter([Err(error)]).boxed(),
    }
}
