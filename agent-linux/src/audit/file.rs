//! The file behind the log: lines with rising numbers and a chain, which goes on over restarts, crashes and from file to file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;

use super::chain::{self, Link};
use super::lines::{Lines, MAX_LINE, Stamped, stamped};
use super::torn::Torn;
use super::{AuditRecord, Rotation, series};

/// Where the last record of a file is looked for.
const TAIL: u64 = MAX_LINE as u64;

/// An append-only file of lines.
pub(super) struct AuditFile {
    path: PathBuf,
    file: File,
    rotation: Rotation,
    /// The number of the next record.
    next: u64,
    /// The value of the last record.
    last: Link,
    /// What has to be said before the next record: how the chain begins in this file.
    begins: Option<AuditRecord>,
    end: End,
    /// When it was looked at last.
    size: u64,
    since: SystemTime,
}

/// How the file ends.
enum End {
    Line,
    /// The last line is a whole record but for the line's end.
    Unended,
    /// A crash or a full disk cut the last record off.
    Torn(Torn),
}

/// What came of records that were to be appended.
#[derive(Debug)]
pub(super) struct Partly {
    /// So many of them are there.
    pub(super) written: usize,
    pub(super) error: io::Error,
}

/// The last file, which was put away, and the last value in it.
pub(super) struct PutAway {
    pub(super) file: PathBuf,
    pub(super) last: Link,
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    seq: u64,
    #[serde(flatten)]
    record: &'a AuditRecord,
}

/// A line in what is to be written.
struct Placed {
    /// Where it ends, with its line's end.
    end: usize,
    link: Link,
    said: Said,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    /// How the chain begins.
    Begins,
    /// What was torn.
    Torn,
    ByAgent,
}

