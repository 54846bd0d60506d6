//! Fetching from a consumer: delivering what is there, or waiting for it.

use naq_core::clock::ClockExt;
use naq_core::jetstream::{AckToken, Acknowledge, ConsumerMessage, FetchOptions, check_name};
use naq_core::{ErrorKind, Result};

use crate::model::Refusal;
use crate::session::{Effect, Session, Waiting};

const OPERATION: &str = "fetch";

pub(crate) async fn fetch(
    session: &Session,
    stream: &str,
    consumer: &str,
    options: FetchOptions,
) -> Result<Vec<ConsumerMessage>> {
    check_name(OPERATION, "stream", stream)?;
    check_name(OPERATION, "consumer", consumer)?;
    if options.max_messages == 0 {
        return Err(Refusal::invalid("max_messages", "must be at least 1").error(OPERATION));
    }
    let deadline = session.clock().deadline(options.wait);
    loop {
        let (fetched, changed) = session
            .run(OPERATION, Effect::None, |state, now| {
                let fetched = state.model.fetch(stream, consumer, &options, now)?;
                Ok((fetched, state.changed(stream)))
            })
            .await?;
        if !fetched.messages.is_empty() || session.clock().remaining_until(deadline).is_zero() {
            return Ok(fetched.messages);
        }
        let until = Some(fetched.due.map_or(deadline, |due| due.min(deadline)));
        session.wait(Waiting { changed, until }).await;
    }
}

/// Answers a delivery. Only one who waits for the confirmation is told that
/// the consumer has gone: any other answer is sent and not looked after.
pub(crate) async fn acknowledge(
    session: &Session,
    token: &AckToken,
    answer: &Acknowledge,
) -> Result<()> {
    let taken = session
        .run("acknowledge", Effect::Change, |state, now| {
            let stream = state.model.acknowledge(token, answer, now)?;
            state.tell(&stream);
            Ok(())
        })
        .await;
    match taken {
        Err(error) if error.is(ErrorKind::NotFound) && *answer != Acknowledge::DoneConfirmed => {
            Ok(())
        }
        taken => taken,
    }
}
