//! `knockgated report`: what the audit log tells of some days, on one page.
//!
//! The log is read once, line by line; what is kept of it is counted, in tables of bounded size. The page stands alone: no script,
//! no network, nothing of the log in it that was not escaped.

mod bins;
mod chart;
mod gaps;
mod histogram;
mod html;
mod tally;
#[cfg(test)]
mod tests;
mod text;
mod top;

use std::path::PathBuf;

use anyhow::Context;
use knockgate_core::UnixTime;
use serde_json::Value;

use crate::audit::{Finding, Lines, verify};
use bins::Span;
use tally::Tally;

/// What the report is about.
pub(crate) struct Request {
    /// Of one log, in the order of their records.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) since: UnixTime,
    pub(crate) until: UnixTime,
    /// Whose gate it is.
    pub(crate) gate: String,
}

/// All that the log tells of that time.
pub(crate) struct Report {
    gate: String,
    tally: Tally,
    /// What the chain says of the whole log.
    chain: Finding,
}

impl Report {
    /// # Errors
    /// If a file cannot be read.
    pub(crate) fn of(request: Request) -> anyhow::Result<Self> {
        let Request { files, since, until, gate } = request;
        let chain = verify(&files, None)
            .map_err(|(file, error)| anyhow::Error::new(error).context(file.display().to_string()))?;
        let begins = chain.first.as_ref().and_then(|point| seconds(&point.time));
        let since = since.as_micros() / 1_000_000;
        // What has happened in the second that is not over yet is told, too.
        let until = until.as_micros().div_ceil(1_000_000);
        // Nothing is drawn of the time before the log.
        let begins = begins.filter(|begins| chain.unchained == 0 && *begins < until);
        let mut tally = Tally::new(Span::new(since.max(begins.unwrap_or(since)), until));
        for file in &files {
            let unreadable = || format!("{}: cannot be read", file.display());
            let mut lines = Lines::of(file).with_context(unreadable)?;
            while let Some(line) = lines.next().with_context(unreadable)? {
                let record: Result<Value, _> = serde_json::from_slice(line.text);
                tally.take(&record.unwrap_or_default());
            }
        }
        tally.end();
        Ok(Self { gate, tally, chain })
    }

    /// One page that stands alone.
    pub(crate) fn html(&self) -> String {
        html::page(self)
    }

    /// The figures in a few lines.
    pub(crate) fn text(&self) -> String {
        text::summary(self)
    }
}

/// Since 1970, of a time as records have it.
fn seconds(time: &str) -> Option<u64> {
    let time = humantime::parse_rfc3339(time).ok()?;
    time.duration_since(std::time::UNIX_EPOCH).ok().map(|since| since.as_secs())
}
