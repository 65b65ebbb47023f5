//! Lines for standard error, which nobody need read.
//!
//! The gate's own thread writes them. So what is not taken at once, because a pipe is full or a terminal was stopped with Ctrl-S,
//! is lost, and the next line that is taken says how many were.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing_subscriber::fmt::MakeWriter;

/// A pipe that can be written to takes so much whole and at once: `PIPE_BUF`, see pipe(7).
const MOST: usize = 4096;
/// Without waiting.
const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// Where lines go that are for no journal.
pub(super) struct Stderr {
    /// The same pipe or terminal, opened once more: it must not wait, and for the others who write to it nothing changes.
    /// None if that is neither.
    own: Option<File>,
    /// Lines that nobody took, and that no later one has told of.
    lost: AtomicU64,
}

impl Stderr {
    /// Before the process is confined, for it opens a file.
    pub(super) fn new() -> Self {
        Self { own: opened_again(), lost: AtomicU64::new(0) }
    }

    fn put(&self, line: &[u8]) -> io::Result<()> {
        match &self.own {
            Some(own) => write_at_once(own, line),
            None => write_at_once(io::stderr().lock(), line),
        }
    }

    fn take(&self, line: &[u8], put: impl Fn(&[u8]) -> io::Result<()>) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let tell = || match lost {
            0 => Ok(()),
            _ => put(format!("standard error did not take {lost} lines before this one\n").as_bytes()),
        };
        if tell().is_err() {
            self.lost.fetch_add(lost.saturating_add(1), Ordering::Relaxed);
        } else if put(line).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One line, if there is room for it.
pub(super) fn write_at_once(mut stream: impl Write + AsFd, line: &[u8]) -> io::Result<()> {
    let mut watched = [PollFd::new(&stream, PollFlags::OUT)];
    poll(&mut watched, Some(&NOW))?;
    let [room] = watched;
    if room.revents() != PollFlags::OUT {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    let cut = cut(line);
    // What a terminal does not take of it is not worth waiting for.
    if stream.write(&cut)? < cut.len() { Err(io::ErrorKind::WriteZero.into()) } else { Ok(()) }
}

/// A line that a pipe takes whole.
fn cut(line: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    match line.get(..MOST - 1) {
        Some(beginning) if line.len() > MOST => [beginning, b"\n"].concat().into(),
        _ => line.into(),
    }
}

/// A file that is written to by two who do not know of each other would be overwritten, so only what has no place to write at.
fn opened_again() -> Option<File> {
    const STDERR: &str = "/proc/self/fd/2";
    let kind = std::fs::metadata(STDERR).ok()?.file_type();
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(i32::try_from(flags.bits()).ok()?);
    (kind.is_fifo() || kind.is_char_device()).then(|| options.open(STDERR).ok()).flatten()
}

/// Takes an event that was made into a line, whole.
pub(super) struct Line<'s>(&'s Stderr);

impl<'s> MakeWriter<'s> for Stderr {
    type Writer = Line<'s>;

    fn make_writer(&'s self) -> Line<'s> {
        Line(self)
    }
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.take(line, |line| self.0.put(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn what_a_pipe_has_no_room_for_is_lost_at_once_and_told_of_when_there_is_some() {
        let (mut theirs, ours) = io::pipe().unwrap();
        let stderr = Stderr { own: None, lost: AtomicU64::new(0) };
        let take = |line: &[u8]| stderr.take(line, |line| write_at_once(&ours, line));
        // A line that waited would never come to an end here, nor one of more than fits in what is left.
        for _ in 0..1_000 {
            take(&[b'x'; 5_000]);
        }
        let lost = stderr.lost.load(Ordering::Relaxed);
        assert!((1..1_000).contains(&lost), "{lost}");
        let mut buffer = vec![0; 1 << 20];
        assert!(theirs.read(&mut buffer).unwrap() > 0, "nothing was taken");

        take(b"back\n");

        let length = theirs.read(&mut buffer).unwrap();
        let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert_eq!(said, format!("standard error did not take {lost} lines before this one\nback\n"));
        assert_eq!(stderr.lost.into_inner(), 0);
    }

    #[test]
    fn a_long_line_is_cut_to_what_a_pipe_takes_whole() {
        for (case, length, expected) in [(1, 10, 10), (2, MOST, MOST), (3, MOST + 1, MOST), (4, 99_999, MOST)]
        {
            let line = [vec![b'x'; length - 1], vec![b'\n']].concat();
            let cut = cut(&line);
            assert_eq!((cut.len(), cut.last()), (expected, Some(&b'\n')), "case {case}");
        }
    }

    #[test]
    fn a_pipe_without_a_reader_is_no_reason_to_end() {
        let (theirs, ours) = io::pipe().unwrap();
        drop(theirs);
        let stderr = Stderr { own: None, lost: AtomicU64::new(0) };
        stderr.take(b"x\n", |line| write_at_once(&ours, line));
        assert_eq!(stderr.lost.into_inner(), 1);
    }
}
