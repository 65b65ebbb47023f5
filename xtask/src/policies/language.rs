//! One program in one language: its source and the SDK's files side by side in a folder, as in a project of somebody's own,
//! and the compiler of that language over it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use knockgate_policy_abi::manifest_section;

use crate::setup::languages;
use crate::{c_wasm, tool};

const SDK: &str = "policies/sdk";
const STAGE: &str = "target/policies/projects";
const MANIFEST: &str = "manifest.txt";
/// Of what a compiler came from: another version of it compiles everything anew.
const FROM_PYTHON: (&str, &str) = ("tools/requirements.txt", "tools.txt");
const FROM_NPM: (&str, &str) = ("tools/package.json", "tools.txt");
/// The compiler's flags, as they are read from the project.
const FLAGS: &str = "flags.txt";

/// A policy that exists in several languages.
#[derive(Clone, Copy)]
pub(super) struct Program {
    /// A folder with a folder per language.
    pub(super) folder: &'static str,
    /// The name of its source in each.
    pub(super) name: &'static str,
}

impl Program {
    /// What it becomes in a language.
    pub(super) fn module(self, language: &str) -> String {
        format!("{}_{language}.wasm", self.name)
    }
}

/// A language other than Rust.
#[derive(Clone, Copy)]
pub(super) struct Language {
    name: &'static str,
    /// Files of the SDK, and where the source expects them.
    sdk: &'static [(&'static str, &'static str)],
    /// Compiles the source into the file.
    compiler: fn(&Project, &str) -> Result<()>,
}

const C_HEADER: (&str, &str) = ("c/knockgate.h", "knockgate.h");

pub(super) const LANGUAGES: [Language; 7] = [
    Language {
        name: "c",
        sdk: &[C_HEADER, ("c/flags.txt", FLAGS)],
        compiler: |project, to| clang(project, "c", to),
    },
    Language {
        name: "cpp",
        sdk: &[C_HEADER, ("c/flags_cpp.txt", FLAGS)],
        compiler: |project, to| clang(project, "cpp", to),
    },
    Language {
        name: "zig",
        sdk: &[("zig/knockgate.zig", "knockgate.zig"), ("zig/flags.txt", FLAGS), FROM_PYTHON],
        compiler: zig,
    },
    Language {
        name: "assemblyscript",
        sdk: &[
            ("assemblyscript/knockgate.ts", "knockgate.ts"),
            ("assemblyscript/flags.txt", FLAGS),
            FROM_NPM,
        ],
        compiler: assemblyscript,
    },
    Language {
        name: "go",
        sdk: &[("go/knockgate.go", "knockgate/knockgate.go"), ("go/flags.txt", FLAGS), FROM_PYTHON],
        compiler: go,
    },
    Language { name: "wat", sdk: &[], compiler: webassembly_text },
    Language {
        name: "javascript",
        sdk: &[
            ("javascript/knockgate.js", "knockgate.js"),
            ("javascript/policy.wit", "policy.wit"),
            ("javascript/flags.txt", FLAGS),
            FROM_NPM,
        ],
        compiler: javascript,
    },
];

impl Language {
    /// Compiles a program of this language, if there is one and it has changed, and returns the name of the file that it
    /// became.
    pub(super) fn compile(self, program: Program, output: &str) -> Result<Option<String>> {
        let source = Path::new(program.folder).join(self.name);
        if !source.exists() {
            return Ok(None);
        }
        let name = program.module(self.name);
        let place = Path::new(output).join(&name);
        let folder = std::env::current_dir()?.join(STAGE).join(program.name).join(self.name);
        let project = Project { folder, program: program.name };
        if project.lay_out(&source, self.sdk)? == Laid::AsBefore && place.exists() {
            return Ok(Some(name));
        }
        // What was compiled before must not pass for the new when the compiler fails.
        remove_file(&place)?;
        (self.compiler)(&project, &name).with_context(|| format!("{} in {}", program.name, self.name))?;
        let made = project.folder.join(&name);
        let mut module = fs::read(&made).with_context(|| format!("cannot read {}", made.display()))?;
        if let Ok(text) = fs::read_to_string(project.folder.join(MANIFEST)) {
            module.extend(manifest_section(&text));
        }
        fs::write(place, module)?;
        Ok(Some(name))
    }
}

