//! Completion in the shell. The script that is printed asks this program at every press of the key, so it never goes out
//! of date.

use std::ffi::OsString;

use clap::{CommandFactory, ValueEnum};
use clap_complete::CompleteEnv;
use clap_complete::env::Shells;
use serde_json::Value;

use crate::answer::{Exit, Section, Told, Trouble};
use crate::cli::{Cli, Completions};

/// The shell sets it when it asks.
const VARIABLE: &str = "COMPLETE";
const NAME: &str = "knockgate-policy";

/// Shells that a script can be made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

impl Shell {
    const fn word(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Elvish => "elvish",
            Self::Fish => "fish",
            Self::Powershell => "powershell",
            Self::Zsh => "zsh",
        }
    }
}

pub(crate) fn run(wanted: &Completions) -> Result<Told, Trouble> {
    let script = script(wanted.shell).map_err(|told| Trouble::with_use(Section::New, told))?;
    Ok(Told { exit: Exit::Fine, lines: vec![script.trim_end().to_owned()], facts: Value::Null })
}

fn script(shell: Shell) -> Result<String, String> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let completer = shells
        .completer(shell.word())
        .ok_or_else(|| format!("no completions for {}; use another shell", shell.word()))?;
    completer
        .write_registration(VARIABLE, NAME, NAME, NAME, &mut script)
        .map_err(|error| format!("cannot write completions: {error}; try another shell"))?;
    String::from_utf8(script).map_err(|error| format!("cannot write completions: {error}; try another shell"))
}

/// Answers the shell, if it is the shell that asks. Returns whether it was.
pub(crate) fn answer(arguments: &[OsString]) -> bool {
    let directory = std::env::current_dir().ok();
    let answered = CompleteEnv::with_factory(Cli::command)
        .var(VARIABLE)
        .bin(NAME)
        .try_complete(arguments.iter().cloned(), directory.as_deref());
    // A completion that fails is no completion; the shell shows nothing else.
    answered.unwrap_or(true)
}
