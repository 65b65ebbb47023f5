//! Where the gate's thread spends its time while it opens good knocks: samples by `perf`, folded by crate and function.
//!
//! The clock of the processor is what every machine has, also a virtual one. A knock is short, so it is sampled often.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use super::build;
use super::wanted::Run;
use crate::step::Steps;
use crate::{setup, tool};

/// Samples a second of processor time.
const OFTEN: &str = "20000";
const SAMPLES: &str = "target/bench/perf.data";
/// The thread that hears knocks.
const THREAD: &str = "gate";
const FUNCTIONS_SHOWN: usize = 30;

pub(super) fn run(steps: &mut Steps, run: &Run) -> Result<()> {
    if tool::find("perf").is_none() {
        bail!("perf is missing; `apt install linux-perf` has it");
    }
    setup::packages(steps)?;
    steps.step("bench: build", || build::programs(run.profile, &super::PROGRAMS))?;
    steps.step("bench: knocks under perf", || record(run))?;
    let functions = functions(&report()?);
    if functions.is_empty() {
        bail!("no samples of a thread {THREAD:?}; more knocks (`--reps`) make more of them");
    }
    print!(
        "\n{}\n{}",
        table("crate or kernel", &by_crate(&functions), usize::MAX),
        table("function", &functions, FUNCTIONS_SHOWN)
    );
    Ok(())
}

fn record(run: &Run) -> Result<()> {
    std::fs::create_dir_all("target/bench")?;
    let mut perf = Command::new("perf");
    perf.args(["record", "--quiet", "--event", "cpu-clock", "--freq", OFTEN, "--output", SAMPLES, "--"]);
    perf.arg(build::program(run.profile, "bench"));
    perf.args(["good", &run.repetitions.to_string()]);
    let status = perf.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    if !status.success() {
        bail!(
            "`{}` ended with {status}; it may need root, or kernel.perf_event_paranoid at 1 or less",
            tool::words(&perf)
        );
    }
    Ok(())
}

fn report() -> Result<String> {
    let fields = ["--sort", "sample,sym", "--field-separator", "\t", "--comm", THREAD];
    tool::output(
        Command::new("perf").args(["report", "--stdio", "--no-children", "--input", SAMPLES]).args(fields),
    )
}

/// Samples of each function, most first.
fn functions(report: &str) -> Vec<(String, u64)> {
    let mut found = BTreeMap::new();
    for line in report.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split('\t').map(str::trim).skip(1);
        let Some((Ok(samples), Some(name))) =
            fields.next().map(|samples| (samples.parse::<u64>(), fields.next()))
        else {
            continue;
        };
        *found.entry(name.to_owned()).or_default() += samples;
    }
    sorted(found)
}

fn by_crate(functions: &[(String, u64)]) -> Vec<(String, u64)> {
    let mut found = BTreeMap::new();
    for (name, samples) in functions {
        *found.entry(crate_of(name).to_owned()).or_default() += samples;
    }
    sorted(found)
}

fn sorted(found: BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let mut all: Vec<(String, u64)> = found.into_iter().collect();
    all.sort_by_key(|(_, samples)| std::cmp::Reverse(*samples));
    all
}

/// The first part of a path in Rust. `perf` says whether a function is the kernel's.
fn crate_of(function: &str) -> &str {
    if function.starts_with("[k]") {
        return "kernel";
    }
    let path = function.trim_start_matches("[.]").trim_start().trim_start_matches(['<', '&', '*']);
    let first = path.split_once("::").map(|(first, _)| first.rsplit(' ').next().unwrap_or(first));
    first.unwrap_or("others: C, and code of policies")
}

fn table(head: &str, rows: &[(String, u64)], most: usize) -> String {
    let all: u64 = rows.iter().map(|(_, samples)| samples).sum();
    let mut text = format!("| {head} | % of {all} samples |\n| --- | ---: |\n");
    for (name, samples) in rows.iter().take(most) {
        text += &format!("| {name} | {:.1} |\n", 100.0 * *samples as f64 / all.max(1) as f64);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_counted_by_function_and_crate() {
        let report = "# Overhead\n 60.00%\t6\t[.] <knockgate_core::gate::Gate as A>::handle\n 30.00%\t3\t[k] finish_task_switch\n\n\
                      10.00%\t1\t[.] knockgate_core::door::unseal\n";
        let functions = functions(report);
        assert_eq!(functions.len(), 3);
        assert_eq!(by_crate(&functions), [("knockgate_core".to_owned(), 7), ("kernel".to_owned(), 3)]);
    }

    #[test]
    fn crates_are_told_by_names() {
        #[rustfmt::skip]
        let cases = [
            (1, "[.] core::ptr::drop", "core"), (2, "[k] do_idle", "kernel"), (3, "[.] memcpy", "others: C, and code of policies"),
            (4, "[.] <&alloc::string::String as core::fmt::Write>::write_str", "alloc"),
            (5, "[.] <(A1,) as wasmtime::runtime::func::typed::WasmParams>::typecheck", "wasmtime"),
        ];
        for (case, function, expected) in cases {
            assert_eq!(crate_of(function), expected, "case {case}");
        }
    }
}
