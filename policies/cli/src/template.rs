//! What a new project has: the example, its cases, the SDK.
//!
//! All of it is in this program, so that a policy can be begun where there is no checkout of Knockgate.

use std::path::PathBuf;

use crate::project::{self, Language};

/// A place in the project and what stands there.
type File = (&'static str, &'static str);

/// Made from the examples and SDKs of the checkout by the build script.
const FILES: &[(&str, &[File])] = include!(concat!(env!("OUT_DIR"), "/templates.rs"));

const PROJECT: &str = include_str!("../templates/policy.toml");
const CASES: &str = include_str!("../templates/tests.toml");
/// Where the manifest's text stands, for languages that cannot write a section.
const MANIFEST: &str = "manifest.txt";
/// The name that the example has in its own manifest.
const EXAMPLE: &str = "name=office-hours";

/// Every file of a project of that name.
pub(crate) fn files(lang: Language, name: &str) -> Vec<(PathBuf, String)> {
    let written = FILES.iter().find(|(known, _)| *known == lang.name()).map_or(&[][..], |(_, files)| files);
    let has_manifest = written.iter().any(|(place, _)| *place == MANIFEST);
    let manifest = if has_manifest { format!("manifest = \"{MANIFEST}\"\n") } else { String::new() };
    let project = PROJECT
        .replace("@LANG@", lang.name())
        .replace("@SOURCE@", source(lang))
        .replace("@MANIFEST@\n", &manifest);
    let own = [(project::FILE, project.as_str()), (project::CASES, CASES), (".gitignore", ignored(lang))];
    let all = written.iter().copied().chain(own);
    all.map(|(place, text)| (PathBuf::from(fill(place, name)), fill(text, name))).collect()
}

fn fill(text: &str, name: &str) -> String {
    text.replace(EXAMPLE, &format!("name={name}"))
        .replace("@NAME@", name)
        .replace("@CRATE@", &name.replace('-', "_"))
        .replace("@VERSION@", env!("CARGO_PKG_VERSION"))
}

/// The file that is compiled.
const fn source(lang: Language) -> &'static str {
    match lang {
        Language::Rust => "src/lib.rs",
        Language::C => "@CRATE@.c",
        Language::Cpp => "@CRATE@.cpp",
        Language::Zig => "@CRATE@.zig",
        Language::AssemblyScript => "@CRATE@.ts",
        // Go leaves out files whose names end as those of tests and of other systems do, whatever the policy is called.
        Language::Go => "policy.go",
        Language::Wat => "@CRATE@.wat",
        Language::JavaScript => "@CRATE@.js",
    }
}

const fn ignored(lang: Language) -> &'static str {
    match lang {
        Language::Rust => "/target\n*.wasm\n*.minisig\n",
        Language::Zig => ".zig-cache\n*.wasm\n*.wasm.o\n*.minisig\n",
        Language::C
        | Language::Cpp
        | Language::AssemblyScript
        | Language::Go
        | Language::Wat
        | Language::JavaScript => "*.wasm\n*.minisig\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_build_script_writes_is_the_same_wherever_it_is_built() {
        let written = include_str!(concat!(env!("OUT_DIR"), "/templates.rs"));
        assert!(!written.contains(env!("CARGO_MANIFEST_DIR")), "a path makes every build another one");
    }

    #[test]
    fn every_language_has_its_source_and_a_name_of_its_own() {
        for lang in Language::ALL {
            let files = files(lang, "night-shift");
            let source = PathBuf::from(fill(source(lang), "night-shift"));
            assert!(files.iter().any(|(place, _)| *place == source), "{lang:?}");
            assert!(files.iter().any(|(_, text)| text.contains("name=night-shift")), "{lang:?}");
            assert!(
                files.iter().all(|(_, text)| !text.contains('@') || !text.contains("@NAME@")),
                "{lang:?}"
            );
        }
    }
}
