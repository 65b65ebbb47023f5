//! A C compiler and a linker that make WebAssembly, whichever version this machine has.

use std::path::PathBuf;
use std::process::Command;

use crate::tool;

/// Newest tried first after the one the policies are tested with. Below 14 the linker writes features nobody wants.
const CLANG_VERSIONS: [&str; 8] = ["-19", "-21", "-20", "-18", "-17", "-16", "-15", "-14"];
const OLDEST_UNNUMBERED: u32 = 14;

/// A matching pair of compiler and linker.
pub(crate) struct CWasm {
    pub(crate) clang: PathBuf,
    pub(crate) linker: PathBuf,
}

/// The first pair that knows the target `wasm32`.
pub(crate) fn find() -> Option<CWasm> {
    CLANG_VERSIONS.iter().find_map(|suffix| pair(suffix)).or_else(|| {
        let unnumbered = pair("")?;
        (major_version(&unnumbered.clang)? >= OLDEST_UNNUMBERED).then_some(unnumbered)
    })
}

fn pair(suffix: &str) -> Option<CWasm> {
    let clang = tool::find(&format!("clang{suffix}"))?;
    let linker = tool::find(&format!("wasm-ld{suffix}"))?;
    let targets = tool::output(Command::new(&clang).arg("--print-targets")).ok()?;
    targets.contains("wasm32").then_some(CWasm { clang, linker })
}

fn major_version(clang: &PathBuf) -> Option<u32> {
    let version = tool::output(Command::new(clang).arg("-dumpversion")).ok()?;
    version.trim().split('.').next()?.parse().ok()
}