/// A folder with everything that is compiled together.
struct Project {
    folder: PathBuf,
    /// Name of the source without its ending.
    program: &'static str,
}

#[derive(PartialEq, Eq)]
enum Laid {
    AsBefore,
    Anew,
}

impl Project {
    fn lay_out(&self, source: &Path, sdk: &[(&str, &str)]) -> Result<Laid> {
        let mut laid = Laid::AsBefore;
        let mut lay = |from: &Path, to: &Path| -> Result<()> {
            if copy(from, to)? == Laid::Anew {
                laid = Laid::Anew;
            }
            Ok(())
        };
        for entry in fs::read_dir(source).with_context(|| format!("cannot list {}", source.display()))? {
            let entry = entry?;
            lay(&entry.path(), &self.folder.join(entry.file_name()))?;
        }
        for (file, place) in sdk {
            lay(&Path::new(SDK).join(file), &self.folder.join(place))?;
        }
        Ok(laid)
    }

    /// A command that runs in the folder.
    fn run(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder);
        command
    }

    fn source(&self, extension: &str) -> String {
        format!("{}.{extension}", self.program)
    }

    /// One or more flags per line; `#` begins a comment.
    fn flags(&self) -> Result<Vec<String>> {
        let path = self.folder.join(FLAGS);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
        Ok(lines.flat_map(str::split_whitespace).map(str::to_owned).collect())
    }
}

fn clang(project: &Project, extension: &str, to: &str) -> Result<()> {
    let Some(tools) = c_wasm::find() else {
        bail!("no clang that makes WebAssembly; run `cargo xtask setup`")
    };
    let mut linker = OsString::from("-fuse-ld=");
    linker.push(&tools.linker);
    let mut clang = project.run(&tools.clang);
    clang.args(project.flags()?).arg(linker).args(["-o", to]).arg(project.source(extension));
    tool::run(&mut clang)
}

fn zig(project: &Project, to: &str) -> Result<()> {
    let mut zig = project.run(&languages::command("zig")?);
    zig.arg("build-exe").args(project.flags()?).arg(format!("-femit-bin={to}")).arg(project.source("zig"));
    tool::run(&mut zig)
}

fn assemblyscript(project: &Project, to: &str) -> Result<()> {
    let mut asc = project.run(&languages::command("asc")?);
    asc.args(project.flags()?).args(["--outFile", to]).arg(project.source("ts"));
    tool::run(&mut asc)
}

fn go(project: &Project, to: &str) -> Result<()> {
    let mut go = project.run(&languages::command("go")?);
    go.env("GOOS", "wasip1").env("GOARCH", "wasm");
    go.arg("build").args(project.flags()?).args(["-o", to, "."]);
    tool::run(&mut go)
}

fn webassembly_text(project: &Project, to: &str) -> Result<()> {
    let module = wat::parse_file(project.folder.join(project.source("wat")))?;
    Ok(fs::write(project.folder.join(to), module)?)
}

/// This compiler talks even when all is well, so its output is shown only when it fails.
fn javascript(project: &Project, to: &str) -> Result<()> {
    let mut compiler = project.run(&languages::command("componentize-qjs")?);
    compiler.args(project.flags()?).args(["--wit", "policy.wit", "--js"]).arg(project.source("js"));
    compiler.args(["--output", to]);
    tool::output(&mut compiler).map(drop)
}

/// Copies what differs.
fn copy(from: &Path, to: &Path) -> Result<Laid> {
    let text = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|found| found == text) {
        return Ok(Laid::AsBefore);
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(to, text).with_context(|| format!("cannot write {}", to.display()))?;
    Ok(Laid::Anew)
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
