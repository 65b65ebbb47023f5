//! `knockgated report`: some days of the audit log on a page, or in a few lines.

use std::path::{Path, PathBuf};

use anyhow::Context;
use knockgate_core::UnixTime;

use super::moment;
use crate::config::Config;
use crate::report::{Report, Request};

/// Of which time, and where it goes.
pub struct Wanted {
    pub since: UnixTime,
    /// Now, if it is not said.
    pub until: Option<UnixTime>,
    /// Printed in short form without.
    pub html: Option<PathBuf>,
}

/// Reads the audit log with all that was put away.
///
/// # Errors
/// If the configuration or a file of the log cannot be read, or the page cannot be written.
pub fn run(path: &Path, wanted: Wanted) -> anyhow::Result<String> {
    let Wanted { since, until, html } = wanted;
    let gate = Config::load(path)?.gate.address.to_string();
    let (files, _) = super::audit::files_of(path)?;
    let until = until.or_else(moment::now).context("this host's calendar is before 1970; set its clock")?;
    let report = Report::of(Request { files, since, until, gate })?;
    let Some(html) = html else { return Ok(report.text()) };
    std::fs::write(&html, report.html()).with_context(|| {
        format!("{}: cannot be written; name a file in a directory that is there", html.display())
    })?;
    Ok(format!("{}: written; open it in a browser\n", html.display()))
}
