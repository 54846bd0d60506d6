//! How an index stands: how far it reaches, and what it takes.

use naq_core::Result;
use serde::Serialize;

use super::definition::{Definition, EventIndex};
use super::kept::Indexes;
use crate::digests::{block_end, block_of, block_start};
use crate::read::OpenLog;

/// How many blocks are looked at together.
const CHUNK: usize = 16;

/// How an index stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EventIndexStatus {
    /// The index.
    #[serde(flatten)]
    pub index: EventIndex,
    /// Everything that the log holds up to this sequence is covered; 0 where nothing is.
    pub through: u64,
    /// The log's last sequence.
    pub last_sequence: u64,
    /// How many sequences of the log aren't covered: these are read at each question.
    pub uncovered: u64,
    /// How many blocks of 65,536 sequences have something covered.
    pub blocks: u64,
    /// How many bytes what is kept takes.
    pub bytes: u64,
    /// Each field, in the index's order.
    pub by_field: Vec<IndexFieldStatus>,
}

/// How one field of an index stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IndexFieldStatus {
    /// The field.
    pub field: String,
    /// How many values it has in one block at most.
    pub most_values: u64,
    /// In how many blocks it has so many values that only what is equal is
    /// found by it: for a range or a pattern these blocks are read.
    pub blocks_by_hash: u64,
    /// In how many blocks there was no room for its values: these blocks are read.
    pub blocks_fallen_back: u64,
}

/// Looks at all that is kept of an index.
pub(super) async fn status(
    indexes: &Indexes,
    definition: &Definition,
    open: &OpenLog,
) -> Result<EventIndexStatus> {
    let state = &open.info.state;
    let field = |field: &String| IndexFieldStatus {
        field: field.clone(),
        most_values: 0,
        blocks_by_hash: 0,
        blocks_fallen_back: 0,
    };
    let mut status = EventIndexStatus {
        index: definition.index.clone(),
        through: 0,
        last_sequence: state.last_sequence,
        uncovered: 0,
        blocks: 0,
        bytes: 0,
        by_field: definition.index.fields.iter().map(field).collect(),
    };
    if state.last_sequence == 0 {
        return Ok(status);
    }
    let mut is_covered = true;
    let blocks: Vec<u64> =
        (block_of(state.first_sequence)..=block_of(state.last_sequence)).collect();
    for chunk in blocks.chunks(CHUNK) {
        let loaded = indexes.stored(definition, open, chunk).await?;
        for (block, loaded) in chunk.iter().zip(loaded) {
            let to = block_end(*block).min(state.last_sequence);
            let from = block_start(*block).max(state.first_sequence);
            let Some(loaded) = loaded.filter(|it| it.through <= state.last_sequence) else {
                status.uncovered += (to + 1).saturating_sub(from);
                is_covered = false;
                continue;
            };
            status.uncovered += to.saturating_sub(loaded.through.max(from - 1));
            status.blocks += 1;
            status.bytes += loaded.size() as u64;
            for (place, field) in status.by_field.iter_mut().enumerate() {
                field.blocks_by_hash += u64::from(loaded.is_by_hash(place));
                match loaded.values(place) {
                    Some(values) => field.most_values = field.most_values.max(values as u64),
                    None => field.blocks_fallen_back += 1,
                }
            }
            if is_covered {
                status.through = loaded.through;
            }
            is_covered &= loaded.through >= to;
        }
    }
    Ok(status)
}
