//! knockd with nftables, as its users set it up: a fixed sequence of three ports, and a command that opens.

use std::path::Path;

use anyhow::{Context, Result};
use knockgate_tests::Lab;
use knockgate_tests::scenes::SSH;

use crate::counted::Counted;
use crate::direct::{Behind, Direct, Means};
use crate::three::{OTHER, SEQUENCE};
use crate::{door, installed};

pub(crate) fn knockd<'lab>(lab: &'lab Lab, program: &Path) -> Result<Direct<'lab>> {
    lab.gate.nft(&door::with_set())?;
    let (file, log_file) = (lab.path("knockd.conf"), lab.path("knockd.log"));
    std::fs::write(&file, configuration(&log_file))?;
    let mut command = lab.gate.command(program);
    let mut daemon = Counted::start(command.args(["-4", "-i", "eth0", "-c"]).arg(&file), Some(log_file))?;
    daemon.wait_for("listening on eth0").context("knockd does not come up")?;
    let title = format!("{}: fixed sequence of three SYNs, by the benchmark", installed::version(program)?);
    Direct::new(lab, "knockd", title, Means::Syns, Behind::Daemon(daemon))
}

fn configuration(log_file: &Path) -> String {
    let doors = [("open", SEQUENCE), ("other", OTHER)].map(|(name, [first, second, third])| {
        format!(
            "[{name}]\n\
             \tsequence = {first},{second},{third}\n\
             \tseq_timeout = 5\n\
             \ttcpflags = syn\n\
             \tcommand = nft add element inet {table} {set} {{ %IP% . {SSH} timeout 1s }}\n",
            table = door::TABLE,
            set = door::SET,
        )
    });
    format!("[options]\n\tlogfile = {}\n{}", log_file.display(), doors.concat())
}
