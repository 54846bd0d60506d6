//! Sets of places in a block, as bytes. A place is a sequence counted from the block's first.

use roaring::RoaringBitmap;

use crate::digests::{BLOCK, Reader, Writer};

/// Sets of up to so many are written as numbers.
const FEW: u64 = 8;

/// Writes a set: how many bytes it takes, how many places there are, and a few
/// as their distances, or many as the library writes them.
pub(super) fn write(out: &mut Writer, places: &RoaringBitmap) {
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

/// Reads a set, all of whose places are in a block.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<RoaringBitmap> {
    let mut inner = Reader(slice(reader)?);
    let count = inner.u64()?;
    let places = if count <= FEW {
        let mut place = 0_u32;
        let mut places = RoaringBitmap::new();
        for _ in 0..count {
            place = place.checked_add(u32::try_from(inner.u64()?).ok()?)?;
            places.insert(place);
        }
        places
    } else {
        RoaringBitmap::deserialize_from(inner.0).ok()?
    };
    let is_inside = places.max().is_none_or(|place| u64::from(place) < BLOCK);
    (places.len() == count && is_inside).then_some(places)
}

/// As many bytes as the next number says.
pub(super) fn slice<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let len = reader.len()?;
    let (bytes, rest) = reader.0.split_at_checked(len)?;
    reader.0 = rest;
    Some(bytes)
}
