//! The benchmark: how long a knock takes until the port is open, beside knockd and fwknop where they are installed, and what a gate
//! of many clients costs. Or what a policy's decision costs.
//!
//! `cargo xtask bench` builds what it needs and runs it. Progress goes to stderr, the result to stdout, as Markdown.

mod agent_log;
mod figures;
mod fwknop;
mod installed;
mod knockd;
mod machine;
mod packet;
mod peer;
mod phases;
mod policy;
mod report;
mod sequence;
mod sizes;
mod sys;
mod wire;

use std::fmt::Display;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use knockgate_tests::{Lab, programs, sandbox};

use fwknop::{Ear, Fwknop};
use knockd::Knockd;
use packet::{ByClient, ByHand, PacketGate};
use peer::Peer;
use report::Report;
use sequence::Sequence;
use sizes::Sizes;

const USAGE: &str = "usage: bench REPETITIONS
       bench policy";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["policy"] => print(policy::measure().and_then(policy::Report::checked)),
        [text] => match text.parse() {
            Ok(repetitions) => print(sandbox::enter().and_then(|()| measure(repetitions))),
            Err(_) => wrong_use(),
        },
        _ => wrong_use(),
    }
}

fn wrong_use() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

fn print(report: Result<impl Display>) -> ExitCode {
    match report {
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
    let sizes = Sizes::measure(repetitions)?;
    let labs = Labs::build()?;
    let mut peers = peers(&labs, repetitions)?;
    let state_on = machine::file_system(&labs.packet.path(""))?;
    let mut report = Report::begin(repetitions, state_on, &peers)?;
    report.sizes(sizes);
    for repetition in 0..repetitions {
        for turn in 0..peers.len() {
            let place = (turn + repetition as usize) % peers.len();
            report.note(place, peers[place].knock(repetition));
        }
        for peer in &mut peers {
            peer.wait_until_shut()?;
        }
        eprint!("\rbench: {} of {repetitions}", repetition + 1);
    }
    eprintln!();
    let silent = report.without_any();
    ensure!(
        silent.is_none(),
        "not one knock was measured ({}); the lines above say why",
        silent.unwrap_or("")
    );
    Ok(report)
}

/// One for each peer, whether it is installed or not.
struct Labs {
    packet: Lab,
    client: Lab,
    sequence: Lab,
    knockd: Lab,
    fwknop: Lab,
    fwknop_server: Lab,
}

impl Labs {
    fn build() -> Result<Self> {
        let labs = Self {
            packet: Lab::build()?,
            client: Lab::build()?,
            sequence: Lab::build()?,
            knockd: Lab::build()?,
            fwknop: Lab::build()?,
            fwknop_server: Lab::build()?,
        };
        [&labs.packet, &labs.client, &labs.sequence].into_iter().try_for_each(put_on_disk)?;
        Ok(labs)
    }
}

/// The first is the one that the others are compared with.
fn peers(labs: &Labs, repetitions: u32) -> Result<Vec<Box<dyn Peer + '_>>> {
    let by_hand = ByHand::set(running(&labs.packet)?)?;
    let by_client = ByClient::set(running(&labs.client)?)?;
    let mut peers: Vec<Box<dyn Peer + '_>> =
        vec![Box::new(by_hand), Box::new(by_client), Box::new(Sequence::set(&labs.sequence, repetitions)?)];
    match installed::find("knockd") {
        Some(program) => peers.push(Box::new(Knockd::set(&labs.knockd, &program)?)),
        None => eprintln!("bench: knockd is not installed, so it is left out; `apt install knockd`"),
    }
    match fwknop::Programs::find() {
        Ok(programs) => {
            peers.push(Box::new(Fwknop::set(&labs.fwknop, programs.clone(), Ear::Pcap)?));
            peers.push(Box::new(Fwknop::set(&labs.fwknop_server, programs, Ear::UdpServer)?));
        }
        Err(missing) => eprintln!(
            "bench: {missing} is not installed, so fwknop is left out; `apt install fwknop-server fwknop-client iptables`"
        ),
    }
    Ok(peers)
}

fn running(lab: &Lab) -> Result<PacketGate<'_>> {
    let mut scene = PacketGate::set(lab, |_| Ok(()))?;
    scene.gate.start()?;
    Ok(scene)
}

/// A lab's folder lies in memory, where a sync costs nothing. This puts a folder beside the program in its place.
fn put_on_disk(lab: &Lab) -> Result<()> {
    let program = std::env::current_exe()?;
    let name = lab.path("").file_name().context("a lab's folder has a name")?.to_owned();
    let folder = program.with_file_name("bench-state").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let [from, to] = [folder, lab.path("")].map(|path| path.display().to_string());
    programs::run("mount", &["--bind", &from, &to])
}
