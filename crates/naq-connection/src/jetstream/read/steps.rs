//! What all ways of reading share: steps that bring deliveries, one after another.

use std::collections::VecDeque;
use std::future::Future;

use futures::StreamExt;
use futures::stream;
use naq_core::jetstream::Delivery;
use naq_core::{BoxStream, Result};

/// A state machine that brings deliveries.
pub(super) trait Steps: Send + 'static {
    /// What is to be handed out before the next step.
    fn ready(&mut self) -> &mut VecDeque<Delivery>;

    /// Makes one step; `false` behind the last one. After an error it is at its end.
    fn step(&mut self) -> impl Future<Output = Result<bool>> + Send;
}

/// The next delivery; an error is the last one.
pub(super) async fn next(steps: &mut impl Steps) -> Option<Result<Delivery>> {
    loop {
        if let Some(delivery) = steps.ready().pop_front() {
            return Some(Ok(delivery));
        }
        match steps.step().await {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => return Some(Err(error)),
        }
    }
}

/// All deliveries; nothing happens before the first is asked for.
pub(super) fn deliveries(steps: impl Steps) -> BoxStream<'static, Result<Delivery>> {
    stream::unfold(Box::new(steps), |mut steps| async move {
        let delivery = next(&mut *steps).await?;
        Some((delivery, steps))
    })
    .boxed()
}
