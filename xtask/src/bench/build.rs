//! Building what is measured, with one profile for all of it, and running it.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::step::note;
use crate::{small_agent, tool};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Profile {
    Release,
    Dev,
}

impl Profile {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "release" => Some(Self::Release),
            "dev" => Some(Self::Dev),
            _ => None,
        }
    }
}

/// Always of the same packages, so that what they have in common is built once.
pub(super) fn programs(profile: Profile, programs: &[&str]) -> Result<()> {
    if profile == Profile::Release {
        note("a release build takes several minutes the first time; `--profile dev` does without");
    }
    let packages = ["-p", "knockgate-agent", "-p", "knockgate", "-p", "knockgate-tests"];
    let programs = programs.iter().flat_map(|program| ["--bin", program]);
    tool::run(cargo(profile).args(packages).args(programs))
}

/// The agent whose memory is measured beside that of the whole one.
pub(super) fn without_engine(profile: Profile) -> Result<()> {
    small_agent::build(match profile {
        Profile::Release => &["--release"],
        Profile::Dev => &[],
    })
}

pub(super) fn cargo(profile: Profile) -> Command {
    let mut cargo = tool::cargo();
    cargo.args(["build", "--quiet", "--locked"]);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    cargo
}

/// A program that was built.
pub(super) fn program(profile: Profile, name: &str) -> std::path::PathBuf {
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
    let folder = match profile {
        Profile::Release => "release",
        Profile::Dev => "debug",
    };
    Path::new(&target).join(folder).join(name)
}

/// What a program that was built prints. Progress goes where ours goes.
pub(super) fn run(profile: Profile, name: &str, arguments: &[String]) -> Result<String> {
    let mut program = Command::new(program(profile, name));
    program.args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit());
    let done = program.output().with_context(|| format!("cannot start `{}`", tool::words(&program)))?;
    if !done.status.success() {
        // A comparison that fails has printed what it compares.
        print!("{}", String::from_utf8_lossy(&done.stdout));
        bail!("`{}` ended with {}; its own output above says why", tool::words(&program), done.status);
    }
    Ok(String::from_utf8(done.stdout)?)
}
