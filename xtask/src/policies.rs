//! The example policies, compiled to WebAssembly into `target/policies`.
//!
//! Rust examples form a workspace of their own under `policies/examples`; every other folder there with a `.c` file in
//! it is a policy in C, compiled with the flags in `policies/sdk/c/flags.txt`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{bare, c_wasm, step::Steps, step::note, tool};

const EXAMPLES: &str = "policies/examples";
const C_SDK: &str = "policies/sdk/c";
const OUTPUT: &str = "target/policies";

pub(crate) fn run(steps: &mut Steps) -> Result<()> {
    steps.step("policies: examples in Rust and C", || {
        fs::create_dir_all(OUTPUT)?;
        let mut made = rust_examples()?;
        made.extend(c_examples()?);
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

fn rust_examples() -> Result<Vec<String>> {
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
    copy_modules(&guests.join(bare::WASM).join("release"))
}

fn copy_modules(from: &Path) -> Result<Vec<String>> {
    let mut made = Vec::new();
    for module in files_with_extension(from, "wasm")? {
        let name = file_name(&module);
        fs::copy(&module, Path::new(OUTPUT).join(&name))?;
        made.push(name);
    }
    Ok(made)
}

fn c_examples() -> Result<Vec<String>> {
    let mut made = Vec::new();
    for folder in folders(Path::new(EXAMPLES))? {
        for source in files_with_extension(&folder, "c")? {
            made.push(compile_c(&source)?);
        }
    }
    Ok(made)
}

fn compile_c(source: &Path) -> Result<String> {
    let Some(tools) = c_wasm::find() else {
        bail!("no clang that makes WebAssembly; run `cargo xtask setup`")
    };
    let stem = source.file_stem().unwrap_or_default().to_string_lossy().replace('-', "_");
    let name = format!("{stem}.wasm");
    let mut linker = std::ffi::OsString::from("-fuse-ld=");
    linker.push(&tools.linker);
    let mut clang = Command::new(&tools.clang);
    clang
        .args(c_flags()?)
        .arg(linker)
        .args(["-I", C_SDK, "-o"])
        .arg(Path::new(OUTPUT).join(&name))
        .arg(source);
    tool::run(&mut clang)?;
    Ok(name)
}

/// One or more flags per line; `#` begins a comment.
fn c_flags() -> Result<Vec<String>> {
    let path = Path::new(C_SDK).join("flags.txt");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    Ok(lines.flat_map(str::split_whitespace).map(str::to_owned).collect())
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

fn folders(parent: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries(parent)?.into_iter().filter(|path| path.is_dir()).collect())
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
