//! The files of one log: the one that is written, and those that were put away before it.
//!
//! The agent puts a file away as `audit.jsonl.000000012345-20261128`: the number of its last record and the day, so that the names
//! sort in the order of the records whatever the clock did. What logrotate makes of the name is found, too, because the order is
//! taken from what is in the files.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::lines::{Lines, stamped};

/// Lines at the beginning of a file among which there is a record, or it is not one of a log.
const LOOKED_AT: usize = 16;

/// The files of the log at `path` in the order of their records, and what looks like one and cannot be read as such.
pub(crate) struct Series {
    pub(crate) files: Vec<PathBuf>,
    /// Packed by logrotate, for one.
    pub(crate) left_out: Vec<PathBuf>,
}

impl Series {
    /// # Errors
    /// If the directory or one of the files cannot be read.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let mut ordered = Vec::new();
        let mut left_out = Vec::new();
        for file in siblings(path)? {
            match first_number(&file)? {
                Begins::With(number) => ordered.push((number, file)),
                Begins::Empty => {}
                Begins::Otherwise => left_out.push(file),
            }
        }
        ordered.sort();
        left_out.sort();
        Ok(Self { files: ordered.into_iter().map(|(_, file)| file).collect(), left_out })
    }
}

/// What a file that was put away is called.
pub(super) fn put_away(path: &Path, last: u64, time: SystemTime) -> PathBuf {
    let day: String = humantime::format_rfc3339_seconds(time).to_string().chars().take(10).collect();
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{last:012}-{}", day.replace('-', "")));
    name.into()
}

/// The files that the agent has put away, the oldest first. Those of logrotate are logrotate's.
pub(super) fn own(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = siblings(path)?;
    files.retain(|file| suffix(path, file).is_some_and(is_own));
    files.sort();
    Ok(files)
}

/// The name that the file of that device and number has beside `path` now.
pub(super) fn name_of(path: &Path, identity: (u64, u64)) -> Option<PathBuf> {
    let is_it = |file: &PathBuf| std::fs::metadata(file).is_ok_and(|is| (is.dev(), is.ino()) == identity);
    siblings(path).ok()?.into_iter().find(is_it)
}

/// Every file whose name begins with the log's.
fn siblings(path: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let file = path.with_file_name(entry.file_name());
        if suffix(path, &file).is_some() && entry.file_type()?.is_file() {
            found.push(file);
        }
    }
    Ok(found)
}

/// What follows the log's name in a file's; with logrotate's `extension` the name itself is changed, which nobody can follow.
fn suffix<'f>(path: &Path, file: &'f Path) -> Option<&'f [u8]> {
    let name = path.file_name().map(OsStr::as_bytes)?;
    let rest = file.file_name().map(OsStr::as_bytes)?.strip_prefix(name)?;
    (rest.is_empty() || rest.starts_with(b".") || rest.starts_with(b"-")).then_some(rest)
}

fn is_own(suffix: &[u8]) -> bool {
    let parts = suffix.strip_prefix(b".").and_then(|rest| rest.split_at_checked(12));
    let digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    parts.is_some_and(|(number, day)| {
        digits(number) && day.len() == 9 && day.strip_prefix(b"-").is_some_and(digits)
    })
}

enum Begins {
    With(u64),
    Empty,
    Otherwise,
}

fn first_number(file: &Path) -> io::Result<Begins> {
    let mut lines = Lines::of(file)?;
    for _ in 0..LOOKED_AT {
        let Some(line) = lines.next()? else { break };
        if let Some(record) = stamped(line.text) {
            return Ok(Begins::With(record.head.seq));
        }
    }
    let is_empty = std::fs::metadata(file)?.len() == 0;
    Ok(if is_empty { Begins::Empty } else { Begins::Otherwise })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_in_the_order_of_their_records_whoever_has_named_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let record = |seq| format!("{{\"time\":\"t\",\"seq\":{seq},\"event\":\"e\"}}\n");
        write("audit.jsonl", &record(30));
        write("audit.jsonl.1", &record(20));
        write("audit.jsonl.2", &record(10));
        write("audit.jsonl-20261128", &record(5));
        write("audit.jsonl.3.gz", "\u{1f}packed");
        write("audit.jsonl.000000000004-20261127", &record(0));
        write("audit.jsonl.empty", "");
        write("audit.jsonlines", &record(7));
        let Series { files, left_out } = Series::of(&path).unwrap();
        let names = |files: &[PathBuf]| {
            files.iter().map(|file| suffix(&path, file).map(<[u8]>::to_vec).unwrap()).collect::<Vec<_>>()
        };
        let expected: [&[u8]; 5] = [b".000000000004-20261127", b"-20261128", b".2", b".1", b""];
        assert_eq!(names(&files), expected);
        assert_eq!(names(&left_out), [b".3.gz"]);
        assert_eq!(names(&own(&path).unwrap()), [b".000000000004-20261127"]);
    }

    #[test]
    fn a_file_is_put_away_under_its_last_number_and_the_day() {
        let name = put_away(Path::new("/l/audit.jsonl"), 12_345, SystemTime::UNIX_EPOCH);
        assert_eq!(name, Path::new("/l/audit.jsonl.000000012345-19700101"));
        assert!(is_own(suffix(Path::new("/l/audit.jsonl"), &name).unwrap()));
        for other in
            ["", ".1", "-20261128", ".000000012345", ".00000001234x-19700101", ".000000012345-19700101.gz"]
        {
            assert!(!is_own(other.as_bytes()), "{other}");
        }
    }
}
