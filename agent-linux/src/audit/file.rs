//! The file behind the log.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::AuditRecord;

/// Where the last line of the file is looked for. No line is longer than a quarter of it.
const TAIL: u64 = 64 * 1024;

/// An append-only file of lines with rising numbers.
pub(super) struct AuditFile {
    path: PathBuf,
    file: File,
    next: u64,
    /// The file does not end with a line's end: a crash or a full disk cut the last line off.
    torn: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    seq: u64,
    #[serde(flatten)]
    record: &'a AuditRecord,
}

#[derive(Deserialize)]
struct Numbered {
    seq: u64,
}

impl AuditFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)?;
        let tail = read_tail(&mut file)?;
        let next =
            tail.split(|byte| *byte == b'\n').rev().find_map(number).map_or(0, |last| last.saturating_add(1));
        let torn = tail.last().is_some_and(|last| *last != b'\n');
        Ok(Self { path: path.to_owned(), file, next, torn })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends lines, which everybody can read from then on. [`AuditFile::sync`] makes them durable.
    pub(super) fn append<'a>(
        &mut self,
        records: impl Iterator<Item = (SystemTime, &'a AuditRecord)>,
    ) -> io::Result<()> {
        let (mut text, mut next) = (Vec::new(), self.next);
        if self.torn {
            text.push(b'\n');
        }
        for (time, record) in records {
            let time = humantime::format_rfc3339_micros(time).to_string();
            serde_json::to_writer(&mut text, &Line { time, seq: next, record })?;
            text.push(b'\n');
            next = next.saturating_add(1);
        }
        // Until all of it is there, assume that part of it is.
        self.torn = true;
        self.file.write_all(&text)?;
        self.torn = false;
        self.next = next;
        Ok(())
    }

    /// Makes what was appended outlive a power cut.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

fn read_tail(file: &mut File) -> io::Result<Vec<u8>> {
    let len = file.metadata()?.len();
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(len.saturating_sub(TAIL)))?;
    file.take(TAIL).read_to_end(&mut tail)?;
    Ok(tail)
}

fn number(line: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Numbered>(line).ok().map(|line| line.seq)
}
