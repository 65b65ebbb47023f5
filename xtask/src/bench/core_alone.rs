//! The core by itself on one thread: what its two examples and its micro benchmarks say, as the part `core` of the document.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::build::{self, Profile};
use crate::tool;

/// A thread that does nothing but knocks: the core's own tables, then with the agent's roster.
const PACKETS: (&str, &str) = ("knockgate-core", "packet_cost");
const ROSTERS: (&str, &str) = ("knockgate-agent", "knock_scale");
const PROBES: (&str, &str) = ("knockgate-core", "probe");

/// Where the micro benchmarks leave their figures, and nobody else does.
const FIGURES: &str = "target/bench/criterion";

pub(super) fn build(profile: Profile) -> Result<()> {
    // Each by itself: what the tests of one crate need may change what the others are built with.
    [PACKETS, ROSTERS].into_iter().try_for_each(|(package, example)| {
        tool::run(build::cargo(profile).args(["-p", package, "--example", example]))
    })
}

pub(super) fn measure(profile: Profile) -> Result<Value> {
    let probes = probes(profile)?;
    let [packets, rosters] = [PACKETS, ROSTERS].map(|(_, example)| example_says(profile, example));
    Ok(json!({
        "unknown_probe_ns": slowest_of_unknown(&probes),
        "probes": probes.iter().map(|(words, ns)| json!({ "words": words, "ns": ns })).collect::<Value>(),
        "packets": packets?,
        "rosters": rosters?,
    }))
}

/// An example prints a table: words, microseconds, how many a second.
fn example_says(profile: Profile, example: &str) -> Result<Value> {
    let table = build::run(profile, &format!("examples/{example}"), &[])?;
    let rows = rows(&table);
    if rows.is_empty() {
        bail!("the example {example} printed no table");
    }
    Ok(rows.into_iter().map(|(words, micros)| json!({ "words": words, "ns": micros * 1e3 })).collect())
}

/// First and second column, where the second is a figure.
fn rows(table: &str) -> Vec<(String, f64)> {
    let cells = table.lines().map(|line| line.split('|').map(str::trim));
    cells.filter_map(|mut cells| Some((cells.nth(1)?.to_owned(), cells.next()?.parse().ok()?))).collect()
}

fn probes(profile: Profile) -> Result<Vec<(String, f64)>> {
    let figures = std::env::current_dir()?.join(FIGURES);
    if figures.exists() {
        std::fs::remove_dir_all(&figures)?;
    }
    let (package, bench) = PROBES;
    let mut cargo = tool::cargo();
    cargo
        .env("CRITERION_HOME", &figures)
        .args(["bench", "--quiet", "--locked", "-p", package, "--bench", bench]);
    if profile == Profile::Dev {
        cargo.args(["--profile", "dev"]);
    }
    tool::run(cargo.args(["--", "--noplot"]))?;
    let mut probes = Vec::new();
    collect(&figures, &mut probes)?;
    probes.sort_by(|one, two| one.0.cmp(&two.0));
    Ok(probes)
}

/// Every folder `new` has the name of a benchmark and its estimates, in nanoseconds.
fn collect(folder: &Path, probes: &mut Vec<(String, f64)>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("no figures in {}", folder.display()))?;
    let mut folders: Vec<PathBuf> = Vec::new();
    for entry in entries {
        folders.push(entry?.path());
    }
    for folder in folders.iter().filter(|path| path.is_dir()) {
        if folder.ends_with("new") {
            probes.push(estimate(folder)?);
        } else {
            collect(folder, probes)?;
        }
    }
    Ok(())
}

fn estimate(folder: &Path) -> Result<(String, f64)> {
    let read = |file: &str| -> Result<Value> {
        let path = folder.join(file);
        let text = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        Ok(serde_json::from_str(&text)?)
    };
    let (named, estimated) = (read("benchmark.json")?, read("estimates.json")?);
    let words = named.get("full_id").and_then(Value::as_str);
    let ns = estimated.pointer("/median/point_estimate").and_then(Value::as_f64);
    let (words, ns) = words.zip(ns).with_context(|| format!("no median in {}", folder.display()))?;
    Ok((words.to_owned(), ns))
}

/// The expectation is about every one of them.
fn slowest_of_unknown(probes: &[(String, f64)]) -> Option<f64> {
    let unknown = probes.iter().filter(|(words, _)| words.contains("unknown"));
    unknown.map(|(_, ns)| *ns).reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_with_a_figure_are_read() {
        let table = "| one thread | µs each | a second |\n| --- | ---: | ---: |\n| junk | 1.85 | 539532 |\n\nGood knocks: 96 %.\n";
        assert_eq!(rows(table), [("junk".to_owned(), 1.85)]);
    }

    #[test]
    fn an_unknown_source_is_as_slow_as_its_slowest_probe() {
        let probes = [("unknown, few", 10.0), ("unknown, many", 90.0), ("known", 500.0)];
        let probes = probes.map(|(words, ns)| (words.to_owned(), ns));
        assert_eq!(slowest_of_unknown(&probes), Some(90.0));
        assert_eq!(slowest_of_unknown(&[]), None);
    }

    #[test]
    fn figures_of_micro_benchmarks_are_found_wherever_they_lie() {
        let folder = std::env::temp_dir().join(format!("xtask-core-alone-{}", std::process::id()));
        let new = folder.join("group").join("function").join("new");
        std::fs::create_dir_all(&new).unwrap();
        std::fs::write(new.join("benchmark.json"), r#"{"full_id": "probe/unknown"}"#).unwrap();
        std::fs::write(new.join("estimates.json"), r#"{"median": {"point_estimate": 42.5}}"#).unwrap();

        let mut probes = Vec::new();
        collect(&folder, &mut probes).unwrap();

        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(probes, [("probe/unknown".to_owned(), 42.5)]);
    }
}
