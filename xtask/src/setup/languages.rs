//! Compilers for the languages in which policies are written, in `target/tools`, without root.
//!
//! Zig and Go come as Python packages (`policies/sdk/tools/requirements.txt`), AssemblyScript and the compiler for JavaScript
//! as npm packages (`package.json` and its lock file there). `target/tools/bin` has their commands, with caches inside
//! `target/tools`: it in front of PATH is all that a build needs. C and C++ use the system's clang.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::once;
use crate::{bare, step::note, tool};

/// What to install, by name and version.
const WANTED: &str = "policies/sdk/tools";
/// The oldest that the AssemblyScript compiler runs on.
const OLDEST_NODE: u32 = 20;

/// Installs what is missing. Fast when nothing is.
pub(super) fn install(toolchain: &bare::Toolchain) -> Result<()> {
    let tools = once::tools()?;
    fs::create_dir_all(tools.join("bin"))?;
    let _lock = once::lock(&tools)?;
    python_packages(&tools.join("python"))?;
    npm_packages(&tools.join("npm"))?;
    commands(&tools, toolchain)
}

/// The full path of a command that was installed here.
pub(crate) fn command(name: &str) -> Result<PathBuf> {
    let path = once::tools()?.join("bin").join(name);
    if !path.exists() {
        bail!("no {name} in {}/bin; run `cargo xtask setup`", once::TOOLS);
    }
    Ok(path)
}

fn python_packages(folder: &Path) -> Result<()> {
    let wanted = Path::new(WANTED).join("requirements.txt");
    once::install(folder, &[&wanted], || {
        note("Zig and Go, as Python packages");
        once::python_packages(folder, &wanted)
    })
}

fn npm_packages(folder: &Path) -> Result<()> {
    let files = ["package.json", "package-lock.json", ".npmrc"].map(|name| Path::new(WANTED).join(name));
    once::install(folder, &files.each_ref().map(PathBuf::as_path), || {
        check_node()?;
        note("AssemblyScript and the compiler for JavaScript, as npm packages");
        for file in &files {
            fs::copy(file, folder.join(file.file_name().unwrap_or_default()))?;
        }
        let mut npm = Command::new("npm");
        npm.current_dir(folder);
        npm.args(["ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]);
        tool::run(&mut npm)
    })
}

fn check_node() -> Result<()> {
    let version = tool::output(Command::new("node").arg("--version"))?;
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
    if major.is_none_or(|major: u32| major < OLDEST_NODE) {
        bail!(
            "Node.js is {}, but the AssemblyScript compiler needs {OLDEST_NODE}; install a newer one, for example \
             from your distribution's backports",
            version.trim()
        );
    }
    Ok(())
}

/// Everything in `bin`, written anew each time: a clone that was moved must not call the old place.
fn commands(tools: &Path, toolchain: &bare::Toolchain) -> Result<()> {
    let (bin, at) = (tools.join("bin"), tools.display());
    let zig = format!(
        "#!/bin/sh\nexport ZIG_GLOBAL_CACHE_DIR=\"${{ZIG_GLOBAL_CACHE_DIR:-{at}/cache/zig}}\"\n\
         export ZIG_LOCAL_CACHE_DIR=\"${{ZIG_LOCAL_CACHE_DIR:-{at}/cache/zig}}\"\n\
         exec '{at}/python/ziglang/zig' \"$@\"\n"
    );
    write_program(&bin.join("zig"), &zig)?;
    // Without GOTOOLCHAIN it would fetch another compiler when a module asks for a newer one.
    let go = format!(
        "#!/bin/sh\nexport GOTOOLCHAIN=local GOTELEMETRY=off\nexport GOCACHE=\"${{GOCACHE:-{at}/cache/go}}\"\n\
         export GOPATH=\"${{GOPATH:-{at}/cache/gopath}}\"\nexec '{at}/python/go/bin/go' \"$@\"\n"
    );
    write_program(&bin.join("go"), &go)?;
    for name in ["asc", "componentize-qjs"] {
        let link = bin.join(name);
        remove_file(&link)?;
        symlink(Path::new("../npm/node_modules/.bin").join(name), &link)?;
    }
    for name in ["cargo", "rustc"] {
        rust_command(&bin, name, toolchain)?;
    }
    Ok(())
}

/// Where the Rust in use cannot compile for WebAssembly, a command that hands such builds to the one that can.
fn rust_command(bin: &Path, name: &str, toolchain: &bare::Toolchain) -> Result<()> {
    let path = bin.join(name);
    let Some(other) = toolchain.of_its_own() else { return remove_file(&path) };
    let text = format!(
        "#!/bin/sh\n# Builds for WebAssembly go to the compiler that has its library, all others to the one in PATH.\n\
         case \" $* \" in *{wasm}*) unset RUSTUP_TOOLCHAIN RUSTDOC; exec '{other}/bin/{name}' \"$@\" ;; esac\n\
         IFS=:\nfor folder in $PATH; do\n  [ \"$folder\" = '{here}' ] && continue\n  \
         [ -x \"$folder/{name}\" ] && unset IFS && exec \"$folder/{name}\" \"$@\"\ndone\n\
         echo \"{name}: not found in PATH\" >&2\nexit 127\n",
        wasm = bare::WASM,
        other = other.display(),
        here = bin.display(),
    );
    write_program(&path, &text)
}

fn write_program(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|found| found == text) {
        return Ok(());
    }
    // Another process may be running the old one: it keeps its file.
    remove_file(path)?;
    fs::write(path, text)?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
