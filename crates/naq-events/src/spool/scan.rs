//! Reading a file frame by frame, and past what is damaged in it.

use std::io::{self, Read, Seek, SeekFrom};

use super::frame::{HEAD_BYTES, Head, MAGIC};

/// How much is read from the disk at once.
const READ_BYTES: usize = 256 << 10;

/// What a scan comes upon.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A frame that is as it was written.
    Frame {
        /// Where it begins in the file.
        offset: u64,
        number: u64,
        body: &'a [u8],
    },
    /// Bytes that are no frame, up to the next one or to the end.
    Damage(Damage),
}

/// A stretch of a file that holds no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damage {
    /// Where it begins in the file.
    pub(super) offset: u64,
    pub(super) bytes: u64,
    /// Whether it begins as a frame would that is there in its whole length:
    /// then it was written whole and changed later; else writing was cut off.
    pub(super) is_whole: bool,
    /// Whether the file ends with it.
    pub(super) is_last: bool,
}

/// A reader of frames, in the order of the file.
///
/// It holds a buffer of 256 KiB, or of one frame where that is longer.
#[derive(Debug)]
pub(super) struct Scanner<R> {
    source: R,
    buffer: Vec<u8>,
    /// Where in the buffer it stands.
    start: usize,
    /// Where in the file it stands.
    offset: u64,
    /// Where the file ends, or what is known of it.
    end: u64,
}

