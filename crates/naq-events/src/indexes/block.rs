//! The index of a block, as it is kept: what was asked of it is looked up in its bytes.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;
use naq_core::events::{FieldLookup, FilterLookup};
use naq_core::{Error, ErrorKind, Result, Timestamp};
use roaring::RoaringBitmap;
use uuid::Uuid;

use super::draft::{FEW, FieldDraft};
use crate::digests::{BLOCK, Reader, block_end, block_start};

/// What the index of each block begins with.
pub(super) const MARK: &[u8; 4] = b"naqI";

/// The version of the format.
pub(crate) const VERSION: u8 = 1;

/// The bytes of a checksum.
const CHECKSUM: usize = 4;

const OPERATION: &str = "read_index";

/// Which events of a block have which values of an index's fields.
#[derive(Debug, Clone)]
pub(crate) struct IndexBlock {
    /// When the stream was made.
    pub(crate) created: Timestamp,
    /// Of which index it is.
    pub(crate) id: Uuid,
    /// Which block of the stream.
    pub(crate) block: u64,
    /// The last sequence that was looked at.
    pub(crate) through: u64,
    /// The places of what is no event.
    pub(super) malformed: RoaringBitmap,
    /// `None` for a field that had too many values.
    fields: Vec<Option<Field>>,
    bytes: Bytes,
}

#[derive(Debug, Clone)]
struct Field {
    unkept: RoaringBitmap,
    values: usize,
    /// Where its values are.
    entries: Range<usize>,
}

impl IndexBlock {
    /// Reads what a draft was sealed into.
    ///
    /// # Errors
    /// `Corrupt` for what is no index or was damaged; `Unsupported` for one of
    /// another version of the format.
    pub(crate) fn decode(bytes: Bytes) -> Result<Self> {
        let corrupt = |what: &'static str| Error::new(ErrorKind::Corrupt, OPERATION, what);
        let (content, checksum) = bytes
            .split_last_chunk::<CHECKSUM>()
            .ok_or_else(|| corrupt("too short for an index"))?;
        let version = content
            .strip_prefix(MARK)
            .and_then(<[u8]>::first)
            .ok_or_else(|| corrupt("these bytes are no index"))?;
        if crc32c::crc32c(content) != u32::from_le_bytes(*checksum) {
            return Err(corrupt("the checksum doesn't fit: the index was damaged"));
        }
        if *version != VERSION {
            return Err(Error::new(
                ErrorKind::Unsupported,
                OPERATION,
                "an index of another version",
            )
            .with("version", version.to_string())
            .with("supported", VERSION.to_string()));
        }
        let mut reader = Reader(content.get(MARK.len() + 1..).unwrap_or_default());
        let length = content.len();
        let mut block = parts(&mut reader, length)
            .filter(|_| reader.0.is_empty())
            .ok_or_else(|| corrupt("the parts of the index don't fit together"))?;
        block.bytes = bytes;
        Ok(block)
    }

    /// How many fields it has.
    pub(crate) fn fields(&self) -> usize {
        self.fields.len()
    }

    /// How many values of a field it tells apart; `None` where they were too many.
    pub(crate) fn values(&self, field: usize) -> Option<usize> {
        self.fields.get(field)?.as_ref().map(|field| field.values)
    }

    /// Its form as bytes.
    pub(crate) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// How many bytes it takes.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Whether all of its block was looked at.
    pub(crate) const fn is_whole(&self) -> bool {
        self.through >= block_end(self.block)
    }

    /// The sequences of the events that may pass, and of what is no event;
    /// `None` where it can't tell.
    pub(crate) fn candidates(&self, lookup: &FilterLookup) -> Option<Vec<u64>> {
        let places = self.meeting(lookup)? | &self.malformed;
        let start = block_start(self.block);
        Some(places.into_iter().map(|place| start + u64::from(place)).collect())
    }

    fn meeting(&self, lookup: &FilterLookup) -> Option<RoaringBitmap> {
        match lookup {
            FilterLookup::All(members) => members
                .iter()
                .filter_map(|member| self.meeting(member))
                .reduce(|all, places| all & places),
            FilterLookup::Any(members) => members
                .iter()
                .map(|member| self.meeting(member))
                .try_fold(RoaringBitmap::new(), |any, places| Some(any | places?)),
            FilterLookup::Field(field) => self.having(field),
        }
    }

    /// The places of a field's values of which a condition may hold.
    fn having(&self, lookup: &FieldLookup) -> Option<RoaringBitmap> {
        let field = self.fields.get(lookup.place())?.as_ref()?;
        let mut found = field.unkept.clone();
        let mut reader = Reader(self.bytes.get(field.entries.clone())?);
        for _ in 0..field.values {
            let key = slice(&mut reader)?;
            let places = slice(&mut reader)?;
            if lookup.may_hold(key) {
                found |= set(places)?;
            }
        }
        Some(found)
    }

    /// What a draft goes on from.
    pub(super) fn field_draft(&self, field: usize) -> Option<FieldDraft> {
        let Some(field) = self.fields.get(field)? else { return Some(FieldDraft::default()) };
        let mut reader = Reader(self.bytes.get(field.entries.clone())?);
        let mut values = HashMap::with_capacity(field.values);
        for _ in 0..field.values {
            let key = slice(&mut reader)?;
            values.insert(key.into(), set(slice(&mut reader)?)?);
        }
        Some(FieldDraft { values: Some(values), unkept: field.unkept.clone() })
    }
}

fn parts(reader: &mut Reader<'_>, length: usize) -> Option<IndexBlock> {
    let (id, rest) = reader.0.split_first_chunk::<16>()?;
    reader.0 = rest;
    let created = Timestamp::from_nanos(reader.i64()?);
    let block = reader.u64().filter(|block| *block < u64::MAX / BLOCK)?;
    let through = block_start(block) - 1 + reader.u64().filter(|looked_at| *looked_at <= BLOCK)?;
    let malformed = set(slice(reader)?)?;
    let fields = (0..reader.len()?)
        .map(|_| {
            if reader.byte()? == 0 {
                return Some(None);
            }
            let unkept = set(slice(reader)?)?;
            let values = reader.len()?;
            let size = slice(reader)?.len();
            let end = length - reader.0.len();
            Some(Some(Field { unkept, values, entries: end - size..end }))
        })
        .collect::<Option<Vec<_>>>()?;
    let id = Uuid::from_bytes(*id);
    Some(IndexBlock { created, id, block, through, malformed, fields, bytes: Bytes::new() })
}

/// As many bytes as the next number says.
fn slice<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let len = reader.len()?;
    let (bytes, rest) = reader.0.split_at_checked(len)?;
    reader.0 = rest;
    Some(bytes)
}

/// A set of places, all of them in the block.
fn set(bytes: &[u8]) -> Option<RoaringBitmap> {
    let mut reader = Reader(bytes);
    let count = reader.u64()?;
    let places = if count <= FEW {
        let mut place = 0_u32;
        let mut places = RoaringBitmap::new();
        for _ in 0..count {
            place = place.checked_add(u32::try_from(reader.u64()?).ok()?)?;
            places.insert(place);
        }
        places
    } else {
        RoaringBitmap::deserialize_from(reader.0).ok()?
    };
    let is_inside = places.max().is_none_or(|place| u64::from(place) < BLOCK);
    (places.len() == count && is_inside).then_some(places)
}
