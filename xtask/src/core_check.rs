//! Proves what the architecture promises about dependencies.
//!
//! - The core compiles for a bare-metal target, links there without an allocator, enables no `std` or `alloc` feature
//!   in anything it uses, and uses only the crates listed, with a reason each, in `xtask/core-crates.txt`.
//! - The client's dependencies for Windows and macOS hold neither the policy engine nor anything that is Linux alone.

mod graph;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::{bare, step::Steps, step::note, tool};
use graph::Crate;

const CORE: &str = "knockgate-core";
const CLIENT: &str = "knockgate";
const ALLOWED: &str = "xtask/core-crates.txt";
const FOREIGN_SYSTEMS: [&str; 2] = ["x86_64-pc-windows-gnu", "aarch64-apple-darwin"];

/// Crates, by the beginning of their name, that must never be in the client.
const NOT_IN_CLIENT: [&str; 20] = [
    "wasmtime",
    "cranelift",
    "pulley",
    "wasmi",
    "knockgate-agent",
    "knockgate-policy-host",
    "netlink",
    "nlink",
    "rtnetlink",
    "nftables",
    "nftnl",
    "rustables",
    "mnl",
    "procfs",
    "caps",
    "landlock",
    "seccompiler",
    "aya",
    "zbus",
    "inotify",
];

pub(crate) fn run(steps: &mut Steps) -> Result<()> {
    steps.step("check-core: crates and features of the core", core_graph)?;
    steps.step("check-core: the core on bare metal, without an allocator", core_on_bare_metal)?;
    steps.step("check-core: the client on other systems", client_graph)
}

fn core_graph() -> Result<()> {
    let crates = graph::normal(CORE, bare::RISCV)?;
    let mut complaints = Vec::new();
    let allowed = allowed_crates()?;
    for used in crates.iter().filter(|used| used.name != CORE) {
        if !allowed.contains(&used.name) {
            complaints.push(format!("{} is not in {ALLOWED}: drop it, or list it with a reason", used.name));
        }
        complaints.extend(used.std_features().map(|feature| {
            format!(
                "{} has feature {feature:?} on; `cargo tree -p {CORE} -e features -i {}` tells who asks for it",
                used.name, used.name
            )
        }));
    }
    complaints.extend(stale_entries(&allowed, &crates));
    if !complaints.is_empty() {
        bail!("{}", complaints.join("\n  "));
    }
    note(format_args!("{} crates besides the core, none with std or alloc", crates.len().saturating_sub(1)));
    Ok(())
}

/// Names in the list of allowed crates: the first word of each line.
fn allowed_crates() -> Result<Vec<String>> {
    let text = std::fs::read_to_string(ALLOWED).with_context(|| format!("cannot read {ALLOWED}"))?;
    let mut names = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let Some((name, reason)) = line.split_once(char::is_whitespace) else {
            bail!("{ALLOWED}: {line:?} gives no reason; write one after the name")
        };
        if reason.trim().is_empty() {
            bail!("{ALLOWED}: {name} gives no reason; write one after the name");
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

fn stale_entries(allowed: &[String], used: &[Crate]) -> Vec<String> {
    allowed
        .iter()
        .filter(|name| !used.iter().any(|used| used.name == **name))
        .map(|name| format!("{name} is listed in {ALLOWED} but no longer used: remove the line"))
        .collect()
}

fn core_on_bare_metal() -> Result<()> {
    let toolchain = bare::toolchain()?;
    build(&toolchain)?;
    link_without_allocator(&toolchain)
}

fn build(toolchain: &bare::Toolchain) -> Result<()> {
    let mut cargo = toolchain.cargo();
    tool::run(cargo.args(["build", "--quiet", "--locked", "-p", CORE, "--target", bare::RISCV]))
}

/// A library can name `alloc` and still compile; linking something final from it cannot hide that: the compiler then
/// demands a global allocator, and there is none in this program.
const PROGRAM: &str = "#![no_std]\nuse knockgate_core as _;\n\
                       #[panic_handler]\nfn stop(_: &core::panic::PanicInfo) -> ! { loop {} }\n";

fn link_without_allocator(toolchain: &bare::Toolchain) -> Result<()> {
    let libraries: PathBuf = toolchain.target_dir().join(bare::RISCV).join("debug");
    let folder = toolchain.target_dir().join("check-core");
    std::fs::create_dir_all(&folder)?;
    let source = folder.join("no_allocator.rs");
    std::fs::write(&source, PROGRAM)?;
    let mut rustc = toolchain.rustc();
    rustc.args(["--edition=2024", "--crate-type=staticlib", "-Cpanic=abort", "--target", bare::RISCV]);
    for folder in [libraries.join("deps"), toolchain.target_dir().join("debug/deps")] {
        // The second holds the procedural macros, which libraries name although nothing of them is left in there.
        rustc.arg("-L").arg(format!("dependency={}", folder.display()));
    }
    rustc
        .arg("--extern")
        .arg(format!("knockgate_core={}", libraries.join("libknockgate_core.rlib").display()));
    rustc.arg("--out-dir").arg(&folder).arg(&source);
    tool::run(&mut rustc).context("the core does not link without std and an allocator")
}

fn client_graph() -> Result<()> {
    for system in FOREIGN_SYSTEMS {
        for used in graph::normal(CLIENT, system)? {
            if let Some(reason) = NOT_IN_CLIENT.iter().find(|prefix| used.name.starts_with(**prefix)) {
                bail!(
                    "the client would need {} on {system} ({reason}* is kept out of it); \
                     `cargo tree -p {CLIENT} --target {system} -i {}` tells who asks for it",
                    used.name,
                    used.name
                );
            }
        }
        check_client_where_possible(system)?;
    }
    Ok(())
}

fn check_client_where_possible(system: &str) -> Result<()> {
    if !bare::has_core(system) {
        note(format_args!("{system}: dependencies inspected; not compiled, its library is not installed"));
        return Ok(());
    }
    tool::run(tool::cargo().args(["check", "--quiet", "--locked", "-p", CLIENT, "--target", system]))
}
