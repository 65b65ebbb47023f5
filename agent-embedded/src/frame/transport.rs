//! What stands behind the IP header: TCP, UDP, and the messages of ICMP, ICMPv6 and IGMP.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smoltcp::wire::{Icmpv4Packet, Icmpv6Packet, TcpPacket, UdpPacket};

use super::{Content, Ends, Segment, Step, Transport, number, quote, take};

pub(super) const ICMP: u8 = 1;
const IGMP: u8 = 2;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const ICMPV6: u8 = 58;

const TCP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const ICMP_HEADER: usize = 8;
/// Bytes of the shortest neighbour solicitation or advertisement, and of the shortest query for groups.
const NEIGHBOUR: usize = 24;
const GROUP_QUERY_V6: usize = 24;
/// The kind of a neighbour advertisement.
const ADVERTISEMENT: u8 = 136;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// What the IP header has said.
#[derive(Clone, Copy)]
pub(super) struct Around {
    pub(super) source: IpAddr,
    pub(super) target: IpAddr,
    pub(super) hops: u8,
    pub(super) is_whole: bool,
}

/// `None` if it is malformed.
pub(super) fn content(around: Around, protocol: u8, bytes: &[u8]) -> Option<Content<'_>> {
    match (protocol, around.source, around.target) {
        (TCP, ..) => tcp(around, bytes),
        (UDP, ..) => udp(around, bytes),
        (ICMP, IpAddr::V4(_), _) => icmp(around, bytes),
        (ICMPV6, IpAddr::V6(source), IpAddr::V6(target)) => icmpv6(around, source, target, bytes),
        (IGMP, _, IpAddr::V4(target)) => Some(igmp(around, target, bytes)),
        _ => Some(Content::Other),
    }
}

fn tcp(around: Around, bytes: &[u8]) -> Option<Content<'_>> {
    let (header, flags) = (usize::from(bytes.get(12)? >> 4) * 4, *bytes.get(13)?);
    if header < TCP_HEADER || bytes.len() < header {
        return None;
    }
    let step = match flags & (SYN | ACK | FIN | RST) {
        SYN => Step::Begin,
        // Some stacks have taken such a one for a beginning.
        odd if odd & SYN != 0 && odd & (FIN | RST) != 0 => return None,
        reset if reset & RST != 0 => Step::Reset,
        finish if finish & FIN != 0 => Step::Finish,
        _ => Step::Continue,
    };
    segment(around, Transport::Tcp, (number(bytes, 0)?, number(bytes, 2)?), step, bytes)
}

fn udp(around: Around, bytes: &[u8]) -> Option<Content<'_>> {
    let length = usize::from(number(bytes, 4)?);
    // Of a first fragment the length is that of the whole datagram.
    if length < UDP_HEADER || bytes.len() < UDP_HEADER || (around.is_whole && length > bytes.len()) {
        return None;
    }
    segment(around, Transport::Udp, (number(bytes, 0)?, number(bytes, 2)?), Step::Datagram, bytes)
}

fn segment(
    around: Around,
    transport: Transport,
    ports: (u16, u16),
    step: Step,
    bytes: &[u8],
) -> Option<Content<'_>> {
    let ends = Ends { transport, source: (around.source, ports.0), target: (around.target, ports.1) };
    Some(Content::Segment(Segment { ends, step, bytes }))
}

fn echo(around: Around, step: Step, bytes: &[u8]) -> Option<Content<'_>> {
    let id = number(bytes, 4)?;
    segment(around, Transport::Echo, (id, id), step, bytes)
}

fn icmp(around: Around, bytes: &[u8]) -> Option<Content<'_>> {
    let quoted = bytes.get(ICMP_HEADER..)?;
    match bytes.first()? {
        0 => echo(around, Step::Continue, bytes),
        8 => echo(around, Step::Begin, bytes),
        // Unreachable (which also tells of a narrow path), time exceeded, parameter problem.
        3 | 11 | 12 if around.is_whole => Some(trouble(quote::v4(quoted))),
        _ => Some(Content::Other),
    }
}

