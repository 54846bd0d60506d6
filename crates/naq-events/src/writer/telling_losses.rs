//! The stream is told of losses: `events_lost` events among the others.

use std::sync::Arc;

use naq_core::clock::Clock;
use naq_core::config::EventsConfig;
use naq_core::events::{EncodedEvent, EventEncoder, LossReason, SERVICE, Text};

use super::losses::Sum;
use super::shared::Shared;
use super::slot::Item;
use super::state::Effects;
use super::steady::Steady;

/// Makes the events of losses.
#[derive(Debug)]
pub(super) struct LossEvents {
    encoder: Arc<EventEncoder>,
    service: Option<Text>,
    clock: Arc<dyn Clock>,
}

impl LossEvents {
    pub(super) fn new(
        config: &EventsConfig,
        encoder: Arc<EventEncoder>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let name = config.service_name.as_str();
        Self { encoder, service: (name != SERVICE).then(|| name.into()), clock }
    }

    fn encode(&self, reason: LossReason, sum: &Sum, steady: Steady) -> Option<EncodedEvent> {
        let wall = self.clock.now();
        let mut event = sum.event(reason, wall, steady.at(self.clock.monotonic()));
        event.service = self.service.clone();
        match self.encoder.encode(&event, wall) {
            Ok(encoded) => Some(encoded),
            Err(error) => {
                tracing::error!(%error, "the stream can't be told of lost events");
                None
            }
        }
    }
}

impl Shared {
    /// Puts events of the losses that the stream doesn't know into the buffer,
    /// where that is due or `at_once`.
    ///
    /// They need no room: were there any, nothing would be lost. There is at
    /// most one for each reason, so the buffer's bounds are passed by no more
    /// than that.
    pub(super) fn tell_losses(&self, at_once: bool) {
        let now = self.now();
        let (sums, steady) = {
            let mut state = self.lock();
            if state.is_over {
                return;
            }
            let idle = state.schedule.is_empty();
            match state.losses.due(idle || at_once) {
                Some(due) if due <= now || at_once => (state.losses.take(now), state.steady),
                _ => return,
            }
        };
        for (reason, sum) in sums {
            let event = self.loss_events.encode(reason, &sum, steady);
            let mut state = self.lock();
            let number = state.schedule.accepted();
            state.losses.telling(number, reason, sum);
            match event {
                Some(event) => {
                    let item = Item::new(event, None, false);
                    let charge = item.charge();
                    state.ledger.notice(number);
                    self.admit(state, Effects::default(), item, charge, now);
                }
                // Back into the sum: it can't be told, but it is counted.
                None => state.losses.settled(number, false),
            }
        }
    }
}
