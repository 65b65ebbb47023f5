//! Where a network namespace has its files: one guard for each of them, and so one of whatever goes with it.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::PathBuf;

use anyhow::anyhow;

/// Where they are. Empty after a reboot. It is root's, or the agent's own where that runs as a user.
const FOLDER: &str = "/run/knockgate";

/// Makes the folder, if nobody has.
///
/// # Errors
/// This process may not.
pub(crate) fn make_folder() -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o755).create(FOLDER);
    made.map_err(|error| anyhow!("{FOLDER}: cannot be made: {error}; run as root"))
}

/// A file for this network namespace.
///
/// # Errors
/// It cannot be said which network namespace this is.
pub(crate) fn file(what: &str) -> anyhow::Result<PathBuf> {
    const NAMESPACE: &str = "/proc/self/ns/net";
    let namespace =
        std::fs::metadata(NAMESPACE).map_err(|error| anyhow!("{NAMESPACE}: {error}; mount /proc"))?.ino();
    Ok(format!("{FOLDER}/{what}-{namespace}").into())
}
