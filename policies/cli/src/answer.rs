//! How a command ended: an exit code for scripts, an object for programs, sentences for people.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use knockgate_policy_host::LoadError;
use serde_json::{Map, Value, json};

use crate::cli::Form;

/// What scripts see. Codes are never given a new meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Fine,
    /// The command did its work, and the policy is not what it should be.
    PolicyIsNot,
    /// The command could not do its work.
    WrongUse,
}

impl Exit {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::PolicyIsNot => 1,
            // Also what clap exits with.
            Self::WrongUse => 2,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::PolicyIsNot => "policy-is-not",
            Self::WrongUse => "wrong-use",
        }
    }
}

/// What a command that did its work says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) exit: Exit,
    /// For people, on stdout.
    pub(crate) lines: Vec<String>,
    /// For programs.
    pub(crate) facts: Value,
}

/// Why a command could not do its work, or what is wrong with the policy so that nothing more can be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    exit: Exit,
    /// Ends with what to do.
    sentence: String,
    section: Section,
}

/// Where there is more about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Attributes,
    Bench,
    Build,
    Compile,
    Cases,
    Installing,
    Limits,
    Manifest,
    New,
    OtherLanguages,
    Parameters,
    Project,
    Replay,
    Rights,
    Signing,
    WhenItDoesNotWork,
}

impl Section {
    #[cfg(test)]
    const ALL: [Self; 16] = [
        Self::Attributes,
        Self::Bench,
        Self::Build,
        Self::Compile,
        Self::Cases,
        Self::Installing,
        Self::Limits,
        Self::Manifest,
        Self::New,
        Self::OtherLanguages,
        Self::Parameters,
        Self::Project,
        Self::Replay,
        Self::Rights,
        Self::Signing,
        Self::WhenItDoesNotWork,
    ];

    pub(crate) const fn place(self) -> &'static str {
        match self {
            Self::Attributes => "docs/policies.md#what-a-policy-sees",
            Self::Installing => "docs/policies.md#installing-it",
            Self::Limits => "docs/policies.md#limits",
            Self::Manifest => "docs/policies.md#manifest",
            Self::OtherLanguages => "docs/policies.md#for-other-languages",
            Self::Parameters => "docs/policies.md#parameters",
            Self::WhenItDoesNotWork => "docs/policies.md#when-it-does-not-work",
            Self::Bench => "docs/knockgate-policy.md#bench",
            Self::Build => "docs/knockgate-policy.md#build",
            Self::Compile => "docs/knockgate-policy.md#compile",
            Self::Cases => "docs/knockgate-policy.md#test-cases",
            Self::New => "docs/knockgate-policy.md#new",
            Self::Project => "docs/knockgate-policy.md#the-project-file",
            Self::Replay => "docs/knockgate-policy.md#replay",
            Self::Rights => "docs/knockgate-policy.md#rights",
            Self::Signing => "docs/knockgate-policy.md#signing",
        }
    }
}

impl Trouble {
    /// The command could not do its work. `sentence` ends with what to do.
    pub(crate) fn with_use(section: Section, sentence: impl Into<String>) -> Self {
        Self { exit: Exit::WrongUse, sentence: sentence.into(), section }
    }

    /// The policy is not what it should be. `sentence` ends with what to do.
    pub(crate) fn with_policy(section: Section, sentence: impl Into<String>) -> Self {
        Self { exit: Exit::PolicyIsNot, sentence: sentence.into(), section }
    }

    /// The module was not loaded.
    pub(crate) fn with_load(file: &Path, error: &LoadError) -> Self {
        Self::with_policy(section_of(error), format!("{}: {error}", file.display()))
    }

    pub(crate) fn sentence(&self) -> String {
        format!("{}; see {}", self.sentence, self.section.place())
    }
}

/// Where the guide says more about a module that is not loaded.
pub(crate) fn section_of(error: &LoadError) -> Section {
    if matches!(error, LoadError::Manifest(_) | LoadError::NoManifest | LoadError::TwoManifests) {
        Section::Manifest
    } else if matches!(
        error,
        LoadError::TooBig { .. }
            | LoadError::TooManyPages { .. }
            | LoadError::TooMuchFuel { .. }
            | LoadError::TableTooLarge { .. }
            | LoadError::TooManyTables
            | LoadError::ForbiddenFeature { .. }
    ) {
        Section::Limits
    } else {
        Section::WhenItDoesNotWork
    }
}

/// Says it and returns the exit code.
pub(crate) fn finish(command: &str, form: Form, ended: Result<Told, Trouble>) -> ExitCode {
    let exit = match &ended {
        Ok(told) => told.exit,
        Err(trouble) => trouble.exit,
    };
    let said = match (form, &ended) {
        (Form::Json, ended) => write_lines(&[whole(command, exit, ended).to_string()]),
        (Form::Text, Ok(told)) => write_lines(&told.lines),
        (Form::Text, Err(_)) => Ok(()),
    };
    if let Err(trouble) = &ended {
        eprintln!("knockgate-policy: {}", trouble.sentence());
    }
    match said {
        // Whoever stopped reading, as `head` does, knows enough.
        Ok(()) => ExitCode::from(exit.code()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(exit.code()),
        Err(error) => {
            eprintln!("knockgate-policy: cannot write to stdout: {error}; give it room, or another place");
            ExitCode::from(Exit::WrongUse.code())
        }
    }
}

fn write_lines(lines: &[String]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))
}

fn whole(command: &str, exit: Exit, ended: &Result<Told, Trouble>) -> Value {
    let mut whole = Map::new();
    whole.insert("command".to_owned(), command.into());
    whole.insert("outcome".to_owned(), exit.word().into());
    let facts = match ended {
        Ok(told) => told.facts.clone(),
        Err(trouble) => json!({ "error": trouble.sentence, "guide": trouble.section.place() }),
    };
    if let Value::Object(facts) = facts {
        whole.extend(facts);
    }
    Value::Object(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUIDE: &str = include_str!("../../../docs/policies.md");
    const PAGE: &str = include_str!("../../../docs/knockgate-policy.md");

    #[test]
    fn every_section_that_an_error_points_to_is_there() {
        for section in Section::ALL {
            let (page, anchor) = section.place().split_once('#').unwrap();
            let text = if page == "docs/policies.md" { GUIDE } else { PAGE };
            let is_there =
                text.lines().filter(|line| line.starts_with('#')).any(|line| as_anchor(line) == anchor);
            assert!(is_there, "{}", section.place());
        }
    }

    /// As GitHub makes it of a heading.
    fn as_anchor(heading: &str) -> String {
        let heading = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        heading.chars().filter(|letter| letter.is_alphanumeric() || *letter == '-').collect()
    }
}
