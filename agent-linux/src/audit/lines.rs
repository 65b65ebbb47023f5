//! The lines of a log, one after the other, whatever is in them. A file of any size needs the room of one line.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;

use super::chain::{self, Link};

/// Longest line that is read. A decision with everything that a policy can say has a quarter of that.
pub(super) const MAX_LINE: usize = 64 * 1024;

/// A file, line by line.
pub(crate) struct Lines<R = BufReader<File>> {
    from: R,
    line: Vec<u8>,
    number: u64,
}

/// One line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) number: u64,
    /// At most [`MAX_LINE`] bytes of it.
    pub(crate) text: &'a [u8],
    /// All of it is in `text`.
    pub(crate) is_whole: bool,
}

/// What stands in every record.
#[derive(Debug, Deserialize)]
pub(super) struct Head {
    pub(super) time: String,
    pub(super) seq: u64,
    pub(super) event: String,
}

/// A line that is a record.
#[derive(Debug)]
pub(super) struct Stamped<'a> {
    pub(super) head: Head,
    /// What its value was made of, and the value. `None` if the line carries none: it is older than the chain.
    pub(super) chained: Option<(&'a [u8], Link)>,
}

impl Lines {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self::new(BufReader::with_capacity(MAX_LINE, File::open(path)?)))
    }
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from, line: Vec::new(), number: 0 }
    }

    /// The next line, or `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let (mut any, mut is_whole) = (false, true);
        loop {
            let buffer = self.from.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            any = true;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let piece = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
            let room = MAX_LINE - self.line.len();
            is_whole &= piece.len() <= room;
            self.line.extend(piece.iter().take(room));
            let used = piece.len() + usize::from(end.is_some());
            self.from.consume(used);
            if end.is_some() {
                break;
            }
        }
        self.number += u64::from(any);
        Ok(any.then_some(Line { number: self.number, text: &self.line, is_whole }))
    }
}

/// Reads a line as a record; `None` if it is none.
pub(super) fn stamped(line: &[u8]) -> Option<Stamped<'_>> {
    let head = serde_json::from_slice(line).ok()?;
    Some(Stamped { head, chained: chain::split(line) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_with_their_numbers_and_the_last_one_needs_no_end() {
        let mut lines = Lines::new(b"one\n\nthree".as_slice());
        for (number, text) in [(1, "one"), (2, ""), (3, "three")] {
            assert_eq!(lines.next().unwrap(), Some(Line { number, text: text.as_bytes(), is_whole: true }));
        }
        assert_eq!(lines.next().unwrap(), None);
    }

    #[test]
    fn a_line_without_end_takes_no_more_room_than_the_longest_one() {
        let text = [vec![b'x'; 3 * MAX_LINE], b"\nnext".to_vec()].concat();
        let mut lines = Lines::new(BufReader::with_capacity(1000, text.as_slice()));
        let long = lines.next().unwrap().unwrap();
        assert_eq!((long.text.len(), long.is_whole), (MAX_LINE, false));
        assert_eq!(lines.next().unwrap().unwrap().text, b"next");
    }
}
