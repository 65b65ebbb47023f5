//! Installing Debian packages: as root, else through sudo after saying so, else one command for a person to run.

use std::io::IsTerminal as _;
use std::process::Command;

use anyhow::{Result, bail};

use crate::step::note;
use crate::tool;

pub(crate) fn is_here() -> bool {
    tool::find("apt-get").is_some()
}

/// Installs the first available alternative of each need. The package lists are fetched once.
pub(crate) fn install(needs: &[&[&[&str]]]) -> Result<()> {
    let Some(privilege) = Privilege::of_this_user() else {
        bail!("installing needs root, and there is no sudo to ask; as root run: {}", by_hand(needs));
    };
    privilege.announce(needs);
    // Old lists may still name everything that is needed, so a failure here is not the end.
    if let Err(error) = tool::run(privilege.apt_get().args(["--quiet", "--quiet", "update"])) {
        note(format_args!("cannot refresh the package lists, going on with what is there: {error:#}"));
    }
    let packages = available(needs);
    let mut apt_get = privilege.apt_get();
    apt_get.args(["--quiet", "--quiet", "--yes", "--no-install-recommends", "install"]).args(&packages);
    if let Err(error) = tool::run(&mut apt_get) {
        bail!("{error:#}; once that is solved, or as root, run: {}", by_hand(needs));
    }
    Ok(())
}

enum Privilege {
    Root,
    /// sudo that asks nothing.
    Sudo,
    /// sudo that asks a person for a password.
    SudoAsks,
}

impl Privilege {
    fn of_this_user() -> Option<Self> {
        if tool::is_root() {
            return Some(Self::Root);
        }
        tool::find("sudo")?;
        if tool::succeeds(Command::new("sudo").args(["-n", "true"])) {
            return Some(Self::Sudo);
        }
        std::io::stdin().is_terminal().then_some(Self::SudoAsks)
    }

    fn announce(&self, needs: &[&[&[&str]]]) {
        let how = match self {
            Self::Root => "as root",
            Self::Sudo => "through sudo",
            Self::SudoAsks => "through sudo, which may ask for your password",
        };
        note(format_args!("installing {how}: {}", available(needs).join(" ")));
    }

    fn apt_get(&self) -> Command {
        let mut command = match self {
            Self::Root => Command::new("apt-get"),
            Self::Sudo => Command::new("sudo"),
            Self::SudoAsks => Command::new("sudo"),
        };
        match self {
            Self::Root => command.env("DEBIAN_FRONTEND", "noninteractive"),
            Self::Sudo => command.args(["-n", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]),
            Self::SudoAsks => command.args(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]),
        };
        command
    }
}

fn available<'n>(needs: &[&'n [&'n [&'n str]]]) -> Vec<&'n str> {
    needs.iter().flat_map(|alternatives| *pick(alternatives)).copied().collect()
}

fn pick<'a, 'n>(alternatives: &'a [&'n [&'n str]]) -> &'a &'n [&'n str] {
    alternatives
        .iter()
        .find(|packages| packages.iter().all(|package| has_candidate(package)))
        .unwrap_or(&alternatives[0])
}

fn has_candidate(package: &str) -> bool {
    tool::output(Command::new("apt-cache").args(["show", "--no-all-versions", package]))
        .is_ok_and(|shown| !shown.trim().is_empty())
}

fn by_hand(needs: &[&[&[&str]]]) -> String {
    format!("apt-get update && apt-get install {}", available(needs).join(" "))
}
