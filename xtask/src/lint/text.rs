//! Text that must not stand in tracked files: paths of one machine, and notes that a release must not carry.
//!
//! The list is `xtask/forbidden-text.txt`: one pattern per line, a tab, the reason.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{step::skipped, tool};

const LIST: &str = "xtask/forbidden-text.txt";

pub(crate) fn check() -> Result<()> {
    if !Path::new(".git").exists() {
        skipped("text: this is not a git checkout, so nothing tells which files are tracked");
        return Ok(());
    }
    let list = std::fs::read_to_string(LIST).with_context(|| format!("cannot read {LIST}"))?;
    let patterns = patterns(&list);
    let complaints: Vec<String> =
        tracked_files()?.iter().flat_map(|file| complaints(file, &patterns)).collect();
    if !complaints.is_empty() {
        bail!("reword these lines, or change {LIST}:\n  {}", complaints.join("\n  "));
    }
    Ok(())
}

/// Tracked files and those that would be added next.
fn tracked_files() -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    Ok(tool::output(&mut git)?.lines().filter(|file| *file != LIST).map(str::to_owned).collect())
}

fn patterns(list: &str) -> Vec<(&str, &str)> {
    list.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t')).collect()
}

/// Files that are not text, or that are gone, have nothing to complain about.
fn complaints(file: &str, patterns: &[(&str, &str)]) -> Vec<String> {
    let Ok(text) = std::fs::read_to_string(file) else { return Vec::new() };
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (pattern, reason) in patterns.iter().filter(|(pattern, _)| line.contains(pattern)) {
            found.push(format!("{file}:{}: {pattern:?}: {reason}", number + 1));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::patterns;

    #[test]
    fn a_pattern_ends_at_the_tab() {
        assert_eq!(patterns("# why\n/srv/me/\ta path\n"), [("/srv/me/", "a path")]);
    }
}
