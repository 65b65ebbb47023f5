//! `knockgate`: the client that knocks.
//!
//! In reading order: [`cli`] says what can be asked, [`attempt`] runs one question or knock from the
//! profile to the journal, [`store`] reads the profile, [`ledger`] hands out counters and notes used numbers, [`session`] finds the gate and asks it through [`exchange`] and [`dial`], [`knock`] and [`sequence`] do
//! the knocking, [`outcome`] gives every end its word, exit code and sentence, [`print`] and [`voice`] say it, and
//! [`journal`] keeps it. Blocking sockets and threads: one knock has nothing to do at the same time.
#![forbid(unsafe_code)]

mod attempt;
mod cli;
mod dial;
mod exchange;
mod journal;
mod knock;
mod ledger;
mod outcome;
mod print;
mod private_file;
mod sequence;
mod session;
pub mod settings;
mod status;
mod store;
pub mod text_form;
mod voice;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use knockgate_core::Name;

use crate::attempt::{Asked, Call, attempt};
use crate::cli::{Cli, Command};
use crate::journal::Journal;
use crate::outcome::Outcome;
use crate::print::Report;
use crate::store::{Replace, Store};
use crate::voice::{Loudness, Voice};

/// Runs the command line and returns its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Without a terminal there is nobody to tell; the exit code says it too.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let voice = Voice::new(if cli.quiet { Loudness::Quiet } else { Loudness::Normal });
    let code = match cli.command {
        Command::Import(import) => finish(&voice, run_import(&import)),
        Command::Log(log) => finish(&voice, run_log(&log, &voice)),
        Command::Knock(knock) => {
            let (choices, form) = (knock.choices(), knock.gate.form());
            attempt(&Call { profile: knock.profile, asked: Asked::Knock, choices, form }, &voice)
        }
        Command::Status(status) => {
            let (choices, form) = (status.gate.choices(), status.gate.form());
            attempt(&Call { profile: status.profile, asked: Asked::Status, choices, form }, &voice)
        }
    };
    ExitCode::from(code)
}

fn finish(voice: &Voice, result: Result<(), String>) -> u8 {
    match result {
        Ok(()) => 0,
        Err(sentence) => {
            voice.error(&sentence);
            Outcome::Failed.exit_code()
        }
    }
}

fn run_import(import: &cli::Import) -> Result<(), String> {
    let profile = Store::read(&import.file).map_err(|fault| fault.to_string())?;
    let name = import.name.clone().map_or_else(|| name_from(&import.file), Ok)?;
    let replace = if import.force { Replace::Allow } else { Replace::Refuse };
    let stored = Store::find().and_then(|store| store.add(&name, &profile, replace));
    let path = stored.map_err(|fault| fault.to_string())?;

    let services: Vec<_> = profile.services.iter().map(|service| service.name.as_str()).collect();
    print::lines([
        format!(
            "imported profile \"{name}\": client {} at {}, services {}",
            profile.client,
            print::host_and_port(&profile.address, profile.central_port),
            services.join(", ")
        ),
        format!(
            "stored in {}; {} is no longer needed here and holds a secret key: delete it",
            path.display(),
            import.file.display()
        ),
    ]);
    Ok(())
}

fn name_from(file: &Path) -> Result<Name, String> {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    stem.parse().map_err(|error| {
        format!("{}: its name cannot name a profile: {error}; choose one with --name", file.display())
    })
}

fn run_log(log: &cli::Log, voice: &Voice) -> Result<(), String> {
    let store = Store::find().map_err(|fault| fault.to_string())?;
    let dir = store.journal_dir().map_err(|fault| fault.to_string())?;
    let mut pages = Journal::new(dir).read().map_err(|fault| fault.to_string())?;
    if let Some(profile) = &log.profile {
        pages.reports.retain(|report| report.profile == profile.as_str());
    }
    if log.json {
        print::lines(pages.reports.iter().map(Report::json));
    } else {
        print::lines(print::table(&pages.reports));
    }
    if pages.damaged > 0 {
        let lines = if pages.damaged == 1 { "1 line".to_owned() } else { format!("{} lines", pages.damaged) };
        voice
            .warning(&format!("{lines} of the log in {} could not be read and were left out", dir.display()));
    }
    Ok(())
}
