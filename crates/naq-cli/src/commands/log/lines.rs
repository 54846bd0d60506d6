//! Numbered lines of a file or standard input, in bounded memory.
//!
//! A thread of its own reads, because neither waits for a program's runtime.

use std::io::{self, BufRead, BufReader, Read};
use std::thread;

use tokio::sync::mpsc;

use crate::complain::Failure;
use crate::exit::Exit;

/// No event is longer: the server's greatest message, if configured to it, is 64 MiB.
const LONGEST: usize = 64 << 20;
/// A batch is handed on when it has so many bytes.
const BATCH: usize = 256 << 10;
/// Batches between the thread and whoever takes them.
const BATCHES: usize = 4;

/// One line that is not blank.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its number, from 1.
    pub(crate) number: u64,
    /// Its bytes without the line break; `None` where it is too long for any event.
    pub(crate) text: Option<Vec<u8>>,
}

/// Some lines in order, and how far in the source they reach.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The lines.
    pub(crate) lines: Vec<Line>,
    /// Bytes of the source up to their end.
    pub(crate) position: u64,
}

/// What comes of reading: batches, and at last perhaps an error.
pub(crate) type Batches = mpsc::Receiver<io::Result<Batch>>;

/// Reads the source line by line; ends when the receiver is dropped.
///
/// # Errors
/// Where the system gives no thread.
pub(crate) fn read(source: Box<dyn Read + Send>) -> Result<Batches, Failure> {
    let (sender, receiver) = mpsc::channel(BATCHES);
    let reading = thread::Builder::new().name("lines".to_owned()).spawn(move || {
        let mut reader = BufReader::with_capacity(64 << 10, source);
        if let Err(error) = read_all(&mut reader, LONGEST, |batch| {
            sender.blocking_send(Ok(batch)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
        }) {
            // To nobody, where the taker has gone.
            let _ = sender.blocking_send(Err(error));
        }
    });
    match reading {
        Ok(_ends_by_itself) => Ok(receiver),
        Err(error) => Err(Failure::complaint(
            Exit::Failed,
            format!("can't start a thread to read with: {error}"),
            "close other programs, or raise the limit on threads (ulimit -u)",
        )),
    }
}

/// Reads to the end, and hands on a batch when it is full, or when reading on would wait.
fn read_all<R: Read>(
    reader: &mut BufReader<R>,
    longest: usize,
    mut hand_on: impl FnMut(Batch) -> io::Result<()>,
) -> io::Result<()> {
    let (mut batch, mut size, mut number) = (Batch::default(), 0, 0);
    loop {
        if !batch.lines.is_empty() && (size >= BATCH || reader.buffer().is_empty()) {
            let position = batch.position;
            hand_on(std::mem::take(&mut batch))?;
            (batch.position, size) = (position, 0);
        }
        let mut text = Vec::new();
        let mut length = reader.by_ref().take(longest as u64 + 1).read_until(b'\n', &mut text)?;
        if length == 0 {
            break;
        }
        number += 1;
        let ended = text.last() == Some(&b'\n');
        let too_long = !ended && text.len() > longest;
        if too_long {
            text = Vec::new();
            length += skip_line(reader)?;
        }
        batch.position += length as u64;
        while text.last().is_some_and(u8::is_ascii_whitespace) {
            text.pop();
        }
        if too_long {
            batch.lines.push(Line { number, text: None });
        } else if !text.is_empty() {
            size += text.len();
            batch.lines.push(Line { number, text: Some(text) });
        }
    }
    if batch.lines.is_empty() { Ok(()) } else { hand_on(batch) }
}

/// Passes over the rest of a line; says how much it was.
fn skip_line(reader: &mut impl BufRead) -> io::Result<usize> {
    let mut skipped = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(skipped);
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(buffer.len(), |at| at + 1);
        reader.consume(length);
        skipped += length;
        if end.is_some() {
            return Ok(skipped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8], longest: usize) -> (Vec<(u64, Option<String>)>, u64) {
        let mut all = Vec::new();
        let mut position = 0;
        read_all(&mut BufReader::with_capacity(4, text), longest, |batch| {
            position = batch.position;
            all.extend(
                batch.lines.into_iter().map(|line| {
                    (line.number, line.text.map(|text| String::from_utf8(text).unwrap()))
                }),
            );
            Ok(())
        })
        .unwrap();
        (all, position)
    }

    fn line(number: u64, text: &str) -> (u64, Option<String>) {
        (number, Some(text.to_owned()))
    }

    #[test]
    fn lines_are_counted_and_blank_ones_passed_over() {
        let (lines, position) = lines(b"a\r\n\n  \nlonger\nend", 100);
        assert_eq!(lines, [line(1, "a"), line(4, "longer"), line(5, "end")]);
        assert_eq!(position, 17);
    }

    #[test]
    fn a_line_that_is_too_long_is_told_and_the_next_one_read() {
        let (lines, _) = lines(b"123456789\nabcd\n123456789x", 8);
        assert_eq!(lines, [(1, None), line(2, "abcd"), (3, None)]);
    }

    #[test]
    fn nothing_is_no_line() {
        assert_eq!(lines(b"", 8).0, []);
    }

    #[test]
    fn who_goes_away_ends_the_reading() {
        let mut handed = 0;
        let ended = read_all(&mut BufReader::new(&b"a\nb\n"[..]), 8, |_| {
            handed += 1;
            Err(io::Error::from(io::ErrorKind::BrokenPipe))
        });
        assert!(ended.is_err());
        assert_eq!(handed, 1);
    }
}
