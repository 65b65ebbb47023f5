//! Other people's programs, which may be there or not.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use knockgate_tests::programs;

/// Where a program is, if it is installed.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|program| program.is_file())
}

/// The first line of what it says to `-V`.
pub(crate) fn version(program: &Path) -> Result<String> {
    let said = programs::output(Command::new(program).arg("-V"))?;
    let line = said.lines().next();
    line.map(str::to_owned).with_context(|| format!("{} does not tell its version", program.display()))
}
