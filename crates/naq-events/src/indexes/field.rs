//! One field in the index of a block, as it is kept: looked up in its bytes.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Range;

use naq_core::events::FieldLookup;
use roaring::RoaringBitmap;

use super::field_draft::{BY_HASH, BY_KEY, FieldDraft, LEFT_OUT, Values, hash};
use super::places;
use crate::digests::{BLOCK, Reader};

/// Where what is kept of a field is in the bytes of its block.
#[derive(Debug, Clone)]
pub(super) struct Field {
    /// The places of values without a key.
    unkept: RoaringBitmap,
    values: usize,
    kept: Kept,
}

#[derive(Debug, Clone)]
enum Kept {
    /// By key: where each value begins, and the values.
    ByKey { starts: Range<usize>, entries: Range<usize> },
    /// By hash: the hashes, which place is the first of each, and the places.
    ByHash { hashes: Range<usize>, firsts: Range<usize>, places: Range<usize> },
}

impl Field {
    /// Finds a field in the bytes of a block, of which this is the rest;
    /// `Some(None)` for one that was left out.
    pub(super) fn read(reader: &mut Reader<'_>, length: usize) -> Option<Option<Self>> {
        let kind = reader.byte()?;
        if kind == LEFT_OUT {
            return Some(None);
        }
        let unkept = places::read(reader)?;
        let values = reader.len()?;
        let size = reader.len()?;
        let mut part = |count: usize, each: usize| {
            let start = length - reader.0.len();
            let (_, rest) = reader.0.split_at_checked(count.checked_mul(each)?)?;
            reader.0 = rest;
            Some(start..length - rest.len())
        };
        let kept = match kind {
            BY_KEY => Kept::ByKey { starts: part(values, 4)?, entries: part(size, 1)? },
            BY_HASH if size as u64 <= BLOCK => {
                let (hashes, firsts) = (part(values, 4)?, part(values, 2)?);
                Kept::ByHash { hashes, firsts, places: part(size, 2)? }
            }
            _ => return None,
        };
        Some(Some(Self { unkept, values, kept }))
    }

    /// How many values it tells apart.
    pub(super) const fn values(&self) -> usize {
        self.values
    }

    /// Whether it finds only what is equal.
    pub(super) const fn is_by_hash(&self) -> bool {
        matches!(self.kept, Kept::ByHash { .. })
    }

    /// The places of the values of which a condition may hold, in the bytes of
    /// the block; `None` where it can't tell.
    pub(super) fn having(&self, block: &[u8], lookup: &FieldLookup) -> Option<RoaringBitmap> {
        let mut found = self.unkept.clone();
        match (&self.kept, lookup.exactly()) {
            (Kept::ByHash { .. }, None) => return None,
            (Kept::ByHash { .. }, Some(keys)) => {
                for key in keys {
                    let compare = |n| Some(self.hash(block, n)?.cmp(&hash(key)));
                    if let Some(number) = self.search(compare)? {
                        found.extend(self.places(block, number)?.map(u32::from));
                    }
                }
            }
            (Kept::ByKey { .. }, Some(keys)) => {
                for key in keys {
                    let compare = |n| Some(self.entry(block, n)?.0.cmp(key.as_slice()));
                    if let Some(number) = self.search(compare)? {
                        found |= places::read(&mut self.entry(block, number)?.1)?;
                    }
                }
            }
            (Kept::ByKey { .. }, None) => {
                for number in 0..self.values {
                    let (key, mut rest) = self.entry(block, number)?;
                    if lookup.may_hold(key) {
                        found |= places::read(&mut rest)?;
                    }
                }
            }
        }
        Some(found)
    }

    /// The number of a value, where it is there; `None` for bytes that aren't whole.
    fn search(&self, compare: impl Fn(usize) -> Option<Ordering>) -> Option<Option<usize>> {
        let (mut low, mut high) = (0, self.values);
        while low < high {
            let middle = low + (high - low) / 2;
            match compare(middle)? {
                Ordering::Equal => return Some(Some(middle)),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        Some(None)
    }

    /// The key of a value kept by key, and what follows it.
    fn entry<'a>(&self, block: &'a [u8], number: usize) -> Option<(&'a [u8], Reader<'a>)> {
        let Kept::ByKey { starts, entries } = &self.kept else { return None };
        let start = u32::from_le_bytes(at(block.get(starts.clone())?, number)?);
        let entries = block.get(entries.clone())?;
        let mut reader = Reader(entries.get(usize::try_from(start).ok()?..)?);
        let key = places::slice(&mut reader)?;
        Some((key, reader))
    }

    fn hash(&self, block: &[u8], number: usize) -> Option<u32> {
        let Kept::ByHash { hashes, .. } = &self.kept else { return None };
        Some(u32::from_le_bytes(at(block.get(hashes.clone())?, number)?))
    }

    /// The places of a value kept by hash.
    fn places<'a>(
        &self,
        block: &'a [u8],
        number: usize,
    ) -> Option<impl Iterator<Item = u16> + use<'a>> {
        let Kept::ByHash { firsts, places, .. } = &self.kept else { return None };
        let (firsts, places) = (block.get(firsts.clone())?, block.get(places.clone())?);
        let first = |number| Some(2 * usize::from(u16::from_le_bytes(at(firsts, number)?)));
        let from = first(number)?;
        let to = if number + 1 < self.values { first(number + 1)? } else { places.len() };
        let (places, _) = places.get(from..to)?.as_chunks::<2>();
        Some(places.iter().map(|place| u16::from_le_bytes(*place)))
    }

    /// What a draft goes on from; `None` for bytes that aren't whole.
    pub(super) fn draft(&self, block: &[u8]) -> Option<FieldDraft> {
        let values = match &self.kept {
            Kept::ByKey { .. } => {
                let mut values = HashMap::with_capacity(self.values);
                for number in 0..self.values {
                    let (key, mut rest) = self.entry(block, number)?;
                    values.insert(key.into(), places::read(&mut rest)?);
                }
                Values::ByKey(values)
            }
            Kept::ByHash { .. } => {
                let mut values = HashMap::with_capacity(self.values);
                for number in 0..self.values {
                    let places = self.places(block, number)?.collect();
                    values.insert(self.hash(block, number)?, places);
                }
                Values::ByHash(values)
            }
        };
        Some(FieldDraft { values, unkept: self.unkept.clone() })
    }
}

/// The nth number of so many bytes.
fn at<const N: usize>(bytes: &[u8], number: usize) -> Option<[u8; N]> {
    bytes.get(number.checked_mul(N)?..)?.first_chunk::<N>().copied()
}
