//! The ledger: what a program offered to naq and was told, beside what the stream holds.
//!
//! A test writes down each event before naq gets it and each answer as it
//! comes, into a file that naq knows nothing of and that outlives the program.
//! After the fault is healed the whole stream is read in two ways, and the
//! rules compare. Counts alone prove nothing: a duplicate hides a loss.
//!
//! | file | concept |
//! |---|---|
//! | `stamp.rs` | an event that can be told among all, whole or damaged |
//! | `notice.rs` | naq's own events in the stream: those that tell of holes |
//! | `line.rs` | one line of the file |
//! | `book.rs` | writing the file |
//! | `history.rs` | the file as read afterwards: what became of each event |
//! | `stored.rs` | what the stream holds, read by a consumer and by direct get |
//! | `evidence.rs` | what there is to judge, with each stored message read once |
//! | `rules.rs` | the rules, each a function with a name |

mod book;
mod evidence;
mod history;
mod line;
mod notice;
mod rules;
mod stamp;
mod stored;

pub use book::Book;
pub use evidence::Evidence;
pub use history::{Fate, History, Outcome};
pub use line::Line;
pub use notice::Notice;
pub use rules::{Case, RULES, Repeats, Rule, Violation};
pub use stamp::Stamp;
pub use stored::{Found, Readings};