fn icmpv6(around: Around, source: Ipv6Addr, target: Ipv6Addr, bytes: &[u8]) -> Option<Content<'_>> {
    let (kind, code) = (*bytes.first()?, *bytes.get(1)?);
    if bytes.len() < ICMP_HEADER || !around.is_whole && !matches!(kind, 128 | 129) {
        // Neighbour discovery is never fragmented. Source: RFC 6980.
        return None;
    }
    match (kind, code) {
        (128, _) => echo(around, Step::Begin, bytes),
        (129, _) => echo(around, Step::Continue, bytes),
        // Unreachable, too big, time exceeded, parameter problem.
        (1..=4, _) => Some(trouble(quote::v6(bytes.get(ICMP_HEADER..)?))),
        // RFC 4861, section 6.1: a hop limit of 255 proves that no router has passed it on.
        (133..=136, 0) if around.hops == 255 => discovery(kind, source, target, bytes),
        // RFC 3810, section 5: it comes from a link-local address and goes no further than this link.
        (130, _) if around.hops == 1 && source.is_unicast_link_local() && bytes.len() >= GROUP_QUERY_V6 => {
            Some(Content::GroupQuery)
        }
        _ => Some(Content::Other),
    }
}

/// Source of the rules: RFC 4861, sections 6.1 and 7.1.
fn discovery(kind: u8, source: Ipv6Addr, target: Ipv6Addr, bytes: &[u8]) -> Option<Content<'_>> {
    if !Icmpv6Packet::new_checked(bytes).ok()?.verify_checksum(&source, &target) {
        return None;
    }
    match kind {
        133 => Some(Content::Router),
        134 => source.is_unicast_link_local().then_some(Content::Router),
        _ => {
            let about = Ipv6Addr::from(take::<16>(bytes, 8)?);
            (bytes.len() >= NEIGHBOUR && !about.is_multicast())
                .then_some(Content::Neighbour { about, is_answer: kind == ADVERTISEMENT })
        }
    }
}

/// Source of the hop limit: RFC 3376, section 4.
fn igmp<'a>(around: Around, target: Ipv4Addr, bytes: &[u8]) -> Content<'a> {
    let is_query = bytes.first() == Some(&0x11) && bytes.len() >= 8;
    if is_query && around.hops == 1 && target.is_multicast() && around.is_whole {
        return Content::GroupQuery;
    }
    Content::Other
}

fn trouble<'a>(quoted: Option<Ends>) -> Content<'a> {
    quoted.map_or(Content::Other, Content::Trouble)
}

pub(super) fn is_intact(segment: &Segment<'_>) -> bool {
    let Segment { ends, bytes, .. } = segment;
    let (source, target) = (ends.source.0.into(), ends.target.0.into());
    match (ends.transport, ends.source.0, ends.target.0) {
        (Transport::Tcp, ..) => {
            TcpPacket::new_checked(bytes).is_ok_and(|packet| packet.verify_checksum(&source, &target))
        }
        // Only IPv4 lets a datagram go without. Source: RFC 8200, section 8.1.
        (Transport::Udp, IpAddr::V6(_), _) if number(bytes, 6) == Some(0) => false,
        (Transport::Udp, ..) => {
            UdpPacket::new_checked(bytes).is_ok_and(|packet| packet.verify_checksum(&source, &target))
        }
        (Transport::Echo, IpAddr::V6(source), IpAddr::V6(target)) => {
            Icmpv6Packet::new_checked(bytes).is_ok_and(|packet| packet.verify_checksum(&source, &target))
        }
        (Transport::Echo, ..) => {
            Icmpv4Packet::new_checked(bytes).is_ok_and(|packet| packet.verify_checksum())
        }
    }
}
