//! The same sources in two folders make the same packages, bit by bit.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::{Build, FOLDER, deb, empty, last_change, stage};
use crate::step::{Steps, note};
use crate::tool;

/// Names of different length, so that a path that is left somewhere changes a length as well.
const PLACES: [&str; 2] = ["one", "another-place"];

pub(super) fn check(steps: &mut Steps, build: Build) -> Result<()> {
    let time = last_change()?;
    steps.step("dist: cargo-deb", deb::install)?;
    // Somebody may commit while the first one is built.
    let commit = tool::output(Command::new("git").args(["rev-parse", "HEAD"]))?;
    let mut made = Vec::new();
    for place in PLACES {
        let folder = std::path::absolute(Path::new(FOLDER).join("twice").join(place))?;
        steps.step(
            &format!("dist: a copy of the sources in {}, and its packages", folder.display()),
            || {
                copy_sources(&folder, commit.trim())?;
                build_there(&folder, build, time)
            },
        )?;
        made.push(deb::made(&folder.join(FOLDER))?);
    }
    steps.step("dist: both are the same", || compare(&made))
}

/// What is committed, and nothing else.
fn copy_sources(folder: &Path, commit: &str) -> Result<()> {
    empty(folder)?;
    let tar = folder.with_extension("tar");
    tool::run(Command::new("git").args(["archive", "--output"]).arg(&tar).arg(commit))?;
    tool::run(Command::new("tar").arg("--extract").arg("--file").arg(&tar).arg("--directory").arg(folder))?;
    std::fs::create_dir_all(folder.join("target/tools/bin"))?;
    std::fs::copy("target/tools/bin/cargo-deb", folder.join("target/tools/bin/cargo-deb"))?;
    Ok(())
}

fn build_there(folder: &Path, build: Build, time: u64) -> Result<()> {
    let mut cargo = tool::cargo();
    cargo.current_dir(folder).env_remove("CARGO_TARGET_DIR").env("SOURCE_DATE_EPOCH", time.to_string());
    // A release build says so itself. What tests are run with has the paths of its machine in it, and shall have.
    cargo.env("RUSTFLAGS", stage::flags(folder)?.join(" ")).env("CARGO_INCREMENTAL", "0");
    tool::run(cargo.args(["xtask", "dist", "--profile", build.profile()]))
}

fn compare(made: &[Vec<PathBuf>]) -> Result<()> {
    let [first, second] = made else { bail!("there are not two builds to compare") };
    if first.is_empty() || first.len() != second.len() {
        bail!("one build has {} packages and the other {}", first.len(), second.len());
    }
    for (one, other) in first.iter().zip(second) {
        if std::fs::read(one)? != std::fs::read(other)? {
            bail!("{} and {} differ; `diffoscope` on the two shows where", one.display(), other.display());
        }
        note(format_args!("the same twice: {}", one.file_name().unwrap_or_default().to_string_lossy()));
    }
    Ok(())
}
