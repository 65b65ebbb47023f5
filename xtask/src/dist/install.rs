//! The packages on a clean machine: a root of Debian's own, without anything of ours.
//!
//! The root is made once by `mmdebstrap`, which is several times as fast as `debootstrap`, and kept as `target/dist/root.tar`. The
//! program `package` of the tests crate makes machines of it and does there what a new user does.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use super::FOLDER;
use crate::{bare, tool};

/// What a server has before anything of ours comes: a service manager with its bus, a firewall, and sshd, which is to be guarded.
const PACKAGES: &str = "systemd-sysv,dbus,nftables,iproute2,openssh-server,tmux";

/// The suite that this machine runs, or the one that is stable.
pub(super) fn root() -> Result<()> {
    let folder = Path::new(FOLDER);
    let [tar, half, contents] = ["root.tar", "root.half.tar", "root.packages"].map(|name| folder.join(name));
    let suite = suite();
    let wanted = format!("{suite}: {PACKAGES}");
    if tar.exists() && std::fs::read_to_string(&contents).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    let mut mmdebstrap = Command::new("mmdebstrap");
    mmdebstrap.args(["--quiet", "--variant=minbase", "--include", PACKAGES]);
    tool::run(mmdebstrap.arg(suite).arg(&half))?;
    std::fs::rename(half, tar)?;
    Ok(std::fs::write(contents, wanted)?)
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
