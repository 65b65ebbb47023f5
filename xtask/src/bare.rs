//! A compiler for targets without an operating system: riscv32 for the core and the gateway, wasm32 for policies, and
//! Cortex-M for those who ask for it with [`toolchain_for`].
//!
//! First choice is the toolchain that runs this very command, with `rustup target add` for what it lacks. Where that
//! cannot download, Debian's compiler builds `core` and `alloc` for the targets instead, see [`debian`].
//! `KNOCKGATE_TOOLCHAIN=rustup` or `=debian` takes the choice away, to try one of the two ways.

mod debian;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{step::note, tool};

/// The ISA of an ESP32-C6 and of the gateway's QEMU board.
pub(crate) const RISCV: &str = "riscv32imac-unknown-none-elf";
pub(crate) const WASM: &str = "wasm32-unknown-unknown";
/// The gateway's STM32H743, a Cortex-M7, and the Cortex-M4 that QEMU runs: both have a floating-point unit.
pub(crate) const CORTEX_M: &str = "thumbv7em-none-eabihf";
/// What nearly every command needs.
const USUAL: [&str; 2] = [RISCV, WASM];

/// A cargo that builds for such targets.
pub(crate) struct Toolchain {
    kind: Kind,
    /// Debian's and rustup's compilers never share a folder: a rebuilt sysroot invalidates what was built on it.
    target_dir: PathBuf,
}

enum Kind {
    /// The toolchain in use, targets added by rustup.
    InUse,
    Debian(debian::Sysroot),
}

impl Toolchain {
    /// `cargo` for these targets, with everything in its environment that it needs.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = match &self.kind {
            Kind::InUse => tool::cargo(),
            Kind::Debian(sysroot) => sysroot.cargo(),
        };
        cargo.env("CARGO_TARGET_DIR", &self.target_dir);
        cargo
    }

    pub(crate) fn rustc(&self) -> Command {
        match &self.kind {
            Kind::InUse => Command::new("rustc"),
            Kind::Debian(sysroot) => sysroot.rustc(),
        }
    }

    /// The folder of a toolchain that is not the one in use.
    pub(crate) fn of_its_own(&self) -> Option<&Path> {
        match &self.kind {
            Kind::InUse => None,
            Kind::Debian(sysroot) => Some(sysroot.folder()),
        }
    }

    /// Whether `core` and `alloc` can be compiled along, with options of one's own. Rustup is asked for what that needs.
    pub(crate) fn has_library_source(&self) -> bool {
        match &self.kind {
            Kind::InUse => holds_library_source() || add_library_source(),
            // It was made from that.
            Kind::Debian(_) => true,
        }
    }

    pub(crate) fn target_dir(&self) -> &Path {
        &self.target_dir
    }
}

impl std::fmt::Display for Toolchain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.kind {
            Kind::InUse => write!(f, "the Rust toolchain in use"),
            Kind::Debian(sysroot) => write!(f, "{sysroot}"),
        }
    }
}

/// Finds or makes a toolchain for riscv32 and wasm32. Fast when there is one already.
pub(crate) fn toolchain() -> Result<Toolchain> {
    toolchain_for(&USUAL)
}

/// Finds or makes a toolchain for exactly these targets, so that nobody waits for what another command needs.
pub(crate) fn toolchain_for(targets: &[&'static str]) -> Result<Toolchain> {
    let target = std::env::current_dir()?.join("target");
    match std::env::var("KNOCKGATE_TOOLCHAIN").as_deref() {
        Ok("debian") => return from_debian(targets, &target),
        Ok("rustup") => return from_rustup(targets, target),
        Ok(other) => bail!("KNOCKGATE_TOOLCHAIN is {other:?}; it may be rustup or debian"),
        Err(_) => {}
    }
    if missing(targets).is_empty() {
        return Ok(Toolchain { kind: Kind::InUse, target_dir: target });
    }
    if debian::is_complete(targets) {
        return from_debian(targets, &target);
    }
    from_rustup(targets, target.clone()).or_else(|error| {
        note(format_args!("{error:#}"));
        note("building core and alloc with Debian's compiler instead, a minute for each target, once");
        from_debian(targets, &target)
    })
}

fn from_rustup(targets: &[&'static str], target_dir: PathBuf) -> Result<Toolchain> {
    let missing = missing(targets);
    if !missing.is_empty() {
        add_targets(&missing)?;
    }
    Ok(Toolchain { kind: Kind::InUse, target_dir })
}

fn from_debian(targets: &[&str], target: &Path) -> Result<Toolchain> {
    let target_dir = target.join("bare-debian");
    let sysroot = debian::Sysroot::find_or_build(targets, &target_dir)?;
    Ok(Toolchain { kind: Kind::Debian(sysroot), target_dir })
}

fn add_targets(missing: &[&str]) -> Result<()> {
    if tool::find("rustup").is_none() {
        bail!("the toolchain in use lacks {} and no rustup is here to add them", missing.join(" and "));
    }
    note(format_args!("rustup target add {}", missing.join(" ")));
    // One try: where downloads are refused, more tries only cost time.
    tool::output(Command::new("rustup").env("RUSTUP_MAX_RETRIES", "0").args(["target", "add"]).args(missing))
        .map(drop)
        .context("rustup cannot download here")
}

fn holds_library_source() -> bool {
    let sysroot = tool::output(Command::new("rustc").args(["--print", "sysroot"]));
    sysroot.is_ok_and(|sysroot| Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core").exists())
}

fn add_library_source() -> bool {
    if tool::find("rustup").is_none() {
        return false;
    }
    note("rustup component add rust-src");
    let mut rustup = Command::new("rustup");
    rustup.env("RUSTUP_MAX_RETRIES", "0").args(["component", "add", "rust-src"]);
    tool::succeeds(&mut rustup) && holds_library_source()
}

fn missing(targets: &[&'static str]) -> Vec<&'static str> {
    targets.iter().copied().filter(|target| !has_core(target)).collect()
}

/// Whether the compiler in use has a compiled `core` for the target.
pub(crate) fn has_core(target: &str) -> bool {
    let asked = tool::output(Command::new("rustc").args(["--print", "target-libdir", "--target", target]));
    asked.is_ok_and(|folder| holds_core(Path::new(folder.trim())))
}

/// Whether the folder holds a compiled `core`.
fn holds_core(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libcore-") && name.ends_with(".rlib")
    })
}
