//! The benchmark: how long a knock takes until the port is open, beside knockd where it is installed.
//!
//! `cargo xtask bench` builds what it needs and runs it. Progress goes to stderr, the result to stdout, as Markdown.

mod agent_log;
mod figures;
mod knockd;
mod knockgate;
mod machine;
mod phases;
mod report;
mod sys;
mod wire;

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use knockgate_tests::{Lab, programs, sandbox};

use knockd::Knockd;
use knockgate::Knockgate;
use report::Report;

const USAGE: &str = "usage: bench REPETITIONS";

fn main() -> ExitCode {
    let Some(repetitions) = std::env::args().nth(1).and_then(|text| text.parse().ok()) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match sandbox::enter().and_then(|()| measure(repetitions)) {
        Ok(report) => {
            print!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Every peer has a network of its own, so that none meets another one's rules. They take turns, and who begins changes.
fn measure(repetitions: u32) -> Result<Report> {
    let mut report = Report::begin(repetitions)?;
    let (ours, theirs) = (Lab::build()?, Lab::build()?);
    put_on_disk(&ours)?;
    report.state_is_on(machine::file_system(&ours.path(""))?);
    let mut knockgate = Knockgate::set(&ours, repetitions)?;
    let mut knockd = Knockd::find().map(|program| Knockd::set(&theirs, &program)).transpose()?;
    match &knockd {
        Some(knockd) => report.beside(knockd.version()),
        None => eprintln!(
            "bench: knockd is not installed, so there is nothing to compare with; `apt install knockd`"
        ),
    }
    for repetition in 0..repetitions {
        let ours_first = repetition % 2 == 0;
        if ours_first {
            report.knockgate(knockgate.knock(repetition));
        }
        if let Some(knockd) = &mut knockd {
            report.knockd(knockd.knock(repetition));
        }
        if !ours_first {
            report.knockgate(knockgate.knock(repetition));
        }
        knockgate.wait_until_shut().with_context(|| ours.all_logs())?;
        eprint!("\rbench: {} of {repetitions}", repetition + 1);
    }
    eprintln!();
    ensure!(report.is_any(), "not one knock was measured; the lines above say why\n{}", ours.all_logs());
    Ok(report)
}

/// A lab's folder lies in memory, where a sync costs nothing. This puts a folder beside the program in its place.
fn put_on_disk(lab: &Lab) -> Result<()> {
    let program = std::env::current_exe()?;
    let folder = program.with_file_name("bench-state");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir(&folder)?;
    let [from, to] = [folder, lab.path("")].map(|path| path.display().to_string());
    programs::run("mount", &["--bind", &from, &to])
}
