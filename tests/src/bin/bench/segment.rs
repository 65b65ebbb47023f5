//! TCP segments and UDP datagrams as they pass on a wire.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const TCP: u8 = 6;
const UDP: u8 = 17;
const UDP_HEADER: u16 = 8;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// A point in time of the system clock, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(i64);

impl Moment {
    pub(crate) fn now() -> Self {
        SystemTime::now().into()
    }

    /// A kernel's stamp.
    pub(crate) fn of_stamp([seconds, nanoseconds]: [i64; 2]) -> Self {
        Self(seconds * 1_000_000_000 + nanoseconds)
    }

    pub(crate) fn plus(self, time: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// From an earlier moment to this one; nothing if that is a later one.
    pub(crate) fn time_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Milliseconds from an earlier moment to this one.
    pub(crate) fn since(self, earlier: Self) -> f64 {
        Duration::from_nanos(self.0.abs_diff(earlier.0)).as_secs_f64()
            * if self < earlier { -1_000.0 } else { 1_000.0 }
    }
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }
}

/// One TCP segment or UDP datagram that passed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) at: Moment,
    pub(crate) from: SocketAddrV4,
    pub(crate) to: SocketAddrV4,
    pub(crate) has_payload: bool,
    transport: Transport,
}

#[derive(Clone, Copy, Debug)]
enum Transport {
    Tcp { flags: u8 },
    Udp,
}

impl Segment {
    pub(crate) fn is_attempt(&self) -> bool {
        matches!(self.transport, Transport::Tcp { flags } if flags & (SYN | ACK) == SYN)
    }

    pub(crate) fn is_acceptance(&self) -> bool {
        matches!(self.transport, Transport::Tcp { flags } if flags & (SYN | ACK) == SYN | ACK)
    }

    pub(crate) fn is_datagram_to(&self, port: u16) -> bool {
        matches!(self.transport, Transport::Udp) && self.to.port() == port
    }

    pub(crate) fn is_datagram_from(&self, port: u16) -> bool {
        matches!(self.transport, Transport::Udp) && self.from.port() == port
    }
}

/// An IPv4 packet with a bare SYN. On a raw socket the kernel fills in the IP header's length and checksum.
pub(crate) fn syn(from: SocketAddrV4, to: SocketAddrV4) -> [u8; 40] {
    let mut packet = [0; 40];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&40_u16.to_be_bytes());
    packet[8] = 64;
    packet[9] = TCP;
    packet[12..16].copy_from_slice(&from.ip().octets());
    packet[16..20].copy_from_slice(&to.ip().octets());
    packet[20..22].copy_from_slice(&from.port().to_be_bytes());
    packet[22..24].copy_from_slice(&to.port().to_be_bytes());
    packet[32] = 0x50;
    packet[33] = SYN;
    packet[34..36].copy_from_slice(&u16::MAX.to_be_bytes());
    let header = checksum(sum_of(&packet[..20]));
    packet[10..12].copy_from_slice(&header.to_be_bytes());
    // RFC 9293, section 3.1: over the addresses, the protocol, the length of 20 bytes, and the header.
    let segment = checksum(sum_of(&packet[12..]) + u32::from(TCP) + 20);
    packet[36..38].copy_from_slice(&segment.to_be_bytes());
    packet
}

/// An IPv4 packet with a UDP datagram and no checksum of it, which RFC 768 leaves to the sender.
pub(crate) fn datagram(from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX - 28);
    let mut packet = vec![0; 28];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&(length + 28).to_be_bytes());
    packet[8] = 64;
    packet[9] = UDP;
    packet[12..16].copy_from_slice(&from.ip().octets());
    packet[16..20].copy_from_slice(&to.ip().octets());
    let header = checksum(sum_of(&packet[..20]));
    packet[10..12].copy_from_slice(&header.to_be_bytes());
    packet[20..22].copy_from_slice(&from.port().to_be_bytes());
    packet[22..24].copy_from_slice(&to.port().to_be_bytes());
    packet[24..26].copy_from_slice(&(length + UDP_HEADER).to_be_bytes());
    packet.extend(payload.iter().take(length.into()));
    packet
}

fn sum_of(bytes: &[u8]) -> u32 {
    bytes.chunks_exact(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum()
}

/// RFC 1071: the complement of the sum with its carries.
fn checksum(sum: u32) -> u16 {
    let folded = (sum & 0xffff) + (sum >> 16);
    let [_, _, high, low] = (folded + (folded >> 16)).to_be_bytes();
    !u16::from_be_bytes([high, low])
}

/// A TCP segment or UDP datagram in an IPv4 packet; anything else is not looked at.
pub(crate) fn parse(packet: &[u8], at: Moment) -> Option<Segment> {
    if packet.first()? >> 4 != 4 {
        return None;
    }
    let word = |offset: usize| Some(u16::from_be_bytes([*packet.get(offset)?, *packet.get(offset + 1)?]));
    let address =
        |offset: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(offset..offset + 4)?).ok()?));
    let start = usize::from(packet[0] & 0x0f) * 4;
    let (transport, has_payload) = match *packet.get(9)? {
        TCP => {
            let header = usize::from(packet.get(start + 12)? >> 4) * 4;
            let flags = *packet.get(start + 13)?;
            (Transport::Tcp { flags }, usize::from(word(2)?) > start + header)
        }
        UDP => (Transport::Udp, word(start + 4)? > UDP_HEADER),
        _ => return None,
    };
    Some(Segment {
        at,
        from: SocketAddrV4::new(address(12)?, word(start)?),
        to: SocketAddrV4::new(address(16)?, word(start + 2)?),
        has_payload,
        transport,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 77, 2, 2), 2_000);
    const THERE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 77, 1, 2), 7_000);

    #[test]
    fn a_syn_is_an_attempt_without_payload() {
        let read = parse(&syn(HERE, THERE), Moment::of_stamp([1, 5])).unwrap();
        assert!(read.is_attempt() && !read.is_acceptance() && !read.has_payload);
        assert_eq!((read.from, read.to, read.at), (HERE, THERE, Moment(1_000_000_005)));
    }

    #[test]
    fn whoever_adds_up_a_packet_with_its_checksums_gets_all_ones() {
        let packet = syn(HERE, THERE);
        assert_eq!(checksum(sum_of(&packet[..20])), 0);
        assert_eq!(checksum(sum_of(&packet[12..]) + u32::from(TCP) + 20), 0);
        assert_eq!(checksum(sum_of(&datagram(HERE, THERE, b"odd")[..20])), 0);
    }

    #[test]
    fn a_datagram_has_its_payload() {
        let packet = datagram(HERE, THERE, &[7; 200]);
        let read = parse(&packet, Moment::of_stamp([0, 0])).unwrap();
        assert!(read.is_datagram_to(7_000) && read.is_datagram_from(2_000) && read.has_payload);
        assert_eq!(packet.len(), 228);
    }

    #[test]
    fn what_is_cut_short_is_not_looked_at() {
        let packet = syn(HERE, THERE);
        assert!((0..34).all(|length| parse(&packet[..length], Moment::of_stamp([0, 0])).is_none()));
    }
}
