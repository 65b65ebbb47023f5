//! Is the log whole? Follows the chain through all files of a log, and says where it is broken first.

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::chain::Link;
use super::lines::{Line, Lines, Stamped, stamped};
use super::torn::Torn;

/// What was found.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Finding {
    pub(crate) files: usize,
    /// Records that are chained and whole.
    pub(crate) records: u64,
    /// Records of before the chain.
    pub(crate) unchained: u64,
    pub(crate) first: Option<Point>,
    pub(crate) last: Option<Point>,
    /// How often the log says that records could not be written, and how many these were.
    pub(crate) gaps: u64,
    pub(crate) lost: u64,
    /// How often a crash or a full disk cut a record off.
    pub(crate) torn: u64,
    /// What the log says of itself that an administrator ought to know.
    pub(crate) notes: Vec<String>,
    pub(crate) broken: Option<Broken>,
    /// Records after the value that was expected; `None` if it was not met, or none was.
    pub(crate) after_expected: Option<u64>,
}

/// A record.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Point {
    pub(crate) seq: u64,
    pub(crate) time: String,
    pub(crate) chain: String,
}

/// The first place where the chain does not hold.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Broken {
    pub(crate) file: PathBuf,
    pub(crate) line: u64,
    pub(crate) what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

/// Goes through the files in that order.
///
/// # Errors
/// If one of them cannot be read.
pub(crate) fn verify(files: &[PathBuf], expected: Option<Link>) -> Result<Finding, (PathBuf, io::Error)> {
    let mut walk = Walk { expected, ..Walk::default() };
    for file in files {
        walk.file(file).map_err(|error| (file.clone(), error))?;
        if walk.finding.broken.is_some() {
            break;
        }
    }
    Ok(walk.finding)
}

#[derive(Default)]
struct Walk {
    finding: Finding,
    /// The value of the record before, once there is one.
    last: Option<(u64, Link)>,
    before: Option<PathBuf>,
    /// Lines since then that are no records, and the first of them.
    torn: Option<(u64, Torn)>,
    expected: Option<Link>,
}

/// What a record says of the chain.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct OfChain {
    reason: Option<String>,
    file: Option<String>,
    hash_before: Option<String>,
    bytes: Option<u64>,
    digest: Option<String>,
    records: Option<u64>,
}

impl Walk {
    fn file(&mut self, file: &Path) -> io::Result<()> {
        let mut lines = Lines::of(file)?;
        self.finding.files += 1;
        while let Some(line) = lines.next()? {
            if let Err(what) = self.line(&line) {
                self.finding.broken = Some(Broken { file: file.to_owned(), line: line.number, what });
                return Ok(());
            }
        }
        if let Some((line, torn)) = self.torn.take() {
            // An agent that was killed has said nothing of it yet; it does at its next start, in this file.
            self.finding.notes.push(format!(
                "{}:{line}: the file ends with {} bytes that are no record: cut off by a crash, and not told of yet",
                file.display(),
                torn.bytes()
            ));
        }
        self.before = Some(file.to_owned());
        Ok(())
    }

    fn line(&mut self, line: &Line<'_>) -> Result<(), String> {
        if !line.is_whole {
            return Err("the line is longer than any record".into());
        }
        match stamped(line.text) {
            None => {
                let text = [line.text, b"\n"].concat();
                self.torn.get_or_insert_with(|| (line.number, Torn::of(b""))).1.grow(&text);
                Ok(())
            }
            Some(Stamped { head, chained: None }) => self.unchained(head.seq),
            Some(Stamped { head, chained: Some((record, link)) }) => {
                let of_chain: OfChain = serde_json::from_slice(line.text)
                    .map_err(|error| format!("record {} cannot be read: {error}", head.seq))?;
                let before = self.before(line.number, head.seq, &head.event, &of_chain)?;
                if let Some(before) = before {
                    self.check(before, record, link, head.seq)?;
                }
                self.heed(&head.event, &of_chain, head.seq)?;
                self.met(link, Point { seq: head.seq, time: head.time, chain: link.to_string() });
                Ok(())
            }
        }
    }

    /// Only what an older version has written has none.
    fn unchained(&mut self, seq: u64) -> Result<(), String> {
        if self.last.is_some() {
            return Err(format!("record {seq} carries no value of the chain, though those before it do"));
        }
        self.finding.unchained += 1;
        self.torn = None;
        Ok(())
    }

