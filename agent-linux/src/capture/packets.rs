//! Packet knocks, as the guard drops and reports them: no port is open, and nothing answers but [`super::answer`].
//!
//! What a packet claims to be is a stranger's word until its message has been unsealed. Sources that nobody can have are
//! not even read, so that no answer ever goes to a group of hosts or to this one.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd};

use knockgate_core::envelope::Message;
use knockgate_core::limits::MESSAGE_LEN;

use super::opener::{Here, Opener};
use super::packet::{self, Segment, take};
use super::subscription::{NflogError, Report, Subscription};
use crate::firewall::Protocol;

const UDP_HEADER: usize = 8;

/// One datagram that may be a knock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketSeen {
    /// A link-local address comes with the interface that it counts on.
    pub source: SocketAddr,
    /// The address and port that was asked, from which the answer has to come.
    pub destination: SocketAddr,
    pub message: Message,
}

/// A subscription to the packet knocks of one NFLOG group.
pub struct PacketLog(Subscription<PacketSeen>);

impl PacketLog {
    /// # Errors
    /// Somebody else has the group, or this process may not.
    pub fn bind(group: u16) -> Result<Self, NflogError> {
        Self::bound_by(&Here, group)
    }

    pub(super) fn bound_by(opener: &dyn Opener, group: u16) -> Result<Self, NflogError> {
        Subscription::bind(opener, group, crate::firewall::PACKET_BYTES, read).map(Self)
    }

    /// The next packet, or `None` if none is there now. To be called until then whenever the descriptor is readable.
    ///
    /// # Errors
    /// The subscription is broken.
    pub fn try_recv(&mut self) -> io::Result<Option<PacketSeen>> {
        self.0.try_recv()
    }

    /// How often the kernel had to drop packets because we were too slow; each time it may have been many.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.lost()
    }

    /// Reported packets that could not be read, or not be answered.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.0.unreadable()
    }
}

impl AsFd for PacketLog {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Reads an IP packet that is one whole UDP datagram with a message in it. Anything else is `None`.
#[must_use]
pub fn parse_message(packet: &[u8]) -> Option<PacketSeen> {
    message_of(&packet::segment(packet)?)
}

pub(super) fn message_of(segment: &Segment<'_>) -> Option<PacketSeen> {
    let &Segment { source, destination, number, partial, bytes } = segment;
    let length = usize::from(u16::from_be_bytes(take(bytes, 4)?));
    let source_port = u16::from_be_bytes(take(bytes, 0)?);
    let wanted = number == Protocol::Udp.number() && !partial && length == UDP_HEADER + MESSAGE_LEN;
    if !wanted || !is_a_host(&source) || source_port == 0 {
        return None;
    }
    Some(PacketSeen {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, u16::from_be_bytes(take(bytes, 2)?)),
        message: take(bytes, UDP_HEADER)?,
    })
}

fn read(report: Report<'_>) -> Option<PacketSeen> {
    let seen = parse_message(report.packet)?;
    let source = on_interface(seen.source, report.interface)?;
    let destination = on_interface(seen.destination, report.interface)?;
    Some(PacketSeen { source, destination, ..seen })
}

