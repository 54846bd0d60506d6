//! The errors that tell why an event was not stored.

use std::time::Duration;

use naq_core::config::format_duration;
use naq_core::{Error, ErrorKind};

use super::slot::Slot;
use super::state::Intake;

/// The operation that all of them name: the call that handed the event in.
pub(super) const LOG: &str = "log_event";

/// The server refused it for good.
pub(super) fn refused(slot: &Slot, _trouble: Option<&Error>) -> Error {
    given_up(slot, None, "was refused, and gave no reason")
}

/// Its delivery timeout is over.
pub(super) fn expired(slot: &Slot, trouble: Option<&Error>) -> Error {
    given_up(slot, trouble, "could not be sent within the delivery timeout").with_hint(
        "see whether the server and the stream take events; a longer `delivery_timeout` waits out \
         longer outages",
    )
}

/// The service was stopped before.
pub(super) fn stopped(slot: &Slot, trouble: Option<&Error>) -> Error {
    given_up(slot, trouble, "was not stored before the service stopped")
        .with_hint("flush before the stop, or give the stop more time")
}

/// It was to be on disk before it counts as accepted, and isn't.
pub(super) fn not_kept(trouble: Option<&Error>) -> Error {
    let kind = trouble.map_or(ErrorKind::Timeout, Error::kind);
    let error = Error::new(kind, LOG, "the event could not be written to the spool in time");
    match trouble {
        Some(trouble) => error.with_source(trouble.clone()),
        None => error,
    }
}

/// It was to be on disk before it counts as accepted, and the disk has it without having answered.
pub(super) fn being_kept() -> Error {
    Error::new(ErrorKind::OutcomeUnknown, LOG, "the spool's disk did not answer in time")
        .with_hint("the event may be in the spool, and is stored then")
}

/// The service ended without a stop, and the spool got it without answering.
pub(super) fn handed_over() -> Error {
    let told = "the event was handed to the spool when the service was dropped";
    Error::new(ErrorKind::OutcomeUnknown, LOG, told)
        .with_hint("stop the service before it is dropped")
}

/// Given up by a policy that drops.
pub(super) fn dropped() -> Error {
    Error::new(ErrorKind::LimitReached, LOG, "the buffer was full, and the event was dropped")
        .with_hint("raise `buffer_max_events` or `buffer_max_bytes`, or choose another `overflow`")
}

/// It was in the spool, and can't be read any more. Maybe it was sent before.
pub(super) fn damaged() -> Error {
    Error::new(ErrorKind::OutcomeUnknown, LOG, "the event was damaged in the spool")
        .with_hint("see the `quarantine` folder beside it, and what is wrong with the disk")
}

/// There is no room, and the policy doesn't wait (any longer).
pub(super) fn full(waited: Option<Duration>, trouble: Option<&Error>) -> Error {
    let error = Error::new(ErrorKind::LimitReached, LOG, "the event buffer is full");
    let error = match waited {
        Some(waited) => error.with("waited", format_duration(waited)),
        None => error,
    };
    let error = match trouble {
        Some(trouble) => error.with_source(trouble.clone()),
        None => error,
    };
    error.with_hint(
        "the stream takes events slower than they come: see whether the server is there, or raise \
         `buffer_max_events` and `buffer_max_bytes`",
    )
}

/// It would never fit.
pub(super) fn over_buffer(charge: u64, max_bytes: u64) -> Error {
    Error::new(ErrorKind::TooLarge, LOG, "the event is larger than the whole buffer")
        .with("bytes", charge.to_string())
        .with("buffer_max_bytes", max_bytes.to_string())
        .with_hint("raise `buffer_max_bytes`, or log less in one event")
}

/// The stream would refuse it, or the server close the connection over it.
pub(super) fn over_message(bytes: u64, most: u64) -> Error {
    Error::new(ErrorKind::TooLarge, LOG, "the event is over the largest message that is taken")
        .with("bytes", bytes.to_string())
        .with("max_bytes", most.to_string())
        .with_hint("log less in one event, and put large data elsewhere with a reference to it")
}

/// No events are accepted, because of where the service is in its life.
pub(super) fn not_open(intake: Intake) -> Error {
    match intake {
        Intake::NotStarted => {
            Error::new(ErrorKind::Closed, LOG, "the event service is not started")
                .with_hint("call its `start` first, or let a ServiceManager do it")
        }
        Intake::Open | Intake::Stopped => {
            Error::new(ErrorKind::Closed, LOG, "the event service is stopped")
                .with_hint("log before the stop, or make a new service")
        }
    }
}

/// Unknown where a try of it may have been stored, else of the kind of what stood in the way.
fn given_up(slot: &Slot, trouble: Option<&Error>, otherwise: &'static str) -> Error {
    let error = if slot.in_doubt {
        Error::new(
            ErrorKind::OutcomeUnknown,
            LOG,
            "the event was sent, and nobody confirmed that it is stored",
        )
    } else {
        match &slot.trouble {
            Some(own) => Error::new(own.kind(), LOG, "the event was not stored"),
            None => {
                // Another event's doubt is none about this one, which was never sent.
                let kind = trouble
                    .map(Error::kind)
                    .filter(|kind| *kind != ErrorKind::OutcomeUnknown)
                    .unwrap_or(ErrorKind::Timeout);
                Error::new(kind, LOG, format!("the event {otherwise}"))
            }
        }
    };
    let error = error.with("tries", slot.tries.to_string());
    let Some(cause) = slot.trouble.as_ref().or(trouble) else { return error };
    let error = match cause.hint() {
        Some(hint) => error.with_hint(hint.to_owned()),
        None => error,
    };
    error.with_source(cause.clone())
}
