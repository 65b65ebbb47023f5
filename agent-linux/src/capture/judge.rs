//! What a packet is heard as: a packet knock, a probe, or nothing.
//!
//! The kernel's filter is made from the same sets of ports, but this is what counts.

use std::net::IpAddr;

use super::bpf::Passing;
use super::packet::{self, ProbeSeen};
use super::packets::{PacketSeen, is_a_host, message_of, on_interface};
use super::ports::Ports;
use super::watch::{Seen, Wanted, WantedPackets};
use crate::firewall::Protocol;

/// Where what counts.
pub(super) struct Judge {
    knocks: Ports,
    datagrams: Ports,
    connections: Ports,
}

/// A packet that counts.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and no packet may cost an allocation")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    Message(PacketSeen),
    Probe(ProbeSeen),
}

impl Judge {
    pub(super) fn new(wanted: &Wanted) -> Self {
        let probes = Ports::single(wanted.probes.iter().copied());
        let [tcp, udp] = [Protocol::Tcp, Protocol::Udp].map(|protocol| {
            let steps = wanted.statics.iter().filter(|(of, _)| *of == protocol);
            Ports::single(steps.map(|(_, port)| *port))
        });
        let knocks = match &wanted.packets {
            WantedPackets::None => Ports::default(),
            WantedPackets::Ports(ranges) => Ports::of(ranges.iter().cloned()),
            WantedPackets::Anywhere { except } => Ports::single(except.iter().copied()).others(),
        };
        Self { knocks: knocks.without(&udp), datagrams: probes.and(&udp), connections: probes.and(&tcp) }
    }

    /// What the kernel may throw away is everything else.
    pub(super) fn passing<'a>(&'a self, interfaces: Option<&'a [u32]>) -> Passing<'a> {
        let Self { knocks, datagrams, connections } = self;
        Passing { interfaces, knocks, datagrams, connections }
    }

    /// Reads an IP packet that came in by an interface. On a decoy a datagram of a knock's size is a knock, so that a holder's
    /// packet knock is no wrong step of his sequence.
    pub(super) fn read(&self, packet: &[u8], interface: u32) -> Option<Heard> {
        let segment = packet::segment(packet)?;
        if !is_a_host(&segment.source) {
            return None;
        }
        let probe = packet::probe_of(&segment)?;
        if probe.protocol == Protocol::Udp
            && self.knocks.contains(probe.port)
            && let Some(seen) = message_of(&segment)
        {
            let source = on_interface(seen.source, Some(interface))?;
            let destination = on_interface(seen.destination, Some(interface))?;
            return Some(Heard::Message(PacketSeen { source, destination, ..seen }));
        }
        let counts = match probe.protocol {
            Protocol::Tcp => probe.syn && self.connections.contains(probe.port),
            Protocol::Udp => self.datagrams.contains(probe.port),
        };
        counts.then_some(Heard::Probe(probe))
    }
}

impl Heard {
    /// The address that it was sent to.
    pub(super) fn asked(&self) -> IpAddr {
        match self {
            Self::Message(seen) => seen.destination.ip(),
            Self::Probe(seen) => seen.destination,
        }
    }

    pub(super) fn as_seen(&self) -> Seen<'_> {
        match self {
            Self::Message(PacketSeen { source, destination, message }) => {
                Seen::Message { source: *source, destination: *destination, message }
            }
            Self::Probe(seen) => Seen::Probe(*seen),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: u16 = 8000;

    #[test]
    fn nobody_probes_from_an_address_that_no_host_has() {
        let judge = Judge::new(&Wanted { statics: vec![(Protocol::Udp, STEP)], ..Wanted::default() });
        let cases = [
            ("2001:db8::1", true),       // 1
            ("::ffff:192.0.2.1", false), // 2 would count for the client at the IPv4 address
            ("ff02::1", false),          // 3
            ("::1", false),              // 4
            ("::", false),               // 5
        ];
        for (number, (source, expected)) in cases.iter().enumerate() {
            let heard = judge.read(&datagram_from(source.parse().expect("an address")), 3);
            assert_eq!(heard.is_some(), *expected, "{}", number + 1);
        }
    }

    fn datagram_from(source: std::net::Ipv6Addr) -> Vec<u8> {
        let [high, low] = STEP.to_be_bytes();
        let datagram = [0xc3, 0x50, high, low, 0, 8, 0, 0];
        [&[0x60, 0, 0, 0, 0, 8, Protocol::Udp.number(), 64][..], &source.octets(), &[2; 16], &datagram]
            .concat()
    }
}
