//! `knockgated unguard`: the way back in when nothing else works.

use crate::firewall::{Firewall, Removal};

/// Removes Knockgate's own table and nothing else. Needs no configuration: that may be what is broken.
pub fn run() -> anyhow::Result<String> {
    let report = match Firewall::remove()? {
        Removal::Removed => {
            "Knockgate's table is removed: nothing is guarded any more.\n\
                             Next: stop the agent if it is running, or it will guard again; `knockgated run` does so, too.\n"
        }
        Removal::WasNotThere => "Nothing was guarded: there is no table of Knockgate's.\n",
    };
    Ok(report.into())
}
