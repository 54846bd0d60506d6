//! The service as a sink of events.

use std::time::Duration;

use async_trait::async_trait;
use naq_core::Result;
use naq_core::events::{
    EncodedEvent, EventAccount, EventCounters, EventInput, EventReceipt, EventSink, FlushReport,
    SERVICE,
};

use crate::service::EventService;

impl EventService {
    /// Redacts, checks and serialises an event; one that is refused is counted.
    fn encode(&self, event: EventInput) -> Result<EncodedEvent> {
        let encoded = event.into_event().and_then(|mut event| {
            self.redactor.apply(&mut event);
            if event.service.is_none() && self.config.service_name != SERVICE {
                event.service = Some(self.config.service_name.as_str().into());
            }
            self.encoder.encode(&event, self.clock.now())
        });
        if encoded.is_err() {
            self.writer.reject();
        }
        encoded
    }
}

#[async_trait]
impl EventSink for EventService {
    async fn log(&self, event: EventInput) -> Result<()> {
        let event = self.encode(event)?;
        match self.writer.submit(event, None, &mut None)? {
            Some(accepted) => accepted.await,
            None => Ok(()),
        }
    }

    fn try_log(&self, event: EventInput) -> Result<()> {
        let event = self.encode(event)?;
        self.writer.try_submit(event)
    }

    async fn log_acked(&self, event: EventInput) -> Result<EventReceipt> {
        let event = self.encode(event)?;
        self.writer.submit_acked(event).await
    }

    async fn log_batch(&self, events: Vec<EventInput>) -> Vec<Result<()>> {
        // One deadline for all: a batch waits for room no longer than a single event.
        let mut deadline = None;
        let mut results = Vec::with_capacity(events.len());
        for event in events {
            let begun = self.encode(event);
            let begun = begun.and_then(|event| self.writer.submit(event, None, &mut deadline));
            results.push(match begun {
                Ok(Some(accepted)) => accepted.await,
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            });
        }
        results
    }

    async fn flush(&self, within: Duration) -> Result<FlushReport> {
        if self.counters().pending == 0 {
            self.writer.check_open("flush")?;
        }
        Ok(self.writer.flush(within).await)
    }

    fn counters(&self) -> EventCounters {
        self.writer.counters()
    }

    fn account(&self) -> EventAccount {
        self.writer.account()
    }
}
