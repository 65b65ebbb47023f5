//! `knockgated unguard`: the way back in when nothing else works.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use anyhow::anyhow;

use crate::firewall::{Firewall, Removal, namespace};

/// Tells a running agent that the guard is gone because its owner wanted so: it stops instead of restoring it. The next start
/// removes it.
fn order() -> anyhow::Result<PathBuf> {
    namespace::file("unguarded")
}

/// Removes Knockgate's own table and nothing else. Needs no configuration: that may be what is broken.
pub fn run() -> anyhow::Result<String> {
    // First, so that an agent which looks in between does not restore what is about to go.
    let ordered = give_order();
    let removed = Firewall::remove().inspect_err(|_| {
        // An order that was not carried out must not excuse somebody else's flush later on.
        let _ = forget_order();
    })?;
    let what = match removed {
        Removal::Removed => "Knockgate's table is removed: nothing is guarded any more.",
        Removal::WasNotThere => "Nothing was guarded: there is no table of Knockgate's.",
    };
    // Whatever is broken here, the owner gets in.
    let agent = match ordered {
        Ok(()) => "A running agent stops.".to_owned(),
        Err(error) => format!("A running agent must be stopped, or it guards again: {error:#}."),
    };
    Ok(format!("{what} {agent}\nNext: `knockgated run` guards again.\n"))
}

fn give_order() -> anyhow::Result<()> {
    let order = order()?;
    namespace::make_folder()?;
    // The folder may be the agent's user's, and root follows no link that lies there.
    let made = OpenOptions::new().write(true).create(true).custom_flags(libc::O_NOFOLLOW).open(&order);
    made.map(drop).map_err(|error| anyhow!("{}: cannot be written: {error}", order.display()))
}

/// Whether the owner has ordered the guard away since the last start.
pub fn was_ordered() -> bool {
    order().is_ok_and(|order| order.exists())
}

/// A start is the order to guard again.
pub fn forget_order() -> anyhow::Result<()> {
    let order = order()?;
    match std::fs::remove_file(&order) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(anyhow!("{}: cannot be removed: {error}; run as root", order.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
