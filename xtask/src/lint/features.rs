//! Programs and tests are built on the same libraries.
//!
//! Cargo gives a library every feature that anybody in the same build asks for. Where only a test asks for one, there are two builds of
//! that library and of all that stands on it, the agent included: one under the programs, one under the tests.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::{step::note, tool};

pub(crate) fn check() -> Result<()> {
    let (programs, tests) = (libraries("normal")?, libraries("normal,dev")?);
    let complaints = only_in_programs(&programs, &tests);
    if !complaints.is_empty() {
        bail!(
            "tests want more features of these than programs have; name those in tests/Cargo.toml:\n  {}",
            complaints.join("\n  ")
        );
    }
    note(format_args!("{} libraries of programs, the same under tests", programs.len()));
    Ok(())
}

/// A line for each library of the workspace with its features, as a build without or with tests would have it.
fn libraries(edges: &str) -> Result<BTreeSet<String>> {
    let mut tree = tool::cargo();
    tree.args(["tree", "--quiet", "--workspace", "--locked", "--edges", edges]);
    tree.args(["--prefix", "none", "--format", "{p}|{f}"]);
    // A library that was shown before has a mark behind its features.
    Ok(tool::output(&mut tree)?.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect())
}

/// `zbus v6.2.1|comms,proxy: tests have comms,proxy,service`
fn only_in_programs(programs: &BTreeSet<String>, tests: &BTreeSet<String>) -> Vec<String> {
    let name = |line: &str| line.split('|').next().unwrap_or_default().to_owned();
    let of_tests = |line: &str| {
        let same = tests.iter().filter(|test| name(test) == name(line));
        same.filter_map(|test| Some(test.split_once('|')?.1)).collect::<Vec<_>>().join(" and ")
    };
    programs.difference(tests).map(|line| format!("{line}: tests have {}", of_tests(line))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: &[&str]) -> BTreeSet<String> {
        lines.iter().map(|&line| line.to_owned()).collect()
    }

    #[test]
    fn only_a_feature_that_programs_lack_is_complained_of() {
        let programs = lines(&["serde v1.0.2|std", "zbus v6.2.1|proxy"]);
        let tests = lines(&["proptest v1.8.0|std", "serde v1.0.2|std", "zbus v6.2.1|proxy,service"]);
        assert_eq!(only_in_programs(&programs, &tests), ["zbus v6.2.1|proxy: tests have proxy,service"]);
        assert!(only_in_programs(&tests, &tests).is_empty());
    }
}
