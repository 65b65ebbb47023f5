//! The systemd units keep their protection: `systemd-analyze security` scores what a unit may still do, and 0 is nothing.

use std::process::Command;

use crate::step::note;
use crate::tool;
use anyhow::{Result, bail};

/// Each unit and the exposure that it may have, in tenths as `--threshold` counts. What is left over is the firewall, the network
/// and root: the state directory belongs to root, and whoever may change the guard needs CAP_NET_ADMIN in the host's network.
const UNITS: [(&str, u32); 2] =
    [("packaging/systemd/knockgated.service", 21), ("packaging/systemd/knockgated-guard.service", 19)];

pub(super) fn check() -> Result<()> {
    if tool::find("systemd-analyze").is_none() {
        note("skipped: systemd-analyze is not installed (Debian's package systemd)");
        return Ok(());
    }
    for (unit, most) in UNITS {
        let mut analyze = Command::new("systemd-analyze");
        analyze
            .args(["security", "--no-pager", "--offline=true", &format!("--threshold={most}")])
            .arg(format!("./{unit}"));
        let told = tool::output(&mut analyze);
        if let Err(error) = told {
            bail!(
                "{unit} is more exposed than {}.{}; take less or say why here: {error:#}",
                most / 10,
                most % 10
            );
        }
    }
    Ok(())
}
