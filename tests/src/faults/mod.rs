//! Faults under a ledger: programs that log while something breaks, and what is
//! held against them afterwards.
//!
//! | file | concept |
//! |---|---|
//! | `rounds.rs` | how often a scenario is played, and from which seed |
//! | `scene.rs` | a server, a ledger, and the judgement at the end |
//! | `program.rs` | a program with naq in this process |
//! | `memory.rs` | how much memory this process takes meanwhile |
//! | `logging.rs` | its events: offered, answered, written down |
//! | `deadlines.rs` | how long its calls may take |
//! | `child.rs` | a program with naq in a process of its own, to be killed |
//! | `keepers.rs` | such programs that keep a log, one after the other |

mod child;
mod deadlines;
mod keepers;
mod logging;
mod memory;
mod program;
mod rounds;
mod scene;

pub use child::{Child, Order, Stopped};
pub use keepers::Keepers;
pub use logging::{Load, Logging, Producer, Told};
pub use program::{Program, quick};
pub use rounds::{Round, rounds};
pub use scene::Scene;

use std::time::Duration;

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(60);
