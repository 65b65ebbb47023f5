//! The packages on a clean machine: a root of Debian's own, without anything of ours.
//!
//! The root is made once by `mmdebstrap`, which is several times as fast as `debootstrap`, and kept as `target/dist/root.tar`. The
//! program `package` of the tests crate unpacks it into namespaces and does there what an administrator does.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use super::FOLDER;
use crate::{bare, tool};

/// What the packages depend on, and `ip`, for the network that the machine is in.
const PACKAGES: &str = "nftables,iproute2";

/// The suite that this machine runs, or the one that is stable.
pub(super) fn root() -> Result<()> {
    let tar = Path::new(FOLDER).join("root.tar");
    if tar.exists() {
        return Ok(());
    }
    let half = tar.with_extension("half.tar");
    let mut mmdebstrap = Command::new("mmdebstrap");
    mmdebstrap.args(["--quiet", "--variant=minbase", "--include", PACKAGES]);
    tool::run(mmdebstrap.arg(suite()).arg(&half))?;
    Ok(std::fs::rename(half, tar)?)
}

fn suite() -> String {
    let about = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let field = |name: &str| {
        about.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim_matches('"').to_owned())
    };
    match (field("ID="), field("VERSION_CODENAME=")) {
        (Some(id), Some(suite)) if id == "debian" => suite,
        _ => "stable".to_owned(),
    }
}

pub(super) fn walk() -> Result<()> {
    // What the programs are linked against must be in the root.
    if !bare::has_core("x86_64-unknown-linux-gnu") {
        bail!("packages are made for x86_64 alone so far");
    }
    // With the features of the whole workspace, so that what is built for tests serves.
    tool::run(tool::cargo().args(["build", "--quiet", "--locked", "--workspace", "--bin", "package"]))?;
    tool::run(Command::new(tool::target().join("debug/package")).arg(FOLDER))
}
