//! Reads as much of a frame as the gateway must know to treat it: whom it is for and what it begins.
//!
//! Everything here was sent by strangers. What is cut short or malformed is `None`; what the gateway has no rule for is
//! [`Kind::Other`].

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use knockgate_core::profile::Protocol;
use smoltcp::wire::{
    ArpPacket, EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv6Message, Icmpv6Packet, IpProtocol,
    Ipv4Packet, Ipv6Packet, TcpPacket, UdpPacket,
};

/// A frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The card that it is for.
    pub(crate) to: EthernetAddress,
    pub(crate) kind: Kind,
}

/// What is in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A question or an answer about who has this address.
    Arp { target: Ipv4Addr },
    /// The same for IPv6: to whom it is sent, and which address it is about.
    Neighbour { to: Ipv6Addr, about: Ipv6Addr },
    /// A TCP segment or a UDP datagram.
    Segment(Segment),
    /// Anything else.
    Other,
}

/// A TCP segment or a UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) protocol: Protocol,
    pub(crate) source: (IpAddr, u16),
    pub(crate) target: (IpAddr, u16),
    pub(crate) step: Step,
    /// Whether the checksum over its contents is right.
    pub(crate) intact: bool,
}

/// What a segment does to its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It may begin one: a SYN without anything else, or any datagram.
    Begin,
    /// It belongs to one.
    Continue,
    /// It ends one: FIN or RST.
    End,
}

impl Frame {
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let ethernet = EthernetFrame::new_checked(bytes).ok()?;
        let kind = match ethernet.ethertype() {
            EthernetProtocol::Arp => arp(ethernet.payload()),
            EthernetProtocol::Ipv4 => ipv4(ethernet.payload()),
            EthernetProtocol::Ipv6 => ipv6(ethernet.payload()),
            EthernetProtocol::Unknown(_) => Some(Kind::Other),
        };
        Some(Self { to: ethernet.dst_addr(), kind: kind? })
    }
}

fn arp(bytes: &[u8]) -> Option<Kind> {
    let packet = ArpPacket::new_checked(bytes).ok()?;
    let target: [u8; 4] = packet.target_protocol_addr().try_into().ok()?;
    Some(Kind::Arp { target: target.into() })
}

fn ipv4(bytes: &[u8]) -> Option<Kind> {
    let packet = Ipv4Packet::new_checked(bytes).ok().filter(|packet| packet.version() == 4)?;
    if !packet.verify_checksum() {
        return None;
    }
    // Without its first fragment a later one is worth nothing, and the first one is not let through.
    if packet.more_frags() || packet.frag_offset() != 0 {
        return Some(Kind::Other);
    }
    let (source, target) = (packet.src_addr().into(), packet.dst_addr().into());
    transport(packet.next_header(), source, target, packet.payload())
}

fn ipv6(bytes: &[u8]) -> Option<Kind> {
    let packet = Ipv6Packet::new_checked(bytes).ok().filter(|packet| packet.version() == 6)?;
    let (source, target) = (packet.src_addr(), packet.dst_addr());
    match packet.next_header() {
        // RFC 4861, section 6.1: a hop limit of 255 proves that no router has passed it on.
        IpProtocol::Icmpv6 if packet.hop_limit() == 255 => neighbour(target, packet.payload()),
        next => transport(next, source.into(), target.into(), packet.payload()),
    }
}

fn neighbour(to: Ipv6Addr, bytes: &[u8]) -> Option<Kind> {
    let packet = Icmpv6Packet::new_checked(bytes).ok()?;
    let kind = match packet.msg_type() {
        Icmpv6Message::NeighborSolicit | Icmpv6Message::NeighborAdvert => {
            Kind::Neighbour { to, about: packet.target_addr() }
        }
        Icmpv6Message::RouterSolicit | Icmpv6Message::RouterAdvert => Kind::Neighbour { to, about: to },
        _ => Kind::Other,
    };
    Some(kind)
}

fn transport(protocol: IpProtocol, source: IpAddr, target: IpAddr, bytes: &[u8]) -> Option<Kind> {
    let segment = match protocol {
        IpProtocol::Tcp => tcp(source, target, bytes)?,
        IpProtocol::Udp => udp(source, target, bytes)?,
        _ => return Some(Kind::Other),
    };
    Some(Kind::Segment(segment))
}

fn tcp(source: IpAddr, target: IpAddr, bytes: &[u8]) -> Option<Segment> {
    let packet = TcpPacket::new_checked(bytes).ok()?;
    let step = match (packet.syn(), packet.ack(), packet.fin() || packet.rst()) {
        (true, false, false) => Step::Begin,
        (_, _, false) => Step::Continue,
        (_, _, true) => Step::End,
    };
    Some(Segment {
        protocol: Protocol::Tcp,
        source: (source, packet.src_port()),
        target: (target, packet.dst_port()),
        step,
        intact: packet.verify_checksum(&source.into(), &target.into()),
    })
}

fn udp(source: IpAddr, target: IpAddr, bytes: &[u8]) -> Option<Segment> {
    let packet = UdpPacket::new_checked(bytes).ok()?;
    Some(Segment {
        protocol: Protocol::Udp,
        source: (source, packet.src_port()),
        target: (target, packet.dst_port()),
        step: Step::Begin,
        intact: packet.verify_checksum(&source.into(), &target.into()),
    })
}

#[cfg(test)]
#[path = "frame/tests.rs"]
mod tests;
