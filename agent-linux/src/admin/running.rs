//! What the commands share that speak with a running agent.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use serde::Serialize;

use crate::config::Config;
use crate::control::{self, Reply, Request};

/// How a command prints what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Which of those that there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    All,
    Named(String),
}

impl Which {
    /// Those of that name, or all if none is given.
    pub(crate) fn of(name: Option<String>) -> Self {
        name.map_or(Self::All, Self::Named)
    }
}

/// Asks the agent of this configuration.
pub(super) fn ask(config: &Path, request: &Request) -> anyhow::Result<Reply> {
    Ok(control::ask(&load(config)?.control.directory, request)?)
}

/// The configuration of a server.
pub(super) fn load(config: &Path) -> anyhow::Result<Config> {
    let config = Config::load(config)?;
    config.of_a_server()?;
    Ok(config)
}

/// An agent has answered something else than what it was asked.
pub(super) fn unexpected<T>(_: &Reply) -> anyhow::Result<T> {
    bail!(
        "the agent has answered something else than it was asked; use the `knockgated` that it was started from"
    )
}

pub(super) fn json(what: &impl Serialize) -> anyhow::Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(what)?))
}

/// `1m 30s`.
pub(super) fn span(seconds: u64) -> String {
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

/// Rows below a heading, each column as wide as it must be.
pub(super) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let heading = heading.map(str::to_owned);
    let all = || std::iter::once(&heading).chain(rows);
    let mut widths = [0; N];
    for row in all() {
        widths.iter_mut().zip(row).for_each(|(width, cell)| *width = cell.chars().count().max(*width));
    }
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    all().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_as_wide_as_its_longest_cell_and_no_line_ends_in_blanks() {
        let rows = [["a", "12345"], ["longer", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(table(["X", "N"], &rows), "X       N\na       12345\nlonger\n");
    }
}
