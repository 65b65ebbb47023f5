//! Folders in `target/tools` that are filled once.
//!
//! What was asked for stands in a stamp file beside what was installed, so nothing is fetched twice, and an installation that
//! was cut short is made anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::tool;

pub(super) const TOOLS: &str = "target/tools";

/// Where everything is that setup installs without root.
pub(super) fn tools() -> Result<PathBuf> {
    Ok(std::env::current_dir()?.join(TOOLS))
}

/// Keeps another xtask from installing the same, until it is dropped.
pub(super) fn lock(tools: &Path) -> Result<fs::File> {
    fs::create_dir_all(tools)?;
    let lock = fs::File::create(tools.join("lock"))?;
    lock.lock().context("cannot wait for another xtask that installs the same programs")?;
    Ok(lock)
}

/// Makes `folder` by `work`, unless it was made from the same files before.
pub(super) fn install(folder: &Path, files: &[&Path], work: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut wanted = String::new();
    for file in files {
        wanted += &fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    }
    let stamp = folder.join("stamp");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder)?;
    work()?;
    Ok(fs::write(stamp, wanted)?)
}

/// Python packages that are finished programs, into `folder`.
pub(super) fn python_packages(folder: &Path, requirements: &Path) -> Result<()> {
    let mut pip = Command::new("python3");
    // It warns against installing into the system as root, which this does not.
    pip.env("PIP_ROOT_USER_ACTION", "ignore");
    pip.args(["-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", "install"])
        .args(["--no-deps", "--no-compile", "--only-binary", ":all:", "--target"])
        .arg(folder)
        .arg("--requirement")
        .arg(requirements);
    tool::run(&mut pip)
}
