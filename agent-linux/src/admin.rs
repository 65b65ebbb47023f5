//! What the administrator does from the command line. Every command reads the configuration and the state, does one
//! thing whole or not at all, and returns what it has to say.

pub mod audit;
pub mod book;
pub mod check;
pub mod client;
pub mod door;
#[cfg(feature = "engine")]
pub mod gateway;
pub mod grants;
pub mod guard;
pub mod import;
pub mod init;
pub mod lockouts;
pub(crate) mod moment;
pub mod people;
mod policies;
mod qr;
pub mod reload;
pub mod report;
pub mod running;
mod session;
pub mod state;
pub mod status;
pub mod top;
pub mod unguard;
pub mod why;

use std::path::Path;

use crate::config::Config;
use crate::state::{GateIdentity, StateDir};

/// A gate that was set up: its configuration and what belongs to it.
pub(crate) struct SetUp {
    pub(crate) config: Config,
    pub(crate) dir: StateDir,
    pub(crate) identity: GateIdentity,
}

impl SetUp {
    /// Reads and compares them.
    pub(crate) fn load(config: &Path) -> anyhow::Result<Self> {
        let config = Config::load(config)?;
        let dir = StateDir::open(&config.gate.state_dir)?;
        let identity = GateIdentity::load(&dir)?;
        identity.check_against(&config, dir.path())?;
        Ok(Self { config, dir, identity })
    }
}

/// When a change counts.
pub(crate) fn noticed(config: &Config) -> &'static str {
    match config.gateway {
        None => "a running agent notices within a second",
        Some(_) => "the gateway learns it from its next image",
    }
}

/// `1 client`, `2 clients`.
pub(crate) fn counted<N: PartialEq + From<u8> + std::fmt::Display>(count: N, thing: &str) -> String {
    let plural = if count == N::from(1) { "" } else { "s" };
    format!("{count} {thing}{plural}")
}
