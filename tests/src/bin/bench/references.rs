//! What the others are held against: the floor in user space, and the kernel's rules alone.

use anyhow::Result;
use knockgate_tests::Lab;

use crate::direct::{Behind, Direct, Means};
use crate::door;
use crate::floor::{self, Kind};
use crate::three::SEQUENCE;
use knockgate_tests::counted::Counted;

/// The floor of a static sequence, or of a packet.
pub(crate) fn floor(lab: &Lab, kind: Kind) -> Result<Direct<'_>> {
    lab.gate.nft(&door::with_set())?;
    let mut command = lab.gate.command(std::env::current_exe()?);
    let mut daemon = Counted::start(command.args(["floor", kind.name()]), None)?;
    daemon.wait_for(floor::LISTENING)?;
    let (id, title, means) = match kind {
        Kind::Static => ("floor", "Floor: three SYNs, packet socket to netlink, nothing else", Means::Syns),
        Kind::Packet => {
            ("floor-packet", "Floor: one datagram, packet socket to netlink, nothing else", Means::Word)
        }
    };
    Direct::new(lab, id, title.to_owned(), means, Behind::Daemon(daemon))
}

/// A fixed sequence of three in nftables rules.
pub(crate) fn kernel(lab: &Lab) -> Result<Direct<'_>> {
    lab.gate.nft(&door::staged(SEQUENCE))?;
    let title = "Kernel: three SYNs, rules of nftables alone".to_owned();
    Direct::new(lab, "kernel", title, Means::Syns, Behind::Kernel)
}
