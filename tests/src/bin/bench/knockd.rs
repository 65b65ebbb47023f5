//! knockd with nftables, as its users set it up: a fixed sequence of three ports, and a command that opens.

use std::path::Path;

use anyhow::Result;
use knockgate_tests::knockd::{self, Door};
use knockgate_tests::scenes::SSH;
use knockgate_tests::{Lab, installed};

use crate::direct::{Behind, Direct, Means};
use crate::door;
use crate::three::{OTHER, SEQUENCE};

pub(crate) fn knockd<'lab>(lab: &'lab Lab, program: &Path) -> Result<Direct<'lab>> {
    lab.gate.nft(&door::with_set())?;
    let command = format!(
        "nft add element inet {table} {set} {{ %IP% . {SSH} timeout 1s }}",
        table = door::TABLE,
        set = door::SET,
    );
    let doors = [("open", SEQUENCE), ("other", OTHER)].map(|(name, [first, second, third])| {
        let sequence = format!("{first},{second},{third}");
        Door { name, sequence, seq_timeout: 5, command: command.clone(), command_6: None }
    });
    let daemon = knockd::start(lab, program, &["-4"], &doors)?;
    let title = format!("{}: fixed sequence of three SYNs, by the benchmark", installed::version(program)?);
    Direct::new(lab, "knockd", title, Means::Syns, Behind::Daemon(daemon))
}
