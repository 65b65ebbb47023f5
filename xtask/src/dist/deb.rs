//! Debian packages by `cargo-deb`, which is installed into `target/tools` like other compilers.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Build, FOLDER};
use crate::step::{note, skipped};
use crate::tool;

/// The version that `packaging/Cargo.toml` was written for.
const VERSION: &str = "3.8.0";
const TOOLS: &str = "target/tools";
/// As `packaging/Cargo.toml` calls them.
const VARIANTS: [&str; 3] = ["agent", "client", "policy"];
/// What they are called where they are installed.
pub(super) const NAMES: [&str; 3] = ["knockgated", "knockgate", "knockgate-policy"];

/// Where packages go, which ones, and which version they say they are.
pub(super) struct Output {
    folder: PathBuf,
    variants: &'static [&'static str],
    version: Option<&'static str>,
}

impl Output {
    pub(super) fn packages() -> Self {
        Self { folder: FOLDER.into(), variants: &VARIANTS, version: None }
    }

    /// The same agent under a higher number, to upgrade to.
    pub(super) fn next_agent() -> Self {
        Self { folder: Path::new(FOLDER).join("next"), variants: &["agent"], version: Some("999.0.0") }
    }
}

/// Without optimisation: it runs for seconds, and compiles much faster.
pub(super) fn install() -> Result<()> {
    let program = Path::new(TOOLS).join("bin/cargo-deb");
    let here = tool::output(Command::new(&program).arg("--version")).is_ok_and(|told| told.contains(VERSION));
    if here {
        return Ok(());
    }
    note(format_args!("cargo-deb {VERSION}, into {TOOLS}"));
    let mut cargo = tool::cargo();
    cargo.args(["install", "cargo-deb", "--version", VERSION, "--locked", "--quiet", "--debug", "--force"]);
    // Whatever this workspace is built with is not for a tool.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_TARGET_DIR").args(["--root", TOOLS]);
    tool::run(&mut cargo)
}

/// The packages, from what is staged.
pub(super) fn make(build: Build, last_change: u64, output: &Output) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(&output.folder)?;
    remove_old(&output.folder)?;
    for variant in output.variants {
        let mut cargo_deb = Command::new(Path::new(TOOLS).join("bin/cargo-deb"));
        cargo_deb.env("SOURCE_DATE_EPOCH", last_change.to_string());
        cargo_deb.args(["--manifest-path", "packaging/Cargo.toml", "--no-build", "--no-strip", "--quiet"]);
        cargo_deb.arg("--output").arg(&output.folder);
        cargo_deb.args(["--variant", variant]);
        cargo_deb.args(output.version.iter().flat_map(|version| ["--deb-version", version]));
        if build == Build::Dev {
            cargo_deb.arg("--fast");
        }
        tool::run(&mut cargo_deb)?;
    }
    made(&output.folder)
}

/// What Debian's own checker finds in them. What it may find, and why, is in `packaging/lintian`.
pub(super) fn check(packages: &[PathBuf]) -> Result<()> {
    if tool::find("lintian").is_none() {
        skipped("lintian is not installed (Debian's package lintian)");
        return Ok(());
    }
    let mut lintian = Command::new("lintian");
    lintian.args(["--allow-root", "--tag-display-limit", "0", "--fail-on", "error,warning"]);
    tool::run(lintian.args(packages))
}

/// The packages in a folder, in the order of their names.
pub(super) fn made(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut packages: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| is_package(path)).collect();
    packages.sort();
    Ok(packages)
}

fn is_package(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "deb")
}

fn remove_old(folder: &Path) -> Result<()> {
    for package in made(folder)? {
        std::fs::remove_file(&package).with_context(|| format!("cannot remove {}", package.display()))?;
    }
    Ok(())
}