impl AuditFile {
    pub(super) fn open(path: &Path, rotation: Rotation) -> io::Result<Self> {
        let mut file = open_to_append(path)?;
        let tail = read_tail(&mut file)?;
        let mut opened = Self {
            path: path.to_owned(),
            size: file.metadata()?.len(),
            since: began(&file, path)?,
            file,
            rotation,
            next: 0,
            last: Link::NONE,
            begins: None,
            end: End::Line,
        };
        match last_record(&tail) {
            Some((record, after)) => opened.go_on(&record, after),
            None if tail.is_empty() => opened.begin_after(newest(path)?),
            None => {
                opened.begins = Some(AuditRecord::log_begins("unreadable"));
                opened.end = End::Torn(Torn::of(&tail));
            }
        }
        Ok(opened)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The value of the last record that is written.
    pub(super) fn last(&self) -> Link {
        self.last
    }

    fn go_on(&mut self, record: &Stamped<'_>, after: &[u8]) {
        self.next = record.head.seq.saturating_add(1);
        match record.chained {
            Some((_, link)) => self.last = link,
            None => self.begins = Some(AuditRecord::log_begins("unchained")),
        }
        self.end = match after.strip_prefix(b"\n") {
            Some([]) => End::Line,
            Some(rest) => End::Torn(Torn::of(rest)),
            None => End::Unended,
        };
    }

    fn begin_after(&mut self, before: Option<(PathBuf, u64, Link)>) {
        let Some((file, seq, link)) = before else {
            self.begins = Some(AuditRecord::log_begins("new"));
            return;
        };
        (self.next, self.last) = (seq.saturating_add(1), link);
        self.begins = Some(AuditRecord::log_goes_on(name(&file), link));
    }

    /// Appends records, which everybody can read from then on. [`AuditFile::sync`] makes them durable.
    pub(super) fn append<'a>(
        &mut self,
        records: impl Iterator<Item = (SystemTime, &'a AuditRecord)>,
    ) -> Result<(), Partly> {
        let (text, placed) = self.compose(records).map_err(|error| Partly { written: 0, error })?;
        let (written, result) = write_out(&mut self.file, &text);
        let whole = self.take_up(&text, &placed, written);
        let by_agent = |one: &&Placed| one.said == Said::ByAgent;
        let written = placed.iter().take(whole).filter(by_agent).count();
        result.map_err(|error| Partly { written, error })
    }

    fn compose<'a>(
        &self,
        records: impl Iterator<Item = (SystemTime, &'a AuditRecord)>,
    ) -> io::Result<(Vec<u8>, Vec<Placed>)> {
        let now = SystemTime::now();
        let torn = match &self.end {
            End::Torn(torn) => Some(torn.record()),
            End::Line | End::Unended => None,
        };
        let begins = self.begins.iter().map(|record| (now, record, Said::Begins));
        let torn = torn.iter().map(|record| (now, record, Said::Torn));
        let by_agent = records.map(|(time, record)| (time, record, Said::ByAgent));
        let (mut text, mut placed) = (self.end.to_be_ended().to_vec(), Vec::new());
        let (mut seq, mut link) = (self.next, self.last);
        for (time, record, said) in begins.chain(torn).chain(by_agent) {
            let time = humantime::format_rfc3339_micros(time).to_string();
            let mut line = serde_json::to_vec(&Line { time, seq, record })?;
            link = chain::seal(&mut line, record.link_before().unwrap_or(link));
            text.append(&mut line);
            text.push(b'\n');
            seq = seq.saturating_add(1);
            placed.push(Placed { end: text.len(), link, said });
        }
        Ok((text, placed))
    }

    /// The first `written` bytes of `text` are in the file. Returns how many of the lines are.
    fn take_up(&mut self, text: &[u8], placed: &[Placed], written: usize) -> usize {
        // A line that lacks nothing but its end is there.
        let whole = placed.iter().take_while(|line| line.end <= written.saturating_add(1)).count();
        let Some(last) = whole.checked_sub(1).and_then(|at| placed.get(at)) else {
            self.end.grow(text.get(..written).unwrap_or_default());
            return 0;
        };
        self.last = last.link;
        self.next = self.next.saturating_add(u64::try_from(whole).unwrap_or(u64::MAX));
        self.begins = None;
        let is_told = placed.iter().take(whole).any(|line| line.said == Said::Torn);
        let ended = self.end.to_be_ended();
        let rest = text.get(last.end..written);
        self.end = match (std::mem::replace(&mut self.end, End::Line), rest) {
            (End::Torn(mut torn), rest) if !is_told => {
                torn.grow(ended);
                torn.grow(rest.unwrap_or_default());
                End::Torn(torn)
            }
            (_, None) => End::Unended,
            (_, Some([])) => End::Line,
            (_, Some(rest)) => End::Torn(Torn::of(rest)),
        };
        whole
    }

    /// Makes what was appended outlive a power cut.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Whether the file is to be put away before more is written.
    pub(super) fn is_full(&mut self, now: SystemTime) -> bool {
        self.look(now);
        let age = now.duration_since(self.since).unwrap_or_default();
        let is_old = self.rotation.age.is_some_and(|most| age >= most);
        self.next > 0 && self.begins.is_none() && (self.size >= self.rotation.size || is_old)
    }

    /// Somebody else may have emptied the file, as logrotate does with `copytruncate`. Then it is as good as a new one.
    fn look(&mut self, now: SystemTime) {
        let Ok(metadata) = self.file.metadata() else { return };
        if metadata.len() < self.size {
            self.since = now;
        }
        self.size = metadata.len();
    }

    /// Puts the file away, goes on in a new one, and removes the oldest of those that were put away.
    pub(super) fn put_away(&mut self, now: SystemTime) -> io::Result<PutAway> {
        self.sync()?;
        let file = series::put_away(&self.path, self.next.saturating_sub(1), now);
        std::fs::rename(&self.path, &file)?;
        if let Err(error) = self.begin_file(Some(&file)) {
            // Nothing is lost: the old file is where it was.
            let _ = std::fs::rename(&file, &self.path);
            return Err(error);
        }
        self.remove_oldest()?;
        Ok(PutAway { file, last: self.last })
    }

    /// Opens the file by its name again, for somebody has put it away. Returns whether it is another one.
    pub(super) fn reopen(&mut self) -> io::Result<bool> {
        let own = identity(&self.file.metadata()?);
        if std::fs::metadata(&self.path).is_ok_and(|there| identity(&there) == own) {
            return Ok(false);
        }
        self.sync()?;
        self.begin_file(series::name_of(&self.path, own).as_deref())?;
        Ok(true)
    }

    /// Goes on in the file that has the log's name now.
    fn begin_file(&mut self, before: Option<&Path>) -> io::Result<()> {
        let file = open_to_append(&self.path)?;
        self.size = file.metadata()?.len();
        self.file = file;
        self.since = SystemTime::now();
        self.begins = Some(AuditRecord::log_goes_on(before.and_then(name), self.last));
        // What was torn is in the other file, and the number of what was lost is told by whoever writes.
        self.end = End::Line;
        Ok(())
    }

    fn remove_oldest(&self) -> io::Result<()> {
        let files = series::own(&self.path)?;
        let too_many = files.len().saturating_sub(self.rotation.keep);
        files.iter().take(too_many).try_for_each(std::fs::remove_file)
    }
}

impl End {
    /// What has to be written before a new line can begin.
    fn to_be_ended(&self) -> &'static [u8] {
        match self {
            Self::Line => b"",
            Self::Unended => b"\n",
            Self::Torn(torn) => torn.to_be_ended(),
        }
    }

