//! The two ways by which events go to the server, and what keeps an event from
//! being stored twice on each.

use std::fmt;

use naq_core::config::{EventsConfig, Guarantee};
use naq_core::jetstream::{Capabilities, StreamInfo};

/// How a service sends its events: what the configuration wants, as far as
/// server, stream and rights allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sending {
    /// Whether events go by the server's fast ingest, or else each with an
    /// acknowledgement of its own.
    pub is_fast: bool,
    /// What keeps an event whose acknowledgement was lost from being stored twice.
    pub guarantee: Guarantee,
}

impl Sending {
    /// How a service of this configuration sends to this stream; `may_read` says
    /// whether its credentials may read it.
    #[must_use]
    pub fn of(
        config: &EventsConfig,
        can: Capabilities,
        stream: &StreamInfo,
        may_read: bool,
    ) -> Self {
        let way = Way::of(can, stream.config.allow_batched_publish == Some(true));
        let guarantee = way.guarantee(wanted_guarantee(config), may_read);
        Self { is_fast: way == Way::Fast, guarantee }
    }
}

/// The guarantee that is wanted: what is in the spool is recognised by its ids.
pub(super) fn wanted_guarantee(config: &EventsConfig) -> Guarantee {
    match config.spool.dir {
        Some(_) => Guarantee::MessageId,
        None => config.guarantee,
    }
}

/// A way to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The server's fast ingest: one batch, of which a prefix is stored.
    Fast,
    /// Each message acknowledged by itself: what the server can't take the
    /// fast way, and what somebody wants a receipt for.
    Pipeline,
}

impl Way {
    /// Both.
    pub(super) const BOTH: [Self; 2] = [Self::Fast, Self::Pipeline];

    /// The faster one that server and stream allow.
    pub(super) fn of(can: Capabilities, takes_batches: bool) -> Self {
        if can.fast_ingest && takes_batches { Self::Fast } else { Self::Pipeline }
    }

    /// Whether the guarantee stands or falls with the right to read the stream.
    pub(super) fn needs_reading(self, wanted: Guarantee) -> bool {
        self == Self::Fast && wanted == Guarantee::ReadBack
    }

    /// The guarantee that can be had: only of a batch can be read back what is
    /// stored, and only by who may read.
    pub(super) fn guarantee(self, wanted: Guarantee, may_read: bool) -> Guarantee {
        match wanted {
            Guarantee::ReadBack if !(self.needs_reading(wanted) && may_read) => {
                Guarantee::MessageId
            }
            wanted => wanted,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fast => "fast ingest",
            Self::Pipeline => "pipeline",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_batch_is_read_back_and_only_by_who_may_read() {
        use Guarantee::{AtLeastOnce, MessageId, ReadBack};
        for (way, wanted, may_read, had) in [
            (Way::Fast, ReadBack, true, ReadBack),
            (Way::Fast, ReadBack, false, MessageId),
            (Way::Pipeline, ReadBack, true, MessageId),
            (Way::Pipeline, AtLeastOnce, false, AtLeastOnce),
            (Way::Fast, MessageId, false, MessageId),
        ] {
            assert_eq!(way.guarantee(wanted, may_read), had, "{way}, {wanted}, {may_read}");
        }
    }

    #[test]
    fn fast_ingest_needs_server_and_stream_and_a_spool_needs_ids() {
        let mut can = Capabilities::default();
        assert_eq!(Way::of(can, true), Way::Pipeline);
        can.fast_ingest = true;
        assert_eq!(Way::of(can, true), Way::Fast);
        assert_eq!(Way::of(can, false), Way::Pipeline);
        let mut config = EventsConfig::default().with_guarantee(Guarantee::AtLeastOnce);
        assert_eq!(wanted_guarantee(&config), Guarantee::AtLeastOnce);
        config.spool.dir = Some("spool".into());
        assert_eq!(wanted_guarantee(&config), Guarantee::MessageId);
    }
}
