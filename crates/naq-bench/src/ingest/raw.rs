//! The raw ways of the NATS client, as a good user would write them.

use std::future::IntoFuture;
use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use async_nats::jetstream::{self, context::PublishAckFuture};
use tokio::sync::mpsc;

use super::Target;
use crate::Outcome;
use crate::workload::RawEncoder;

/// How many acknowledgements may be outstanding.
const IN_FLIGHT: usize = 5_000;

fn message_id(id: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(async_nats::header::NATS_MESSAGE_ID, id);
    headers
}

/// One publish after the other, each awaited until it is stored.
pub(super) async fn sequential(target: &Target, events: u64) -> Outcome {
    let context = jetstream::new(target.client.clone());
    let mut encoder = RawEncoder::new();
    for n in 0..events {
        let message = encoder.message(&target.root, n);
        context.publish(message.subject, message.payload.into()).await?.await?;
    }
    Ok(())
}

/// Publishes without waiting, while a second task takes the acknowledgements.
pub(super) async fn pipelined(target: &Target, events: u64, with_id: bool) -> Outcome {
    let context = jetstream::context::ContextBuilder::new()
        .max_ack_inflight(IN_FLIGHT)
        .build(target.client.clone());
    let (sent, mut acks) = mpsc::channel::<PublishAckFuture>(IN_FLIGHT);
    let acked = tokio::spawn(async move {
        while let Some(ack) = acks.recv().await {
            ack.into_future().await?;
        }
        Outcome::Ok(())
    });
    let mut encoder = RawEncoder::new();
    for n in 0..events {
        let message = encoder.message(&target.root, n);
        let payload = message.payload.into();
        let ack = if with_id {
            context.publish_with_headers(message.subject, message_id(&message.id), payload).await?
        } else {
            context.publish(message.subject, payload).await?
        };
        sent.send(ack).await?;
    }
    drop(sent);
    acked.await?
}

/// Publishes without asking for acknowledgements: the ceiling of this client.
///
/// It is done when the stream holds all of them.
pub(super) async fn no_ack(target: &Target, events: u64) -> Outcome {
    let context = jetstream::new(target.client.clone());
    let mut stream = context.get_stream(&target.root).await?;
    let wanted = stream.info().await?.state.messages + events;
    let mut encoder = RawEncoder::new();
    for n in 0..events {
        let message = encoder.message(&target.root, n);
        target.client.publish(message.subject, message.payload.into()).await?;
    }
    target.client.flush().await?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while stream.info().await?.state.messages < wanted {
        if Instant::now() > deadline {
            return Err("not all events were stored within a minute".into());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}
