//! A JetStream whose server doesn't say what time it is.

use naq_core::jetstream::StreamInfo;

use crate::passing::{Between, Passing};

/// Another JetStream, without the times at which it tells of streams: ages go
/// by the clock of who asks, so that a test may have it be later.
pub type Timeless = Passing<WithoutTime>;

/// Leaves out when a stream was told of.
#[derive(Debug)]
pub struct WithoutTime;

impl Between for WithoutTime {
    fn describes(&self, info: &mut StreamInfo) {
        info.told_at = None;
    }
}
