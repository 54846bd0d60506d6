//! The work: reading a file to its end, counting and hashing.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest as _, Sha256};

const CHUNK: usize = 64 << 10;

/// What is found out about a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Digest {
    /// Lines, a last one without a break included.
    pub(super) lines: u64,
    /// Words between white space.
    pub(super) words: u64,
    /// Bytes.
    pub(super) bytes: u64,
    /// The SHA-256 hash, in hexadecimal.
    pub(super) sha256: String,
}

/// Why there is nothing to find out.
#[derive(Debug)]
pub(super) enum Refused {
    /// The file can't be read.
    Unreadable(io::Error),
    /// It is no UTF-8 text; from this byte on.
    NotText(u64),
    /// Somebody asked to stop.
    Stopped,
}

/// Reads a file to its end, in constant memory.
pub(super) fn digest(path: &Path, is_stopped: impl Fn() -> bool) -> Result<Digest, Refused> {
    let file = File::open(path).map_err(Refused::Unreadable)?;
    read(file, is_stopped)
}

fn read(mut source: impl Read, is_stopped: impl Fn() -> bool) -> Result<Digest, Refused> {
    let (mut hash, mut text) = (Sha256::new(), TextCount::default());
    let mut buffer = vec![0; CHUNK];
    // A character may lie across two chunks: its beginning is kept.
    let mut kept = 0;
    loop {
        if is_stopped() {
            return Err(Refused::Stopped);
        }
        let read = match source.read(&mut buffer[kept..]) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Refused::Unreadable(error)),
        };
        hash.update(&buffer[kept..kept + read]);
        let filled = kept + read;
        let whole = match std::str::from_utf8(&buffer[..filled]) {
            Ok(all) => {
                text.add(all);
                filled
            }
            Err(error) => {
                let valid = error.valid_up_to();
                if error.error_len().is_some() || read == 0 {
                    return Err(Refused::NotText(text.bytes + valid as u64));
                }
                // The bytes up to there were found valid just now.
                text.add(std::str::from_utf8(&buffer[..valid]).unwrap_or_default());
                valid
            }
        };
        if read == 0 {
            return Ok(text.finish(hash));
        }
        buffer.copy_within(whole..filled, 0);
        kept = filled - whole;
    }
}

#[derive(Debug, Default)]
struct TextCount {
    breaks: u64,
    words: u64,
    bytes: u64,
    in_word: bool,
    in_line: bool,
}

impl TextCount {
    fn add(&mut self, text: &str) {
        self.bytes += text.len() as u64;
        for c in text.chars() {
            let is_space = c.is_whitespace();
            self.words += u64::from(!is_space && !self.in_word);
            self.in_word = !is_space;
            self.breaks += u64::from(c == '\n');
            self.in_line = c != '\n';
        }
    }

    fn finish(self, hash: Sha256) -> Digest {
        let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let lines = self.breaks + u64::from(self.in_line);
        Digest { lines, words: self.words, bytes: self.bytes, sha256 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out few bytes at a time, as a slow disk may.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let some = self.0.len().min(buffer.len()).min(3);
            buffer[..some].copy_from_slice(&self.0[..some]);
            self.0 = &self.0[some..];
            Ok(some)
        }
    }

    fn counts(bytes: &[u8]) -> Result<(u64, u64, u64), Refused> {
        read(Slow(bytes), || false).map(|digest| (digest.lines, digest.words, digest.bytes))
    }

    #[test]
    fn lines_words_and_bytes_are_counted_across_chunks() {
        assert_eq!(counts(b"").unwrap(), (0, 0, 0));
        assert_eq!(counts(b"one two\nthree").unwrap(), (2, 3, 13));
        assert_eq!(counts("grün  世界 🎉\n\n".as_bytes()).unwrap(), (2, 3, 20));
    }

    #[test]
    fn the_hash_is_sha_256() {
        let empty = read(Slow(b""), || false).unwrap().sha256;
        assert!(empty.starts_with("e3b0c44298fc1c149afbf4c8996fb924"), "{empty}");
        let abc = read(Slow(b"abc"), || false).unwrap().sha256;
        assert!(abc.starts_with("ba7816bf8f01cfea414140de5dae2223"), "{abc}");
    }

    #[test]
    fn what_is_no_text_is_refused_with_the_place() {
        assert!(matches!(counts(b"text\xff more"), Err(Refused::NotText(4))));
        assert!(
            matches!(counts(b"abcdef\xe4\xb8"), Err(Refused::NotText(6))),
            "cut off at the end"
        );
        assert!(matches!(read(Slow(b"x"), || true), Err(Refused::Stopped)));
    }
}
