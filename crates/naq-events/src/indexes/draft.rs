//! The index of a block in the making, and its bounds.

use std::collections::HashMap;

use bytes::Bytes;
use naq_core::Timestamp;
use naq_core::events::{Event, IndexField, IndexKey};
use roaring::RoaringBitmap;
use uuid::Uuid;

use super::block::{IndexBlock, MARK, VERSION};
use crate::digests::{Writer, block_start};

/// How many values of a field are told apart in a block.
const MOST_VALUES: usize = 16_384;

/// How long the index of a block may be, in bytes: it has to fit in a message.
const MOST_BYTES: usize = 900 * 1024;

/// Sets of up to so many are written as numbers.
pub(super) const FEW: u64 = 8;

/// Which of a block's events have which values.
///
/// A place is a sequence counted from the block's first.
#[derive(Debug)]
pub(super) struct Draft {
    created: Timestamp,
    id: Uuid,
    block: u64,
    through: u64,
    malformed: RoaringBitmap,
    fields: Vec<FieldDraft>,
    key: Vec<u8>,
}

/// What is kept of a field.
#[derive(Debug, Default)]
pub(super) struct FieldDraft {
    /// The places of each value; `None` where there were too many.
    pub(super) values: Option<HashMap<Box<[u8]>, RoaringBitmap>>,
    /// The places of values without a key.
    pub(super) unkept: RoaringBitmap,
}

impl Draft {
    /// Nothing is in it yet.
    pub(super) fn new(created: Timestamp, id: Uuid, block: u64, fields: usize) -> Self {
        let field = || FieldDraft { values: Some(HashMap::new()), ..FieldDraft::default() };
        Self {
            created,
            id,
            block,
            through: block_start(block) - 1,
            malformed: RoaringBitmap::new(),
            fields: (0..fields).map(|_| field()).collect(),
            key: Vec::new(),
        }
    }

    /// What goes on from there; `None` where it isn't whole in its parts.
    pub(super) fn of(block: &IndexBlock) -> Option<Self> {
        let fields: Option<Vec<_>> =
            (0..block.fields()).map(|field| block.field_draft(field)).collect();
        let mut draft = Self::new(block.created, block.id, block.block, 0);
        draft.through = block.through;
        draft.malformed = block.malformed.clone();
        draft.fields = fields?;
        Some(draft)
    }

    /// The last sequence that was looked at.
    pub(super) const fn through(&self) -> u64 {
        self.through
    }

    /// Looks at an event.
    pub(super) fn observe(&mut self, sequence: u64, event: &Event, fields: &[IndexField]) {
        let place = self.place(sequence);
        for (field, draft) in fields.iter().zip(&mut self.fields) {
            let Some(values) = &mut draft.values else { continue };
            match field.key(event, &mut self.key) {
                IndexKey::Absent => {}
                IndexKey::Unkept => {
                    draft.unkept.insert(place);
                }
                IndexKey::Kept => {
                    // Looked up twice, because an entry would need an owned key for each event.
                    if let Some(places) = values.get_mut(self.key.as_slice()) {
                        places.insert(place);
                    } else if values.len() < MOST_VALUES {
                        let places = RoaringBitmap::from_iter([place]);
                        values.insert(self.key.as_slice().into(), places);
                    } else {
                        *draft = FieldDraft::default();
                    }
                }
            }
        }
    }

    /// Looks at what is no event.
    pub(super) fn malformed(&mut self, sequence: u64) {
        let place = self.place(sequence);
        self.malformed.insert(place);
    }

    /// Everything through this sequence was looked at.
    pub(super) fn reach(&mut self, sequence: u64) {
        self.through = self.through.max(sequence);
    }

    fn place(&mut self, sequence: u64) -> u32 {
        self.reach(sequence);
        // A block has fewer sequences than a u32.
        u32::try_from(sequence - block_start(self.block)).unwrap_or(u32::MAX)
    }

    /// The block's index as bytes, which fit in one message: the fields that
    /// take the most are left out where they don't.
    pub(super) fn seal(&self) -> Bytes {
        let mut fields: Vec<Vec<u8>> = self.fields.iter().map(field).collect();
        let size = |fields: &[Vec<u8>]| fields.iter().map(Vec::len).sum::<usize>();
        while size(&fields) > MOST_BYTES
            && let Some(largest) = fields.iter_mut().max_by_key(|field| field.len())
        {
            *largest = field(&FieldDraft::default());
        }
        let mut out = Writer::default();
        out.0.extend_from_slice(MARK);
        out.0.push(VERSION);
        out.0.extend_from_slice(self.id.as_bytes());
        out.i64(self.created.as_nanos());
        out.u64(self.block);
        out.u64((self.through + 1).saturating_sub(block_start(self.block)));
        set(&mut out, &self.malformed);
        out.len(fields.len());
        fields.iter().for_each(|field| out.0.extend_from_slice(field));
        let checksum = crc32c::crc32c(&out.0);
        out.0.extend_from_slice(&checksum.to_le_bytes());
        out.0.into()
    }
}

/// A field: its values sorted, each with its places.
fn field(draft: &FieldDraft) -> Vec<u8> {
    let mut out = Writer::default();
    out.0.push(u8::from(draft.values.is_some()));
    let Some(values) = &draft.values else { return out.0 };
    set(&mut out, &draft.unkept);
    out.len(values.len());
    let mut sorted: Vec<_> = values.iter().collect();
    sorted.sort_by_key(|(key, _)| *key);
    let mut entries = Writer::default();
    for (key, places) in sorted {
        entries.len(key.len());
        entries.0.extend_from_slice(key);
        set(&mut entries, places);
    }
    out.len(entries.0.len());
    out.0.extend_from_slice(&entries.0);
    out.0
}

/// A set of places: how many bytes it takes, how many there are, and a few as
/// their distances, or many as the library writes them.
fn set(out: &mut Writer, places: &RoaringBitmap) {
    let mut inner = Writer::default();
    inner.u64(places.len());
    if places.len() <= FEW {
        let mut before = 0;
        for place in places {
            inner.u64(u64::from(place - before));
            before = place;
        }
    } else {
        let mut places = places.clone();
        // What was read back may have runs already: the same set is the same bytes.
        places.remove_run_compression();
        places.optimize();
        // Writing to memory doesn't fail; a set that is cut short is told by its reader.
        let _ = places.serialize_into(&mut inner.0);
    }
    out.len(inner.0.len());
    out.0.extend_from_slice(&inner.0);
}
