//! What docs/install.md has people type.

use anyhow::{Context, Result};

const DOCUMENT: &str = include_str!("../../../../docs/install.md");

/// The command lines of a chapter, in blocks as they stand there.
pub(crate) fn blocks(chapter: &str) -> Result<Vec<Vec<&'static str>>> {
    let begin = format!("\n## {chapter}\n");
    let (_, rest) = DOCUMENT.split_once(&begin).with_context(|| format!("no chapter {chapter:?}"))?;
    let text = rest.split("\n## ").next().unwrap_or(rest);
    let shell = text.split("```sh\n").skip(1).filter_map(|block| block.split("```").next());
    Ok(shell.map(|block| block.lines().collect()).collect())
}