/// `None`: a link-local address without an interface, to which no answer finds its way.
pub(super) fn on_interface(address: SocketAddr, interface: Option<u32>) -> Option<SocketAddr> {
    match address {
        SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => {
            Some(SocketAddrV6::new(*v6.ip(), v6.port(), 0, interface?).into())
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => Some(address),
    }
}

/// An address that one other host can have. One of IPv4 in the clothes of IPv6 is never seen on a wire, and would pass for
/// the client at the IPv4 address.
pub(super) fn is_a_host(address: &IpAddr) -> bool {
    let special = address.is_unspecified() || address.is_loopback() || address.is_multicast();
    let of_its_family = match address {
        IpAddr::V4(v4) => !v4.is_broadcast(),
        IpAddr::V6(v6) => is_v6_proper(v6),
    };
    !special && of_its_family
}

fn is_v6_proper(address: &Ipv6Addr) -> bool {
    address.to_ipv4_mapped().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDP: u8 = 17;
    const HOP_BY_HOP: u8 = 0;
    const FRAGMENT: u8 = 44;

    #[test]
    fn a_datagram_of_the_right_size_is_a_message() {
        let expected = PacketSeen {
            source: "192.0.2.1:50000".parse().expect("an address"),
            destination: "192.0.2.2:62201".parse().expect("an address"),
            message: message(),
        };
        assert_eq!(parse_message(&v4(UDP, 0, &knock())), Some(expected));
        let expected = PacketSeen {
            source: "[2001:db8::1]:50000".parse().expect("an address"),
            destination: "[2001:db8::2]:62201".parse().expect("an address"),
            message: message(),
        };
        assert_eq!(parse_message(&v6(UDP, &knock())), Some(expected));
    }

    #[test]
    fn only_whole_datagrams_of_one_size_from_a_host_count() {
        let sized = |size: usize| datagram(50_000, size + UDP_HEADER, &vec![7; size]);
        let after = |next: u8, offset: u16| {
            let [high, low] = offset.to_be_bytes();
            [&[next, 0, high, low, 0, 0, 0, 9][..], &knock()].concat()
        };
        let cases = [
            ("1 plain", v4(UDP, 0, &knock()), true),
            ("2 shorter", v4(UDP, 0, &sized(199)), false),
            ("3 longer", v4(UDP, 0, &sized(201)), false),
            ("4 empty", v4(UDP, 0, &sized(0)), false),
            ("5 says that it is shorter", v4(UDP, 0, &datagram(50_000, 207, &message())), false),
            ("6 says that it is longer", v4(UDP, 0, &datagram(50_000, 209, &message())), false),
            ("7 bytes behind it", v4(UDP, 0, &[&knock()[..], &[0; 9]].concat()), true),
            ("8 another protocol", v4(6, 0, &knock()), false),
            ("9 must not be fragmented", v4(UDP, 0x4000, &knock()), true),
            ("10 first fragment", v4(UDP, 0x2000, &knock()), false),
            ("11 later fragment", v4(UDP, 0x0001, &knock()), false),
            ("12 from no port", v4(UDP, 0, &datagram(0, 208, &message())), false),
            ("13 v6 extension", v6(HOP_BY_HOP, &after(UDP, 0)), true),
            ("14 v6 atomic fragment", v6(FRAGMENT, &after(UDP, 0)), true),
            ("15 v6 first fragment", v6(FRAGMENT, &after(UDP, 1)), false),
            ("16 v6 later fragment", v6(FRAGMENT, &after(UDP, 8)), false),
            ("17 v6 another protocol", v6(58, &knock()), false),
            ("18 neither", [&[0x50][..], &knock()].concat(), false),
            ("19 nothing", vec![], false),
        ];
        for (name, packet, expected) in cases {
            assert_eq!(parse_message(&packet).is_some(), expected, "{name}");
        }
    }

    #[test]
    fn nobody_is_answered_who_cannot_be_one_host() {
        let cases = [
            ("192.0.2.1", true),         // 1
            ("0.0.0.0", false),          // 2
            ("127.0.0.1", false),        // 3
            ("224.0.0.1", false),        // 4
            ("255.255.255.255", false),  // 5
            ("2001:db8::1", true),       // 6
            ("fe80::1", true),           // 7
            ("::", false),               // 8
            ("::1", false),              // 9
            ("ff02::1", false),          // 10
            ("::ffff:192.0.2.1", false), // 11
        ];
        for (number, (address, expected)) in cases.iter().enumerate() {
            assert_eq!(is_a_host(&address.parse().expect("an address")), *expected, "{}", number + 1);
        }
    }

    #[test]
    fn packets_cut_at_every_length_are_no_messages() {
        let fragment = [&[UDP, 0, 0, 0, 0, 0, 0, 9][..], &knock()].concat();
        for packet in [v4(UDP, 0, &knock()), v6(UDP, &knock()), v6(FRAGMENT, &fragment)] {
            assert!(parse_message(&packet).is_some());
            for length in 0..packet.len() {
                assert_eq!(parse_message(&packet[..length]), None, "{length}");
            }
        }
    }

    #[test]
    fn no_byte_of_a_header_makes_it_panic() {
        for packet in
            [v4(UDP, 0, &knock()), v6(HOP_BY_HOP, &[&[UDP, 0, 0, 0, 0, 0, 0, 0][..], &knock()].concat())]
        {
            for at in 0..60 {
                for value in 0..=u8::MAX {
                    let mut bent = packet.clone();
                    bent[at] = value;
                    let _ = parse_message(&bent);
                }
            }
        }
    }

    #[test]
    fn a_link_local_address_needs_its_interface() {
        let mut packet = v6(UDP, &knock());
        packet[8..10].copy_from_slice(&[0xfe, 0x80]);
        packet[10..12].copy_from_slice(&[0, 0]);
        let seen = read(Report { packet: &packet, interface: Some(3) }).expect("a packet");
        assert_eq!(seen.source, "[fe80::1%3]:50000".parse().expect("an address"));
        assert_eq!(seen.destination, "[2001:db8::2]:62201".parse().expect("an address"));
        assert_eq!(read(Report { packet: &packet, interface: None }), None);
        assert!(read(Report { packet: &v4(UDP, 0, &knock()), interface: None }).is_some());
    }

    fn message() -> Message {
        std::array::from_fn(|at| u8::try_from(at).expect("200 bytes"))
    }

    fn knock() -> Vec<u8> {
        datagram(50_000, UDP_HEADER + MESSAGE_LEN, &message())
    }

    fn datagram(source: u16, length: usize, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(length).expect("short");
        let header = [source, 62_201, length, 0].map(u16::to_be_bytes).concat();
        [header, payload.to_vec()].concat()
    }

    fn v4(protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
        let [high, low] = fragment.to_be_bytes();
        let header = [0x45, 0, 0, 0, 0, 0, high, low, 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
        [&header[..], payload].concat()
    }

    fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
        let [source, destination] = ["2001:db8::1", "2001:db8::2"]
            .map(|address| address.parse::<Ipv6Addr>().expect("an address").octets());
        [&[0x60, 0, 0, 0, 0, 0, next, 64][..], &source, &destination, payload].concat()
    }
}
