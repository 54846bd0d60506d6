//! The raw way: a durable consumer of the NATS client, each event acknowledged.

use std::sync::Arc;

use async_nats::jetstream::{self, consumer};
use futures::TryStreamExt;
use naq_core::events::decode;
use tokio::task::JoinHandle;

use super::{Meter, Target};
use crate::Outcome;

/// How many events one pull asks for: enough that pulling costs nothing.
const BATCH: usize = 1_000;

pub(super) struct Handling(JoinHandle<Outcome>);

/// Begins to handle everything; where it decodes, with what naq decodes with.
pub(super) async fn begin(target: &Target, meter: Arc<Meter>, decodes: bool) -> Outcome<Handling> {
    let context = jetstream::new(target.client.clone());
    let stream = context.get_stream(&target.root).await?;
    let config = consumer::pull::Config {
        durable_name: Some("handlers".to_owned()),
        max_ack_pending: 20_000,
        ..consumer::pull::Config::default()
    };
    let consumer = stream.create_consumer(config).await?;
    let messages = consumer.stream().max_messages_per_batch(BATCH).messages().await?;
    let concurrency = target.concurrency;
    Ok(Handling(tokio::spawn(async move {
        messages
            .map_err(Into::into)
            .try_for_each_concurrent(concurrency, |message| {
                let meter = Arc::clone(&meter);
                async move {
                    let stored_at = message.info()?.published.unix_timestamp_nanos();
                    if decodes {
                        std::hint::black_box(decode(&message.payload)?);
                    }
                    meter.handled(i64::try_from(stored_at)?);
                    message.ack().await
                }
            })
            .await
    })))
}

impl Handling {
    pub(super) async fn end(self) -> Outcome {
        self.0.abort();
        match self.0.await {
            // It has no end of its own: having ended says that it failed.
            Ok(result) => result,
            Err(_) => Ok(()),
        }
    }
}
