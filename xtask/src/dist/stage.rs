//! Builds the programs, and lays out what goes into the packages in `target/dist/stage`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Build, FOLDER, changelog, deb, empty};
use crate::step::note;
use crate::{bare, tool};

const PROGRAMS: [&str; 3] = ["knockgated", "knockgate", "knockgate-policy"];
/// Knows all command lines, and writes their man pages and completions.
const WRITER: &str = "knockgate-packaging";
/// A client for this target needs no library at all: musl is linked into it.
const STATIC: &str = "x86_64-unknown-linux-musl";
/// As in `.cargo/config.toml`, which says why: RUSTFLAGS take the place of what stands there.
const AS_EVER: &str = "--cfg=poly1305_force_soft";

/// Programs, man pages, completions and changelogs.
pub(super) fn all(build: Build, last_change: u64) -> Result<()> {
    let bin = Path::new(FOLDER).join("stage/bin");
    empty(&bin)?;
    for program in built(build)? {
        strip(&program, &bin)?;
    }
    if build == Build::Release {
        check_static(&bin.join("knockgate"))?;
    }
    papers(build, last_change)
}

/// Man pages and completions, and changelogs.
pub(super) fn papers(build: Build, last_change: u64) -> Result<()> {
    let built = match build {
        Build::Dev => {
            let writer = ["build", "--quiet", "--workspace", "--bin", WRITER, "--locked"];
            tool::run(tool::cargo().args(writer))?;
            "debug"
        }
        // As the programs that it describes, or everything would be compiled a second time.
        Build::Release => {
            cargo_for_people(&["-p", WRITER, "--bins"])?;
            "release"
        }
    };
    let folder = Path::new(FOLDER).join("stage/papers");
    empty(&folder)?;
    let mut writer = Command::new(tool::target().join(built).join(WRITER));
    tool::run(writer.arg(&folder).arg(day(last_change)?))?;
    changelog::write(&folder.join("changelog"), &deb::NAMES, last_change)
}

fn built(build: Build) -> Result<Vec<PathBuf>> {
    match build {
        Build::Dev => {
            tool::run(tool::cargo().args(["build", "--quiet", "--workspace", "--bins", "--locked"]))?;
            Ok(PROGRAMS.iter().map(|program| tool::target().join("debug").join(program)).collect())
        }
        Build::Release => {
            note("a release build takes many minutes the first time; `--profile dev` does without");
            cargo_for_people(&["-p", "knockgate-agent", "-p", "knockgate-policy-cli", "--bins"])?;
            let client = static_client()?;
            let release = tool::target().join("release");
            Ok(vec![release.join("knockgated"), release.join("knockgate-policy"), client])
        }
    }
}

/// With musl where the toolchain has it or gets it. Debian's toolchain has none; its client is linked statically against glibc, which
/// can do everything but ask the host's name service modules beyond files and DNS.
fn static_client() -> Result<PathBuf> {
    let has_musl =
        bare::has_core(STATIC) || tool::succeeds(Command::new("rustup").args(["target", "add", STATIC]));
    if has_musl {
        cargo_for_people(&["-p", "knockgate", "--bins", "--target", STATIC])?;
        return Ok(tool::target().join(STATIC).join("release/knockgate"));
    }
    note(format_args!("the toolchain has no {STATIC}; the client is linked against a static glibc"));
    let folder = tool::target().join("static-glibc");
    let mut cargo = release_cargo(&["-C target-feature=+crt-static".to_owned()])?;
    // Another folder, so that its libraries do not replace the agent's.
    cargo.env("CARGO_TARGET_DIR", &folder).args(["-p", "knockgate", "--bins"]);
    tool::run(&mut cargo)?;
    Ok(folder.join("release/knockgate"))
}

fn cargo_for_people(arguments: &[&str]) -> Result<()> {
    tool::run(release_cargo(&[])?.args(arguments))
}

/// A release build in which no path of this machine is left.
fn release_cargo(more: &[String]) -> Result<Command> {
    let mut flags = flags(&std::env::current_dir()?)?;
    flags.extend_from_slice(more);
    let mut cargo = tool::cargo();
    cargo.env("RUSTFLAGS", flags.join(" ")).args(["build", "--quiet", "--release", "--locked"]);
    Ok(cargo)
}

/// Compiler flags by which a build of these sources has no path of the machine in it, and is otherwise as ever.
pub(super) fn flags(sources: &Path) -> Result<Vec<String>> {
    let mut flags = vec![AS_EVER.to_owned(), remap(sources, "/knockgate")];
    if let Some(home) = cargo_home() {
        flags.push(remap(&home, "/cargo"));
    }
    // Where the library's source is installed, its places in panics are those of this machine.
    let sysroot = tool::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    flags.push(remap(&Path::new(sysroot.trim()).join("lib/rustlib/src/rust"), "/rustc"));
    Ok(flags)
}

fn remap(from: &Path, to: &str) -> String {
    format!("--remap-path-prefix={}={to}", from.display())
}

fn cargo_home() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    std::env::var_os("CARGO_HOME").map(PathBuf::from).or(home)
}

fn strip(program: &Path, into: &Path) -> Result<()> {
    let name = program.file_name().context("a program has a name")?;
    let mut strip = Command::new("strip");
    strip.args(["--strip-all", "-o"]).arg(into.join(name)).arg(program);
    tool::output(&mut strip).map(drop).context("install the package binutils")
}

/// A client that asks for a loader would ask for a library of this machine's version, too.
fn check_static(client: &Path) -> Result<()> {
    let told = tool::output(Command::new("readelf").args(["--program-headers", "--dynamic"]).arg(client))?;
    if told.contains("INTERP") || told.contains("(NEEDED)") {
        bail!("{} needs libraries of the host; build it for {STATIC}", client.display());
    }
    Ok(())
}

/// `2027-01-31`.
fn day(seconds: u64) -> Result<String> {
    let mut date = Command::new("date");
    date.args(["--utc", "+%Y-%m-%d", "--date"]).arg(format!("@{seconds}"));
    Ok(tool::output(&mut date)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_built_with_the_flags_of_every_build() {
        let everywhere = include_str!("../../../.cargo/config.toml");
        assert!(everywhere.contains(&format!("rustflags = [\"{AS_EVER}\"]")));
    }

    #[test]
    fn the_flag_is_that_of_the_library_in_use() {
        let locked = include_str!("../../../Cargo.lock");
        assert!(
            locked.contains("name = \"poly1305\"\nversion = \"0.8."),
            "see with `packet_cost` whether a newer one needs the flag, and by what name"
        );
    }
}
