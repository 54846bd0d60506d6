//! What each file of the spool begins with.
//!
//! `"naqspool" 8 | version 2 | kind 2 | nonce 4 | base 8 | created 8 | crc32c 4`,
//! numbers little-endian.

use naq_core::{Error, ErrorKind, Result, Timestamp};

/// How long a header is.
pub(super) const HEADER_BYTES: usize = 36;

const MAGIC: &[u8; 8] = b"naqspool";
const VERSION: u16 = 1;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// Events, in the order in which they were accepted.
    Events = 1,
    /// What became of them.
    Marks = 2,
    /// Events, of which not all marks could be written.
    UnmarkedEvents = 3,
}

/// What tells a segment from every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    /// The position of its first event.
    pub(super) base: u64,
    /// When it was begun.
    pub(super) created: Timestamp,
    /// By chance: marks left behind by a segment of the same base are not taken for this one's.
    pub(super) nonce: u32,
}

impl Identity {
    /// The header of the segment's file of this kind.
    pub(super) fn header(&self, kind: FileKind) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(kind as u16).to_le_bytes());
        out.extend_from_slice(&self.nonce.to_le_bytes());
        out.extend_from_slice(&self.base.to_le_bytes());
        out.extend_from_slice(&self.created.as_nanos().to_le_bytes());
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads the header of a file of events, and whether it says that marks are missing.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(super) fn of_events(bytes: &[u8]) -> Result<Option<(Self, bool)>> {
        if let Some(identity) = Self::read(bytes, FileKind::Events)? {
            return Ok(Some((identity, false)));
        }
        let unmarked = Self::read(bytes, FileKind::UnmarkedEvents)?;
        Ok(unmarked.map(|identity| (identity, true)))
    }

    /// Reads a header; `None` for one that is cut off, changed, or of the other kind.
    ///
    /// # Errors
    /// `Unsupported` for a version that is not known here.
    pub(super) fn read(bytes: &[u8], kind: FileKind) -> Result<Option<Self>> {
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let (fields, crc) = header.split_at(HEADER_BYTES - 4);
        let Some(fields) = fields.strip_prefix(MAGIC) else { return Ok(None) };
        if crc != crc32c::crc32c(&header[..HEADER_BYTES - 4]).to_le_bytes() {
            return Ok(None);
        }
        let mut fields = Fields(fields);
        let (version, stored_kind) = (fields.u16(), fields.u16());
        let (nonce, base, created) = (fields.u32(), fields.u64(), fields.i64());
        match version {
            Some(VERSION) => {}
            Some(version) => return Err(unknown_version(version)),
            None => return Ok(None),
        }
        if stored_kind != Some(kind as u16) {
            return Ok(None);
        }
        let read = |base, created, nonce| {
            let created = Timestamp::from_nanos(created);
            Self { base, created, nonce }
        };
        Ok(base.zip(created).zip(nonce).map(|((base, created), nonce)| read(base, created, nonce)))
    }
}

fn unknown_version(version: u16) -> Error {
    Error::new(ErrorKind::Unsupported, "spool_open", "the spool was written by another version")
        .with("version", version.to_string())
        .with_hint("let the version of naq that wrote it send its events, or use another folder")
}

/// Reads numbers and texts from the front of a slice.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

macro_rules! number {
    ($($ty:ident),*) => {$(
        pub(super) fn $ty(&mut self) -> Option<$ty> {
            let (bytes, rest) = self.0.split_first_chunk()?;
            self.0 = rest;
            Some($ty::from_le_bytes(*bytes))
        }
    )*};
}

impl<'a> Fields<'a> {
    number!(u8, u16, u32, u64, i64);

    /// So many bytes.
    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    /// A text with its length, in two bytes, before it.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        let count = self.u16()?;
        std::str::from_utf8(self.bytes(usize::from(count))?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity { base: 42, created: Timestamp::from_nanos(-7), nonce: 9 }
    }

    #[test]
    fn a_header_is_read_back_as_its_own_kind_alone() {
        let header = identity().header(FileKind::Events);
        assert_eq!(header.len(), HEADER_BYTES);
        assert_eq!(Identity::read(&header, FileKind::Events).unwrap(), Some(identity()));
        assert_eq!(Identity::read(&header, FileKind::Marks).unwrap(), None);
    }

    #[test]
    fn a_changed_or_cut_header_is_none() {
        let header = identity().header(FileKind::Events);
        for at in 0..HEADER_BYTES {
            let mut changed = header.clone();
            changed[at] ^= 1;
            assert_eq!(Identity::read(&changed, FileKind::Events).unwrap(), None);
            assert_eq!(Identity::read(&header[..at], FileKind::Events).unwrap(), None);
        }
    }

    #[test]
    fn a_version_of_the_future_is_refused_and_not_taken_for_damage() {
        let mut header = identity().header(FileKind::Events);
        header[8] = 2;
        let crc = crc32c::crc32c(&header[..HEADER_BYTES - 4]);
        header[HEADER_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        let error = Identity::read(&header, FileKind::Events).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.hint().is_some());
    }
}
