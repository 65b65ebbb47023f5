//! What is checked without running anything: formatting, clippy, text that does not belong in the tree, spelling, dependencies.

mod dependencies;
mod features;
mod packaging;
mod text;

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::{bare, setup::checkers, step::Steps, step::skipped, tool};

/// Workspaces of their own that are excluded from the main one. One that does not exist yet is passed over.
const OTHER_WORKSPACES: [&str; 4] =
    ["policies/examples", "policies/sdk/rust", "agent-embedded/firmware", "fuzz"];

pub(crate) fn run(steps: &mut Steps) -> Result<()> {
    steps.step("lint: formatting", formatting)?;
    steps.step("lint: text that does not belong here", text::check)?;
    steps.step("lint: spelling", spelling)?;
    steps.step("lint: units, profile and scripts of the packages", packaging::check)?;
    steps.step("lint: features of programs and tests", features::check)?;
    steps.step("lint: bans, licences and sources of dependencies", dependencies::check)?;
    steps.step("lint: advisories on dependencies", dependencies::advisories)?;
    steps.step("lint: clippy", clippy)?;
    steps.step("lint: clippy on policies", clippy_on_guests)
}

fn formatting() -> Result<()> {
    if !tool::succeeds(tool::cargo().args(["fmt", "--version"])) {
        bail!("rustfmt is missing; run `rustup component add rustfmt clippy`");
    }
    tool::run(tool::cargo().args(["fmt", "--all", "--check"]))?;
    for workspace in existing_workspaces() {
        tool::run(tool::cargo().args(["fmt", "--all", "--check", "--manifest-path"]).arg(workspace))?;
    }
    Ok(())
}

fn clippy() -> Result<()> {
    tool::run(tool::cargo().args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))
}

/// Guests have no host target; Debian's toolchain has no clippy, and then this is left to machines with rustup's.
fn clippy_on_guests() -> Result<()> {
    if !bare::has_core(bare::WASM) {
        skipped("the toolchain in use has no wasm32 library");
        return Ok(());
    }
    for workspace in existing_workspaces().filter(|path| path.starts_with("policies")) {
        let mut cargo = tool::cargo();
        cargo.env("CARGO_TARGET_DIR", "target/guests").args([
            "clippy",
            "--quiet",
            "--release",
            "--target",
            bare::WASM,
        ]);
        cargo.arg("--manifest-path").arg(workspace).args(["--", "-D", "warnings"]);
        tool::run(&mut cargo)?;
    }
    Ok(())
}

fn existing_workspaces() -> impl Iterator<Item = std::path::PathBuf> {
    OTHER_WORKSPACES
        .iter()
        .map(|folder| Path::new(folder).join("Cargo.toml"))
        .filter(|manifest| manifest.exists())
}

/// Exceptions stand in `_typos.toml`.
fn spelling() -> Result<()> {
    tool::run(&mut Command::new(checkers::command("typos")?))
}
