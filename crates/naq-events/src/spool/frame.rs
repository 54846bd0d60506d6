//! A frame: how each record and each mark lies in its file.
//!
//! `magic 4 | length 4 | number 8 | crc32c 4 | body`, numbers little-endian.
//! The checksum covers length, number and body. The magic is no UTF-8, so that
//! it can't stand in the text of an event: after damage the next frame is found
//! by it.

use naq_core::{Error, ErrorKind, Result};

/// What a frame begins with.
pub(super) const MAGIC: [u8; 4] = [0xF5, b'n', b'q', 0xFF];

/// How many bytes stand before the body.
pub(super) const HEAD_BYTES: usize = 20;

/// The longest body; a length above it is damage, and reserves no memory.
pub(super) const MAX_BODY_BYTES: usize = 128 << 20;

/// What stands before a frame's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// How long the body is.
    pub(super) body_bytes: usize,
    /// The position of a record; of a mark nothing.
    pub(super) number: u64,
    crc: u32,
}

impl Head {
    /// Reads what a frame begins with; `None` where no frame can begin so.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&MAGIC)?;
        let (length, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let crc = rest.first_chunk()?;
        let body_bytes = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        (body_bytes <= MAX_BODY_BYTES).then_some(Self {
            body_bytes,
            number: u64::from_le_bytes(*number),
            crc: u32::from_le_bytes(*crc),
        })
    }

    /// How long the whole frame is.
    pub(super) const fn frame_bytes(&self) -> usize {
        HEAD_BYTES + self.body_bytes
    }

    /// Whether the frame, head and body, is as it was written.
    pub(super) fn holds(&self, frame: &[u8]) -> bool {
        frame.len() == self.frame_bytes() && checksum(frame) == self.crc
    }
}

/// Of a frame with its head: what stands between magic and checksum, and the body.
fn checksum(frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&frame[4..16]), &frame[HEAD_BYTES..])
}

/// Adds a frame to `out`; `body` writes what is in it.
///
/// # Errors
/// `TooLarge` above [`MAX_BODY_BYTES`], and the body's own; `out` is then as before.
pub(super) fn write(
    out: &mut Vec<u8>,
    number: u64,
    body: impl FnOnce(&mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[0; HEAD_BYTES - 4]);
    let written = body(out).and_then(|()| {
        let bytes = out.len() - start - HEAD_BYTES;
        u32::try_from(bytes)
            .ok()
            .filter(|_| bytes <= MAX_BODY_BYTES)
            .ok_or_else(|| too_large("an event is too large for the spool"))
    });
    match written {
        Ok(bytes) => {
            let frame = &mut out[start..];
            frame[4..8].copy_from_slice(&bytes.to_le_bytes());
            frame[8..16].copy_from_slice(&number.to_le_bytes());
            let crc = checksum(frame);
            frame[16..HEAD_BYTES].copy_from_slice(&crc.to_le_bytes());
            Ok(())
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

pub(super) fn too_large(message: &'static str) -> Error {
    Error::new(ErrorKind::TooLarge, "spool_append", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(number: u64, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, number, |out| {
            out.extend_from_slice(body);
            Ok(())
        })
        .unwrap();
        out
    }

    #[test]
    fn a_frame_is_read_back() {
        let bytes = frame(7, b"hello");
        let head = Head::parse(&bytes).unwrap();
        assert_eq!((head.number, head.body_bytes, head.frame_bytes()), (7, 5, 25));
        assert!(head.holds(&bytes));
    }

    #[test]
    fn each_flipped_bit_is_noticed() {
        let bytes = frame(7, b"hello");
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let intact = Head::parse(&bytes).is_some_and(|head| head.holds(&bytes));
            assert!(!intact, "bit {bit}");
        }
    }

    #[test]
    fn what_fails_leaves_nothing_behind() {
        let mut out = frame(1, b"a");
        let before = out.clone();
        let failed = write(&mut out, 2, |out| {
            out.push(1);
            Err(too_large("no"))
        });
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::TooLarge);
        assert_eq!(out, before);
    }
}
