//! What is installed: Debian packages of the agent, the client and the policy tool, in `target/dist`.
//!
//! [`stage`] collects what goes into them, [`deb`] lets `cargo-deb` put it together as `packaging/Cargo.toml` says,
//! [`install`] tries them in a clean root, [`reproducible`] makes them twice. The same sources make the same bytes: the time in the
//! packages is that of the last commit, or `SOURCE_DATE_EPOCH`, and no path of the machine is in the programs.

mod changelog;
mod deb;
mod install;
mod reproducible;
mod stage;

use std::path::Path;

use anyhow::{Context, Result};

use crate::step::{Steps, note};
use crate::{setup, tool};

/// Where everything is made.
const FOLDER: &str = "target/dist";

/// What the command line asks for.
pub(crate) enum Wanted {
    Packages(Build),
    /// Packages, and what becomes of a machine on which they are installed.
    Test(Build),
    Reproducible(Build),
}

/// How the programs are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Build {
    /// For people: optimised, and the client without any library.
    Release,
    /// To try packages: what tests have built already.
    Dev,
}

impl Build {
    /// As the command line calls it.
    fn profile(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dev => "dev",
        }
    }
}

impl Wanted {
    /// `[--profile release|dev] [--test|--check-reproducible]`; `None` if it is anything else.
    pub(crate) fn from(options: &[String]) -> Option<Self> {
        let words: Vec<&str> = options.iter().map(String::as_str).collect();
        Some(match words.as_slice() {
            [] | ["--profile", "release"] => Self::Packages(Build::Release),
            ["--profile", "dev"] => Self::Packages(Build::Dev),
            ["--test"] | ["--profile", "dev", "--test"] => Self::Test(Build::Dev),
            ["--profile", "release", "--test"] => Self::Test(Build::Release),
            ["--check-reproducible"] | ["--profile", "release", "--check-reproducible"] => {
                Self::Reproducible(Build::Release)
            }
            ["--profile", "dev", "--check-reproducible"] => Self::Reproducible(Build::Dev),
            _ => return None,
        })
    }
}

pub(crate) fn run(steps: &mut Steps, wanted: &Wanted) -> Result<()> {
    match wanted {
        Wanted::Packages(build) => packages(steps, *build),
        Wanted::Test(build) => test(steps, *build),
        Wanted::Reproducible(build) => reproducible::check(steps, *build),
    }
}

/// Man pages and completions alone, into `target/dist/stage/papers`.
pub(crate) fn man(steps: &mut Steps) -> Result<()> {
    steps.step("man: pages and completions", || stage::papers(Build::Dev, last_change()?))?;
    note(format_args!("try: man -l {FOLDER}/stage/papers/man/knockgated/knockgated.8"));
    Ok(())
}

fn packages(steps: &mut Steps, build: Build) -> Result<()> {
    steps.step("dist: cargo-deb", deb::install)?;
    steps.step("dist: programs and papers", || stage::all(build, last_change()?))?;
    let made = steps.step("dist: packages", || deb::make(build, last_change()?, &deb::Output::packages()))?;
    for package in &made {
        note(package.display());
    }
    steps.step("dist: lintian", || deb::check(&made))
}

/// Installs, uses, breaks, upgrades, removes and purges what is in the packages, on clean machines.
pub(crate) fn test(steps: &mut Steps, build: Build) -> Result<()> {
    setup::packages(steps)?;
    steps.step("dist: cargo-deb", deb::install)?;
    steps.step("dist: programs and papers", || stage::all(build, last_change()?))?;
    steps.step("dist: packages, and an agent of a higher version", || {
        deb::make(build, last_change()?, &deb::Output::packages())?;
        deb::make(build, last_change()?, &deb::Output::next_agent())
    })?;
    steps.step("dist: a clean root", install::root)?;
    steps.step("dist: the walk of a new user", install::walk)
}

/// Seconds since 1970 of the last change, which is the time of everything in the packages.
fn last_change() -> Result<u64> {
    let text = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(given) => given,
        Err(_) => tool::output(std::process::Command::new("git").args(["log", "-1", "--format=%ct"]))
            .context("this is no git checkout; set SOURCE_DATE_EPOCH to the time of the last change")?,
    };
    text.trim()
        .parse()
        .with_context(|| format!("{text:?} is no number of seconds; set SOURCE_DATE_EPOCH to one"))
}

/// Makes an empty folder where there may have been one.
fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}
