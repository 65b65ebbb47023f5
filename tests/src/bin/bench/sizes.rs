//! A gate of many clients: how long it takes to come up, what it keeps in memory, and how fast it opens.

use anyhow::{Context, Result};
use knockgate_tests::{Lab, programs};

use crate::ours::{self, Ready};
use crate::peer::Peer as _;
use crate::process::Process;
use crate::processors::{self, End};
use crate::results::Clients;
use crate::segment::Moment;
use crate::state::lab_on_disk;
use crate::wire::{Pace, Watching};

/// On the roster.
const CLIENTS: [u32; 3] = [1, 1_000, 100_000];
/// Knocks for a median.
const KNOCKS: u32 = 20;

pub(crate) fn measure(repetitions: u32) -> Result<Vec<Clients>> {
    let knocks = KNOCKS.min(repetitions);
    let sizes = CLIENTS.into_iter().map(|clients| {
        eprintln!("bench: a gate of {clients} clients");
        let lab = lab_on_disk()?;
        row(&lab, clients, knocks).with_context(|| lab.all_logs())
    });
    sizes.collect()
}

fn row(lab: &Lab, clients: u32, knocks: u32) -> Result<Clients> {
    let mut ready = Ready::set(lab, |lab| enrol_all_but_one(lab, clients - 1))?;
    let begun = Moment::now();
    processors::on(End::Gate, || ready.gate.start_as_installed(&[]))?;
    let start_ms = said_at(&ready.gate.log(), "gate up")?.since(begun);
    let memory = Process(ready.gate.pid()?).memory()?;
    let mut peer = ours::by_hand(lab, ready)?;
    let knocks = (0..knocks).map(|repetition| peer.knock(Watching::new(repetition, Pace::Fine).apart()));
    let ms = knocks.map(|knock| Ok(knock?.to_open)).collect::<Result<_>>()?;
    Ok(Clients { clients, ms, start_ms, rss_mib: memory.now, rss_at_most_mib: memory.at_most })
}

/// Writes a roster as it would be after so many enrolments; the last client is then enrolled as usual.
fn enrol_all_but_one(lab: &Lab, count: u32) -> Result<()> {
    if count == 0 {
        return Ok(());
    }
    let mut program = std::process::Command::new(programs::ours("examples/knock_scale")?);
    program.arg("enrol").arg(lab.path("state")).arg(count.to_string());
    programs::output(&mut program).map(drop)
}

/// The time of the line of a log that says this.
fn said_at(log: &str, what: &str) -> Result<Moment> {
    let line = log.lines().find(|line| line.contains(what)).with_context(|| format!("no {what:?}"))?;
    let time = line.split_whitespace().next().unwrap_or_default();
    Ok(humantime::parse_rfc3339(time).with_context(|| format!("a line without a time: {line:?}"))?.into())
}
