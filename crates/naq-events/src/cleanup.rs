//! Removing what is old, and nothing else.

use futures::StreamExt;
use naq_core::events::{CleanupReport, CleanupRequest};
use naq_core::jetstream::{Delivery, PurgeKeep, PurgeOptions, ReadOptions, ReadStart, ReadUntil};
use naq_core::{Result, Timestamp};

use crate::read::{Log, Meter, OpenLog};

/// The operation that errors name.
pub(crate) const OPERATION: &str = "cleanup_old_events";

/// Removes events that were stored before now minus an age.
///
/// The first sequence that is young enough is looked up, and what lies below
/// it is purged: the server counts, so nothing younger can be caught, however
/// long it takes.
pub(crate) async fn cleanup(log: &Log, request: CleanupRequest) -> Result<CleanupReport> {
    let open = log.open(OPERATION).await?;
    let before = open.now().saturating_sub(request.max_age);
    let old = OldEvents::find(log, &open, before).await?;
    let subjects: Vec<Option<String>> = match &request.event_type {
        Some(event_type) => {
            log.subjects().of_type(event_type.as_str()).into_iter().map(Some).collect()
        }
        None => vec![None],
    };
    let meter = log.meter(OPERATION, request.scan);
    let mut removed = 0;
    if let Some(old) = old {
        for subject in subjects {
            removed += match request.dry_run {
                true => old.count(log, &open, &meter, subject).await?,
                false => old.purge(log, &open, subject).await?,
            };
        }
    }
    Ok(CleanupReport::new(removed, request.dry_run, before, request.event_type))
}

/// The first sequence of what was stored at a time or later, one behind the
/// log's end where all is older; `None` where nothing is older.
pub(crate) async fn first_kept(
    log: &Log,
    open: &OpenLog,
    before: Timestamp,
) -> Result<Option<u64>> {
    let state = &open.info.state;
    if state.messages == 0 || state.first_time.is_none_or(|first| first >= before) {
        return Ok(None);
    }
    let young = log.first_stored_since(open, before).await?;
    let keep_from = young.unwrap_or(state.last_sequence + 1);
    Ok((keep_from > state.first_sequence).then_some(keep_from))
}

/// The old part of the log: everything below a sequence.
struct OldEvents {
    keep_from: u64,
}

impl OldEvents {
    /// Finds it; `None` where nothing is old.
    async fn find(log: &Log, open: &OpenLog, before: Timestamp) -> Result<Option<Self>> {
        let keep_from =
            first_kept(log, open, before).await.map_err(|error| error.in_operation(OPERATION))?;
        Ok(keep_from.map(|keep_from| Self { keep_from }))
    }

    async fn purge(&self, log: &Log, open: &OpenLog, subject: Option<String>) -> Result<u64> {
        let mut options =
            PurgeOptions::default().with_keep(PurgeKeep::FromSequence(self.keep_from));
        options.subject = subject;
        open.jetstream
            .purge_stream(log.stream(), options)
            .await
            .map_err(|error| error.in_operation(OPERATION))
    }

    /// Counts by headers alone what a purge would remove.
    async fn count(
        &self,
        log: &Log,
        open: &OpenLog,
        meter: &Meter,
        subject: Option<String>,
    ) -> Result<u64> {
        let options = ReadOptions::default()
            .with_start(ReadStart::Beginning)
            .with_until(ReadUntil::Sequence(self.keep_from - 1))
            .with_subjects(subject.into_iter().collect())
            .with_headers_only(true)
            .with_created(open.info.created);
        let mut deliveries = open.jetstream.read(log.stream(), options);
        let mut count = 0;
        while let Some(delivery) = deliveries.next().await {
            if let Delivery::Message(message) =
                delivery.map_err(|error| error.in_operation(OPERATION))?
            {
                meter.note(&message)?;
                count += 1;
            }
        }
        Ok(count)
    }
}
