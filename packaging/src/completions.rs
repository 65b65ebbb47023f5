//! Completion scripts, each where its shell looks for it.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap_complete::aot::{Shell, generate};
use clap_complete::env::Shells;

use crate::programs::{ALL, Program};

/// A script and where it belongs, below the folder of all completions: `bash/knockgate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    pub place: PathBuf,
    pub text: String,
}

const SHELLS: [(&str, Shell); 3] = [("bash", Shell::Bash), ("zsh", Shell::Zsh), ("fish", Shell::Fish)];

/// For every program and shell.
///
/// # Errors
/// A shell that the completion library knows no more.
pub fn all() -> Result<Vec<Script>> {
    let mut scripts = Vec::new();
    for program in ALL {
        for (name, shell) in SHELLS {
            let text = script(program, name, shell)?;
            scripts.push(Script { place: PathBuf::from(name).join(file(program.name, shell)), text });
        }
    }
    Ok(scripts)
}

fn file(program: &str, shell: Shell) -> String {
    match shell {
        Shell::Fish => format!("{program}.fish"),
        Shell::Zsh => format!("_{program}"),
        // The list of shells may grow; the ones that are made here are named above.
        _ => program.to_owned(),
    }
}

/// Programs with a command `completions` complete by themselves, names of profiles too; for the others every word is in the
/// script.
fn script(program: &Program, shell_name: &str, shell: Shell) -> Result<String> {
    let mut command = (program.command_line)();
    let mut script = Vec::new();
    if command.get_subcommands().any(|sub| sub.get_name() == "completions") {
        let shells = Shells::builtins();
        let completer =
            shells.completer(shell_name).with_context(|| format!("no completions for {shell_name}"))?;
        completer.write_registration("COMPLETE", program.name, program.name, program.name, &mut script)?;
        script.extend_from_slice(first_use(program, shell).as_bytes());
    } else {
        generate(shell, &mut command, program.name, &mut script);
    }
    Ok(String::from_utf8(script)?)
}

/// zsh reads a script of its function path at the first press of the key, as a function that completes. The registration alone
/// would help only from the second one on.
fn first_use(program: &Program, shell: Shell) -> String {
    if shell != Shell::Zsh {
        return String::new();
    }
    let (name, function) = (program.name, program.name.replace('-', "_"));
    format!(
        "if [ \"$funcstack[1]\" = \"_{name}\" ]; then\n    _clap_dynamic_completer_{function} \"$@\"\nfi\n"
    )
}