impl<R: Read + Seek> Scanner<R> {
    /// Stands at `offset` of a file that ends at `end`.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn new(mut source: R, offset: u64, end: u64) -> io::Result<Self> {
        source.seek(SeekFrom::Start(offset))?;
        Ok(Self { source, buffer: Vec::new(), start: 0, offset, end })
    }

    /// The file has grown.
    pub(super) fn extend_to(&mut self, end: u64) {
        self.end = self.end.max(end);
    }

    /// Where it stands in the file: behind what it gave last.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// The next frame, or what stands in its place; `None` at the end.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn next(&mut self) -> io::Result<Option<Found<'_>>> {
        if self.offset >= self.end {
            return Ok(None);
        }
        if let Some(head) = self.intact()? {
            let offset = self.offset;
            let body = self.start + HEAD_BYTES..self.start + head.frame_bytes();
            self.advance(head.frame_bytes());
            let (number, body) = (head.number, &self.buffer[body]);
            return Ok(Some(Found::Frame { offset, number, body }));
        }
        self.damage().map(|damage| Some(Found::Damage(damage)))
    }

    /// The head of the frame at this place, if it stands here whole and unchanged.
    fn intact(&mut self) -> io::Result<Option<Head>> {
        let Some(head) = self.head()? else { return Ok(None) };
        let is_whole = self.fill(head.frame_bytes())?;
        let frame = self.start..self.start + head.frame_bytes();
        Ok((is_whole && head.holds(&self.buffer[frame])).then_some(head))
    }

    fn head(&mut self) -> io::Result<Option<Head>> {
        self.fill(HEAD_BYTES)?;
        let head = Head::parse(&self.buffer[self.start..]);
        Ok(head.filter(|head| head.frame_bytes() as u64 <= self.end - self.offset))
    }

    /// Goes on to the next intact frame, or to the end.
    fn damage(&mut self) -> io::Result<Damage> {
        let offset = self.offset;
        let is_whole = self.head()?.is_some();
        loop {
            self.advance(1);
            self.find_magic()?;
            if self.offset >= self.end || self.intact()?.is_some() {
                let bytes = self.offset - offset;
                return Ok(Damage { offset, bytes, is_whole, is_last: self.offset >= self.end });
            }
        }
    }

    /// Goes on to where a frame might begin, or to the end.
    fn find_magic(&mut self) -> io::Result<()> {
        while self.fill(MAGIC.len())? {
            let ahead = &self.buffer[self.start..];
            match ahead.windows(MAGIC.len()).position(|bytes| bytes == MAGIC) {
                Some(distance) => {
                    self.advance(distance);
                    return Ok(());
                }
                // The last bytes may be the beginning of it.
                None => self.advance(ahead.len() - (MAGIC.len() - 1)),
            }
        }
        let rest = self.buffer.len() - self.start;
        self.advance(rest);
        Ok(())
    }

    fn advance(&mut self, bytes: usize) {
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// Reads until so many bytes lie ahead; false where the file ends before.
    fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        let has = self.buffer.len().saturating_sub(self.start);
        if has >= wanted {
            return Ok(true);
        }
        self.buffer.drain(..self.start.min(self.buffer.len()));
        self.start = 0;
        let left = self.end - self.offset - has as u64;
        let most = (wanted - has).max(READ_BYTES) as u64;
        let read = (&mut self.source).take(most.min(left)).read_to_end(&mut self.buffer)?;
        if (read as u64) < most.min(left) {
            // Somebody has cut the file off.
            self.end = self.offset + self.buffer.len() as u64;
        }
        Ok(self.buffer.len() >= wanted)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::super::frame;
    use super::*;

    fn file(bodies: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, body) in (1..).zip(bodies) {
            frame::write(&mut out, number, |out| {
                out.extend_from_slice(body);
                Ok(())
            })
            .unwrap();
        }
        out
    }

    fn scan(file: &[u8]) -> (Vec<u64>, Vec<Damage>) {
        let mut scanner = Scanner::new(Cursor::new(file), 0, file.len() as u64).unwrap();
        let (mut frames, mut damages) = (Vec::new(), Vec::new());
        while let Some(found) = scanner.next().unwrap() {
            match found {
                Found::Frame { number, .. } => frames.push(number),
                Found::Damage(damage) => damages.push(damage),
            }
        }
        assert_eq!(scanner.offset(), file.len() as u64);
        (frames, damages)
    }

    #[test]
    fn a_frame_longer_than_the_buffer_is_read() {
        let file = file(&[vec![b'a'; 2 * READ_BYTES], vec![b'b'; 3]]);
        assert_eq!(scan(&file), (vec![1, 2], vec![]));
    }

    #[test]
    fn a_changed_length_costs_its_own_frame_alone() {
        let mut file = file(&[vec![b'a'; 30], vec![b'b'; 30], vec![b'c'; 30]]);
        file[50 + 4] = 0xEE;
        let (frames, damages) = scan(&file);
        assert_eq!(frames, [1, 3]);
        let expected = Damage { offset: 50, bytes: 50, is_whole: false, is_last: false };
        assert_eq!(damages, [expected]);
    }

    #[test]
    fn a_file_of_zeros_is_one_damage_whose_writing_was_cut_off() {
        let zeros = vec![0; READ_BYTES + 5];
        let bytes = zeros.len() as u64;
        let expected = Damage { offset: 0, bytes, is_whole: false, is_last: true };
        assert_eq!(scan(&zeros), (vec![], vec![expected]));
    }

    proptest! {
        #[test]
        fn one_changed_byte_costs_at_most_one_frame(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..8),
            at in any::<prop::sample::Index>(),
            flip in 1_u8..,
        ) {
            let mut file = file(&bodies);
            let at = at.index(file.len());
            file[at] ^= flip;
            let (frames, damages) = scan(&file);
            prop_assert_eq!(frames.len(), bodies.len() - 1);
            prop_assert_eq!(damages.len(), 1);
        }

        #[test]
        fn a_cut_leaves_all_frames_before_it(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..8),
            at in any::<prop::sample::Index>(),
        ) {
            let file = file(&bodies);
            let at = at.index(file.len() + 1);
            let mut whole = 0;
            let mut end = 0;
            for body in &bodies {
                end += HEAD_BYTES + body.len();
                whole += usize::from(end <= at);
            }
            let (frames, damages) = scan(&file[..at]);
            prop_assert_eq!(frames.len(), whole);
            prop_assert!(damages.iter().all(|damage| damage.is_last && !damage.is_whole));
        }

        #[test]
        fn any_bytes_are_scanned_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            scan(&bytes);
        }
    }
}
