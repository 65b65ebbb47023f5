//! The example policies, compiled to WebAssembly into `target/policies`.
//!
//! `policies/examples` has the same policy in every language, one folder each; `office_hours` in Zig becomes
//! `office_hours_zig.wasm`.

mod language;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::{bare, step::Steps, step::note, tool};
use language::LANGUAGES;

const EXAMPLES: &str = "policies/examples";
const OUTPUT: &str = "target/policies";

pub(crate) fn run(steps: &mut Steps) -> Result<()> {
    steps.step("policies: examples in every language", || {
        fs::create_dir_all(OUTPUT)?;
        // Two at a time and more: most of these compilers use one processor and wait for the disk.
        let (rust, others) = thread::scope(|scope| {
            let others = LANGUAGES.map(|language| scope.spawn(move || language.compile(EXAMPLES, OUTPUT)));
            (
                rust_example(),
                others.map(|other| other.join().unwrap_or_else(|_| bail!("the thread panicked"))),
            )
        });
        let mut made = vec![rust?];
        for name in others {
            made.push(name?);
        }
        remove_all_but(&made)?;
        for policy in &made {
            note(format_args!(
                "{OUTPUT}/{policy}, {} bytes",
                fs::metadata(Path::new(OUTPUT).join(policy))?.len()
            ));
        }
        Ok(())
    })
}

fn rust_example() -> Result<String> {
    let manifest = Path::new(EXAMPLES).join("Cargo.toml");
    if !manifest.exists() {
        bail!("{} is missing; the example policies belong to a complete checkout", manifest.display());
    }
    let toolchain = bare::toolchain()?;
    let guests = toolchain.target_dir().join("guests");
    let mut cargo = toolchain.cargo();
    // Policies are small because of their own profile and flags, which must not leak in from the host's build.
    cargo.env_remove("RUSTFLAGS").env("CARGO_TARGET_DIR", &guests);
    cargo
        .args(["build", "--quiet", "--release", "--locked", "--target", bare::WASM, "--manifest-path"])
        .arg(&manifest);
    tool::run(&mut cargo)?;
    let name = language::file_of("rust");
    fs::copy(guests.join(bare::WASM).join("release").join(&name), Path::new(OUTPUT).join(&name))?;
    Ok(name)
}

/// A policy that is no longer among the examples must not linger and be tested.
fn remove_all_but(made: &[String]) -> Result<()> {
    for module in files_with_extension(Path::new(OUTPUT), "wasm")? {
        if !made.contains(&file_name(&module)) {
            fs::remove_file(module)?;
        }
    }
    Ok(())
}

fn files_with_extension(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let wanted = |path: &PathBuf| path.is_file() && path.extension().is_some_and(|found| found == extension);
    Ok(entries(folder)?.into_iter().filter(wanted).collect())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let listed = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut paths = listed.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
