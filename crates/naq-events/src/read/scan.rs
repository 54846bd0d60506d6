//! One bounded pass over the log, for questions that fold it.

use futures::StreamExt;
use naq_core::events::{EventItem, Filter, FilterPlan, RecordedEvent};
use naq_core::jetstream::{Delivery, ReadOptions, ReadStart, ReadUntil};
use naq_core::{Result, Timestamp};

use super::{Log, Meter, OpenLog};

/// A pass over the log up to its end as it stood at the opening.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    /// Who asks, for errors.
    pub(crate) operation: &'static str,
    /// Only these subjects; empty for all.
    pub(crate) subjects: Vec<String>,
    /// Only what was stored at or after this time.
    pub(crate) since: Option<Timestamp>,
    /// Only what was stored before this time.
    pub(crate) until: Option<Timestamp>,
    /// How much may be read.
    pub(crate) meter: &'a Meter,
}

/// What a pass met beside events.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ScanEnd {
    /// Messages that are no events.
    pub(crate) malformed: u64,
    /// Sequences that left the log before the pass came to them.
    pub(crate) gone: u64,
    /// Messages that were read.
    pub(crate) read: u64,
}

impl<'a> Scan<'a> {
    /// A pass over what can pass a filter.
    pub(crate) fn of(
        operation: &'static str,
        log: &Log,
        filter: &Filter,
        meter: &'a Meter,
    ) -> Self {
        let FilterPlan { subjects, since, until, .. } = filter.plan(log.subjects());
        Self { operation, subjects, since, until, meter }
    }

    /// Shows each event to `visit`, in stored order, until that has an error.
    pub(crate) async fn run(
        self,
        log: &Log,
        open: &OpenLog,
        mut visit: impl FnMut(RecordedEvent) -> Result<()> + Send,
    ) -> Result<ScanEnd> {
        let (created, last) = (open.info.created, open.info.state.last_sequence);
        if last == 0 {
            return Ok(ScanEnd::default());
        }
        let options = ReadOptions::default()
            .with_start(self.since.map_or(ReadStart::Beginning, ReadStart::Time))
            .with_until(ReadUntil::Sequence(last))
            .with_subjects(self.subjects)
            .with_created(created);
        let mut deliveries = open.jetstream.read(log.stream(), options);
        let mut end = ScanEnd::default();
        while let Some(delivery) = deliveries.next().await {
            let message = match delivery.map_err(|error| error.in_operation(self.operation))? {
                Delivery::Message(message) => message,
                Delivery::Gap { from, to } => {
                    end.gone += to.saturating_sub(from) + 1;
                    continue;
                }
                Delivery::CaughtUp { .. } | Delivery::Resumed { .. } => continue,
            };
            if self.until.is_some_and(|until| message.stored_at >= until) {
                break;
            }
            self.meter.note(&message)?;
            end.read += 1;
            match log.as_counted(message, created) {
                EventItem::Event(recorded) => visit(*recorded)?,
                _ => end.malformed += 1,
            }
        }
        Ok(end)
    }
}
