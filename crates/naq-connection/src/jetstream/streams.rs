//! Streams: create, update, tell, list, purge, delete.

use naq_core::jetstream::{
    ListStreams, PurgeKeep, PurgeOptions, StreamConfig, StreamInfo, SubjectCounts, check_filter,
    check_name,
};
use naq_core::{BoxStream, Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::pages::{self, Page};
use super::stream_config::{RawInfo, missing, overlay, write};
use super::{NatsJetStream, api};
use crate::nats::Nature;

impl NatsJetStream {
    pub(super) async fn create(&self, config: StreamConfig) -> Result<StreamInfo> {
        const OPERATION: &str = "create_stream";
        self.check_config(OPERATION, &config).await?;
        let body = write(&config, self.can());
        self.change(OPERATION, "STREAM.CREATE", &config.name, &body).await
    }

    pub(super) async fn update(&self, config: StreamConfig) -> Result<StreamInfo> {
        const OPERATION: &str = "update_stream";
        self.check_config(OPERATION, &config).await?;
        let mut body = self.raw_info(OPERATION, &config.name).await?.config;
        overlay(&mut body, write(&config, self.can()));
        self.change(OPERATION, "STREAM.UPDATE", &config.name, &body).await
    }

    async fn check_config(&self, operation: &'static str, config: &StreamConfig) -> Result<()> {
        check_name(operation, "stream", &config.name)?;
        for subject in &config.subjects {
            check_filter(operation, subject)?;
        }
        // What the server can do is known once it is connected.
        self.wire.connected(operation, self.wire.request_deadline()).await?;
        match missing(config, self.can()) {
            None => Ok(()),
            Some((field, since)) => {
                Err(super::too_old(&self.wire, operation, field, since)
                    .with("stream", &config.name))
            }
        }
    }

    async fn change(
        &self,
        operation: &'static str,
        order: &str,
        name: &str,
        body: &Map<String, Value>,
    ) -> Result<StreamInfo> {
        let subject = format!("{order}.{name}");
        let raw: RawInfo = api::call(&self.wire, operation, &subject, body, Nature::Change)
            .await
            .map_err(|error| error.with("stream", name))?;
        raw.into_info(operation, self.can())
    }

    pub(super) async fn raw_info(&self, operation: &'static str, stream: &str) -> Result<RawInfo> {
        check_name(operation, "stream", stream)?;
        let subject = format!("STREAM.INFO.{stream}");
        api::call(&self.wire, operation, &subject, &(), Nature::Question)
            .await
            .map_err(|error| error.with("stream", stream))
    }

    pub(super) async fn info(&self, operation: &'static str, stream: &str) -> Result<StreamInfo> {
        self.raw_info(operation, stream).await?.into_info(operation, self.can())
    }

    pub(super) async fn delete(&self, stream: &str) -> Result<()> {
        const OPERATION: &str = "delete_stream";
        check_name(OPERATION, "stream", stream)?;
        let subject = format!("STREAM.DELETE.{stream}");
        let answer: Success = api::call(&self.wire, OPERATION, &subject, &(), Nature::Change)
            .await
            .map_err(|error| error.with("stream", stream))?;
        answer.check(OPERATION)
    }

    pub(super) async fn purge(&self, stream: &str, options: PurgeOptions) -> Result<u64> {
        const OPERATION: &str = "purge_stream";
        check_name(OPERATION, "stream", stream)?;
        let mut body = Map::new();
        if let Some(filter) = &options.subject {
            check_filter(OPERATION, filter)?;
            body.insert("filter".into(), filter.clone().into());
        }
        match options.keep {
            PurgeKeep::Nothing | PurgeKeep::Newest(0) => {}
            PurgeKeep::Newest(keep) => {
                body.insert("keep".into(), keep.into());
            }
            // Servers before 2.14 take 1, and all of them take 0, for "keep nothing".
            PurgeKeep::FromSequence(0 | 1) => return Ok(0),
            PurgeKeep::FromSequence(sequence) => {
                // Beyond the end a purge moves the end: the sequences between would never be.
                let last = self.info(OPERATION, stream).await?.state.last_sequence;
                let sequence = sequence.min(last.saturating_add(1));
                if sequence < 2 {
                    return Ok(0);
                }
                body.insert("seq".into(), sequence.into());
            }
        }
        #[derive(Deserialize)]
        struct Purged {
            purged: u64,
        }
        let subject = format!("STREAM.PURGE.{stream}");
        let purged: Purged = api::call(&self.wire, OPERATION, &subject, &body, Nature::Change)
            .await
            .map_err(|error| error.with("stream", stream))?;
        Ok(purged.purged)
    }

    pub(super) async fn counts(
        &self,
        stream: &str,
        filter: &str,
        offset: u64,
    ) -> Result<SubjectCounts> {
        const OPERATION: &str = "subject_counts";
        check_name(OPERATION, "stream", stream)?;
        check_filter(OPERATION, filter)?;
        let subject = format!("STREAM.INFO.{stream}");
        let body = json!({ "subjects_filter": filter, "offset": offset });
        let mut page: RawInfo = api::call(&self.wire, OPERATION, &subject, &body, Nature::Question)
            .await
            .map_err(|error| error.with("stream", stream))?;
        let counts: Vec<_> = page.take_subjects().into_iter().collect();
        let next = offset.saturating_add(counts.len() as u64);
        let total = page.total;
        Ok(SubjectCounts {
            info: page.into_info(OPERATION, self.can())?,
            next_offset: (!counts.is_empty() && next < total).then_some(next),
            // Behind the end an offset says nothing of how many there are.
            total: if counts.is_empty() { total } else { total.max(next) },
            counts,
        })
    }

    pub(super) fn list(&self, options: ListStreams) -> BoxStream<'static, Result<StreamInfo>> {
        const OPERATION: &str = "list_streams";
        #[derive(Deserialize)]
        struct RawPage {
            #[serde(default)]
            total: u64,
            #[serde(default)]
            streams: Option<Vec<RawInfo>>,
        }
        let jetstream = self.clone();
        pages::all(move |offset| {
            let (jetstream, subject) = (jetstream.clone(), options.subject.clone());
            async move {
                let mut body = Map::new();
                body.insert("offset".into(), offset.into());
                if let Some(subject) = subject {
                    check_filter(OPERATION, &subject)?;
                    body.insert("subject".into(), subject.into());
                }
                let wire = &jetstream.wire;
                let page: RawPage =
                    api::call(wire, OPERATION, "STREAM.LIST", &body, Nature::Question).await?;
                let can = jetstream.can();
                let raw = page.streams.unwrap_or_default();
                let items: Result<Vec<_>> =
                    raw.into_iter().map(|raw| raw.into_info(OPERATION, can)).collect();
                Ok(Page { items: items?, total: page.total })
            }
        })
    }

    pub(super) async fn delete_one(&self, stream: &str, sequence: u64) -> Result<()> {
        const OPERATION: &str = "delete_message";
        check_name(OPERATION, "stream", stream)?;
        let subject = format!("STREAM.MSG.DELETE.{stream}");
        // Not overwritten on disk: that rewrites the whole block.
        let body = json!({ "seq": sequence, "no_erase": true });
        let answer: Success = api::call(&self.wire, OPERATION, &subject, &body, Nature::Change)
            .await
            .map_err(|error| error.with("stream", stream).with("sequence", sequence.to_string()))?;
        answer.check(OPERATION)
    }
}

/// The answer to an order that has nothing to tell.
#[derive(Debug, Deserialize)]
pub(super) struct Success {
    #[serde(default)]
    success: bool,
}

impl Success {
    pub(super) fn check(&self, operation: &'static str) -> Result<()> {
        if self.success {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unexpected,
            operation,
            "the server neither did it nor said why not",
        ))
    }
}
