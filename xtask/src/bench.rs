//! The benchmarks: builds what they need, runs the program `bench` of the tests crate and what measures the core alone, keeps the
//! samples, and makes a page and plots of them.

mod build;
mod core_alone;
mod document;
#[cfg(test)]
mod fixture;
mod functions;
mod page;
mod plots;
mod statistics;
mod verdict;
mod wanted;

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize as _;
use serde_json::Value;

use crate::step::{Steps, note};
use crate::{policies, setup};
use build::Profile;
use document::{Core, Document};
use wanted::Run;

pub(crate) use wanted::Wanted;

/// What is kept: all samples, the page, its plots, and the page of policies.
const KEPT: &str = "docs/benchmarks";
/// The same of runs that are not kept.
const SHOWN: &str = "target/bench";

const SAMPLES: &str = "results.json";
const PAGE: &str = "results.md";
const POLICIES: &str = "policies.md";

pub(crate) fn run(steps: &mut Steps, wanted: &Wanted) -> Result<()> {
    match wanted {
        Wanted::Run(run) => measured(steps, run),
        Wanted::Short => {
            setup::run(steps)?;
            steps.step("bench: build", || build::programs(Profile::Dev, &PROGRAMS))?;
            short(steps)
        }
        Wanted::Render => {
            render(&std::fs::read_to_string(Path::new(KEPT).join(SAMPLES))?, Path::new(KEPT)).map(drop)
        }
        Wanted::Policies(profile) => decisions(steps, *profile),
        Wanted::Functions(run) => functions::run(steps, run),
    }
}

/// What the benchmark runs, itself included.
const PROGRAMS: [&str; 3] = ["knockgated", "knockgate", "bench"];

/// The comparison that fails only on ratios. The programs are built.
pub(crate) fn short(steps: &mut Steps) -> Result<()> {
    let table = steps
        .step("bench: short comparison", || build::run(Profile::Dev, "bench", &["--short".to_owned()]))?;
    println!("\n{table}");
    Ok(())
}

fn measured(steps: &mut Steps, run: &Run) -> Result<()> {
    setup::run(steps)?;
    if run.only.as_deref() == Some(CORE) {
        steps.step("bench: build", || core_alone::build(run.profile))?;
        println!("\n{}", page::core(&Core::deserialize(core_part(steps, run.profile)?)?));
        return Ok(());
    }
    let document = measure(steps, run)?;
    // Whatever goes wrong from here on, the samples of a long run are there.
    std::fs::create_dir_all(SHOWN)?;
    std::fs::write(Path::new(SHOWN).join(SAMPLES), &document)?;
    if run.is_complete() {
        std::fs::create_dir_all(KEPT)?;
        std::fs::write(Path::new(KEPT).join(SAMPLES), &document)?;
        return render(&document, Path::new(KEPT)).map(drop);
    }
    println!("\n{}", render(&document, Path::new(SHOWN))?);
    note(format_args!("{KEPT} keeps only whole runs of release builds; this one is in {SHOWN}"));
    Ok(())
}

/// The part that the benchmark's own program does not know.
const CORE: &str = "core";

fn core_part(steps: &mut Steps, profile: Profile) -> Result<Value> {
    steps.step("bench: the core alone", || core_alone::measure(profile))
}

fn measure(steps: &mut Steps, run: &Run) -> Result<String> {
    steps.step("bench: build of agent, client and benchmark", || {
        build::programs(run.profile, &PROGRAMS)?;
        build::without_engine(run.profile)?;
        // One of these enrols the many clients of a gate, too.
        core_alone::build(run.profile)
    })?;
    let core = if run.only.is_none() { Some(core_part(steps, run.profile)?) } else { None };
    let told = steps.step("bench: knocks", || build::run(run.profile, "bench", &run.arguments()))?;
    let mut told: Value =
        serde_json::from_str(&told).context("the benchmark's program printed no document")?;
    if let (Some(core), Value::Object(parts)) = (core, &mut told) {
        parts.insert(CORE.to_owned(), core);
    }
    Ok(document::kept(&told))
}

/// Makes page and plots of the samples. What is shown is made of what is kept, to the last digit.
fn render(samples: &str, folder: &Path) -> Result<String> {
    let run = Document::read(&serde_json::from_str(samples)?)?;
    for (file, svg) in plots::all(&run)? {
        std::fs::write(folder.join(file), svg)?;
    }
    let page = page::page(&run);
    std::fs::write(folder.join(PAGE), &page)?;
    note(format_args!("written into {}", folder.display()));
    Ok(page)
}

fn decisions(steps: &mut Steps, profile: Profile) -> Result<()> {
    setup::run(steps)?;
    policies::run(steps)?;
    steps.step("bench: build of the benchmark", || build::programs(profile, &["bench"]))?;
    let tables = steps.step("bench: decisions", || build::run(profile, "bench", &["policy".to_owned()]))?;
    println!("\n{tables}");
    match profile {
        Profile::Release => keep_decisions(&tables),
        Profile::Dev => {
            note(format_args!("{KEPT} keeps only release builds"));
            Ok(())
        }
    }
}

fn keep_decisions(tables: &str) -> Result<()> {
    let page = Path::new(KEPT).join(POLICIES);
    std::fs::create_dir_all(KEPT)?;
    std::fs::write(&page, format!("{POLICIES_HEADING}{tables}"))?;
    note(format_args!("written into {}", page.display()));
    Ok(())
}

const POLICIES_HEADING: &str = "\
# What a decision costs

Made by `cargo xtask bench policy`. [benchmarks.md](../benchmarks.md#what-a-decision-costs) says what is measured and how.

";
