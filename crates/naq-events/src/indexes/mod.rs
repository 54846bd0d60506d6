//! Indexes: which events have which values of some fields, so that a question
//! for a few of many events reads those few.
//!
//! An index is a name and up to eight fields. Per block of 65,536 sequences it
//! keeps, for each value of each field, the set of events that have it, in a
//! key-value bucket beside the log. A reading of what is there whose filter
//! asks for values of indexed fields intersects these sets, and gets the
//! events that are left, one by one; what no index covers is read as ever.
//!
//! ```
//! use futures::TryStreamExt;
//! use naq_events::prelude::*;
//! use naq_services::ServiceManager;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! # let config = naq_core::config::NaqConfig::from_vars([("NAQ_NATS_URL", "memory://indexes")])?;
//! let services =
//!     ServiceManager::builder().config(config).register::<EventService>().start().await?;
//! let events = services.get::<EventService>()?;
//! events.log_job_started("job-1", "worker-1", "emails").await?;
//!
//! events.create_event_index("workers", &["worker_id", "queue"]).await?;
//! let progress: Vec<_> = events.build_event_index("workers").try_collect().await?;
//! assert_eq!(progress.last().map(|it| it.through), Some(1));
//!
//! let of_worker = ReadEvents::default().with_filter(Filter::parse("worker_id = worker-1")?);
//! let explained = events.explain(of_worker).await?;
//! assert_eq!(explained.index.map(|index| index.name), Some("workers".to_owned()));
//! events.drop_event_index("workers").await?;
//! services.stop().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//! - An answer by an index is the answer by reading: what it yields is got
//!   from the log and checked against the whole filter. Events that left the
//!   log never appear.
//! - An index that is behind, damaged, or gone makes answers slower, never wrong.
//! - Building goes on where it was ended, and may be done by many at once.
//!
//! | file | concept |
//! |---|---|
//! | `definition.rs` | an index's name and fields, and the list of a log's indexes |
//! | `draft.rs` | the index of a block in the making, its bounds, its form as bytes |
//! | `field_draft.rs` | the same of one field: its values, or their hashes |
//! | `block.rs` | the index of a block, and what can be asked of it |
//! | `field.rs` | the same of one field |
//! | `places.rs` | sets of places in a block, as bytes |
//! | `store.rs` | the bucket that keeps indexes |
//! | `kept.rs` | indexes in memory |
//! | `catch_up.rs` | indexing what isn't |
//! | `pruning.rs` | leaving out what has left the log |
//! | `status.rs` | how an index stands |
//! | `service.rs` | create, build, list, show, rebuild, drop |

mod block;
mod catch_up;
mod definition;
mod draft;
mod field;
mod field_draft;
mod kept;
mod places;
mod pruning;
mod service;
mod status;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use block::IndexBlock;
pub(crate) use catch_up::Following;
pub(crate) use definition::Definition;
pub use definition::EventIndex;
pub(crate) use definition::MAX_FIELDS;
pub(crate) use kept::Indexes;
pub use service::IndexProgress;
pub use status::{EventIndexStatus, IndexFieldStatus};
