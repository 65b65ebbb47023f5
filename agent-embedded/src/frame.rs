//! Reads as much of a frame as the gateway must know to treat it: whom it is for and what it begins.
//!
//! Everything here was sent by strangers. What is cut short or contradicts itself is `None`; what the gateway has no rule for
//! is [`Kind::Other`] or [`Content::Other`]. Nothing is copied, and no loop runs longer than a handful of headers.
//!
//! A VLAN tag says in which of several networks a frame is. What is inside is read as if there were none; a second tag is
//! not looked behind.

mod ip;
mod quote;
mod transport;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use knockgate_core::profile::Protocol;
use smoltcp::wire::EthernetAddress;

/// Bytes of two hardware addresses and a type.
pub(crate) const HEADER: usize = 14;
/// Bytes of a VLAN tag.
pub(crate) const TAG: usize = 4;

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const VLAN: u16 = 0x8100;
const IPV6: u16 = 0x86dd;
/// The VLAN's number, without priority.
const VLAN_NUMBER: u16 = 0x0fff;

/// A frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// The card that it is for.
    pub(crate) to: EthernetAddress,
    /// The card that it says to come from.
    pub(crate) from: EthernetAddress,
    /// The number of its VLAN, if it has a tag.
    pub(crate) tag: Option<u16>,
    pub(crate) kind: Kind<'a>,
}

/// What is in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    /// A question or an answer about who has an address.
    Arp(Arp),
    /// An IP packet.
    Packet(Packet<'a>),
    /// Anything else.
    Other,
}

/// Who asks or answers, and about whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arp {
    pub(crate) hardware: EthernetAddress,
    pub(crate) sender: Ipv4Addr,
    pub(crate) target: Ipv4Addr,
}

/// An IP packet or a fragment of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    pub(crate) source: IpAddr,
    pub(crate) target: IpAddr,
    pub(crate) piece: Option<Piece>,
    /// Whether IPv6 extension headers stand before what it carries.
    pub(crate) is_extended: bool,
    pub(crate) content: Content<'a>,
}

/// Which part of which packet a fragment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) id: u32,
    /// What the whole packet carries; of IPv6, what the fragment header says, the same in all fragments.
    pub(crate) protocol: u8,
    /// Its bytes, counted from behind the headers that every fragment has.
    pub(crate) from: u16,
    pub(crate) to: u16,
    pub(crate) rank: Rank,
}

/// Where a fragment stands among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rank {
    First,
    Middle,
    Last,
}

/// What an IP packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content<'a> {
    /// Something between two ends that know each other, or shall.
    Segment(Segment<'a>),
    /// Who has this address? Or, if `is_answer`: here is whoever has it.
    Neighbour { about: Ipv6Addr, is_answer: bool },
    /// Where are routers? Or: here is one.
    Router,
    /// Who listens to which multicast group? A switch that hears no answer soon keeps them to itself.
    GroupQuery,
    /// What was sent before has not arrived.
    Trouble(Ends),
    /// Of a fragment that is not the first.
    Rest,
    /// Anything else.
    Other,
}

/// How two ends speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Udp,
    /// Echo request and reply ("ping"). Its number stands for both ports.
    Echo,
}

/// Both ends of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) transport: Transport,
    pub(crate) source: (IpAddr, u16),
    pub(crate) target: (IpAddr, u16),
}

/// A TCP segment, a UDP datagram or an echo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment<'a> {
    pub(crate) ends: Ends,
    pub(crate) step: Step,
    /// From its own header on.
    pub(crate) bytes: &'a [u8],
}

/// What a segment does to its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It begins one: a SYN without anything else, an echo request.
    Begin,
    /// It begins one or belongs to one: a datagram.
    Datagram,
    /// It belongs to one.
    Continue,
    /// Its sender has said all it had to say: FIN.
    Finish,
    /// Its sender knows nothing of it any more: RST.
    Reset,
}

impl<'a> Frame<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let to = EthernetAddress(take(bytes, 0)?);
        let from = EthernetAddress(take(bytes, 6)?);
        let (tag, kind, payload) = match number(bytes, 12)? {
            VLAN => {
                let tag = number(bytes, HEADER)? & VLAN_NUMBER;
                (Some(tag), number(bytes, HEADER + 2)?, bytes.get(HEADER + TAG..)?)
            }
            kind => (None, kind, bytes.get(HEADER..)?),
        };
        let kind = match kind {
            ARP => Kind::Arp(Arp::parse(payload)?),
            IPV4 => Kind::Packet(ip::v4(payload)?),
            IPV6 => Kind::Packet(ip::v6(payload)?),
            _ => Kind::Other,
        };
        Some(Self { to, from, tag, kind })
    }

    /// Whole segments and first fragments alike.
    pub(crate) fn segment(&self) -> Option<&Segment<'a>> {
        match &self.kind {
            Kind::Packet(Packet { content: Content::Segment(segment), .. }) => Some(segment),
            Kind::Packet(_) | Kind::Arp(_) | Kind::Other => None,
        }
    }
}

impl Arp {
    /// Of IPv4 over Ethernet; there is no other.
    fn parse(bytes: &[u8]) -> Option<Self> {
        const HEAD: [u8; 6] = [0, 1, 8, 0, 6, 4];
        const OPERATIONS: [u16; 2] = [1, 2];
        let is_known = take(bytes, 0)? == HEAD && OPERATIONS.contains(&number(bytes, 6)?);
        let arp = Self {
            hardware: EthernetAddress(take(bytes, 8)?),
            sender: Ipv4Addr::from(take::<4>(bytes, 14)?),
            target: Ipv4Addr::from(take::<4>(bytes, 24)?),
        };
        is_known.then_some(arp)
    }
}

impl Transport {
    /// As services name it; no service is an echo.
    pub(crate) const fn protocol(self) -> Option<Protocol> {
        match self {
            Self::Tcp => Some(Protocol::Tcp),
            Self::Udp => Some(Protocol::Udp),
            Self::Echo => None,
        }
    }
}

impl Piece {
    pub(crate) fn len(&self) -> u16 {
        self.to.saturating_sub(self.from)
    }
}

impl Segment<'_> {
    /// Whether the checksum over its contents is right. To look costs a walk through all of it.
    pub(crate) fn is_intact(&self) -> bool {
        transport::is_intact(self)
    }
}

fn take<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    take(bytes, at).map(u16::from_be_bytes)
}

#[cfg(test)]
#[path = "frame/tests.rs"]
mod tests;
