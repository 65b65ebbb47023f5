//! Compiles a policy for hosts that have no compiler.

use std::fs;
use std::path::{Path, PathBuf};

use knockgate_policy_host::precompiled::{self, ENGINE_VERSION};
use serde_json::json;

use crate::answer::{Exit, Section, Told, Trouble};
use crate::cli::{Compile, TargetName};
use crate::policy_file::PolicyFile;
use crate::project::Meant;
use crate::text::{count, plain};

/// Ending of a compiled policy.
const ENDING: &str = "kgc";

pub(crate) fn run(compile: &Compile) -> Result<Told, Trouble> {
    let file = Meant::find(&compile.subject.path)?.policy;
    let manifest = super::parse_manifest(&file, super::manifest_of(&file)?)?;
    let compiled = precompiled::precompile(&file.module, compile.target.target())
        .map_err(|error| Trouble::with_load(&file.path, &error))?;
    let output = output(compile, &file)?;
    fs::write(&output, &compiled).map_err(|error| {
        let told = format!("{}: cannot be written: {}; check its folder", output.display(), plain(&error));
        Trouble::with_use(Section::Compile, told)
    })?;
    let target = compile.target.name();
    let lines = vec![
        format!(
            "{}: {} for {target}, {}",
            output.display(),
            super::title(&manifest),
            count(compiled.len(), "byte", "bytes")
        ),
        format!("  runs on engine {ENGINE_VERSION} and no other; keep the `.wasm` file to compile it again"),
    ];
    let facts = json!({
        "file": file.path, "output": output, "target": target, "bytes": compiled.len(), "engine": ENGINE_VERSION,
    });
    Ok(Told { exit: Exit::Fine, lines, facts })
}

/// Where to write, which is never over the policy itself.
fn output(compile: &Compile, file: &PolicyFile) -> Result<PathBuf, Trouble> {
    let output = compile.output.clone().unwrap_or_else(|| file.path.with_extension(ENDING));
    if !is_same(&output, &file.path) {
        return Ok(output);
    }
    Err(Trouble::with_use(
        Section::Compile,
        format!("{}: is the policy itself; give another --output", output.display()),
    ))
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        // What is not there yet is nothing else.
        _ => false,
    }
}

impl TargetName {
    const fn target(self) -> precompiled::Target {
        match self {
            Self::Gateway => precompiled::Target::Gateway,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateways",
        }
    }
}
