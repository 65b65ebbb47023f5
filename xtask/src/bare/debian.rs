//! Debian's compiler as a bare-metal toolchain.
//!
//! Debian ships the compiler (`rustc-web`, `cargo-web`) and the source of its library (`rust-web-src`), but compiled
//! libraries for none of our targets. So `core` and `alloc` are built here, once per target and compiler version, into
//! a *sysroot*: a folder that looks like an installed toolchain. It lives in `$XDG_DATA_HOME/knockgate` (usually
//! `~/.local/share/knockgate`), where every clone finds it and no root is needed; without a home directory it lives in
//! `target/`. Where rustup is present the sysroot is also linked under the name `knockgate-bare`, for use by hand:
//! `cargo +knockgate-bare build --target riscv32imac-unknown-none-elf`.
//!
//! Debian's library compiles with Debian's compiler only, so the two are never mixed with rustup's.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::holds_core;
use crate::{setup, step::note, tool};

const RUSTC: &str = "/usr/bin/rustc";
const CARGO: &str = "/usr/bin/cargo";
const PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
const RUSTUP_NAME: &str = "knockgate-bare";

/// Debian's plain `rustc` package is older than the workspace allows; `rustc-web` follows the browsers and is not.
const OLDEST_MINOR: u32 = 95;

/// A folder laid out like an installed toolchain.
pub(crate) struct Sysroot {
    folder: PathBuf,
    version: String,
}

/// Whether a finished sysroot for all targets exists. Builds and installs nothing.
pub(crate) fn is_complete(targets: &[&str]) -> bool {
    let Ok(sysroot) = Sysroot::of_installed_compiler() else { return false };
    sysroot.has_wrappers() && targets.iter().all(|target| sysroot.has(target))
}

impl Sysroot {
    /// The sysroot with all targets in it; what is missing is built. `built_with_it` is the target folder of earlier
    /// builds: it goes away when the library under it changes, else the compiler reports E0463 for every crate in it.
    pub(crate) fn find_or_build(targets: &[&str], built_with_it: &Path) -> Result<Self> {
        install_compiler()?;
        let sysroot = Self::of_installed_compiler()?;
        fs::create_dir_all(&sysroot.folder)
            .with_context(|| format!("cannot create {}; check who owns it", sysroot.folder.display()))?;
        let lock = fs::File::create(sysroot.folder.join("lock"))?;
        lock.lock().context("cannot wait for another xtask that builds the same toolchain")?;
        sysroot.write_wrappers()?;
        for target in targets.iter().filter(|target| !sysroot.has(target)) {
            sysroot.build(target)?;
            remove_dir(built_with_it)?;
        }
        sysroot.link_into_rustup();
        Ok(sysroot)
    }

    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new(self.folder.join("bin/cargo"));
        // Set when xtask itself runs under rustup; Debian's compiler is not one of rustup's.
        cargo.env_remove("RUSTUP_TOOLCHAIN").env_remove("RUSTDOC");
        cargo
    }

    pub(crate) fn rustc(&self) -> Command {
        Command::new(self.folder.join("bin/rustc"))
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn of_installed_compiler() -> Result<Self> {
        let about = tool::output(Command::new(RUSTC).arg("-vV"))?;
        let version = format!(
            "{}-{}",
            field(&about, "release")?,
            field(&about, "commit-hash")?.get(..9).unwrap_or("unknown")
        );
        let folder = data_folder()?.join(format!("bare-{version}"));
        Ok(Self { folder, version })
    }

    fn libraries(&self, target: &str) -> PathBuf {
        self.folder.join("lib/rustlib").join(target).join("lib")
    }

    fn has(&self, target: &str) -> bool {
        holds_core(&self.libraries(target))
    }

    fn has_wrappers(&self) -> bool {
        self.folder.join("bin/cargo").exists()
    }

    /// The compiler with this sysroot, a cargo that uses it, and the linker under the name the compiler asks for.
    fn write_wrappers(&self) -> Result<()> {
        let rustlib = self.folder.join("lib/rustlib");
        for folder in ["bin", "lld", "lib/rustlib"] {
            fs::create_dir_all(self.folder.join(folder))?;
        }
        let host = host_triple()?;
        replace_link(Path::new("/usr/lib/rustlib").join(&host).as_path(), &rustlib.join(&host))?;
        replace_link(Path::new("/usr/lib/rustlib/src"), &rustlib.join("src"))?;
        replace_link(&linker(&host)?, &self.folder.join("lld/rust-lld"))?;
        let folder = self.folder.display();
        write_program(
            &self.folder.join("bin/rustc"),
            &format!("#!/bin/sh\nexec {RUSTC} --sysroot '{folder}' \"$@\"\n"),
        )?;
        write_program(
            &self.folder.join("bin/cargo"),
            &format!("#!/bin/sh\nPATH='{folder}/lld':$PATH RUSTC='{folder}/bin/rustc' exec {CARGO} \"$@\"\n"),
        )
    }

    /// Compiles `core` and `alloc`, then moves them into place in one step: a build that was cut short leaves nothing
    /// that looks finished.
    fn build(&self, target: &str) -> Result<()> {
        note(format_args!("building core and alloc for {target} with Debian's compiler"));
        let work = self.folder.join("build").join(target);
        remove_dir(&work)?;
        write_empty_crate(&work)?;
        compile_library(&work, target)?;
        let staged = work.join("staged/lib");
        copy_libraries(&work.join("target").join(target).join("release/deps"), &staged)?;
        let place = self.folder.join("lib/rustlib").join(target);
        remove_dir(&place)?;
        fs::rename(work.join("staged"), &place)?;
        remove_dir(&work)
    }

    /// A convenience, so a failure is only a remark.
    fn link_into_rustup(&self) {
        if tool::find("rustup").is_none() {
            return;
        }
        let mut link = Command::new("rustup");
        link.args(["toolchain", "link", RUSTUP_NAME]).arg(&self.folder);
        if let Err(error) = tool::output(&mut link) {
            note(format_args!("not linked as {RUSTUP_NAME}: {error:#}"));
        }
    }
}

