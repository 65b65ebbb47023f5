//! `knockgated top`: how a running agent is, on a terminal, every second.

use std::path::Path;

use super::running::load;
use crate::dashboard;

/// Shows it until somebody has seen enough.
pub fn run(config: &Path) -> anyhow::Result<String> {
    dashboard::run(&load(config)?.control.directory)?;
    Ok(String::new())
}
