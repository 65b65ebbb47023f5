//! `knockgated unguard`: the way back in when nothing else works.

use std::path::Path;

use anyhow::anyhow;

use crate::firewall::{Firewall, Removal};

/// Tells a running agent that the guard is gone because its owner wanted so: it stops instead of restoring it. In a place
/// that only root can write to and that is empty after a reboot; the next start removes it.
pub const ORDER: &str = "/run/knockgate.unguarded";

/// Removes Knockgate's own table and nothing else. Needs no configuration: that may be what is broken.
pub fn run() -> anyhow::Result<String> {
    // First, so that an agent which looks in between does not restore what is about to go.
    std::fs::write(ORDER, []).map_err(|error| anyhow!("{ORDER}: cannot be written: {error}; run as root"))?;
    let report = match Firewall::remove()? {
        Removal::Removed => {
            "Knockgate's table is removed: nothing is guarded any more. A running agent stops.\n"
        }
        Removal::WasNotThere => "Nothing was guarded: there is no table of Knockgate's.\n",
    };
    Ok(format!("{report}Next: `knockgated run` guards again.\n"))
}

/// Whether the owner has ordered the guard away since the last start.
pub fn was_ordered() -> bool {
    Path::new(ORDER).exists()
}

/// A start is the order to guard again.
pub fn forget_order() -> anyhow::Result<()> {
    match std::fs::remove_file(ORDER) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(anyhow!("{ORDER}: cannot be removed: {error}; run as root"))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
