//! The benchmark: builds what it needs, runs the program `bench` of the tests crate, keeps its tables.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::step::{Steps, note};
use crate::{setup, tool};

const DOCUMENT: &str = "docs/benchmarks.md";
const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";

/// Fewer say too little about a 99th percentile to be kept.
const ENOUGH: u32 = 50;

/// What the command line asks for.
pub(crate) struct Wanted {
    repetitions: u32,
    profile: Profile,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Profile {
    Release,
    Dev,
}

impl Wanted {
    /// `[--reps N] [--profile release|dev]`; `None` if it is anything else.
    pub(crate) fn from(arguments: &[String]) -> Option<Self> {
        let mut wanted = Self { repetitions: 100, profile: Profile::Release };
        for option in arguments.chunks(2) {
            let [name, value] = option else { return None };
            match (name.as_str(), value.as_str()) {
                ("--reps", number) => wanted.repetitions = number.parse().ok().filter(|reps| *reps > 0)?,
                ("--profile", "release") => wanted.profile = Profile::Release,
                ("--profile", "dev") => wanted.profile = Profile::Dev,
                _ => return None,
            }
        }
        Some(wanted)
    }
}

pub(crate) fn run(steps: &mut Steps, wanted: &Wanted) -> Result<()> {
    setup::run(steps)?;
    steps.step("bench: build of agent, client and benchmark", || build(wanted.profile))?;
    let tables = steps.step("bench: knocks", || measure(wanted))?;
    println!("\n{tables}");
    if wanted.profile != Profile::Release || wanted.repetitions < ENOUGH {
        note(format_args!("{DOCUMENT} keeps only release builds with {ENOUGH} or more repetitions"));
        return Ok(());
    }
    keep(Path::new(DOCUMENT), &tables)?;
    note(format_args!("written into {DOCUMENT}"));
    Ok(())
}

fn build(profile: Profile) -> Result<()> {
    let mut cargo = tool::cargo();
    cargo.args(["build", "--quiet", "--locked"]);
    cargo.args(["-p", "knockgate-agent", "-p", "knockgate", "-p", "knockgate-tests"]);
    cargo.args(["--bin", "knockgated", "--bin", "knockgate", "--bin", "bench"]);
    if profile == Profile::Release {
        note("a release build takes several minutes the first time; `--profile dev` does without");
        cargo.arg("--release");
    }
    tool::run(&mut cargo)
}

/// Progress goes where ours goes.
fn measure(wanted: &Wanted) -> Result<String> {
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
    let folder = match wanted.profile {
        Profile::Release => "release",
        Profile::Dev => "debug",
    };
    let mut bench = Command::new(Path::new(&target).join(folder).join("bench"));
    bench.arg(wanted.repetitions.to_string()).stdin(Stdio::null()).stderr(Stdio::inherit());
    let done = bench.output().with_context(|| format!("cannot start `{}`", tool::words(&bench)))?;
    if !done.status.success() {
        bail!("`{}` ended with {}; its own output above says why", tool::words(&bench), done.status);
    }
    Ok(String::from_utf8(done.stdout)?)
}

/// Replaces what stands between the two marks.
fn keep(document: &Path, tables: &str) -> Result<()> {
    let text = std::fs::read_to_string(document).with_context(|| format!("{}", document.display()))?;
    let replaced = between_marks(&text, tables)
        .with_context(|| format!("{} needs the lines {BEGIN} and {END}", document.display()))?;
    Ok(std::fs::write(document, replaced)?)
}

fn between_marks(text: &str, tables: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{tables}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let old = format!("before\n{BEGIN}\n\nold\n\n{END}\nafter\n");
        let new = between_marks(&old, "new\n").unwrap();
        assert_eq!(new, format!("before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"));
    }

    #[test]
    fn a_document_without_marks_is_left_alone() {
        assert_eq!(between_marks(&format!("{END}\n{BEGIN}\n"), "new\n"), None);
    }
}
