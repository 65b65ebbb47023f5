//! A policy's folder: `policy.toml` says in which language it is, from what it is built and what it may do in tests.

use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Deserialize;

use crate::answer::{Section, Trouble};
use crate::grants::RightsSection;
use crate::policy_file::PolicyFile;
use crate::text::{from_toml, plain};

/// Name of the file that makes a folder a project.
pub(crate) const FILE: &str = "policy.toml";
/// Name of the file with its cases.
pub(crate) const CASES: &str = "tests.toml";

/// Languages that `new` and `build` know. A policy in any other one is checked, tested and signed all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Language {
    Rust,
    C,
    Cpp,
    Zig,
    #[value(name = "assemblyscript")]
    AssemblyScript,
    Go,
    Wat,
    #[value(name = "javascript")]
    JavaScript,
}

impl Language {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 8] = [
        Self::Rust,
        Self::C,
        Self::Cpp,
        Self::Zig,
        Self::AssemblyScript,
        Self::Go,
        Self::Wat,
        Self::JavaScript,
    ];

    /// The name on the command line, in `policy.toml` and of folders.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
            Self::Cpp => "cpp",
            Self::Zig => "zig",
            Self::AssemblyScript => "assemblyscript",
            Self::Go => "go",
            Self::Wat => "wat",
            Self::JavaScript => "javascript",
        }
    }
}

/// A project as its file has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Document {
    lang: Language,
    sources: Vec<PathBuf>,
    output: PathBuf,
    manifest: Option<PathBuf>,
    rights: Option<RightsSection>,
}

/// A project. Paths begin at the working directory.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    pub(crate) folder: PathBuf,
    pub(crate) lang: Language,
    /// Relative to the folder, where compilers run.
    pub(crate) sources: Vec<PathBuf>,
    /// Relative to the folder.
    pub(crate) output: PathBuf,
    /// Relative to the folder: the manifest's text, where the language cannot write a section.
    pub(crate) manifest: Option<PathBuf>,
    pub(crate) rights: Option<RightsSection>,
}

impl Project {
    pub(crate) fn read(folder: &Path) -> Result<Self, Trouble> {
        let path = folder.join(FILE);
        let text = fs::read_to_string(&path).map_err(|error| {
            let told = format!(
                "{}: cannot be read: {}; name a policy (FILE.wasm) or a folder with a {FILE}, or begin one with \
                 `knockgate-policy new`",
                path.display(),
                plain(&error)
            );
            Trouble::with_use(Section::Project, told)
        })?;
        let document: Document = from_toml(&path, &text, Section::Project)?;
        for inside in document.sources.iter().chain([&document.output]).chain(&document.manifest) {
            check_inside(&path, inside)?;
        }
        if document.sources.is_empty() {
            let told = format!("{}: sources is empty; name the file that is compiled", path.display());
            return Err(Trouble::with_use(Section::Project, told));
        }
        let Document { lang, sources, output, manifest, rights } = document;
        Ok(Self { folder: folder.to_owned(), lang, sources, output, manifest, rights })
    }

    /// Where `build` puts the policy.
    pub(crate) fn built(&self) -> PathBuf {
        self.folder.join(&self.output)
    }
}

/// What is written stays in the project.
fn check_inside(file: &Path, path: &Path) -> Result<(), Trouble> {
    let is_plain = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if is_plain && path.components().next().is_some() {
        return Ok(());
    }
    let told = format!(
        "{}: {:?} is not inside the project's folder; write a path that begins there, without `..`",
        file.display(),
        path.display().to_string()
    );
    Err(Trouble::with_use(Section::Project, told))
}

/// A policy and, if it was meant by its folder, the project.
#[derive(Debug)]
pub(crate) struct Meant {
    pub(crate) policy: PolicyFile,
    pub(crate) project: Option<Project>,
}

impl Meant {
    /// What PATH means.
    pub(crate) fn find(path: &Path) -> Result<Self, Trouble> {
        if !path.is_dir() {
            return Ok(Self { policy: PolicyFile::read(path)?, project: None });
        }
        let project = Project::read(path)?;
        let built = project.built();
        if !built.exists() {
            let told = format!("{}: is not there; run `knockgate-policy build` first", built.display());
            return Err(Trouble::with_use(Section::Build, told));
        }
        Ok(Self { policy: PolicyFile::read(&built)?, project: Some(project) })
    }

    /// The file of cases beside the policy.
    pub(crate) fn cases(&self) -> PathBuf {
        match &self.project {
            Some(project) => project.folder.join(CASES),
            None => self.policy.path.with_file_name(CASES),
        }
    }

    pub(crate) fn rights(&self) -> Option<&RightsSection> {
        self.project.as_ref().and_then(|project| project.rights.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_has_one_name_everywhere() {
        for lang in Language::ALL {
            assert_eq!(Language::from_str(lang.name(), false), Ok(lang));
            let text = format!("lang = \"{}\"\nsources = [\"a\"]\noutput = \"b\"\n", lang.name());
            assert_eq!(toml::from_str::<Document>(&text).unwrap().lang, lang);
        }
        assert_eq!(Language::value_variants(), Language::ALL);
    }
}
