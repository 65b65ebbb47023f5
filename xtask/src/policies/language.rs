//! One example in one language: its source and the SDK's files side by side in a folder of their own, as in a project of
//! somebody's own, and the compiler of that language over it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::setup::languages;
use crate::{c_wasm, tool};

const SDK: &str = "policies/sdk";
const STAGE: &str = "target/policies/projects";
const NAME: &str = "office_hours";
const MANIFEST: &str = "manifest.txt";

/// A language other than Rust.
#[derive(Clone, Copy)]
pub(super) struct Language {
    name: &'static str,
    /// Files of the SDK, and where the source expects them.
    sdk: &'static [(&'static str, &'static str)],
    /// Compiles the source into the file.
    compiler: fn(&Project, &Path) -> Result<()>,
}

const C_HEADER: (&str, &str) = ("c/knockgate.h", "knockgate.h");

pub(super) const LANGUAGES: [Language; 7] = [
    Language { name: "c", sdk: &[C_HEADER], compiler: |project, to| clang(project, "c", "c/flags.txt", to) },
    Language {
        name: "cpp",
        sdk: &[C_HEADER],
        compiler: |project, to| clang(project, "cpp", "c/flags_cpp.txt", to),
    },
    Language { name: "zig", sdk: &[("zig/knockgate.zig", "knockgate.zig")], compiler: zig },
    Language {
        name: "assemblyscript",
        sdk: &[("assemblyscript/knockgate.ts", "knockgate.ts")],
        compiler: assemblyscript,
    },
    Language { name: "go", sdk: &[("go/knockgate.go", "knockgate/knockgate.go")], compiler: go },
    Language { name: "wat", sdk: &[], compiler: webassembly_text },
    Language {
        name: "javascript",
        sdk: &[("javascript/knockgate.js", "knockgate.js"), ("javascript/policy.wit", "policy.wit")],
        compiler: javascript,
    },
];

/// What the example in a language becomes.
pub(super) fn file_of(language: &str) -> String {
    format!("{NAME}_{language}.wasm")
}

/// A folder with everything that is compiled together.
struct Project {
    folder: PathBuf,
}

impl Language {
    /// Compiles the example of this language and returns the name of the file that it became.
    pub(super) fn compile(self, examples: &str, output: &str) -> Result<String> {
        let name = file_of(self.name);
        let project = self.lay_out(&Path::new(examples).join(self.name))?;
        let made = project.folder.join(&name);
        (self.compiler)(&project, Path::new(&name))
            .with_context(|| format!("the example in {}", self.name))?;
        let mut module = fs::read(&made).with_context(|| format!("cannot read {}", made.display()))?;
        if let Ok(text) = fs::read_to_string(project.folder.join(MANIFEST)) {
            append_manifest(&mut module, &text);
        }
        fs::write(Path::new(output).join(&name), module)?;
        Ok(name)
    }

    fn lay_out(self, example: &Path) -> Result<Project> {
        let folder = std::env::current_dir()?.join(STAGE).join(self.name);
        fs::create_dir_all(&folder)?;
        for entry in fs::read_dir(example).with_context(|| format!("cannot list {}", example.display()))? {
            let entry = entry?;
            copy(&entry.path(), &folder.join(entry.file_name()))?;
        }
        for (file, place) in self.sdk {
            copy(&Path::new(SDK).join(file), &folder.join(place))?;
        }
        Ok(Project { folder })
    }
}

impl Project {
    /// A command that runs in the folder.
    fn run(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder);
        command
    }
}

fn clang(project: &Project, extension: &str, list: &str, to: &Path) -> Result<()> {
    let Some(tools) = c_wasm::find() else {
        bail!("no clang that makes WebAssembly; run `cargo xtask setup`")
    };
    let mut linker = OsString::from("-fuse-ld=");
    linker.push(&tools.linker);
    let mut clang = project.run(&tools.clang);
    clang.args(flags(list)?).arg(linker).arg("-o").arg(to).arg(format!("{NAME}.{extension}"));
    tool::run(&mut clang)
}

fn zig(project: &Project, to: &Path) -> Result<()> {
    let mut zig = project.run(&languages::command("zig")?);
    let target = format!("-femit-bin={}", to.display());
    zig.arg("build-exe").args(flags("zig/flags.txt")?).arg(target).arg(format!("{NAME}.zig"));
    tool::run(&mut zig)
}

fn assemblyscript(project: &Project, to: &Path) -> Result<()> {
    let mut asc = project.run(&languages::command("asc")?);
    asc.args(flags("assemblyscript/flags.txt")?).arg("--outFile").arg(to).arg(format!("{NAME}.ts"));
    tool::run(&mut asc)
}

fn go(project: &Project, to: &Path) -> Result<()> {
    let mut go = project.run(&languages::command("go")?);
    go.env("GOOS", "wasip1").env("GOARCH", "wasm");
    go.arg("build").args(flags("go/flags.txt")?).arg("-o").arg(to).arg(".");
    tool::run(&mut go)
}

fn webassembly_text(project: &Project, to: &Path) -> Result<()> {
    let module = wat::parse_file(project.folder.join(format!("{NAME}.wat")))?;
    Ok(fs::write(project.folder.join(to), module)?)
}

/// This compiler talks even when all is well, so its output is shown only when it fails.
fn javascript(project: &Project, to: &Path) -> Result<()> {
    let mut compiler = project.run(&languages::command("componentize-qjs")?);
    compiler.args(flags("javascript/flags.txt")?).args(["--wit", "policy.wit", "--js"]);
    compiler.arg(format!("{NAME}.js")).arg("--output").arg(to);
    tool::output(&mut compiler).map(drop)
}

/// One or more flags per line; `#` begins a comment.
fn flags(list: &str) -> Result<Vec<String>> {
    let path = Path::new(SDK).join(list);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    Ok(lines.flat_map(str::split_whitespace).map(str::to_owned).collect())
}

/// Copies what differs: compilers look at the times of files to know what they have compiled already.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let text = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|found| found == text) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(to, text).with_context(|| format!("cannot write {}", to.display()))
}

/// The manifest as the last custom section, for languages that cannot write one.
fn append_manifest(module: &mut Vec<u8>, text: &str) {
    const NAME: &[u8] = b"knockgate.manifest";
    let mut content = length(NAME.len());
    content.extend_from_slice(NAME);
    content.extend_from_slice(text.as_bytes());
    module.push(0);
    module.extend(length(content.len()));
    module.extend(content);
}

/// A length in LEB128.
fn length(mut left: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let [low, ..] = left.to_le_bytes();
        left >>= 7;
        if left == 0 {
            out.push(low & 0x7f);
            return out;
        }
        out.push(low | 0x80);
    }
}
