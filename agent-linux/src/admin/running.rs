//! What the commands share that speak with a running agent.

use std::path::Path;

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

/// Asks the agent of this configuration.
pub(super) fn ask(config: &Path, request: &Request) -> anyhow::Result<Reply> {
    let config = Config::load(config)?;
    config.of_a_server()?;
    Ok(control::ask(&config.control.directory, request)?)
}

/// An agent has answered something else than what it was asked.
pub(super) fn unexpected<T>(reply: &Reply) -> anyhow::Result<T> {
    bail!("the agent has answered something else: {reply:?}; use the `knockgated` that it was started from")
}

pub(super) fn json(what: &impl Serialize) -> anyhow::Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(what)?))
}
