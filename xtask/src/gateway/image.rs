//! A site image to try a gateway with, or the image of a real site by `knockgated` as it is in this tree.

use std::path::{Path, PathBuf, absolute};
use std::process::Command;

use anyhow::Result;

use crate::step::{Steps, note};
use crate::{test, tool};

/// Everything of the demo site: configuration, state, keys, profile, images.
const SITE: &str = "target/gateway/site";
/// The gateway's own addresses, and the machine behind it.
const OWN: [&str; 2] = ["192.0.2.1/24", "2001:db8::1/64"];
const HOSTS: [&str; 2] = ["192.0.2.100", "2001:db8::100"];

/// What the command line asks for.
pub(crate) enum Wanted {
    /// The demo site.
    Demo,
    /// What `knockgated gateway image` is told, and the folder that its files are meant from.
    Configured { options: Vec<String>, from: PathBuf },
}

impl Wanted {
    /// `[--config FILE OPTIONS]`; `None` if it is anything else.
    pub(crate) fn from(options: &[String]) -> Option<Self> {
        match options {
            [] => Some(Self::Demo),
            [config, file, ..] if config == "--config" && !file.starts_with('-') => {
                Some(Self::Configured { options: options.to_vec(), from: std::env::current_dir().ok()? })
            }
            _ => None,
        }
    }
}

pub(crate) fn run(steps: &mut Steps, wanted: &Wanted) -> Result<()> {
    test::build_binaries(steps)?;
    match wanted {
        Wanted::Demo => demo(steps),
        Wanted::Configured { options, from } => {
            tool::run(knockgated()?.current_dir(from).args(["gateway", "image"]).args(options))
        }
    }
}

/// The demo site's image, owner and profile.
pub(super) fn demo_file(name: &str) -> PathBuf {
    Path::new(SITE).join(name)
}

pub(super) fn knockgated() -> Result<Command> {
    program("knockgated")
}

fn program(name: &str) -> Result<Command> {
    Ok(Command::new(absolute(Path::new("target/debug").join(name))?))
}

fn demo(steps: &mut Steps) -> Result<()> {
    // The last file that is made: without it, an earlier run was cut off.
    if !demo_file("owner.pub").exists() {
        steps.step("gateway: a demo site with one client", make_site)?;
    }
    steps.step("gateway: its image", || {
        let mut image = knockgated()?;
        image.args(["gateway", "image", "--force", "--config"]).arg(demo_file("agent.toml"));
        image.arg("--key").arg(demo_file("owner.key")).arg("--out").arg(demo_file("site.kgi"));
        tool::run(&mut image)
    })?;
    let [image, owner, profile] = ["site.kgi", "owner.pub", "demo.kgp"].map(demo_file);
    note(format_args!("owner {}, profile of client demo {}", owner.display(), profile.display()));
    note(format_args!("next: cargo xtask gateway flash --board qemu-riscv32 {}", image.display()));
    Ok(())
}

fn make_site() -> Result<()> {
    let site = Path::new(SITE);
    if site.exists() {
        std::fs::remove_dir_all(site)?;
    }
    std::fs::create_dir_all(site)?;
    let config = demo_file("agent.toml");
    let mut init = knockgated()?;
    init.args(["init", "--address", "192.0.2.1", "--service", "ssh=tcp/22", "--config"]).arg(&config);
    init.arg("--state-dir").arg(demo_file("state"));
    init.args(OWN.iter().flat_map(|own| ["--gateway", own]));
    init.args(HOSTS.iter().flat_map(|host| ["--host", host]));
    tool::run(&mut init)?;
    let mut add = knockgated()?;
    add.args(["client", "add", "demo", "--service", "ssh", "--service", "console", "--config"]).arg(&config);
    tool::run(add.arg("--out").arg(demo_file("demo.kgp")))?;
    tool::run(program("knockgate-policy")?.args(["keygen", "--no-passphrase"]).arg(demo_file("owner")))
}
