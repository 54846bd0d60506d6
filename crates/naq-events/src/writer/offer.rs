//! Whether an event is accepted: room, and the policy where there is none.

use std::hash::BuildHasher;
use std::sync::MutexGuard;
use std::time::Duration;

use naq_core::clock::ClockExt;
use naq_core::config::OverflowPolicy;
use naq_core::events::EncodedEvent;
use naq_core::{Error, Result};
use tokio::sync::oneshot;

use super::shared::Shared;
use super::slot::Item;
use super::state::{Effects, Intake, State};
use super::{Receipt, Writer, refusals};

/// The length of a UUID as text.
const UUID_BYTES: usize = 36;

/// The headers that come with a message: version line, name of the id's header, line ends.
const HEADER_BYTES: usize = "NATS/1.0\r\nNats-Msg-Id: \r\n\r\n".len();

/// A disk that makes no room for so long is full, or as good as that.
const FOR_THE_DISK: Duration = Duration::from_secs(1);

/// What became of an offer.
#[derive(Debug)]
pub(super) enum Offer<'a> {
    /// It is accepted, or dropped as the policy says.
    Accepted,
    /// There is no room, and the policy says to wait for some.
    Waits(Turn<'a>),
}

impl Writer {
    pub(super) fn item(&self, event: EncodedEvent, receipt: Option<Receipt>) -> Item {
        let entity = event.entity().map(|entity| self.hasher.hash_one(entity));
        let may_drop = self.policies.may_drop(event.event_type());
        Item { receipt, ..Item::new(event, entity, may_drop) }
    }

    /// Accepts the event if there is room, or there is after what the policy does.
    pub(super) fn offer(&self, item: Item, at_once: bool) -> Result<Offer<'_>> {
        let charge = item.charge();
        let bytes = message_bytes(&item.event);
        let too_large_for = self.shared.max_message().filter(|&most| bytes > most);
        let now = self.shared.now();
        let mut effects = Effects::default();
        let mut state = self.shared.lock();
        let refusal = if state.intake != Intake::Open {
            Some(refusals::not_open(state.intake))
        } else if let Some(most) = too_large_for {
            Some(refusals::over_message(bytes, most))
        } else if charge > state.ledger.max_bytes() {
            Some(refusals::over_buffer(charge, state.ledger.max_bytes()))
        } else {
            None
        };
        if let Some(refusal) = refusal {
            state.ledger.reject();
            return Err(refusal);
        }
        // Who waits already comes first.
        let has_room = state.waiting.is_empty() && state.fits(charge);
        if !has_room {
            state.hurry(&mut effects);
            let made_room = match self.policies.of(item.event.event_type()) {
                OverflowPolicy::DropOldest => state.make_room(charge, now, &mut effects),
                OverflowPolicy::Wait if !at_once => {
                    return Ok(Offer::Waits(self.queue(state, effects, item, None)));
                }
                OverflowPolicy::Spool if !at_once && state.spool_makes_room() => {
                    let at_most = Some(FOR_THE_DISK);
                    return Ok(Offer::Waits(self.queue(state, effects, item, at_most)));
                }
                OverflowPolicy::DropNewest => false,
                _ => {
                    self.shared.carry_out(state, effects);
                    return Err(self.rejected_full(None));
                }
            };
            if !made_room {
                state.ledger.drop_newest();
                let logged = state.steady.at(now);
                state.lose_newest(&item.event, logged);
                self.shared.carry_out(state, effects);
                if let Some(on_disk) = item.on_disk {
                    // It is dealt with as the policy says. Whoever doesn't wait needs no answer.
                    let _ = on_disk.told.send(Ok(()));
                }
                return match item.receipt {
                    Some(_) => Err(refusals::dropped()),
                    None => Ok(Offer::Accepted),
                };
            }
        }
        self.shared.admit(state, effects, item, charge, now);
        Ok(Offer::Accepted)
    }

    /// Puts an event in front of the full buffer, behind those that wait there.
    fn queue(
        &self,
        mut state: MutexGuard<'_, State>,
        effects: Effects,
        item: Item,
        at_most: Option<Duration>,
    ) -> Turn<'_> {
        let (ticket, accepted) = state.waiting.join(item);
        self.shared.carry_out(state, effects);
        Turn { shared: &self.shared, ticket, accepted, at_most }
    }

    /// Waits until there is room for the event, at most until the deadline.
    pub(super) async fn wait_for_room(&self, mut turn: Turn<'_>, deadline: Duration) -> Result<()> {
        let (deadline, waited) = match turn.at_most {
            Some(most) => (deadline.min(self.shared.now().saturating_add(most)), most),
            None => (deadline, self.overflow_wait),
        };
        match self.shared.clock.until(deadline, &mut turn.accepted).await {
            Some(Ok(())) => Ok(()),
            // Told that nothing is accepted any more.
            Some(Err(_)) => Err(self.rejected_closed()),
            None if turn.leave() => Err(self.rejected_full(Some(waited))),
            // It was accepted at the last moment.
            None => Ok(()),
        }
    }

    fn rejected_closed(&self) -> Error {
        let mut state = self.shared.lock();
        state.ledger.reject();
        refusals::not_open(state.intake)
    }

    pub(super) fn rejected_full(&self, waited: Option<Duration>) -> Error {
        let mut state = self.shared.lock();
        state.ledger.reject();
        refusals::full(waited, state.trouble.as_ref())
    }
}

impl Shared {
    /// Takes the event in, for which there is room, and wakes whom it takes to send it.
    pub(super) fn admit(
        &self,
        mut state: MutexGuard<'_, State>,
        mut effects: Effects,
        item: Item,
        charge: u64,
        now: Duration,
    ) {
        state.accept(item, charge, now, &mut effects);
        self.carry_out(state, effects);
    }
}

/// What the server counts against its largest message.
fn message_bytes(event: &EncodedEvent) -> u64 {
    let id = event.id();
    let id_bytes = if id.as_uuid().is_some() { UUID_BYTES } else { id.to_string().len() };
    (event.payload().len() + HEADER_BYTES + id_bytes) as u64
}

/// A place in the queue for room; leaving it takes the event along.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    shared: &'a Shared,
    ticket: u64,
    accepted: oneshot::Receiver<()>,
    /// How long it waits at most, where that is not the caller's deadline.
    at_most: Option<Duration>,
}

impl Turn<'_> {
    /// Gives the place up. Says whether the event was not accepted yet.
    fn leave(&self) -> bool {
        let now = self.shared.now();
        let mut effects = Effects::default();
        let mut state = self.shared.lock();
        let left = state.waiting.leave(self.ticket);
        if left.is_some() {
            // A smaller one behind it may fit.
            state.grant_room(now, &mut effects);
        }
        self.shared.carry_out(state, effects);
        left.is_some()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}
