//! What the compiler of firmware is told besides its workspace's profile.
//!
//! Some of it is not stable yet, and `RUSTC_BOOTSTRAP` permits it in a stable compiler. Without all of it the firmware works
//! alike, but is larger.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{Library, Room};
use crate::{bare, tool};

/// No texts that only a debugger of the firmware would read: where in the source a panic is, and what `{:?}` says.
const NO_DEBUG_TEXTS: [&str; 2] = ["-Zlocation-detail=none", "-Zfmt-debug=none"];

/// Short jumps where the linker finds them near enough, and one piece of code for what all functions begin and end with: the
/// board's `saves.s` has it. Pieces that many functions have in common become functions, in three rounds.
const SMALL_RISCV: [&str; 3] = [
    "-Cforce-unwind-tables=no",
    "-Ctarget-feature=+relax,+save-restore",
    "-Cllvm-args=-machine-outliner-reruns=2",
];

/// A panic is an instruction that traps, so nothing is left of its words.
const PANICS_ARE_TRAPS: [&str; 2] = ["-Zunstable-options", "-Cpanic=immediate-abort"];
const LIBRARY_FROM_SOURCE: [&str; 2] =
    ["-Zbuild-std=core,alloc", "-Zbuild-std-features=optimize_for_size,compiler-builtins-mem"];

/// The board's `memory.x` allows no more code than the budget does, unless it is told so.
const OVER_BUDGET: &str = "-Clink-arg=--defsym=_code_at_most=0x100000";

/// Adds them to a `cargo` that takes its subcommand after them.
pub(super) fn set(
    cargo: &mut Command,
    toolchain: &bare::Toolchain,
    room: Room,
    library: Library,
) -> Result<()> {
    let more: &[&[&str]] = match (room, library) {
        (Room::Ample, Library::FromSource | Library::AsItComes) => &[],
        (Room::Scarce, Library::FromSource) => &[&NO_DEBUG_TEXTS, &SMALL_RISCV, &PANICS_ARE_TRAPS],
        (Room::Scarce, Library::AsItComes) => &[&NO_DEBUG_TEXTS, &SMALL_RISCV, &[OVER_BUDGET]],
    };
    let mut flags = without_paths(toolchain)?;
    flags.extend(more.concat().into_iter().map(str::to_owned));
    match library {
        Library::FromSource => drop(cargo.args(LIBRARY_FROM_SOURCE)),
        Library::AsItComes => {}
    }
    // For every board, so that they share what is built for this machine.
    cargo.env("RUSTC_BOOTSTRAP", "1").env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    Ok(())
}

/// Firmware names files by their place in the project, not in the machine that built it.
fn without_paths(toolchain: &bare::Toolchain) -> Result<Vec<String>> {
    let sysroot = tool::output(toolchain.rustc().args(["--print", "sysroot"]))?;
    let project = std::env::current_dir()?;
    let mut named = vec![(project.as_path(), "knockgate"), (Path::new(sysroot.trim()), "rust")];
    let crates = cargo_home();
    named.extend(crates.as_deref().map(|folder| (folder, "cargo")));
    let flag = |(folder, name): (&Path, &str)| format!("--remap-path-prefix={}={name}", folder.display());
    Ok(named.into_iter().map(flag).collect())
}

fn cargo_home() -> Option<PathBuf> {
    let set = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    set.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))
}
