//! `knockgate`: the client that knocks.
//!
//! In reading order: [`cli`] says what can be asked, and [`settings`] what need not be said again. [`attempt`] runs one
//! question or knock from the profile to the journal: [`store`] finds the profile, [`kept`] reads it, [`locked`] and
//! [`passphrase`] open it, [`ledger`] hands out counters and notes used numbers, [`session`] finds the gate and asks it by
//! [`packet`] or through [`exchange`], from [`dial`]'s sockets. [`knock`] knocks: with an [`opening`], to both [`families`] of
//! addresses, with a [`code`] if the gate wants one, or with a [`sequence`]. [`service_wait`], [`run`], [`proxy`] and [`console`] go on
//! from there; [`doctor`] tells why it does not work. [`outcome`] gives every end its word, exit code and sentence, [`print`] and
//! [`voice`] say it, and [`journal`] keeps it. [`manage`] is what asks no gate. Blocking sockets and threads: one knock has
//! nothing to do at the same time.
#![forbid(unsafe_code)]

mod attempt;
mod cli;
mod code;
mod console;
mod dial;
mod doctor;
mod exchange;
mod families;
#[doc(hidden)]
pub mod fuzzing;
mod journal;
mod kept;
mod knock;
mod ledger;
mod locked;
mod manage;
mod opening;
mod outcome;
mod own_key;
mod packet;
mod passphrase;
mod print;
mod private_file;
mod proxy;
mod run;
mod sequence;
mod service_wait;
mod session;
pub mod settings;
mod status;
mod store;
mod voice;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use crate::attempt::attempt;
use crate::cli::{Cli, Command, Form};
use crate::manage::{completions, enroll, finish, keygen, lock, log, profiles, qr};
use crate::outcome::Outcome;
use crate::voice::{Loudness, Voice};

/// Every command and option, for man pages and completions.
pub fn command_line() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Runs the command line and returns its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().collect();
    if completions::answer(&arguments) {
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
    let voice = Voice::new(if cli.quiet { Loudness::Quiet } else { Loudness::Normal });
    ExitCode::from(obey(&cli.command, &voice))
}

fn obey(command: &Command, voice: &Voice) -> u8 {
    match command {
        Command::Keygen(keygen) => finish("keygen", keygen.form(), keygen::run(keygen, voice), voice),
        Command::Enroll(enroll) => finish("enroll", enroll.form(), enroll::run(enroll, voice), voice),
        Command::Profiles(profiles) => finish("profiles", profiles.form(), profiles::run(voice), voice),
        Command::Passphrase(passphrase) => {
            finish("passphrase", passphrase.form(), lock::run(passphrase, voice), voice)
        }
        Command::Qr(qr) => finish("qr", Form::Text, qr::run(qr, voice), voice),
        Command::Completions(wanted) => finish("completions", Form::Text, completions::run(wanted), voice),
        Command::Log(log) => match log.call() {
            Some(call) => console::run(&call, voice),
            None => log::run(log, voice),
        },
        Command::Console(wanted) => console::run(&wanted.call(), voice),
        Command::Knock(knock) => attempt(&knock.call(), voice),
        Command::Status(status) => attempt(&status.call(), voice),
        Command::Renew(renew) => attempt(&renew.call(), voice),
        Command::Close(close) => attempt(&close.call(), voice),
        Command::Run(wanted) => run::run(&wanted.call(), voice),
        Command::Proxy(proxy) => match proxy.call() {
            Ok(call) => proxy::run(&call),
            Err(sentence) => {
                voice.error(&sentence);
                Outcome::Usage.exit_code()
            }
        },
        Command::Doctor(doctor) => doctor::run(&doctor.call(), voice),
    }
}
