//! Other people's programs, which may be there or not.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::programs;
use anyhow::{Context, Result};

/// Where a program is, if it is installed.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|program| program.is_file())
}

/// The same for a program that is its own package; if it is not there, that is said.
pub fn find_or_say(program: &str) -> Option<PathBuf> {
    let found = find(program);
    if found.is_none() {
        eprintln!("{program} is not installed, so it is left out; `apt install {program}`");
    }
    found
}

/// The first line of what it says to `-V`.
pub fn version(program: &Path) -> Result<String> {
    let said = programs::output(Command::new(program).arg("-V"))?;
    let line = said.lines().next();
    line.map(str::to_owned).with_context(|| format!("{} does not tell its version", program.display()))
}

/// The number in it.
pub fn version_number(program: &Path) -> Result<String> {
    let line = version(program)?;
    let number = line.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    number
        .map(|number| number.trim_end_matches(',').to_owned())
        .with_context(|| format!("no number in {line:?}"))
}
