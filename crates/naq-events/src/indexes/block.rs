//! The index of a block, as it is kept: what was asked of it is looked up in its bytes.

use bytes::Bytes;
use naq_core::events::FilterLookup;
use naq_core::{Error, ErrorKind, Result, Timestamp};
use roaring::RoaringBitmap;
use uuid::Uuid;

use super::field::Field;
use super::field_draft::FieldDraft;
use super::places;
use crate::digests::{BLOCK, Lies, MinuteRange, Reader, block_end, block_start};
use crate::fence::Mark;

/// What the index of each block begins with.
pub(super) const MARK: &[u8; 4] = b"naqI";

/// The version of the format.
pub(crate) const VERSION: u8 = 5;

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
    /// When the first and the last of its events happened, or were stored where
    /// they don't say; `None` where there is none.
    pub(super) times: Option<(Timestamp, Timestamp)>,
    /// The last message that it was made of.
    pub(crate) mark: Mark,
    /// The places of what is no event.
    pub(super) malformed: RoaringBitmap,
    /// The places of what it was made of, without what is known to have left
    /// the log since: it names nothing else.
    pub(super) there: RoaringBitmap,
    /// `None` for a field that there was no room for.
    fields: Vec<Option<Field>>,
    bytes: Bytes,
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

    /// How many values of a field it tells apart; `None` where there was no room for them.
    pub(crate) fn values(&self, field: usize) -> Option<usize> {
        self.fields.get(field)?.as_ref().map(Field::values)
    }

    /// Whether it has so many values of a field that it finds only what is equal.
    pub(crate) fn is_by_hash(&self, field: usize) -> bool {
        self.fields.get(field).and_then(Option::as_ref).is_some_and(Field::is_by_hash)
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
    /// `None` where it can't tell. Those that pass happened in this range.
    pub(crate) fn candidates(
        &self,
        lookup: &FilterLookup,
        happened: &MinuteRange,
    ) -> Option<Vec<u64>> {
        let places = if self.has_any_of(happened) {
            self.meeting(lookup)? | &self.malformed
        } else {
            self.malformed.clone()
        };
        let places = places & &self.there;
        let start = block_start(self.block);
        Some(places.into_iter().map(|place| start + u64::from(place)).collect())
    }

    /// These sequences of it have left the log: it names them no more.
    pub(super) fn forget(&mut self, gone: &[u64]) {
        let start = block_start(self.block);
        for place in gone.iter().filter_map(|sequence| sequence.checked_sub(start)) {
            // What is no place of a block is in none.
            self.there.remove(u32::try_from(place).unwrap_or(u32::MAX));
        }
    }

    /// Forgets what another one of the same block knows to have left the log.
    pub(super) fn forget_with(&mut self, other: &Self) {
        let mut known = RoaringBitmap::new();
        known.insert_range(..other.end());
        self.there -= known - &other.there;
    }

    /// The first place that it doesn't cover.
    fn end(&self) -> u32 {
        let covered = (self.through + 1).saturating_sub(block_start(self.block));
        // A block has no more.
        u32::try_from(covered).unwrap_or(u32::MAX)
    }

    /// Whether an event of it may have happened in a range.
    fn has_any_of(&self, range: &MinuteRange) -> bool {
        !range.is_bounded()
            || self.times.is_some_and(|(first, last)| range.span(first, last) != Lies::Outside)
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
            FilterLookup::Field(lookup) => {
                self.fields.get(lookup.place())?.as_ref()?.having(&self.bytes, lookup)
            }
        }
    }

    /// What a draft goes on from.
    pub(super) fn field_draft(&self, field: usize) -> Option<FieldDraft> {
        match self.fields.get(field)? {
            Some(field) => field.draft(&self.bytes),
            None => Some(FieldDraft::left_out()),
        }
    }
}

fn parts(reader: &mut Reader<'_>, length: usize) -> Option<IndexBlock> {
    let (id, rest) = reader.0.split_first_chunk::<16>()?;
    reader.0 = rest;
    let created = Timestamp::from_nanos(reader.i64()?);
    let block = reader.u64().filter(|block| *block < u64::MAX / BLOCK)?;
    let through = block_start(block) - 1 + reader.u64().filter(|looked_at| *looked_at <= BLOCK)?;
    let mut time = || Some(Timestamp::from_nanos(created.as_nanos().wrapping_add(reader.i64()?)));
    let (first, last) = (time()?, time()?);
    // The wrong way round where there is none.
    let times = (first <= last).then_some((first, last));
    let marked = reader.u64().filter(|marked| *marked <= BLOCK)?;
    let stored_at = Timestamp::from_nanos(created.as_nanos().wrapping_add(reader.i64()?));
    let mark = match marked {
        0 => Mark::default(),
        marked => Mark { sequence: block_start(block) - 1 + marked, stored_at },
    };
    let malformed = places::read(reader)?;
    let there = places::read(reader)?;
    let fields =
        (0..reader.len()?).map(|_| Field::read(reader, length)).collect::<Option<Vec<_>>>()?;
    let id = Uuid::from_bytes(*id);
    let bytes = Bytes::new();
    Some(IndexBlock { created, id, block, through, times, mark, malformed, there, fields, bytes })
}
