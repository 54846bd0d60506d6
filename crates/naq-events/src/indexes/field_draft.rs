//! What is kept of one field in the index of a block that is being made.
//!
//! Few values are kept as they are, each with its places. Of many, the hashes
//! are kept: what is equal is found by them, if not what is alike.

use std::collections::HashMap;

use roaring::RoaringBitmap;

use super::places;
use crate::digests::Writer;

/// How many values of a field are kept as they are in a block.
pub(super) const MOST_VALUES: usize = 4_096;

/// What a field begins with: how its values are kept.
pub(super) const LEFT_OUT: u8 = 0;
pub(super) const BY_KEY: u8 = 1;
pub(super) const BY_HASH: u8 = 2;

/// What is kept of a field.
#[derive(Debug, Clone)]
pub(super) struct FieldDraft {
    pub(super) values: Values,
    /// The places of values without a key.
    pub(super) unkept: RoaringBitmap,
}

/// The places of each value.
#[derive(Debug, Clone)]
pub(super) enum Values {
    /// There was no room for them.
    LeftOut,
    /// By their keys.
    ByKey(HashMap<Box<[u8]>, RoaringBitmap>),
    /// By the hashes of their keys.
    ByHash(HashMap<u32, Vec<u16>>),
}

/// The same on every machine and in every version of the format.
pub(super) fn hash(key: &[u8]) -> u32 {
    crc32c::crc32c(key)
}

impl FieldDraft {
    /// Nothing is in it yet.
    pub(super) fn new() -> Self {
        Self::of(Values::ByKey(HashMap::new()))
    }

    /// Nothing ever will be.
    pub(super) fn left_out() -> Self {
        Self::of(Values::LeftOut)
    }

    fn of(values: Values) -> Self {
        Self { values, unkept: RoaringBitmap::new() }
    }

    /// Whether values are still of use.
    pub(super) const fn is_kept(&self) -> bool {
        !matches!(self.values, Values::LeftOut)
    }

    /// An event at this place has a value with this key.
    pub(super) fn insert(&mut self, key: &[u8], place: u16) {
        match &mut self.values {
            Values::LeftOut => {}
            Values::ByKey(values) => {
                // Looked up twice, because an entry would need an owned key for each event.
                if let Some(places) = values.get_mut(key) {
                    places.insert(place.into());
                } else if values.len() < MOST_VALUES {
                    values.insert(key.into(), RoaringBitmap::from_iter([u32::from(place)]));
                } else {
                    self.hash();
                    self.insert(key, place);
                }
            }
            Values::ByHash(values) => values.entry(hash(key)).or_default().push(place),
        }
    }

    /// Leaves out all places but these.
    pub(super) fn retain(&mut self, there: &RoaringBitmap) {
        self.unkept &= there;
        match &mut self.values {
            Values::LeftOut => {}
            Values::ByKey(values) => values.retain(|_, places| {
                *places &= there;
                !places.is_empty()
            }),
            Values::ByHash(values) => values.retain(|_, places| {
                places.retain(|place| there.contains(u32::from(*place)));
                !places.is_empty()
            }),
        }
    }

    /// Keeps the hashes of its values alone.
    fn hash(&mut self) {
        let Values::ByKey(values) = &self.values else { return };
        let mut hashes = HashMap::<u32, Vec<u16>>::with_capacity(values.len());
        for (key, places) in values {
            // All of them are in the block.
            let places = places.iter().filter_map(|place| u16::try_from(place).ok());
            hashes.entry(hash(key)).or_default().extend(places);
        }
        self.values = Values::ByHash(hashes);
    }

    /// Takes less room, and can tell less.
    pub(super) fn shrink(&mut self) {
        match self.values {
            Values::ByKey(_) => self.hash(),
            _ => *self = Self::left_out(),
        }
    }

    /// Its form as bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        match &self.values {
            Values::LeftOut => out.0.push(LEFT_OUT),
            Values::ByKey(values) => {
                out.0.push(BY_KEY);
                places::write(&mut out, &self.unkept);
                by_key(&mut out, values);
            }
            Values::ByHash(values) => {
                out.0.push(BY_HASH);
                places::write(&mut out, &self.unkept);
                by_hash(&mut out, values);
            }
        }
        out.0
    }
}

/// How many values there are; where each of them begins, in 4 bytes; and in
/// the order of their keys how long each key is, the key, and its places.
fn by_key(out: &mut Writer, values: &HashMap<Box<[u8]>, RoaringBitmap>) {
    let mut sorted: Vec<_> = values.iter().collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    let (mut starts, mut entries) = (Vec::with_capacity(4 * sorted.len()), Writer::default());
    for (key, places) in sorted {
        // So many values with keys of bounded length don't take more.
        let start = u32::try_from(entries.0.len()).unwrap_or(u32::MAX);
        starts.extend_from_slice(&start.to_le_bytes());
        entries.len(key.len());
        entries.0.extend_from_slice(key);
        places::write(&mut entries, places);
    }
    out.len(values.len());
    out.len(entries.0.len());
    out.0.extend_from_slice(&starts);
    out.0.extend_from_slice(&entries.0);
}

/// How many hashes there are, and how many places; the hashes in their order,
/// in 4 bytes each; for each of them which of the places is its first, and the
/// places, in 2 bytes each.
fn by_hash(out: &mut Writer, values: &HashMap<u32, Vec<u16>>) {
    let mut sorted: Vec<_> = values.iter().collect();
    sorted.sort_unstable_by_key(|(hash, _)| **hash);
    let (mut firsts, mut all) = (Vec::with_capacity(2 * sorted.len()), Vec::new());
    for (_, places) in &sorted {
        // An event has one value: there are no more places than a block has.
        let first = u16::try_from(all.len() / 2).unwrap_or(u16::MAX);
        firsts.extend_from_slice(&first.to_le_bytes());
        // Different keys may have one hash.
        let mut places = places.to_vec();
        places.sort_unstable();
        all.extend(places.into_iter().flat_map(u16::to_le_bytes));
    }
    out.len(sorted.len());
    out.len(all.len() / 2);
    sorted.iter().for_each(|(hash, _)| out.0.extend_from_slice(&hash.to_le_bytes()));
    out.0.extend_from_slice(&firsts);
    out.0.extend_from_slice(&all);
}
