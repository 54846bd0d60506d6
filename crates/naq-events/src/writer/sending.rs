//! What the sender gets, and when: the steps of a session's sending end.

use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use naq_core::events::EventId;

use super::gate::Permit;
use super::state::{Flow, State};
use super::verdict::Verdict;

/// An event as the sender takes it along.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) id: EventId,
    pub(super) subject: String,
    pub(super) payload: Bytes,
}

/// What the sender gets when it asks for more.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Something to send.
    Batch,
    /// Nothing until it is woken.
    Nothing,
    /// Nothing until it is woken, or until then.
    NothingUntil(Duration),
    /// Nothing any more: the session is over.
    Over,
}

impl State {
    /// Hurries the sender on: somebody waits for what it would gather.
    pub(super) fn hurry(&mut self) -> Option<Waker> {
        self.hurry = true;
        if self.schedule.ready() > 0 { self.sender.take() } else { None }
    }

    /// Moves up to a batch into `batch`, for the session of this number.
    pub(super) fn take(
        &mut self,
        session: u64,
        now: Duration,
        sender: &Waker,
        batch: &mut Vec<Outgoing>,
    ) -> Taken {
        if session != self.session || self.broken {
            return Taken::Over;
        }
        let most = match self.gate.permit(now) {
            Permit::All => self.limits.batch,
            Permit::One => 1,
            Permit::None => 0,
        };
        if most == 0 || self.schedule.ready() == 0 {
            return self.nothing_to_take(now, sender);
        }
        if let Flow::Gathering { until } = self.flow
            && now < until
            && !self.hurry
            && !self.schedule.is_overdue()
            && self.schedule.ready() < self.limits.batch
        {
            self.sender = Some(sender.clone());
            return Taken::NothingUntil(until);
        }
        let mut retried = 0;
        while batch.len() < most {
            let Some(slot) = self.schedule.send_next() else { break };
            retried += u64::from(slot.tries > 1);
            let event = &slot.item.event;
            batch.push(Outgoing {
                id: event.id().clone(),
                subject: event.subject().to_owned(),
                payload: event.payload().clone(),
            });
        }
        self.gate.sent();
        self.ledger.sent_batch(retried);
        self.flow = Flow::Flowing;
        Taken::Batch
    }

    fn nothing_to_take(&mut self, now: Duration, sender: &Waker) -> Taken {
        self.sender = Some(sender.clone());
        if self.schedule.ready() == 0 {
            self.hurry = false;
        }
        match self.flow {
            Flow::Flowing if !self.limits.gather.is_zero() => {
                let until = now.saturating_add(self.limits.gather);
                self.flow = Flow::Gathering { until };
                Taken::NothingUntil(until)
            }
            Flow::Gathering { until } if now < until => Taken::NothingUntil(until),
            _ => {
                self.flow = Flow::Asleep;
                Taken::Nothing
            }
        }
    }

    /// Whether a session makes sense now: there is something to send, and no
    /// reason to wait with it.
    pub(super) fn wants_a_session(&self, now: Duration) -> bool {
        (!self.schedule.is_empty() || self.has_more_on_disk())
            && self.gate.permit(now) != Permit::None
    }

    /// Begins a session and says its number.
    pub(super) fn begin_session(&mut self) -> u64 {
        self.session += 1;
        self.broken = false;
        self.flow = Flow::Flowing;
        self.session
    }

    /// Ends the session: what is on its way is sent again by the next one.
    /// Hands out whom to wake, so that nobody goes on holding a source that is over.
    pub(super) fn end_session(&mut self, now: Duration, jitter: f64) -> Option<Waker> {
        self.session += 1;
        let lost = self.schedule.under_way() > 0;
        self.schedule.recall_sent();
        if lost || !self.broken {
            // It ended by itself: not the moment to begin the next one in a tight loop.
            let verdict = if lost { Verdict::InDoubt } else { Verdict::Unsent };
            self.gate.blocked(verdict, now, jitter);
        }
        self.broken = true;
        self.flow = Flow::Asleep;
        self.sender.take()
    }
}
