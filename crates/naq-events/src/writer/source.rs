//! The writer's end of a publish session: where the session takes its messages from.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;
use naq_core::jetstream::PublishMessage;

use super::alarm::Alarm;
use super::sending::{Outgoing, Taken};
use super::shared::Shared;
use super::way::Way;

/// The messages that go one way in a session, taken from the schedule as the session asks for them.
///
/// What the session doesn't ask for stays in the buffer: its backpressure ends
/// here. It is over when its time is, whoever still holds it.
pub(super) struct Source {
    shared: Arc<Shared>,
    way: Way,
    number: u64,
    /// The batch at hand, last one first.
    batch: Vec<Outgoing>,
    alarm: Alarm,
}

impl Source {
    pub(super) fn new(shared: Arc<Shared>, way: Way, number: u64) -> Self {
        let alarm = Alarm::new(Arc::clone(&shared.clock));
        Self { shared, way, number, batch: Vec::new(), alarm }
    }
}

impl Stream for Source {
    type Item = PublishMessage;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<PublishMessage>> {
        let this = self.get_mut();
        loop {
            if !this.shared.is_current(this.way, this.number) {
                return Poll::Ready(None);
            }
            if let Some(outgoing) = this.batch.pop() {
                return Poll::Ready(Some(message(outgoing)));
            }
            let taken = this.shared.take(this.way, this.number, cx.waker(), &mut this.batch);
            let again = match taken {
                Taken::Batch => {
                    this.batch.reverse();
                    continue;
                }
                Taken::Over => return Poll::Ready(None),
                Taken::Nothing => None,
                Taken::NothingUntil(again) => Some(again),
            };
            if this.alarm.poll(again, cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

fn message(Outgoing { id, subject, payload }: Outgoing) -> PublishMessage {
    // Nothing is expected of the stream: the header would cost each message, to
    // guard against a stream that can't share the subject.
    let mut message = PublishMessage::new(subject, payload);
    message.message_id = id.map(|id| id.to_text());
    message
}
