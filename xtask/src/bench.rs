//! The benchmarks: builds what they need, runs the program `bench` of the tests crate and the two that measure the core on one
//! thread, keeps their tables. `policy` measures decisions alone and has a table of its own.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::step::{Steps, note};
use crate::{policies, setup, tool};

const DOCUMENT: &str = "docs/benchmarks.md";
const KNOCKS: Marks = Marks { begin: "<!-- measured: begin -->", end: "<!-- measured: end -->" };
const DECISIONS: Marks =
    Marks { begin: "<!-- measured policies: begin -->", end: "<!-- measured policies: end -->" };

/// Fewer say too little about a 99th percentile to be kept.
const ENOUGH: u32 = 50;

/// What measures one thread, in the order of its tables: the core alone, then with the agent's roster.
const EXAMPLES: [(&str, &str); 2] = [("knockgate-core", "packet_cost"), ("knockgate-agent", "knock_scale")];

/// What the command line asks for.
pub(crate) struct Wanted {
    what: What,
    profile: Profile,
}

#[derive(Clone, Copy)]
enum What {
    /// So many of each.
    Knocks(u32),
    Decisions,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Profile {
    Release,
    Dev,
}

/// Between which lines of the document a table stands.
#[derive(Clone, Copy)]
struct Marks {
    begin: &'static str,
    end: &'static str,
}

impl Wanted {
    /// `[policy] [--reps N] [--profile release|dev]`, the number not with `policy`; `None` if it is anything else.
    pub(crate) fn from(arguments: &[String]) -> Option<Self> {
        let (what, options) = match arguments {
            [first, options @ ..] if first == "policy" => (What::Decisions, options),
            options => (What::Knocks(100), options),
        };
        let mut wanted = Self { what, profile: Profile::Release };
        for option in options.chunks(2) {
            let [name, value] = option else { return None };
            match (name.as_str(), value.as_str(), what) {
                ("--reps", number, What::Knocks(_)) => {
                    wanted.what = What::Knocks(number.parse().ok().filter(|reps| *reps > 0)?);
                }
                ("--profile", "release", _) => wanted.profile = Profile::Release,
                ("--profile", "dev", _) => wanted.profile = Profile::Dev,
                _ => return None,
            }
        }
        Some(wanted)
    }
}

pub(crate) fn run(steps: &mut Steps, wanted: &Wanted) -> Result<()> {
    setup::run(steps)?;
    match wanted.what {
        What::Knocks(repetitions) => knocks(steps, repetitions, wanted.profile),
        What::Decisions => decisions(steps, wanted.profile),
    }
}

fn knocks(steps: &mut Steps, repetitions: u32, profile: Profile) -> Result<()> {
    steps.step("bench: build of agent, client and benchmark", || build(profile))?;
    let threads = steps.step("bench: one thread", || one_thread(profile))?;
    let knocks = steps.step("bench: knocks", || run_built(profile, "bench", &[&repetitions.to_string()]))?;
    let tables = format!("{knocks}\n{threads}");
    println!("\n{tables}");
    if profile != Profile::Release || repetitions < ENOUGH {
        note(format_args!("{DOCUMENT} keeps only release builds with {ENOUGH} or more repetitions"));
        return Ok(());
    }
    keep(Path::new(DOCUMENT), KNOCKS, &tables)
}

fn decisions(steps: &mut Steps, profile: Profile) -> Result<()> {
    policies::run(steps)?;
    steps.step("bench: build of the benchmark", || build_programs(profile, &["bench"]))?;
    let tables = steps.step("bench: decisions", || run_built(profile, "bench", &["policy"]))?;
    println!("\n{tables}");
    match profile {
        Profile::Release => keep(Path::new(DOCUMENT), DECISIONS, &tables),
        Profile::Dev => {
            note(format_args!("{DOCUMENT} keeps only release builds"));
            Ok(())
        }
    }
}

fn build(profile: Profile) -> Result<()> {
    build_programs(profile, &["knockgated", "knockgate", "bench"])?;
    // Each by itself: what the tests of one crate need may change what the others are built with.
    EXAMPLES.into_iter().try_for_each(|(package, example)| {
        tool::run(cargo_build(profile).args(["-p", package, "--example", example]))
    })
}

/// Always of the same packages, so that what they have in common is built once.
fn build_programs(profile: Profile, programs: &[&str]) -> Result<()> {
    if profile == Profile::Release {
        note("a release build takes several minutes the first time; `--profile dev` does without");
    }
    let packages = ["-p", "knockgate-agent", "-p", "knockgate", "-p", "knockgate-tests"];
    let programs = programs.iter().flat_map(|program| ["--bin", program]);
    tool::run(cargo_build(profile).args(packages).args(programs))
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
fn keep(document: &Path, marks: Marks, tables: &str) -> Result<()> {
    let text = std::fs::read_to_string(document).with_context(|| format!("{}", document.display()))?;
    let Marks { begin, end } = marks;
    let replaced = between_marks(&text, marks, tables)
        .with_context(|| format!("{} needs the lines {begin} and {end}", document.display()))?;
    std::fs::write(document, replaced)?;
    note(format_args!("written into {}", document.display()));
    Ok(())
}

fn between_marks(text: &str, Marks { begin, end }: Marks, tables: &str) -> Option<String> {
    let (before, rest) = text.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}\n\n{tables}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let Marks { begin, end } = DECISIONS;
        let old = format!("before\n{}\n{begin}\n\nold\n\n{end}\nafter\n", KNOCKS.begin);
        let new = between_marks(&old, DECISIONS, "new\n").unwrap();
        assert_eq!(new, format!("before\n{}\n{begin}\n\nnew\n\n{end}\nafter\n", KNOCKS.begin));
    }

    #[test]
    fn a_document_without_marks_is_left_alone() {
        let Marks { begin, end } = KNOCKS;
        assert_eq!(between_marks(&format!("{end}\n{begin}\n"), KNOCKS, "new\n"), None);
    }

    #[test]
    fn a_number_of_repetitions_belongs_to_knocks_alone() {
        let wanted =
            |line: &str| Wanted::from(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        #[rustfmt::skip]
        let cases = [
            (1, "", true), (2, "--reps 5", true), (3, "policy", true), (4, "policy --profile dev", true), (5, "policy --reps 5", false),
            (6, "--reps 0", false), (7, "--reps", false), (8, "policies", false), (9, "--profile fast", false),
        ];
        for (case, line, good) in cases {
            assert_eq!(wanted(line).is_some(), good, "case {case}: {line}");
        }
    }
}
