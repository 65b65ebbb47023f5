//! Set-up of a fresh machine: what is missing among system packages, compile targets, compilers for policies and programs that
//! check, and nothing else.
//!
//! Where everything is present this starts no package tool and returns at once.

mod apt;
pub(crate) mod checkers;
pub(crate) mod languages;
mod once;

use anyhow::{Result, bail};

use crate::{bare, c_wasm, step::Steps, step::note, tool};

pub(crate) fn run(steps: &mut Steps) -> Result<()> {
    packages(steps)?;
    steps.step("setup: compile targets", || {
        let toolchain = bare::toolchain()?;
        note(format_args!("bare-metal and wasm32 builds use {toolchain}"));
        Ok(())
    })?;
    steps.step("setup: languages of policies", || languages::install(&bare::toolchain()?))?;
    checkers(steps)
}

/// What `lint` alone needs.
pub(crate) fn checkers(steps: &mut Steps) -> Result<()> {
    steps.step("setup: programs that check", checkers::install)
}

/// System packages alone, for what needs no policies in other languages.
pub(crate) fn packages(steps: &mut Steps) -> Result<()> {
    steps.step("setup: system packages", system_packages)
}

/// Something the build or the tests need, and how Debian calls it.
struct Need {
    what: &'static str,
    present: fn() -> bool,
    /// Alternatives, best first; each is a set of packages that together provide it.
    packages: &'static [&'static [&'static str]],
}

const NEEDS: &[Need] = &[
    // The client that static sequences are for, and the daemon to compare with. Debian does not start it: its file in /etc/default
    // says so, and its unit is not enabled.
    Need {
        what: "knock, a client of static sequences",
        present: || tool::find("knock").is_some(),
        packages: &[&["knockd"]],
    },
    Need {
        what: "nft, the firewall's command",
        present: || tool::find("nft").is_some(),
        packages: &[&["nftables"]],
    },
    Need {
        what: "ip, for network namespaces",
        present: || tool::find("ip").is_some(),
        packages: &[&["iproute2"]],
    },
    Need {
        what: "unshare and nsenter, for sandboxes",
        present: || tool::find("unshare").is_some() && tool::find("nsenter").is_some(),
        packages: &[&["util-linux"]],
    },
    Need {
        what: "nmap, the scanner of the tests",
        present: || tool::find("nmap").is_some(),
        packages: &[&["nmap"]],
    },
    Need {
        what: "strace, to kill or hinder an agent at a chosen system call",
        present: || tool::find("strace").is_some(),
        packages: &[&["strace"]],
    },
    Need {
        what: "faketime, for clients whose clocks are wrong",
        present: || tool::find("faketime").is_some(),
        packages: &[&["faketime"]],
    },
    Need {
        what: "sshd, ssh and ssh-keygen, for a service that is really used",
        present: || ["sshd", "ssh", "ssh-keygen"].into_iter().all(|name| tool::find(name).is_some()),
        packages: &[&["openssh-server", "openssh-client"]],
    },
    Need {
        what: "tmux, a terminal for programs that draw on one",
        present: || tool::find("tmux").is_some(),
        packages: &[&["tmux"]],
    },
    Need {
        what: "dbus-daemon, for tests that start units",
        present: || tool::find("dbus-daemon").is_some(),
        packages: &[&["dbus"]],
    },
    Need {
        what: "minisign, for signatures that it and we must judge alike",
        present: || tool::find("minisign").is_some(),
        packages: &[&["minisign"]],
    },
    Need {
        what: "mandoc, which finds mistakes in man pages",
        present: || tool::find("mandoc").is_some(),
        packages: &[&["mandoc"]],
    },
    Need {
        what: "chromium, which draws the page of a report",
        present: || tool::find("chromium").is_some(),
        packages: &[&["chromium"]],
    },
    Need {
        what: "mmdebstrap, for a clean machine to install packages on",
        present: || tool::find("mmdebstrap").is_some(),
        packages: &[&["mmdebstrap"]],
    },
    Need {
        what: "systemd-analyze, which says how exposed a unit is",
        present: || tool::find("systemd-analyze").is_some(),
        packages: &[&["systemd"]],
    },
    Need {
        what: "apparmor_parser, which reads the packages' profile",
        present: || tool::find("apparmor_parser").is_some(),
        packages: &[&["apparmor"]],
    },
    Need {
        what: "zbarimg, a telephone in front of a QR code",
        present: || tool::find("zbarimg").is_some(),
        packages: &[&["zbar-tools"]],
    },
    Need { what: "mount, for sandboxes", present: || tool::find("mount").is_some(), packages: &[&["mount"]] },
    Need {
        what: "qemu-system-riscv32, the gateway's machine",
        present: || tool::find("qemu-system-riscv32").is_some(),
        packages: &[&["qemu-system-riscv"], &["qemu-system-misc"]],
    },
    Need {
        what: "qemu-system-arm, for what gateways of another kind run",
        present: || tool::find("qemu-system-arm").is_some(),
        packages: &[&["qemu-system-arm"]],
    },
    Need {
        what: "clang and wasm-ld 14 or newer, for policies in C",
        present: || c_wasm::find().is_some(),
        packages: &[&["clang-19", "lld-19"], &["clang", "lld"]],
    },
    Need {
        what: "python3 with pip, which brings Zig and Go for policies, and programs that check",
        present: || tool::succeeds(std::process::Command::new("python3").args(["-m", "pip", "--version"])),
        packages: &[&["python3", "python3-pip"]],
    },
    Need {
        what: "node and npm, which bring AssemblyScript and JavaScript for policies",
        present: || tool::find("node").is_some() && tool::find("npm").is_some(),
        packages: &[&["nodejs", "npm"]],
    },
];

fn system_packages() -> Result<()> {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !(need.present)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for need in &missing {
        note(format_args!("missing: {}", need.what));
    }
    if !apt::is_here() {
        let names: Vec<_> = missing.iter().flat_map(|need| need.packages[0]).copied().collect();
        bail!("this is no Debian or Ubuntu; install what these Debian packages hold: {}", names.join(" "));
    }
    apt::install(&missing.iter().map(|need| need.packages).collect::<Vec<_>>())?;
    match missing.iter().find(|need| !(need.present)()) {
        Some(need) => bail!("{} is still missing after the installation; install it by hand", need.what),
        None => Ok(()),
    }
}

/// For the bare-metal toolchain: installs Debian packages through the same rules.
pub(crate) fn debian_packages(packages: &[&str]) -> Result<()> {
    if !apt::is_here() {
        bail!("this is no Debian or Ubuntu, so {} cannot be installed", packages.join(" "));
    }
    apt::install(&[&[packages]])
}
