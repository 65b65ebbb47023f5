//! Where a network namespace has its files: one guard for each of them, and so one of whatever goes with it.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use anyhow::anyhow;

/// A file for this network namespace, in a place that only root can write to and that is empty after a reboot.
///
/// # Errors
/// It cannot be said which network namespace this is.
pub(crate) fn file(what: &str) -> anyhow::Result<PathBuf> {
    const NAMESPACE: &str = "/proc/self/ns/net";
    let namespace =
        std::fs::metadata(NAMESPACE).map_err(|error| anyhow!("{NAMESPACE}: {error}; mount /proc"))?.ino();
    Ok(format!("/run/knockgate.{what}-{namespace}").into())
}
