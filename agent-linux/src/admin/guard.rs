//! `knockgated guard`: shuts the gate before anybody can knock, for the start of the machine.
//!
//! The guard goes with a reboot and comes with the agent, which needs its keys, its state and its policy. If one of them is
//! missing, the machine would stand open. This needs the configuration alone.

use std::path::Path;

use crate::config::Config;
use crate::firewall::Firewall;

use super::{counted, unguard};

/// Installs the guard without decoys and forwards. A running agent puts its own in this place again.
pub fn run(config: &Path) -> anyhow::Result<String> {
    let config = Config::load(config)?;
    config.of_a_server()?;
    unguard::forget_order()?;
    Firewall::install(&crate::run::bare_plan(&config))?;
    let services = counted(config.services.len(), "service");
    Ok(format!("guarding {services}; nobody can knock yet.\nNext: `knockgated run`.\n"))
}
