//! Reading a file frame by frame, and past what is damaged in it.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use super::frame::{HEAD_BYTES, Head, MAGIC};

/// How much is read from the disk at once.
const READ_BYTES: usize = 256 << 10;

/// What a disk gives or doesn't give as a whole, in bytes.
const SECTOR_BYTES: u64 = 4 << 10;

/// The longest stretch that is passed over at once, in bytes.
const MAX_SKIP_BYTES: u64 = 1 << 20;

/// What becomes of bytes that the disk doesn't give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// The scan stops there, with the disk's error; the next try may go well.
    Fails,
    /// They are damage.
    IsDamage,
}

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
    /// Whether the disk doesn't give some of it: what it is, is unknown then.
    pub(super) is_unreadable: bool,
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
    unreadable: Unreadable,
    /// What the disk didn't give from where it stands on, in order.
    holes: Vec<Range<u64>>,
}

impl<R: Read + Seek> Scanner<R> {
    /// Stands at `offset` of a file that ends at `end`.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn new(
        mut source: R,
        offset: u64,
        end: u64,
        unreadable: Unreadable,
    ) -> io::Result<Self> {
        source.seek(SeekFrom::Start(offset))?;
        let (buffer, holes) = (Vec::new(), Vec::new());
        Ok(Self { source, buffer, start: 0, offset, end, unreadable, holes })
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
                let (bytes, is_last) = (self.offset - offset, self.offset >= self.end);
                let is_in = |hole: &Range<u64>| hole.start < self.offset && hole.end > offset;
                let is_unreadable = self.holes.iter().any(is_in);
                self.holes.retain(|hole| hole.end > self.offset);
                return Ok(Damage { offset, bytes, is_whole, is_last, is_unreadable });
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
        let target = has + left.min((wanted - has).max(READ_BYTES) as u64) as usize;
        while self.buffer.len() < target {
            let missing = (target - self.buffer.len()) as u64;
            match (&mut self.source).take(missing).read_to_end(&mut self.buffer) {
                Ok(read) if (read as u64) < missing => {
                    // Somebody has cut the file off.
                    self.end = self.offset + self.buffer.len() as u64;
                    break;
                }
                Ok(_) => {}
                Err(_) if self.unreadable == Unreadable::IsDamage => self.pass_over()?,
                // What stands before it comes first.
                Err(_) if self.buffer.len() >= wanted => break,
                Err(error) => return Err(error),
            }
        }
        Ok(self.buffer.len() >= wanted)
    }

    /// Takes zeros for what the disk doesn't give here.
    ///
    /// Each try may take a failing disk seconds: the longer the stretch gets, the
    /// more of it is passed over at once.
    fn pass_over(&mut self) -> io::Result<()> {
        let here = self.offset + self.buffer.len() as u64;
        let hole = match self.holes.pop_if(|hole| hole.end == here) {
            Some(hole) => hole,
            None => here..here,
        };
        let skip = (hole.end - hole.start).clamp(SECTOR_BYTES, MAX_SKIP_BYTES);
        // The next sector may be readable, and begins at a multiple of its length.
        let next = ((here + skip) / SECTOR_BYTES * SECTOR_BYTES).min(self.end);
        self.source.seek(SeekFrom::Start(next))?;
        let zeros = usize::try_from(next - here).unwrap_or(usize::MAX);
        self.buffer.resize(self.buffer.len() + zeros, 0);
        self.holes.push(hole.start..next);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
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
        scan_of(Cursor::new(file), file)
    }

    fn scan_of(source: impl Read + Seek, file: &[u8]) -> (Vec<u64>, Vec<Damage>) {
        let end = file.len() as u64;
        let mut scanner = Scanner::new(source, 0, end, Unreadable::IsDamage).unwrap();
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

    /// A file of which the disk doesn't give some sectors.
    struct Broken<'a> {
        file: Cursor<&'a [u8]>,
        sectors: &'a [u64],
        /// How often it was tried.
        tries: &'a Cell<u64>,
    }

    impl Read for Broken<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let sector = self.file.position() / SECTOR_BYTES;
            if self.sectors.contains(&sector) {
                self.tries.update(|tries| tries + 1);
                return Err(io::Error::other("the disk doesn't give this"));
            }
            let room = (sector + 1) * SECTOR_BYTES - self.file.position();
            let room = buffer.len().min(usize::try_from(room).unwrap());
            self.file.read(&mut buffer[..room])
        }
    }

    impl Seek for Broken<'_> {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.file.seek(to)
        }
    }

    #[test]
    fn what_the_disk_does_not_give_costs_the_frames_in_it_alone() {
        let file = file(&vec![vec![b'a'; 1_000]; 100]);
        let tries = Cell::new(0);
        let sectors = [3, 10];
        let broken = Broken { file: Cursor::new(&file), sectors: &sectors, tries: &tries };
        let (frames, damages) = scan_of(broken, &file);
        let is_in = |number: u64| {
            let frame = (number - 1) * 1_020..number * 1_020;
            sectors.iter().any(|sector| {
                frame.start < (sector + 1) * SECTOR_BYTES && frame.end > sector * SECTOR_BYTES
            })
        };
        let expected: Vec<u64> = (1..=100).filter(|&number| !is_in(number)).collect();
        assert_eq!(frames, expected);
        assert!(damages.len() == 2 && damages.iter().all(|damage| damage.is_unreadable));
        assert_eq!(tries.get(), 2);
    }

    #[test]
    fn a_file_of_which_nothing_can_be_read_takes_few_tries() {
        let file = vec![b'a'; 8 << 20];
        let sectors: Vec<u64> = (0..(8 << 20) / SECTOR_BYTES).collect();
        let tries = Cell::new(0);
        let broken = Broken { file: Cursor::new(&file), sectors: &sectors, tries: &tries };
        let (frames, damages) = scan_of(broken, &file);
        assert_eq!((frames.len(), damages.len()), (0, 1));
        assert!(damages[0].is_unreadable && damages[0].bytes == 8 << 20);
        assert!(tries.get() < 30, "{}", tries.get());
    }

    #[test]
    fn a_scan_that_stops_at_what_it_cannot_read_gives_what_stands_before() {
        let file = file(&vec![vec![b'a'; 1_000]; 100]);
        let tries = Cell::new(0);
        let broken = Broken { file: Cursor::new(&file), sectors: &[10], tries: &tries };
        let end = file.len() as u64;
        let mut scanner = Scanner::new(broken, 0, end, Unreadable::Fails).unwrap();
        for expected in 1..=10 * SECTOR_BYTES / 1_020 {
            let found = scanner.next().unwrap();
            assert!(matches!(found, Some(Found::Frame { number, .. }) if number == expected));
        }
        for _ in 0..3 {
            scanner.next().unwrap_err();
        }
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
        let expected =
            Damage { offset: 50, bytes: 50, is_whole: false, is_last: false, is_unreadable: false };
        assert_eq!(damages, [expected]);
    }

    #[test]
    fn a_file_of_zeros_is_one_damage_whose_writing_was_cut_off() {
        let zeros = vec![0; READ_BYTES + 5];
        let bytes = zeros.len() as u64;
        let expected =
            Damage { offset: 0, bytes, is_whole: false, is_last: true, is_unreadable: false };
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
