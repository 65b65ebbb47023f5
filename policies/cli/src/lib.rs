//! `knockgate-policy`: writes, checks, tests, replays and signs policies.
//!
//! In reading order: [`cli`] says what can be asked, [`command`] does it, [`answer`] tells how it ended. What commands share:
//! [`policy_file`] reads a module, [`project`] its folder, [`grants`] what it may do, where [`agent_toml`] is a gate's own
//! configuration; [`judges`] are the engines that decide, [`cases`] a table of events and
//! what shall be decided, [`situation`] an event from what a case says; [`template`] is what a
//! new project has. Of use to other
//! programs: [`embed`] puts a manifest into a module.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod agent_toml;
mod answer;
mod cases;
mod cli;
mod command;
pub mod embed;
mod grants;
mod judges;
mod passphrase;
mod policy_file;
mod private_file;
mod project;
mod situation;
mod template;
mod text;

use std::ffi::OsString;
use std::process::ExitCode;
use std::thread;

use clap::Parser;

use crate::cli::Cli;

/// Compilers and translators call themselves as deep as a module is nested, and a runtime such as Go's is nested deeply.
const STACK_BYTES: usize = 256 * 1024 * 1024;

/// Every command and option, for man pages and completions.
pub fn command_line() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Runs the command line and returns its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().collect();
    if command::completions::answer(&arguments) {
        return ExitCode::SUCCESS;
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Without a terminal there is nobody to tell; the exit code says it too.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let obeyed = thread::scope(|scope| {
        let obeying =
            thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, || command::obey(&cli));
        obeying.map(|obeying| obeying.join())
    });
    match obeyed {
        Ok(Ok(code)) => code,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(error) => {
            eprintln!(
                "knockgate-policy: no thread to work on: {error}; allow more threads or memory (ulimit -a)"
            );
            ExitCode::from(2)
        }
    }
}
