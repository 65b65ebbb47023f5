//! The head of a packet, as far as a knock is concerned: addresses, protocol, ports, and whether it is a SYN.
//!
//! Everything here was sent by strangers. What is cut short, malformed or of another protocol is `None`; nothing panics,
//! and no loop runs longer than the packet is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::firewall::Protocol;

pub(super) const HOP_BY_HOP: u8 = 0;
pub(super) const ROUTING: u8 = 43;
pub(super) const FRAGMENT: u8 = 44;
pub(super) const AUTHENTICATION: u8 = 51;
pub(super) const DESTINATION: u8 = 60;

/// Extension headers before a knock. Each once, as RFC 8200 orders them (4.1), with destination options in both places; a
/// packet with more is none of ours.
pub(super) const MAX_EXTENSION_HEADERS: usize = 6;

const V6_HEADER: usize = 40;

/// Where a fragment begins, and whether more follow: in the IPv4 header, and in the fragment header of IPv6.
pub(super) const V4_OFFSET: u16 = 0x1fff;
const V4_MORE: u16 = 0x2000;
pub(super) const V6_OFFSET: u16 = 0xfff8;
const V6_MORE: u16 = 0x0001;

/// FIN, SYN, RST, ACK: a connection begins with the second alone.
pub(super) const TCP_FLAGS: u8 = 0b0001_0111;
pub(super) const TCP_SYN: u8 = 0b0000_0010;

/// One connection attempt or datagram on a watched port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeSeen {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub protocol: Protocol,
    pub port: u16,
    /// It asks for a TCP connection.
    pub syn: bool,
}

/// An IP packet behind its headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment<'a> {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// The protocol's number.
    pub(crate) number: u8,
    /// It is only the beginning; more fragments follow.
    pub(crate) partial: bool,
    /// From the protocol's own header on.
    pub(crate) bytes: &'a [u8],
}

/// Reads a probe.
pub(crate) fn parse(packet: &[u8]) -> Option<ProbeSeen> {
    probe_of(&segment(packet)?)
}

pub(super) fn probe_of(segment: &Segment<'_>) -> Option<ProbeSeen> {
    let &Segment { source, destination, number, bytes, .. } = segment;
    let protocol = Protocol::from_number(number)?;
    let port = u16::from_be_bytes(take(bytes, 2)?);
    let syn = match protocol {
        Protocol::Tcp => bytes.get(13)? & TCP_FLAGS == TCP_SYN,
        Protocol::Udp => false,
    };
    Some(ProbeSeen { source, destination, protocol, port, syn })
}

/// Reads the headers of an IP packet. `None` too for a fragment that is not the first.
pub(crate) fn segment(packet: &[u8]) -> Option<Segment<'_>> {
    match packet.first()? >> 4 {
        4 => segment_v4(packet),
        6 => segment_v6(packet),
        _ => None,
    }
}

fn segment_v4(packet: &[u8]) -> Option<Segment<'_>> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let fragment = u16::from_be_bytes(take(packet, 6)?);
    if header < 20 || fragment & V4_OFFSET != 0 {
        return None;
    }
    Some(Segment {
        source: Ipv4Addr::from(take::<4>(packet, 12)?).into(),
        destination: Ipv4Addr::from(take::<4>(packet, 16)?).into(),
        number: *packet.get(9)?,
        partial: fragment & V4_MORE != 0,
        bytes: packet.get(header..)?,
    })
}

fn segment_v6(packet: &[u8]) -> Option<Segment<'_>> {
    let source = Ipv6Addr::from(take::<16>(packet, 8)?).into();
    let destination = Ipv6Addr::from(take::<16>(packet, 24)?).into();
    let mut number = *packet.get(6)?;
    let mut bytes = packet.get(V6_HEADER..)?;
    let mut partial = false;
    for _ in 0..=MAX_EXTENSION_HEADERS {
        let length = match number {
            HOP_BY_HOP | ROUTING | DESTINATION => (usize::from(*bytes.get(1)?) + 1) * 8,
            AUTHENTICATION => (usize::from(*bytes.get(1)?) + 2) * 4,
            FRAGMENT => {
                let fragment = u16::from_be_bytes(take(bytes, 2)?);
                if fragment & V6_OFFSET != 0 {
                    return None;
                }
                partial |= fragment & V6_MORE != 0;
                8
            }
            _ => return Some(Segment { source, destination, number, partial, bytes }),
        };
        number = *bytes.first()?;
        bytes = bytes.get(length..)?;
    }
    None
}

/// The packet as long as its header says, of a frame that may have padding behind it. `None`: the frame is shorter, though
/// it was not `cut` by us; the host itself throws such a packet away.
pub(crate) fn without_padding(frame: &[u8], cut: usize) -> Option<&[u8]> {
    let length = match frame.first()? >> 4 {
        4 => usize::from(u16::from_be_bytes(take(frame, 2)?)),
        6 => V6_HEADER + usize::from(u16::from_be_bytes(take(frame, 4)?)),
        _ => return None,
    };
    match frame.get(..length) {
        None if frame.len() >= cut => Some(frame),
        other => other,
    }
}

