//! The index of a block in the making, and its bounds.

use std::borrow::Cow;

use bytes::Bytes;
use naq_core::Timestamp;
use naq_core::events::{Event, IndexField, IndexKey};
use roaring::RoaringBitmap;
use uuid::Uuid;

use super::block::{IndexBlock, MARK, VERSION};
use super::field_draft::FieldDraft;
use super::places;
use crate::digests::{Writer, block_start};
use crate::fence::Mark;

/// How long the index of a block may be, in bytes: it has to fit in a message.
pub(super) const MOST_BYTES: usize = 900 * 1024;

/// Which of a block's events have which values.
///
/// A place is a sequence counted from the block's first.
#[derive(Debug)]
pub(super) struct Draft {
    created: Timestamp,
    id: Uuid,
    block: u64,
    through: u64,
    times: Option<(Timestamp, Timestamp)>,
    mark: Mark,
    malformed: RoaringBitmap,
    there: RoaringBitmap,
    fields: Vec<FieldDraft>,
    key: Vec<u8>,
}

impl Draft {
    /// Nothing is in it yet.
    pub(super) fn new(created: Timestamp, id: Uuid, block: u64, fields: usize) -> Self {
        Self {
            created,
            id,
            block,
            through: block_start(block) - 1,
            times: None,
            mark: Mark::default(),
            malformed: RoaringBitmap::new(),
            there: RoaringBitmap::new(),
            fields: (0..fields).map(|_| FieldDraft::new()).collect(),
            key: Vec::new(),
        }
    }

    /// What goes on from there, without what is known to have left the log;
    /// `None` where it isn't whole in its parts.
    pub(super) fn of(block: &IndexBlock) -> Option<Self> {
        let fields: Option<Vec<_>> =
            (0..block.fields()).map(|field| block.field_draft(field)).collect();
        let mut draft = Self::new(block.created, block.id, block.block, 0);
        draft.times = block.times;
        (draft.through, draft.mark) = (block.through, block.mark);
        draft.malformed = block.malformed.clone();
        draft.fields = fields?;
        draft.retain(&block.there);
        Some(draft)
    }

    /// Leaves out all places but these.
    fn retain(&mut self, there: &RoaringBitmap) {
        self.malformed &= there;
        self.fields.iter_mut().for_each(|field| field.retain(there));
        self.there = there.clone();
    }

    /// The last sequence that was looked at.
    pub(super) const fn through(&self) -> u64 {
        self.through
    }

    /// The last message that it was made of.
    pub(super) const fn mark(&self) -> Mark {
        self.mark
    }

    /// Remembers the last message that it was made of.
    pub(super) fn marks(&mut self, message: Mark) {
        self.mark = self.mark.max(message);
    }

    /// Looks at an event, which happened at a time: the one that it says, or
    /// that of its storing.
    pub(super) fn observe(
        &mut self,
        (sequence, at): (u64, Timestamp),
        event: &Event,
        fields: &[IndexField],
    ) {
        let place = self.place(sequence);
        let (first, last) = self.times.unwrap_or((at, at));
        self.times = Some((first.min(at), last.max(at)));
        for (field, draft) in fields.iter().zip(&mut self.fields) {
            if !draft.is_kept() {
                continue;
            }
            match field.key(event, &mut self.key) {
                IndexKey::Absent => {}
                IndexKey::Unkept => {
                    draft.unkept.insert(place.into());
                }
                IndexKey::Kept => draft.insert(&self.key, place),
            }
        }
    }

    /// Looks at what is no event.
    pub(super) fn malformed(&mut self, sequence: u64) {
        let place = self.place(sequence);
        self.malformed.insert(place.into());
    }

    /// Everything through this sequence was looked at.
    pub(super) fn reach(&mut self, sequence: u64) {
        self.through = self.through.max(sequence);
    }

    fn place(&mut self, sequence: u64) -> u16 {
        self.reach(sequence);
        // A block has no more sequences.
        let place = u16::try_from(sequence - block_start(self.block)).unwrap_or(u16::MAX);
        self.there.insert(place.into());
        place
    }

    /// The block's index as bytes, so many of its fields' at most: what takes
    /// the most is kept by hash, or left out, until they fit.
    pub(super) fn seal(&self, most_bytes: usize) -> Bytes {
        let mut fields: Vec<(Vec<u8>, Cow<'_, FieldDraft>)> =
            self.fields.iter().map(|field| (field.bytes(), Cow::Borrowed(field))).collect();
        while fields.iter().map(|(bytes, _)| bytes.len()).sum::<usize>() > most_bytes
            && let Some((bytes, field)) = fields.iter_mut().max_by_key(|(bytes, _)| bytes.len())
        {
            field.to_mut().shrink();
            *bytes = field.bytes();
        }
        let mut out = Writer::default();
        out.0.extend_from_slice(MARK);
        out.0.push(VERSION);
        out.0.extend_from_slice(self.id.as_bytes());
        out.i64(self.created.as_nanos());
        out.u64(self.block);
        out.u64((self.through + 1).saturating_sub(block_start(self.block)));
        // The wrong way round where there is no event.
        let (first, last) = self.times.unwrap_or((Timestamp::MAX, Timestamp::MIN));
        for time in [first, last] {
            out.i64(time.as_nanos().wrapping_sub(self.created.as_nanos()));
        }
        // 0 where there was no message.
        out.u64((self.mark.sequence + 1).saturating_sub(block_start(self.block)));
        out.i64(self.mark.stored_at.as_nanos().wrapping_sub(self.created.as_nanos()));
        places::write(&mut out, &self.malformed);
        places::write(&mut out, &self.there);
        out.len(fields.len());
        fields.iter().for_each(|(bytes, _)| out.0.extend_from_slice(bytes));
        let checksum = crc32c::crc32c(&out.0);
        out.0.extend_from_slice(&checksum.to_le_bytes());
        out.0.into()
    }
}
