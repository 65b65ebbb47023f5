//! The walk of a new user, with nothing but the packages: from their installation to their removal.
//!
//! `cargo xtask dist --test` makes the packages and a clean root of Debian, and runs it with the folder of both. The server is a machine
//! with systemd and sshd at the lab's gate, the client one at the lab's client. Each step is a sentence that can turn out false; the
//! first one that does ends the walk, for the next ones start where it would have led.

mod cgroup;
mod document;
mod first_day;
mod leaving;
mod looking;
mod machine;
mod screen;
mod walk;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use knockgate_tests::{Lab, sandbox};

use walk::Walk;

type Step = fn(&mut Walk<'_>) -> Result<()>;

const STEPS: [(&str, Step); 21] = [
    ("an installation guards nothing, starts nothing, and says what is next", first_day::install),
    (
        "configuration, keys and a client are made by what the quick start says, and nothing is shut yet",
        first_day::configure,
    ),
    ("systemd starts guard and agent, and ssh falls silent", first_day::guard),
    ("the client's quick start ends in a login at the server", first_day::knock),
    ("a second client is enrolled by the QR code on the screen", first_day::scan),
    ("`status`, `grants`, `clients` and `why` tell what has happened", looking::commands),
    ("`top` shows the same on a terminal", looking::top),
    ("the journal finds what was opened for a client", looking::journal),
    ("Prometheus is answered on the server itself, and nobody else is", looking::metrics),
    ("`report` makes a page that needs nothing from elsewhere", looking::report),
    (
        "a client whose enrolment has ended is refused, `why` knows it, and what it says to do helps",
        looking::trouble,
    ),
    (
        "a configuration with a mistake is refused by `reload`, the gate goes on, and the line is named",
        looking::mistake,
    ),
    ("a killed agent is started again by systemd, and the grant outlives it", looking::killed),
    (
        "after a power cut the gate is shut before anybody has done anything, and the client gets in",
        leaving::power_cut,
    ),
    (
        "after a power cut with a mistake in the configuration the gate is shut all the same, and says why",
        leaving::mistake_and_power_cut,
    ),
    ("an upgrade keeps configuration, roster, guard and grants, and restarts the agent", leaving::upgrade),
    ("an upgrade leaves an agent alone that was stopped", leaving::upgrade_of_a_stopped_agent),
    (
        "a removal opens what was open before, says what is guarded no more, and keeps the state",
        leaving::remove,
    ),
    ("installed again it guards nothing until it is told to, and then knows its clients", leaving::come_back),
    (
        "a door of knockd's is taken over by what the guide says, and the real `knock` opens it",
        leaving::move_from_knockd,
    ),
    ("a purge says what goes, and leaves nothing", leaving::purge),
];

fn main() -> ExitCode {
    match walk() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("packages: FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn walk() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder] = arguments.as_slice() else {
        bail!("usage: package FOLDER, the one of `cargo xtask dist`")
    };
    sandbox::enter()?;
    let lab = Lab::build()?;
    if let Err(error) = cgroup::available(&lab) {
        println!("packages: skipped, this machine cannot start another one: {error:#}");
        return Ok(());
    }
    let mut walk = timed("two machines are made of Debian, and one of them is started", || {
        Walk::begin(&lab, Path::new(folder))
    })?;
    for (sentence, step) in STEPS {
        if let Err(error) = timed(sentence, || step(&mut walk)) {
            println!("{}{}", walk.journal(), lab.all_logs());
            return Err(error);
        }
    }
    println!("packages: ok");
    Ok(())
}

fn timed<T>(sentence: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let begun = Instant::now();
    let done = work().with_context(|| format!("not so: {sentence}"))?;
    println!("  {:5.1} s  {sentence}", begun.elapsed().as_secs_f64());
    Ok(done)
}
