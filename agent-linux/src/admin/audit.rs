//! `knockgated audit verify`: is the audit log whole?

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::json;

use super::counted;
use crate::audit::{Finding, Link, Point, Series, verify};
use crate::config::Config;

/// What is to be checked, and against what.
pub struct Request {
    /// None: all files of the configured log.
    pub files: Vec<PathBuf>,
    /// A value of the chain that was noted elsewhere.
    pub expect: Option<Link>,
    pub form: Form,
}

/// For whom the answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    People,
    Programs,
}

/// What was found, and whether it is as it should be.
pub struct Checked {
    pub text: String,
    pub verdict: anyhow::Result<()>,
}

/// Follows the chain through all the files.
///
/// # Errors
/// If a file cannot be read. What is wrong with the log itself is in [`Checked::verdict`].
pub fn run(config: &Path, request: Request) -> anyhow::Result<Checked> {
    let Request { files, expect, form } = request;
    let (files, left_out) = if files.is_empty() { files_of(config)? } else { (files, Vec::new()) };
    let mut finding = verify(&files, expect)
        .map_err(|(file, error)| anyhow::Error::new(error).context(unreadable(&file)))?;
    let note = |file: &PathBuf| {
        format!("{}: left out: it does not begin with a record; unpack it and name it", file.display())
    };
    finding.notes.extend(left_out.iter().map(note));
    let text = match form {
        Form::People => told(&finding)?,
        Form::Programs => format!("{}\n", json!(finding)),
    };
    Ok(Checked { text, verdict: verdict(&finding, expect) })
}

fn verdict(finding: &Finding, expect: Option<Link>) -> anyhow::Result<()> {
    if let Some(broken) = &finding.broken {
        bail!(
            "{broken}. The log was changed there, by hand, by a program or by a bad disk; a copy that was made before can tell by which"
        );
    }
    if let Some(expect) = expect.filter(|_| finding.after_expected.is_none()) {
        bail!(
            "the value {expect} is not in the log: its end was cut off, or it was made anew. If the value is older than the oldest \
             file, keep more files (`keep` in [audit])"
        );
    }
    Ok(())
}

fn told(finding: &Finding) -> anyhow::Result<String> {
    let Finding { files, records, gaps, lost, torn, .. } = finding;
    let mut text = String::new();
    let whole = if finding.broken.is_none() { "whole" } else { "whole up to the place named below" };
    writeln!(text, "chain     {whole}: {records} records in {}", counted(*files, "file"))?;
    for (name, point) in [("first     ", &finding.first), ("last      ", &finding.last)] {
        if let Some(Point { seq, time, chain }) = point {
            writeln!(text, "{name}record {seq}, {time}, {chain}")?;
        }
    }
    if finding.unchained > 0 {
        writeln!(
            text,
            "before    {} records are older than the chain, which says nothing of them",
            finding.unchained
        )?;
    }
    if *gaps > 0 {
        writeln!(text, "gaps      {gaps}, in which {lost} records could not be written")?;
    }
    if *torn > 0 {
        writeln!(text, "torn      {torn} records were cut off by a crash or a full disk")?;
    }
    if let Some(after) = finding.after_expected {
        writeln!(text, "expected  the value is there, {after} records before the end")?;
    }
    for note in &finding.notes {
        writeln!(text, "note: {note}")?;
    }
    Ok(text)
}

/// All files of the configured log, and those that cannot be read as such.
pub(super) fn files_of(config: &Path) -> anyhow::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let config = Config::load(config)?;
    let log = config.of_a_server()?;
    let Series { files, left_out } = Series::of(log).with_context(|| unreadable(log))?;
    if files.is_empty() {
        bail!("{}: there is no record yet; the agent writes the first one at its start", log.display());
    }
    Ok((files, left_out))
}

pub(super) fn unreadable(file: &Path) -> String {
    format!("{}: cannot be read; try as root, or name another file", file.display())
}
