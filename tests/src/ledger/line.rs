//! One line of the ledger's file.

use std::time::Duration;

use naq_core::events::{EventAccount, EventCounters};
use serde::{Deserialize, Serialize};

use super::Stamp;

/// What is written down, as one JSON object a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// An event is about to be handed to naq.
    Offered {
        /// Which one.
        id: String,
        /// What its order is promised within.
        series: String,
        /// Its place there.
        n: u64,
        /// Over all that it says.
        checksum: u32,
    },
    /// naq took it.
    Accepted {
        /// Which one.
        id: String,
    },
    /// naq didn't take it, and said why.
    Rejected {
        /// Which one.
        id: String,
        /// The kind of the error.
        kind: String,
    },
    /// It is stored, as naq said.
    Acked {
        /// Which one.
        id: String,
        /// Where, if naq said so.
        sequence: Option<u64>,
    },
    /// It is on disk, as naq said.
    Spooled {
        /// Which one.
        id: String,
    },
    /// It is not stored and won't be, as naq said.
    Failed {
        /// Which one.
        id: String,
        /// The kind of the error.
        kind: String,
    },
    /// naq said that it doesn't know.
    Unknown {
        /// Which one.
        id: String,
    },
    /// A call to naq came back.
    Called {
        /// Which call.
        what: String,
        /// How long it took, in milliseconds.
        took_ms: u64,
        /// How long it may take, in milliseconds.
        within_ms: u64,
    },
    /// The account of one service at its end, of all its events.
    Counted {
        /// Whose.
        producer: String,
        /// Its counters.
        counters: EventCounters,
        /// How many of its events the log doesn't have, or may not have, as it counts.
        #[serde(default)]
        lost: u64,
        /// How many of them the log doesn't tell of yet.
        #[serde(default)]
        untold: u64,
    },
    /// The memory that the program took.
    Memory {
        /// Before it logged, in bytes.
        baseline: u64,
        /// At most, in bytes.
        peak: u64,
        /// What the buffer may hold, in bytes.
        buffer: u64,
    },
    /// Somebody removed what the stream held, and whatever was offered before
    /// this line may be gone.
    Emptied,
}

impl Line {
    /// That this event is offered.
    pub fn offered(stamp: &Stamp) -> Self {
        Self::Offered {
            id: stamp.id(),
            series: stamp.series(),
            n: stamp.n,
            checksum: stamp.checksum(),
        }
    }

    /// The account of a service.
    pub fn counted(producer: &str, account: &EventAccount) -> Self {
        Self::Counted {
            producer: producer.to_owned(),
            counters: account.counters,
            lost: account.losses.iter().map(|loss| loss.count).sum(),
            untold: account.untold,
        }
    }

    /// That a call took so long, and may take so long.
    pub fn called(what: &str, took: Duration, within: Duration) -> Self {
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self::Called { what: what.to_owned(), took_ms: ms(took), within_ms: ms(within) }
    }
}
