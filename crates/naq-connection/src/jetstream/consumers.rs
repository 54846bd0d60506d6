//! Durable consumers: create, tell, list, delete, and answer what they delivered.

use bytes::Bytes;
use naq_core::jetstream::{
    AckToken, Acknowledge, ConsumerConfig, ConsumerInfo, check_name, filters_are_nested,
};
use naq_core::{BoxStream, Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::ack_subject::AckSubject;
use super::consumer_config::{RawConsumer, create_body};
use super::filters::check_filters;
use super::pages::{self, Page};
use super::streams::Success;
use super::{NatsJetStream, api};
use crate::nats::{Nature, Request};

impl NatsJetStream {
    pub(super) async fn create_durable(
        &self,
        stream: &str,
        config: ConsumerConfig,
    ) -> Result<ConsumerInfo> {
        const OPERATION: &str = "create_consumer";
        check_names(OPERATION, stream, &config.name)?;
        check_filters(OPERATION, &config.subjects)?;
        if filters_are_nested(&config.subjects) {
            // What the server can do is known once it is connected.
            self.wire.connected(OPERATION, self.wire.request_deadline()).await?;
            if !self.can().nested_filters {
                let needed = super::too_old(&self.wire, OPERATION, "nested filters", "2.11");
                return Err(about(needed, stream, &config.name));
            }
        }
        let name = &config.name;
        let subject = match &config.subjects[..] {
            [filter] => format!("CONSUMER.CREATE.{stream}.{name}.{filter}"),
            _ => format!("CONSUMER.CREATE.{stream}.{name}"),
        };
        let body = create_body(stream, &config);
        let raw: RawConsumer = api::call(&self.wire, OPERATION, &subject, &body, Nature::Change)
            .await
            .map_err(|error| about(error, stream, name))?;
        raw.into_info(OPERATION)
    }

    pub(super) async fn info_of_consumer(
        &self,
        stream: &str,
        consumer: &str,
    ) -> Result<ConsumerInfo> {
        const OPERATION: &str = "consumer_info";
        check_names(OPERATION, stream, consumer)?;
        let subject = format!("CONSUMER.INFO.{stream}.{consumer}");
        let raw: RawConsumer = api::call(&self.wire, OPERATION, &subject, &(), Nature::Question)
            .await
            .map_err(|error| about(error, stream, consumer))?;
        raw.into_info(OPERATION)
    }

    pub(super) fn list_of_consumers(
        &self,
        stream: &str,
    ) -> BoxStream<'static, Result<ConsumerInfo>> {
        const OPERATION: &str = "list_consumers";
        #[derive(Deserialize)]
        struct RawPage {
            #[serde(default)]
            total: u64,
            #[serde(default)]
            consumers: Option<Vec<RawConsumer>>,
        }
        let jetstream = self.clone();
        let stream = stream.to_owned();
        pages::all(move |offset| {
            let (jetstream, stream) = (jetstream.clone(), stream.clone());
            async move {
                check_name(OPERATION, "stream", &stream)?;
                let subject = format!("CONSUMER.LIST.{stream}");
                let body = json!({ "offset": offset });
                let page: RawPage =
                    api::call(&jetstream.wire, OPERATION, &subject, &body, Nature::Question)
                        .await
                        .map_err(|error| error.with("stream", &stream))?;
                let raw = page.consumers.unwrap_or_default();
                let items: Result<Vec<_>> =
                    raw.into_iter().map(|raw| raw.into_info(OPERATION)).collect();
                Ok(Page { items: items?, total: page.total })
            }
        })
    }

    pub(super) async fn delete_durable(&self, stream: &str, consumer: &str) -> Result<()> {
        const OPERATION: &str = "delete_consumer";
        check_names(OPERATION, stream, consumer)?;
        let subject = format!("CONSUMER.DELETE.{stream}.{consumer}");
        let answer: Success = api::call(&self.wire, OPERATION, &subject, &(), Nature::Change)
            .await
            .map_err(|error| about(error, stream, consumer))?;
        answer.check(OPERATION)
    }

    pub(super) async fn answer_delivery(
        &self,
        token: &AckToken,
        answer: Acknowledge,
    ) -> Result<()> {
        const OPERATION: &str = "acknowledge";
        if !AckSubject::is_one(token.as_str()) {
            return Err(Error::invalid(OPERATION, "token", "must be one that a fetch gave"));
        }
        let wire = &*self.wire;
        let confirmed = answer == Acknowledge::DoneConfirmed;
        let request =
            Request { subject: token.as_str().into(), headers: None, payload: payload(answer) };
        let deadline = Instant::now() + wire.limits.ack_timeout;
        if confirmed {
            let reply = wire.ask(OPERATION, request, Nature::Change, deadline).await?;
            return match reply.status {
                None => Ok(()),
                Some(_) => Err(Error::new(
                    ErrorKind::NotFound,
                    OPERATION,
                    "the consumer that delivered isn't there any more",
                )),
            };
        }
        wire.connected(OPERATION, deadline).await?;
        wire.send(OPERATION, request, None, deadline).await
    }
}

pub(super) fn check_names(operation: &'static str, stream: &str, consumer: &str) -> Result<()> {
    check_name(operation, "stream", stream)?;
    check_name(operation, "consumer", consumer)
}

pub(super) fn about(error: Error, stream: &str, consumer: &str) -> Error {
    error.with("stream", stream).with("consumer", consumer)
}

fn payload(answer: Acknowledge) -> Bytes {
    match answer {
        Acknowledge::Done | Acknowledge::DoneConfirmed => Bytes::from_static(b"+ACK"),
        Acknowledge::InProgress => Bytes::from_static(b"+WPI"),
        Acknowledge::Retry { after } if after.is_zero() => Bytes::from_static(b"-NAK"),
        Acknowledge::Retry { after } => {
            format!("-NAK {}", json!({ "delay": super::time::nanos(after) })).into()
        }
        Acknowledge::Terminate { reason } => match reason {
            // The server splits at the first space and takes the rest as it is.
            Some(reason) if !reason.is_empty() => format!("+TERM {reason}").into(),
            _ => Bytes::from_static(b"+TERM"),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn answers_are_what_the_server_reads() {
        for (answer, want) in [
            (Acknowledge::Done, "+ACK"),
            (Acknowledge::Retry { after: Duration::ZERO }, "-NAK"),
            (Acknowledge::Retry { after: Duration::from_secs(2) }, "-NAK {\"delay\":2000000000}"),
            (Acknowledge::Terminate { reason: Some("bad input".into()) }, "+TERM bad input"),
            (Acknowledge::Terminate { reason: None }, "+TERM"),
        ] {
            assert_eq!(&payload(answer)[..], want.as_bytes());
        }
    }
}
