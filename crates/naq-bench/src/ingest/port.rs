//! naq's port to JetStream alone, without the event service on top: what its
//! fast ingest costs beside the raw one.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use naq_connection::ConnectionService;
use naq_core::config::{ConnectionConfig, ServerConfig};
use naq_core::connection::{ConnectionProvider, ConnectionProviderExt};
use naq_core::jetstream::{JetStream, PublishManyOptions, PublishMessage, PublishWay};
use naq_core::service::Service;

use super::Target;
use crate::Outcome;
use crate::workload::RawEncoder;

/// A connection of naq's own.
pub(super) struct Port {
    connection: ConnectionService,
    jetstream: Arc<dyn JetStream>,
    with_id: bool,
}

impl Port {
    pub(super) async fn start(target: &Target, with_id: bool) -> Outcome<Self> {
        let server = ServerConfig::default().with_url(target.url.as_str());
        let config = ConnectionConfig::default().with_server(server);
        let connection = ConnectionService::new(Vec::new(), config);
        connection.start().await?;
        let connections: &dyn ConnectionProvider = &connection;
        let jetstream = connections.default_jetstream().await?;
        Ok(Self { connection, jetstream, with_id })
    }

    /// Stores all events as one fast batch.
    pub(super) async fn write(&self, target: &Target, events: u64) -> Outcome {
        let (mut encoder, root, with_id) = (RawEncoder::new(), target.root.clone(), self.with_id);
        let messages = stream::iter(0..events).map(move |n| {
            let message = encoder.message(&root, n);
            let prepared = PublishMessage::new(message.subject, message.payload);
            if with_id { prepared.with_message_id(message.id) } else { prepared }
        });
        let way = PublishWay::fast_batch(uuid::Uuid::now_v7().simple().to_string());
        let options = PublishManyOptions::default().with_way(way);
        let mut answers = self.jetstream.publish_many(messages.boxed(), options);
        let mut stored = 0;
        while let Some(answer) = answers.next().await {
            stored += answer?.count();
        }
        if stored != events {
            return Err(format!("{stored} of {events} events are answered").into());
        }
        Ok(())
    }

    pub(super) async fn stop(self) -> Outcome {
        drop(self.jetstream);
        Ok(self.connection.stop(Duration::from_secs(10)).await.map(drop)?)
    }
}