impl std::fmt::Display for Sysroot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Debian's Rust {} in {}", self.version, self.folder.display())
    }
}

fn install_compiler() -> Result<()> {
    if !is_installed() {
        setup::debian_packages(&PACKAGES)?;
    }
    if !is_installed() {
        bail!("Debian's {} did not bring a compiler with its library's source", PACKAGES.join(" "));
    }
    let about = tool::output(Command::new(RUSTC).arg("-vV"))?;
    let release = field(&about, "release")?;
    let minor = release.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    if minor.is_none_or(|minor| minor < OLDEST_MINOR) {
        bail!("{RUSTC} is {release}, but 1.{OLDEST_MINOR} is needed; install a newer {}", PACKAGES[0]);
    }
    Ok(())
}

fn is_installed() -> bool {
    [RUSTC, CARGO, "/usr/lib/rustlib/src/rust/library/core/Cargo.toml"]
        .iter()
        .all(|path| Path::new(path).exists())
}

fn data_folder() -> Result<PathBuf> {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(data) = from("XDG_DATA_HOME").or_else(|| Some(from("HOME")?.join(".local/share"))) {
        return Ok(data.join("knockgate"));
    }
    Ok(std::env::current_dir()?.join("target"))
}

fn host_triple() -> Result<String> {
    field(&tool::output(Command::new(RUSTC).arg("-vV"))?, "host")
}

/// A line `name: value` of `rustc -vV`.
fn field(about: &str, name: &str) -> Result<String> {
    let value = about.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    value.map(str::to_owned).with_context(|| format!("`{RUSTC} -vV` does not tell its {name}"))
}

/// Debian's compiler has no `rust-lld`: rustup's own serves, or LLVM's under that name.
fn linker(host: &str) -> Result<PathBuf> {
    let rustups = tool::output(Command::new("rustc").args(["--print", "sysroot"]))
        .map(|sysroot| Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("bin/rust-lld"));
    if let Ok(path) = rustups
        && path.exists()
    {
        return Ok(path);
    }
    ["lld-19", "lld-21", "lld-20", "lld-18", "lld"]
        .iter()
        .find_map(|name| tool::find(name))
        .context("no linker for bare-metal targets: install the Debian package lld-19")
}

/// A crate with nothing in it: building it builds the library under it.
fn write_empty_crate(work: &Path) -> Result<()> {
    fs::create_dir_all(work.join("src"))?;
    fs::write(work.join("src/lib.rs"), "#![no_std]\n")?;
    let manifest = "[package]\nname = \"sysroot\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
                    [profile.release]\npanic = \"abort\"\n";
    Ok(fs::write(work.join("Cargo.toml"), manifest)?)
}

fn compile_library(work: &Path, target: &str) -> Result<()> {
    let mut cargo = Command::new(CARGO);
    cargo
        .current_dir(work)
        .env_remove("RUSTUP_TOOLCHAIN")
        .env("CARGO_TARGET_DIR", work.join("target"))
        .env("RUSTC", RUSTC)
        // -Zbuild-std is not yet stable; this permits it in the stable compiler.
        .env("RUSTC_BOOTSTRAP", "1")
        // Without bitcode in core, fat LTO of what is built on it fails: "Can't find section .llvmbc".
        .env("RUSTFLAGS", "-Cembed-bitcode=yes")
        .args(["build", "--quiet", "--release", "-Zbuild-std=core,alloc"])
        .args(["-Zbuild-std-features=compiler-builtins-mem", "--target", target]);
    tool::run(&mut cargo)
}

fn copy_libraries(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".rlib") && !name.starts_with("libsysroot") {
            fs::copy(entry.path(), to.join(name))?;
        }
    }
    if !holds_core(to) {
        bail!("{} holds no libcore after the build", from.display());
    }
    Ok(())
}

fn replace_link(to: &Path, link: &Path) -> Result<()> {
    if fs::read_link(link).is_ok_and(|old| old == to) {
        return Ok(());
    }
    if link.symlink_metadata().is_ok() {
        fs::remove_file(link)?;
    }
    symlink(to, link).with_context(|| format!("cannot link {}", link.display()))
}

fn write_program(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

fn remove_dir(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
