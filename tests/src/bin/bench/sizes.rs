//! A gate of many clients: how long it takes to come up, what it keeps in memory, and how fast it opens.

use std::fmt;

use anyhow::{Context, Result, bail};
use knockgate_tests::{Lab, programs};

use crate::figures::Figures;
use crate::packet::{ByHand, PacketGate};
use crate::peer::Peer as _;
use crate::wire::Moment;

/// On the roster.
const CLIENTS: [u32; 3] = [1, 1_000, 100_000];
/// Knocks for a median; each waits for the end of a grant of a second.
const KNOCKS: u32 = 20;

/// What a gate of so many clients took.
struct Size {
    clients: u32,
    /// Milliseconds from the start of the process until it says that the gate is up.
    start: f64,
    /// Megabytes, then and at most.
    memory: [f64; 2],
    /// Milliseconds from the first packet to open.
    knocks: Figures,
}

/// The table.
#[derive(Default)]
pub(crate) struct Sizes(Vec<Size>);

impl Sizes {
    pub(crate) fn measure(repetitions: u32) -> Result<Self> {
        let knocks = KNOCKS.min(repetitions);
        let sizes = CLIENTS.into_iter().map(|clients| {
            eprintln!("bench: a gate of {clients} clients");
            let lab = Lab::build()?;
            crate::put_on_disk(&lab)?;
            measure(&lab, clients, knocks).with_context(|| lab.all_logs())
        });
        sizes.collect::<Result<_>>().map(Self)
    }
}

fn measure(lab: &Lab, clients: u32, knocks: u32) -> Result<Size> {
    let mut scene = PacketGate::set(lab, |lab| enrol_all_but_one(lab, clients - 1))?;
    let begun = Moment::now();
    scene.gate.start()?;
    let start = said_at(&scene.gate.log(), "gate up")?.since(begun);
    let pid = scene.gate.pid()?;
    let memory = [memory(pid, "VmRSS:")?, memory(pid, "VmHWM:")?];
    let mut peer = ByHand::set(scene)?;
    let mut times = Vec::new();
    for repetition in 0..knocks {
        times.push(peer.knock(repetition)?.to_open);
        peer.wait_until_shut()?;
    }
    Ok(Size { clients, start, memory, knocks: times.into_iter().collect() })
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

/// Megabytes of a process.
fn memory(pid: u32, field: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let Some(kilobytes) = line.and_then(|line| line.split_whitespace().next()) else {
        bail!("no {field} of process {pid}")
    };
    Ok(kilobytes.parse::<f64>()? / 1024.0)
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(knocks) = self.0.first().map(|size| size.knocks.count()) else { return Ok(()) };
        writeln!(
            f,
            "\n| clients of the gate | start to \"gate up\", ms | memory, MB | at most, MB | first packet to open, ms, median of {knocks} |"
        )?;
        writeln!(f, "| ---: | ---: | ---: | ---: | ---: |")?;
        for Size { clients, start, memory: [then, most], knocks } in &self.0 {
            let [median, ..] = knocks.summary();
            writeln!(f, "| {clients} | {start:.0} | {then:.1} | {most:.1} | {median:.2} |")?;
        }
        Ok(())
    }
}
