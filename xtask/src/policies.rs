//! Policies in every language, compiled to WebAssembly into `target/policies`.
//!
//! `policies/examples` has the same policy in every language, one folder each; `office_hours` in Zig becomes
//! `office_hours_zig.wasm`. `policies/sdk/tests` has likewise one that calls every function of its SDK.

mod language;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::{bare, step::Steps, step::note, tool};
use language::{LANGUAGES, Program};

const PROGRAMS: [Program; 2] = [
    Program { folder: "policies/examples", name: "office_hours" },
    Program { folder: "policies/sdk/tests", name: "every_function" },
];
/// The policies in Rust form one workspace.
const RUST: &str = "policies/examples/Cargo.toml";
const OUTPUT: &str = "target/policies";

pub(crate) fn run(steps: &mut Steps) -> Result<()> {
    steps.step("policies: examples in every language", || {
        fs::create_dir_all(OUTPUT)?;
        let made = in_every_language()?;
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

/// A thread per language: most of these compilers use one processor and wait for the disk.
fn in_every_language() -> Result<Vec<String>> {
    thread::scope(|scope| {
        let others = LANGUAGES.map(|language| {
            scope.spawn(move || {
                PROGRAMS
                    .into_iter()
                    .map(|program| language.compile(program, OUTPUT))
                    .collect::<Result<Vec<_>>>()
            })
        });
        let mut made = in_rust()?;
        for other in others {
            let Ok(names) = other.join() else { bail!("a thread that compiles policies panicked") };
            made.extend(names?.into_iter().flatten());
        }
        made.sort();
        Ok(made)
    })
}

fn in_rust() -> Result<Vec<String>> {
    if !Path::new(RUST).exists() {
        bail!("{RUST} is missing; the example policies belong to a complete checkout");
    }
    let toolchain = bare::toolchain()?;
    let guests = toolchain.target_dir().join("guests");
    let mut cargo = toolchain.cargo();
    // Policies are small because of their own profile and flags, which must not leak in from the host's build.
    cargo.env_remove("RUSTFLAGS").env("CARGO_TARGET_DIR", &guests);
    cargo.args([
        "build",
        "--quiet",
        "--release",
        "--locked",
        "--target",
        bare::WASM,
        "--manifest-path",
        RUST,
    ]);
    tool::run(&mut cargo)?;
    let made = PROGRAMS.map(|program| program.module("rust"));
    for name in &made {
        let from = guests.join(bare::WASM).join("release").join(name);
        fs::copy(&from, Path::new(OUTPUT).join(name))
            .with_context(|| format!("cannot copy {}", from.display()))?;
    }
    Ok(made.to_vec())
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
