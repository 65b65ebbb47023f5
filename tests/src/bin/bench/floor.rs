//! The floor: the least that anybody can do who hears a knock in user space and opens a port. A packet socket with a filter in the
//! kernel, and an element into an nftables set over netlink; no cryptography, no policy, no record.
//!
//! A program of its own, `bench floor static` or `bench floor packet`, so that its time and memory can be told from the benchmark's.

mod filter;
mod firewall;
mod steps;

use std::io::Read as _;
use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use knockgate_core::limits::MESSAGE_LEN;
use knockgate_tests::packets::KNOCK;
use socket2::{SockFilter, Socket, Type};

use crate::link;
use crate::sys::{self, PacketOption};
use crate::three::SEQUENCE;
use firewall::Firewall;
use steps::Steps;

/// What it says when it hears.
pub(crate) const LISTENING: &str = "the floor listens";

/// What the packet floor takes for a knock: this at the beginning of a datagram of a knock's size. Without it, noise would open.
const WORD: [u8; 8] = *b"sesame!\n";

const UDP_HEADER: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Three SYNs.
    Static,
    /// One datagram.
    Packet,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Packet => "packet",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Static, Self::Packet].into_iter().find(|kind| kind.name() == name)
    }
}

/// The datagram at which the packet floor opens.
pub(crate) fn knock() -> Vec<u8> {
    let mut payload = WORD.to_vec();
    payload.resize(MESSAGE_LEN, 0);
    payload
}

/// Listens until it is killed.
pub(crate) fn run(kind: Kind) -> Result<()> {
    let mut firewall = Firewall::connect()?;
    match kind {
        Kind::Static => {
            let socket = listen(&filter::syns_to(&SEQUENCE))?;
            let mut steps = Steps::of(SEQUENCE);
            each(
                &socket,
                |packet| {
                    let (source, port) = destination(packet)?;
                    steps.take(source, port).then_some(source)
                },
                &mut firewall,
            )
        }
        Kind::Packet => {
            let size = u16::try_from(UDP_HEADER + MESSAGE_LEN)?;
            let socket = listen(&filter::datagrams_to(KNOCK, size))?;
            each(&socket, knocker, &mut firewall)
        }
    }
}

fn listen(filter: &[SockFilter]) -> Result<Socket> {
    let socket = link::unbound(Type::DGRAM)?;
    socket.attach_filter(filter).context("no filter")?;
    sys::switch_on(&socket, PacketOption::IgnoreOutgoing)?;
    link::make_room(&socket)?;
    link::bind(&socket, "eth0", link::IPV4)?;
    println!("{LISTENING}");
    Ok(socket)
}

fn each(
    mut socket: &Socket,
    mut who_has_knocked: impl FnMut(&[u8]) -> Option<Ipv4Addr>,
    firewall: &mut Firewall,
) -> Result<()> {
    let mut buffer = [0; 512];
    loop {
        let length = socket.read(&mut buffer).context("cannot hear")?;
        if let Some(source) = buffer.get(..length).and_then(&mut who_has_knocked) {
            firewall.open(source)?;
        }
    }
}

/// Of a packet that has passed the filter: who sent it, and to which port.
fn destination(packet: &[u8]) -> Option<(Ipv4Addr, u16)> {
    let source = Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(12..16)?).ok()?);
    let start = usize::from(packet.first()? & 0x0f) * 4;
    let port = <[u8; 2]>::try_from(packet.get(start + 2..start + 4)?).ok()?;
    Some((source, u16::from_be_bytes(port)))
}

fn knocker(packet: &[u8]) -> Option<Ipv4Addr> {
    let (source, _) = destination(packet)?;
    let start = usize::from(packet.first()? & 0x0f) * 4 + UDP_HEADER;
    packet.get(start..)?.starts_with(&WORD).then_some(source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::datagram;

    #[test]
    fn only_the_word_opens_at_the_packet_floor() {
        let [from, to] = ["10.77.2.2:9", "10.77.1.2:62201"].map(|address| address.parse().unwrap());
        assert_eq!(knocker(&datagram(from, to, &knock())), Some(*from.ip()));
        assert_eq!(knocker(&datagram(from, to, &[0; MESSAGE_LEN])), None);
        assert_eq!(knocker(&[0x45; 19]), None);
    }
}