    /// The value before this record; `None` if nobody can know it.
    fn before(&mut self, line: u64, seq: u64, event: &str, of: &OfChain) -> Result<Option<Link>, String> {
        if event != "log-begins" {
            if self.last.is_none() {
                if line > 1 || self.finding.unchained > 0 {
                    return Err(format!(
                        "record {seq} is chained to nothing: how the chain begins is missing"
                    ));
                }
                let note =
                    format!("the log begins in the middle, at record {seq}: what was before is not here");
                self.finding.notes.push(note);
            }
            return Ok(self.last.map(|(_, link)| link));
        }
        let named: Link = of.hash_before.as_deref().unwrap_or_default().parse()?;
        match (of.reason.as_deref(), self.last) {
            (Some("new"), None) => {}
            (Some("unchained"), None) if self.finding.unchained > 0 => self.finding.notes.push(format!(
                "{} records are of before the chain, which says nothing of them",
                self.finding.unchained
            )),
            (Some("next-file"), None) => self.finding.notes.push(match &of.file {
                Some(file) => format!("the log begins after {file}, which is not here"),
                None => "the log begins after a file that is not here".into(),
            }),
            (Some("next-file"), Some((last, link))) => {
                if named != link {
                    return Err(self.does_not_follow(seq, last, of.file.as_deref()));
                }
            }
            (reason, _) => {
                return Err(format!(
                    "the chain begins anew ({}): nothing says what was before",
                    reason.unwrap_or("without a reason")
                ));
            }
        }
        Ok(Some(named))
    }

    fn does_not_follow(&self, seq: u64, last: u64, named: Option<&str>) -> String {
        let before =
            self.before.as_ref().and_then(|file| file.file_name()).map(|name| name.to_string_lossy());
        let before = before.unwrap_or("nothing".into());
        match (named, seq.checked_sub(last.saturating_add(1))) {
            (Some(named), Some(missing @ 1..)) => format!(
                "this file follows {named}, and what is before it here, {before}, ends {missing} records earlier: a file or the end of one is missing"
            ),
            (_, Some(missing @ 1..)) => format!("{missing} records before this file are missing"),
            (_, _) => {
                format!("this file does not follow {before}: the end of that, or this record, was changed")
            }
        }
    }

    fn check(&self, before: Link, record: &[u8], link: Link, seq: u64) -> Result<(), String> {
        if before.next(record) == link {
            return Ok(());
        }
        let expected = self.last.map_or(seq, |(last, _)| last.saturating_add(1));
        Err(match seq.checked_sub(expected) {
            Some(0) => format!(
                "record {seq} was changed: its value is {link}, and its bytes give {}",
                before.next(record)
            ),
            Some(1) => format!("record {expected} before this line is missing"),
            Some(_) => {
                format!("records {expected} to {} before this line are missing", seq.saturating_sub(1))
            }
            None => format!("record {seq} stands where record {expected} belongs"),
        })
    }

    /// What the record says of the log itself.
    fn heed(&mut self, event: &str, of: &OfChain, seq: u64) -> Result<(), String> {
        match event {
            "lost" => {
                self.finding.gaps += 1;
                self.finding.lost = self.finding.lost.saturating_add(of.records.unwrap_or(0));
            }
            "torn" => {
                let torn = self.torn.take().map(|(_, torn)| (torn.bytes(), torn.digest().to_string()));
                if torn.as_ref().map(|(bytes, digest)| (*bytes, digest.as_str()))
                    != of.bytes.zip(of.digest.as_deref())
                {
                    return Err(format!(
                        "record {seq} tells of a torn one, and what is before it is something else"
                    ));
                }
                self.finding.torn += 1;
            }
            // What is torn before it is told of after it.
            "log-begins" => {}
            _ => {
                if let Some((line, torn)) = self.torn.take() {
                    return Err(format!(
                        "{} bytes from line {line} on are no record, and none tells of them",
                        torn.bytes()
                    ));
                }
            }
        }
        Ok(())
    }

    fn met(&mut self, link: Link, point: Point) {
        self.last = Some((point.seq, link));
        self.finding.records += 1;
        self.finding.after_expected = self.finding.after_expected.map(|after| after.saturating_add(1));
        if self.expected == Some(link) {
            self.finding.after_expected = Some(0);
        }
        self.finding.first.get_or_insert_with(|| point.clone());
        self.finding.last = Some(point);
    }
}