    /// So much more has been written, in which no record is whole.
    fn grow(&mut self, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        match self {
            Self::Line => *self = Self::Torn(Torn::of(piece)),
            Self::Unended => {
                let rest = piece.strip_prefix(b"\n").unwrap_or(piece);
                *self = if rest.is_empty() { Self::Line } else { Self::Torn(Torn::of(rest)) };
            }
            Self::Torn(torn) => torn.grow(piece),
        }
    }
}

fn open_to_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)
}

/// How much of it is written, and what kept the rest from it.
fn write_out(file: &mut File, text: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while let Some(rest) = text.get(written..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(more) => written = written.saturating_add(more),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

fn read_tail(file: &mut File) -> io::Result<Vec<u8>> {
    let len = file.metadata()?.len();
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(len.saturating_sub(TAIL)))?;
    file.take(TAIL).read_to_end(&mut tail)?;
    Ok(tail)
}

/// The last line that is a record, and what follows it.
fn last_record(tail: &[u8]) -> Option<(Stamped<'_>, &[u8])> {
    let mut end = tail.len();
    loop {
        let (before, after) = tail.split_at_checked(end)?;
        let begin = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at.saturating_add(1));
        if let Some(record) = stamped(before.get(begin..)?) {
            return Some((record, after));
        }
        end = begin.checked_sub(1)?;
    }
}

/// The file that was written last before the one at `path`, with its last number and value.
fn newest(path: &Path) -> io::Result<Option<(PathBuf, u64, Link)>> {
    let files = series::Series::of(path)?.files;
    let Some(file) = files.into_iter().rfind(|file| file != path) else { return Ok(None) };
    let tail = read_tail(&mut File::open(&file)?)?;
    let last = last_record(&tail).map(|(record, _)| (record.head.seq, record.chained.map(|(_, link)| link)));
    Ok(last.map(|(seq, link)| (file, seq, link.unwrap_or(Link::NONE))))
}

/// When the first record of the file was written; now, if there is none.
fn began(file: &File, path: &Path) -> io::Result<SystemTime> {
    let now = SystemTime::now();
    // A device may have no end.
    if !file.metadata()?.is_file() {
        return Ok(now);
    }
    let mut lines = Lines::of(path)?;
    let first = lines.next()?.and_then(|line| stamped(line.text));
    Ok(first.and_then(|record| humantime::parse_rfc3339(&record.head.time).ok()).unwrap_or(now))
}

fn identity(metadata: &std::fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn name(file: &Path) -> Option<String> {
    file.file_name().map(|name| name.to_string_lossy().into_owned())
}
