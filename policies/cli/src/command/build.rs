//! Compiles a project with its language's own tools, puts in the manifest, and checks the result.

mod compiler;

use std::fs;
use std::io;
use std::path::Path;

use crate::answer::{Section, Told, Trouble};
use crate::cli::Build;
use crate::embed;
use crate::policy_file::{self, PolicyFile};
use crate::project::Project;
use crate::text::plain;

pub(crate) fn run(build: &Build) -> Result<Told, Trouble> {
    let project = Project::read(&build.path)?;
    let output = project.built();
    let manifest = read_manifest(&project)?;
    // What was built before must not pass for the new when the compiler fails.
    remove(&output)?;
    compiler::compile(&project)?;
    if let Some(text) = manifest {
        put_in(&output, &text)?;
    }
    super::check::of_built(&PolicyFile::read(&output)?)
}

fn read_manifest(project: &Project) -> Result<Option<String>, Trouble> {
    let Some(manifest) = &project.manifest else { return Ok(None) };
    let path = project.folder.join(manifest);
    fs::read_to_string(&path).map(Some).map_err(|error| {
        let told = format!(
            "{}: cannot be read: {}; write the manifest there, or remove `manifest` from policy.toml",
            path.display(),
            plain(&error)
        );
        Trouble::with_use(Section::Manifest, told)
    })
}

fn put_in(output: &Path, text: &str) -> Result<(), Trouble> {
    let made = policy_file::read_bytes(output)?;
    let whole = embed::manifest(&made, text)
        .map_err(|error| Trouble::with_policy(Section::Manifest, format!("{}: {error}", output.display())))?;
    fs::write(output, whole).map_err(|error| fault(output, &error))
}

fn remove(output: &Path) -> Result<(), Trouble> {
    match fs::remove_file(output) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(fault(output, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn fault(output: &Path, error: &io::Error) -> Trouble {
    let told = format!("{}: cannot be written: {}; check its folder", output.display(), plain(error));
    Trouble::with_use(Section::Build, told)
}
