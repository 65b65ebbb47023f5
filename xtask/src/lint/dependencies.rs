//! What the dependencies are: judged by cargo-deny, as `deny.toml` says.
//!
//! Advisories are kept in a database at another place than the crates. Where neither it nor a copy of it can be reached, nothing
//! is said of them, and a line says so.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::existing_workspaces;
use crate::{setup::checkers, step::skipped, tool};

/// Seconds for the advisories, a few megabytes. Where a firewall swallows what is sent, git waits for minutes.
const PATIENCE: &str = "60";

pub(super) fn check() -> Result<()> {
    // The lists are the main workspace's. The others need a part of them, and one has an exception of its own.
    judge(Path::new("Cargo.toml"), "--deny")?;
    for workspace in existing_workspaces() {
        judge(&workspace, "--allow")?;
    }
    Ok(())
}

pub(super) fn advisories() -> Result<()> {
    let mut fetch = Command::new("timeout");
    fetch.arg(PATIENCE).arg(checkers::command("cargo-deny")?).args(["--locked", "fetch", "db"]);
    if !tool::succeeds(fetch.env("GIT_TERMINAL_PROMPT", "0")) && !has_a_copy()? {
        skipped("the advisory database cannot be reached, and there is no copy of it");
        return Ok(());
    }
    for workspace in [PathBuf::from("Cargo.toml")].into_iter().chain(existing_workspaces()) {
        // What there is to fetch has been fetched.
        tool::run(deny(&workspace)?.args(["--offline", "check", "advisories"]))?;
    }
    Ok(())
}

/// `unused` says what to do with accepted licences that nothing needs.
fn judge(workspace: &Path, unused: &str) -> Result<()> {
    let mut deny = deny(workspace)?;
    deny.args(["check", unused, "license-not-encountered", "--allow", "license-exception-not-encountered"]);
    tool::run(deny.args(["bans", "licenses", "sources"]))
}

fn deny(workspace: &Path) -> Result<Command> {
    let mut deny = Command::new(checkers::command("cargo-deny")?);
    deny.args(["--locked", "--config", "deny.toml", "--manifest-path"]).arg(workspace);
    Ok(deny)
}

/// Whether cargo-deny has fetched the database once. If the copy is too old to be trusted, it says so itself.
fn has_a_copy() -> Result<bool> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let folder = home.context("neither CARGO_HOME nor HOME is set; set one")?.join("advisory-dbs");
    let Ok(entries) = folder.read_dir() else { return Ok(false) };
    Ok(entries.flatten().any(|entry| entry.path().is_dir()))
}
