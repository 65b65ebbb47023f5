//! The benchmark: how long a knock takes until the port is open, and what becomes of it in noise, beside knockd and fwknop where they
//! are installed and beside the least that anybody could do. Or what a policy's decision costs.
//!
//! `cargo xtask bench` builds what it needs and runs it. Progress goes to stderr; the result goes to stdout, as JSON (see
//! [`results`]), for `policy` and `--short` as text for people.

mod addresses;
mod agent_log;
mod command_line;
mod delay;
mod direct;
mod door;
mod faults;
mod figures;
mod flood;
mod floor;
mod full;
mod fwknop;
mod good;
mod knockd;
mod latency;
mod link;
mod machine;
mod noise;
mod ours;
mod packet_client;
mod peer;
mod phases;
mod policy;
mod priority;
mod process;
mod processors;
mod references;
mod results;
mod segment;
mod sequence;
mod short;
mod sizes;
mod state;
mod survival;
mod sys;
mod three;
mod wire;

use std::process::ExitCode;

use anyhow::Result;
use command_line::{USAGE, Wanted};
use knockgate_tests::sandbox;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some(wanted) = Wanted::from(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(wanted) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(wanted: Wanted<'_>) -> Result<()> {
    match wanted {
        Wanted::Policy => print!("{}", policy::measure().and_then(policy::Report::checked)?),
        Wanted::Floor(kind) => floor::run(kind)?,
        Wanted::Good(knocks) => {
            sandbox::enter()?;
            good::run(knocks)?;
        }
        Wanted::Noise(arguments) => noise::by_hand(arguments)?,
        Wanted::Short => {
            sandbox::enter()?;
            short::run()?;
        }
        Wanted::Run(run) => {
            sandbox::enter()?;
            println!("{}", serde_json::to_string(&full::measure(&run)?)?);
        }
    }
    Ok(())
}
