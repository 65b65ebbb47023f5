//! What is installed but never compiled: units, the AppArmor profile, the scripts of the packages.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::step::skipped;
use crate::tool;

/// Each unit and the exposure that it may have at most, in tenths as `systemd-analyze security --threshold` counts; 0 would be none.
/// What is left is the host's network, its firewall and its users.
const UNITS: [(&str, u32); 2] =
    [("./packaging/systemd/knockgated.service", 15), ("./packaging/systemd/knockgated-guard.service", 13)];
const PROFILE: &str = "packaging/apparmor/knockgated";
const SCRIPTS: [&str; 3] = ["packaging/debian/postinst", "packaging/debian/prerm", "packaging/debian/postrm"];

pub(super) fn check() -> Result<()> {
    units()?;
    profile()?;
    for script in SCRIPTS {
        tool::output(Command::new("sh").args(["-n", script]))?;
    }
    Ok(())
}

fn units() -> Result<()> {
    if tool::find("systemd-analyze").is_none() {
        skipped("units: systemd-analyze is not installed (Debian's package systemd)");
        return Ok(());
    }
    for (unit, most) in UNITS {
        let mut analyze = Command::new("systemd-analyze");
        analyze.args(["security", "--no-pager", "--offline=true", &format!("--threshold={most}"), unit]);
        if let Err(error) = tool::output(&mut analyze) {
            let (whole, tenth) = (most / 10, most % 10);
            bail!(
                "{unit} is more exposed than {whole}.{tenth}; take the right away, or raise the limit: {error:#}"
            );
        }
    }
    Ok(())
}

/// The parser alone; the kernel need not have AppArmor.
fn profile() -> Result<()> {
    let Some(parser) = tool::find("apparmor_parser") else {
        skipped("AppArmor profile: apparmor_parser is not installed (Debian's package apparmor)");
        return Ok(());
    };
    let mut parse = Command::new(parser);
    parse.args(["--skip-kernel-load", "--skip-cache", PROFILE]);
    tool::output(&mut parse).map(drop).context("the AppArmor profile")
}