pub(crate) fn take<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: u8 = 6;
    const UDP: u8 = 17;

    #[test]
    fn probes_are_read_whatever_stands_before_their_header() {
        let cases = [
            ("1 v4 SYN", v4(5, 0, TCP, &tcp(22, 0x02)), Some((22, true))),
            ("2 v4 SYN with options", v4(7, 0, TCP, &tcp(23, 0x02)), Some((23, true))),
            ("3 v4 SYN with ECN", v4(5, 0, TCP, &tcp(22, 0xc2)), Some((22, true))),
            ("4 v4 SYN+ACK", v4(5, 0, TCP, &tcp(22, 0x12)), Some((22, false))),
            ("5 v4 SYN+FIN", v4(5, 0, TCP, &tcp(22, 0x03)), Some((22, false))),
            ("6 v4 ACK", v4(5, 0, TCP, &tcp(22, 0x10)), Some((22, false))),
            ("7 v4 datagram", v4(5, 0, UDP, &udp(53)), Some((53, false))),
            ("8 v4 ICMP", v4(5, 0, 1, &udp(53)), None),
            ("9 v4 first fragment", v4(5, 0x2000, UDP, &udp(53)), Some((53, false))),
            ("10 v4 later fragment", v4(5, 0x0001, UDP, &udp(53)), None),
            ("11 v4 header too short to be one", v4(4, 0, TCP, &tcp(22, 0x02)), None),
            ("12 v6 SYN", v6(TCP, &tcp(22, 0x02)), Some((22, true))),
            ("13 v6 datagram", v6(UDP, &udp(53)), Some((53, false))),
            ("14 v6 hop by hop", v6(HOP_BY_HOP, &after(TCP, 0, &tcp(22, 0x02))), Some((22, true))),
            ("15 v6 long options", v6(DESTINATION, &after(UDP, 2, &udp(53))), Some((53, false))),
            (
                "16 v6 two headers",
                v6(ROUTING, &after(DESTINATION, 0, &after(UDP, 0, &udp(9)))),
                Some((9, false)),
            ),
            (
                "17 v6 first fragment",
                v6(FRAGMENT, &[&[UDP, 0, 0, 1, 0, 0, 0, 0], &udp(9)[..]].concat()),
                Some((9, false)),
            ),
            (
                "18 v6 later fragment",
                v6(FRAGMENT, &[&[UDP, 0, 0, 8, 0, 0, 0, 0], &udp(9)[..]].concat()),
                None,
            ),
            (
                "19 v6 authentication",
                v6(AUTHENTICATION, &[&[UDP, 1][..], &[0; 10], &udp(9)].concat()),
                Some((9, false)),
            ),
            ("20 v6 ICMP", v6(58, &udp(9)), None),
            ("21 neither", vec![0x50; 60], None),
            ("22 nothing", vec![], None),
        ];
        for (name, packet, expected) in cases {
            assert_eq!(parse(&packet).map(|probe| (probe.port, probe.syn)), expected, "{name}");
        }
    }

    #[test]
    fn addresses_are_the_packets_own() {
        let probe = parse(&v4(5, 0, UDP, &udp(53))).expect("a probe");
        assert_eq!((probe.source, probe.destination), ([192, 0, 2, 1].into(), [192, 0, 2, 2].into()));
        let probe = parse(&v6(UDP, &udp(53))).expect("a probe");
        assert_eq!((probe.source, probe.destination), ([1; 16].into(), [2; 16].into()));
    }

    #[test]
    fn packets_cut_at_every_length_are_no_probes() {
        let whole = [
            (v4(6, 0, TCP, &tcp(22, 0x02)), 24 + 14),
            (v4(5, 0, UDP, &udp(53)), 20 + 4),
            (v6(TCP, &tcp(22, 0x02)), 40 + 14),
            (v6(HOP_BY_HOP, &after(ROUTING, 1, &after(UDP, 0, &udp(53)))), 40 + 16 + 8 + 4),
        ];
        for (packet, needed) in whole {
            for length in 0..packet.len() {
                assert_eq!(parse(&packet[..length]).is_some(), length >= needed, "{length}");
            }
        }
    }

    #[test]
    fn endless_extension_headers_end_with_the_packet() {
        let chain = v6(HOP_BY_HOP, &[HOP_BY_HOP, 0, 0, 0, 0, 0, 0, 0].repeat(8000));
        assert_eq!(parse(&chain), None);
    }

    fn v4(words: u8, fragment: u16, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x40 | words, 0, 0, 0, 0, 0];
        packet.extend_from_slice(&fragment.to_be_bytes());
        packet.extend_from_slice(&[64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        packet.resize(usize::from(words) * 4, 0);
        packet.extend_from_slice(payload);
        packet
    }

    fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
        [&[0x60, 0, 0, 0, 0, 0, next, 64][..], &[1; 16], &[2; 16], payload].concat()
    }

    /// An extension header of `extra` times eight bytes more than its first eight.
    fn after(next: u8, extra: u8, payload: &[u8]) -> Vec<u8> {
        let mut header = vec![next, extra];
        header.resize((usize::from(extra) + 1) * 8, 0);
        header.extend_from_slice(payload);
        header
    }

    fn tcp(port: u16, flags: u8) -> Vec<u8> {
        let [high, low] = port.to_be_bytes();
        vec![0xc3, 0x50, high, low, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0]
    }

    fn udp(port: u16) -> Vec<u8> {
        let [high, low] = port.to_be_bytes();
        vec![0xc3, 0x50, high, low, 0, 8, 0, 0]
    }
}
