//! The client's own log: one line of JSON per attempt, appended.
//!
//! A journal that cannot be written costs a warning, never a knock. Damaged lines are skipped and counted.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::print::Report;
use crate::private_file::{self, FileFault, plain};

/// Beyond this a journal is put aside, in place of the one that was put aside before: about two times 2500 attempts.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Debug, Error)]
pub(crate) enum JournalFault {
    #[error(transparent)]
    File(#[from] FileFault),
    #[error("{}: {}; check its permissions and that the disk is not full", .path.display(), plain(.source))]
    Io { path: PathBuf, source: io::Error },
}

/// What a journal holds.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Pages {
    /// The newest last.
    pub(crate) reports: Vec<Report>,
    /// Lines that could not be read.
    pub(crate) damaged: usize,
}

/// The journal in one directory.
pub(crate) struct Journal {
    current: PathBuf,
    previous: PathBuf,
    lock: PathBuf,
    max_bytes: u64,
}

impl Journal {
    pub(crate) fn new(dir: &Path) -> Self {
        let at = |name| dir.join(name);
        Self {
            current: at("log.jsonl"),
            previous: at("log.1.jsonl"),
            lock: at("log.lock"),
            max_bytes: MAX_BYTES,
        }
    }

    /// Appends a line.
    pub(crate) fn append(&self, report: &Report) -> Result<(), JournalFault> {
        // Another client must not append between the check of the size and the renaming.
        let lock = private_file::open_or_create(&self.lock)?;
        lock.lock().map_err(self.fault(&self.lock))?;
        let mut file = private_file::open_or_create(&self.current)?;
        let mut size = file.metadata().map_err(self.fault(&self.current))?.len();
        if size >= self.max_bytes {
            drop(file);
            fs::rename(&self.current, &self.previous).map_err(self.fault(&self.current))?;
            file = private_file::open_or_create(&self.current)?;
            size = 0;
        }
        let mut line = Vec::new();
        if ends_inside_a_line(&file, size).map_err(self.fault(&self.current))? {
            line.push(b'\n');
        }
        line.extend(report.json().into_bytes());
        line.push(b'\n');
        file.write_all(&line).map_err(self.fault(&self.current))
    }

    /// Everything that can be read.
    pub(crate) fn read(&self) -> Result<Pages, JournalFault> {
        let mut pages = Pages::default();
        for path in [&self.previous, &self.current] {
            let bytes = match File::open(path) {
                Ok(file) => read_all(file).map_err(self.fault(path))?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(self.fault(path)(error)),
            };
            pages.add(&bytes);
        }
        Ok(pages)
    }

    fn fault(&self, path: &Path) -> impl FnOnce(io::Error) -> JournalFault + use<> {
        let path = path.to_owned();
        move |source| JournalFault::Io { path, source }
    }
}

impl Pages {
    fn add(&mut self, bytes: &[u8]) {
        for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            match serde_json::from_slice(line) {
                Ok(report) => self.reports.push(report),
                Err(_) => self.damaged += 1,
            }
        }
    }
}

/// A client that was killed, or a full disk, can leave half a line. The next one begins on a line of its own.
fn ends_inside_a_line(mut file: &File, size: u64) -> io::Result<bool> {
    use std::io::{Seek, SeekFrom};
    if size == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    let read = file.read(&mut last)?;
    Ok(read == 1 && last != *b"\n")
}

fn read_all(mut file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::outcome::Failure;
    use crate::print::Facts;

    fn report(number: u32) -> Report {
        let facts = Facts { number: Some(number), ..Facts::of("knock", "home") };
        Report::failed(&facts, &Failure::Exhausted, Duration::ZERO)
    }

    fn numbers(pages: &Pages) -> Vec<u32> {
        pages.reports.iter().filter_map(|report| report.number).collect()
    }

    #[test]
    fn what_was_appended_is_read_the_newest_last() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::new(dir.path());
        for number in 0..3 {
            journal.append(&report(number)).unwrap();
        }
        assert_eq!(numbers(&journal.read().unwrap()), [0, 1, 2]);
    }

    #[test]
    fn it_stays_within_its_size_and_keeps_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal { max_bytes: 2000, ..Journal::new(dir.path()) };
        for number in 0..50 {
            journal.append(&report(number)).unwrap();
        }
        let numbers = numbers(&journal.read().unwrap());
        assert_eq!(numbers.last(), Some(&49));
        assert!(numbers.len() < 20 && numbers.is_sorted(), "{numbers:?}");
        for path in [&journal.current, &journal.previous] {
            assert!(fs::metadata(path).unwrap().len() < 3000);
        }
    }

    #[test]
    fn damaged_lines_are_counted_and_cost_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::new(dir.path());
        journal.append(&report(1)).unwrap();
        fs::write(
            &journal.current,
            [&fs::read(&journal.current).unwrap()[..], b"\xff\xfe\n{\"time\":1}\n{\"ti"].concat(),
        )
        .unwrap();
        journal.append(&report(2)).unwrap();

        let pages = journal.read().unwrap();

        assert_eq!((numbers(&pages), pages.damaged), (vec![1, 2], 3));
    }

    #[test]
    fn a_journal_that_is_not_there_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Journal::new(dir.path()).read().unwrap(), Pages::default());
    }
}
