//! The benchmark: builds what it needs, runs the program `bench` of the tests crate and the two that measure the core on one
//! thread, keeps their tables.

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

/// What measures one thread, in the order of its tables: the core alone, then with the agent's roster.
const EXAMPLES: [(&str, &str); 2] = [("knockgate-core", "packet_cost"), ("knockgate-agent", "knock_scale")];

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
    let threads = steps.step("bench: one thread", || one_thread(wanted.profile))?;
    let knocks = steps
        .step("bench: knocks", || run_built(wanted.profile, "bench", &[&wanted.repetitions.to_string()]))?;
    let tables = format!("{knocks}\n{threads}");
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
    if profile == Profile::Release {
        note("a release build takes several minutes the first time; `--profile dev` does without");
    }
    let packages = ["-p", "knockgate-agent", "-p", "knockgate", "-p", "knockgate-tests"];
    let programs = ["--bin", "knockgated", "--bin", "knockgate", "--bin", "bench"];
    tool::run(cargo_build(profile).args(packages).args(programs))?;
    // Each by itself: what the tests of one crate need may change what the others are built with.
    EXAMPLES.into_iter().try_for_each(|(package, example)| {
        tool::run(cargo_build(profile).args(["-p", package, "--example", example]))
    })
}

fn cargo_build(profile: Profile) -> Command {
    let mut cargo = tool::cargo();
    cargo.args(["build", "--quiet", "--locked"]);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    cargo
}

fn one_thread(profile: Profile) -> Result<String> {
    let tables = EXAMPLES.map(|(_, example)| run_built(profile, &format!("examples/{example}"), &[]));
    Ok(tables.into_iter().collect::<Result<Vec<_>>>()?.join("\n"))
}

/// What a program that was built prints. Progress goes where ours goes.
fn run_built(profile: Profile, program: &str, arguments: &[&str]) -> Result<String> {
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
    let folder = match profile {
        Profile::Release => "release",
        Profile::Dev => "debug",
    };
    let mut program = Command::new(Path::new(&target).join(folder).join(program));
    program.args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit());
    let done = program.output().with_context(|| format!("cannot start `{}`", tool::words(&program)))?;
    if !done.status.success() {
        bail!("`{}` ended with {}; its own output above says why", tool::words(&program), done.status);
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
