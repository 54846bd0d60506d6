//! The two ways by which events go to the server.

use std::fmt;

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
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fast => "fast ingest",
            Self::Pipeline => "pipeline",
        })
    }
}
