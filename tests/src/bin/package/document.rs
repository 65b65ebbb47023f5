//! What the documents have people type.

use anyhow::{Context, Result};

pub(crate) const INSTALL: &str = include_str!("../../../../docs/install.md");
pub(crate) const MIGRATING: &str = include_str!("../../../../docs/migrating.md");

/// The command lines of a document's chapter, in blocks as they stand there.
pub(crate) fn blocks(document: &'static str, chapter: &str) -> Result<Vec<Vec<&'static str>>> {
    let begin = format!("\n## {chapter}\n");
    let (_, rest) = document.split_once(&begin).with_context(|| format!("no chapter {chapter:?}"))?;
    let text = rest.split("\n## ").next().unwrap_or(rest);
    let shell = text.split("```sh\n").skip(1).filter_map(|block| block.split("```").next());
    // In a list they are indented.
    let lines = |block: &'static str| block.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Ok(shell.map(lines).collect())
}
