//! naq's way: a group of one member.

use std::sync::Arc;
use std::time::Duration;

use naq_connection::ConnectionService;
use naq_core::clock::SystemClock;
use naq_core::config::{ConnectionConfig, EventsConfig, ServerConfig};
use naq_core::connection::ConnectionProvider;
use naq_core::events::Filter;
use naq_core::service::Service;
use naq_events::reactions::{
    GroupOrder, GroupStart, Outcome as Handled, ReactOptions, Reaction, ReactionService,
};
use naq_kv::KvStoreService;
use naq_streams::StreamService;

use super::{Meter, Target};
use crate::Outcome;

const CLOSING: Duration = Duration::from_secs(10);

pub(super) struct Handling {
    reactions: ReactionService,
    connection: Arc<ConnectionService>,
}

/// Begins to handle everything.
pub(super) async fn begin(
    target: &Target,
    order: GroupOrder,
    meter: Arc<Meter>,
) -> Outcome<Handling> {
    let server = ServerConfig::default().with_url(target.url.as_str());
    let config = ConnectionConfig::default().with_server(server);
    let connection = Arc::new(ConnectionService::new(Vec::new(), config));
    connection.start().await?;
    let connections: Arc<dyn ConnectionProvider> = connection.clone();
    let streams = Arc::new(StreamService::new(Arc::clone(&connections)));
    let kv = Arc::new(KvStoreService::new(Arc::clone(&connections)));
    let config = EventsConfig::default()
        .with_stream_name(target.root.as_str())
        .with_subject_root(target.root.as_str());
    let clock = Arc::new(SystemClock::new());
    let reactions = ReactionService::new(connections, streams, kv, clock, config)?;
    let handler = move |reaction: Reaction| {
        meter.handled(reaction.recorded.stored_at.as_nanos());
        std::future::ready(Handled::Done)
    };
    let options = ReactOptions::default()
        .with_start(GroupStart::Beginning)
        .with_order(order)
        .with_concurrency(target.concurrency);
    reactions.react("handlers", Filter::new(), handler, options).await?;
    Ok(Handling { reactions, connection })
}

impl Handling {
    pub(super) async fn end(self) -> Outcome {
        self.reactions.stop(CLOSING).await?;
        self.connection.stop(CLOSING).await?;
        Ok(())
    }
}
