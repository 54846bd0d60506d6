//! Watching keys: a read of the bucket's stream in terms of keys and revisions.

use std::sync::Arc;

use futures::stream::{self, StreamExt};
use naq_core::jetstream::{Delivery, JetStream, ReadOptions, ReadStart};
use naq_core::kv::{KvEntry, KvUpdate, WatchFrom, WatchOptions};
use naq_core::{BoxStream, Result};

use crate::wire::Names;

const OPERATION: &str = "watch";

/// Watches the keys of a selection.
///
/// What a read promises carries over: behind a resumption every message that
/// the stream still holds arrives, so every key's latest, and sequences rise
/// strictly, so none arrives twice.
pub(crate) fn watch(
    jetstream: &Arc<dyn JetStream>,
    names: Names,
    options: WatchOptions,
) -> BoxStream<'static, Result<KvUpdate>> {
    let filter = match names.filter(OPERATION, &options.keys) {
        Ok(filter) => filter,
        Err(error) => return stream::iter([Err(error)]).boxed(),
    };
    let start = match options.from {
        WatchFrom::Now => ReadStart::LastPerSubject,
        WatchFrom::History => ReadStart::Beginning,
        WatchFrom::Updates => ReadStart::New,
    };
    let read = ReadOptions::default()
        .with_start(start)
        .with_subject(filter)
        .with_headers_only(options.without_values);
    let wanted = move |entry: &KvEntry| {
        options.keys.matches(&entry.key) && (entry.is_live() || !options.ignore_removals)
    };
    jetstream
        .read(&names.stream, read)
        .filter_map(move |delivery| {
            let update = match delivery {
                Ok(Delivery::Message(message)) => {
                    names.entry(message).filter(&wanted).map(|entry| Ok(KvUpdate::Entry(entry)))
                }
                Ok(Delivery::CaughtUp { sequence }) => {
                    Some(Ok(KvUpdate::CaughtUp { revision: sequence }))
                }
                Ok(Delivery::Resumed { sequence }) => {
                    Some(Ok(KvUpdate::Resumed { revision: sequence }))
                }
                Ok(Delivery::Gap { from, to }) => Some(Ok(KvUpdate::Gap { from, to })),
                Err(error) => Some(Err(names.told(OPERATION, error))),
            };
            async { update }
        })
        .boxed()
}
