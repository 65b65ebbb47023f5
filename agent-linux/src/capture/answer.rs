//! Answers to packet knocks from ports that are not open.
//!
//! A raw socket writes the whole packet, so the answer comes from the address and port that was asked, though nothing is
//! bound there: a port scan finds what it found before. The sockets are made for sending alone (`IPPROTO_RAW`), and a
//! filter that keeps nothing makes sure of it. Only CAP_NET_RAW is needed, and only when opening. Without it, a UDP socket is
//! bound to that address and port while the answer is sent, behind the same filter and behind the guard; ports below 1024
//! then need CAP_NET_BIND_SERVICE.
//! Headers: RFC 791, RFC 8200, RFC 768; `raw(7)` says which fields the kernel fills in.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use knockgate_core::envelope::Message;
use knockgate_core::limits::MESSAGE_LEN;
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::dual::no_v6;
use super::opener::{Here, Needed, NotOpened, Opener};

const IPPROTO_RAW: i32 = 255;
const UDP: u8 = 17;

const V4_HEADER: usize = 20;
const V6_HEADER: usize = 40;
const UDP_HEADER: usize = 8;
const DATAGRAM: usize = UDP_HEADER + MESSAGE_LEN;
/// In the header of UDP, and behind that of IPv6.
const DATAGRAM_LENGTH: [u8; 2] = 208_u16.to_be_bytes();
const V4_LENGTH: [u8; 2] = 228_u16.to_be_bytes();
const _: () = assert!(DATAGRAM == 208 && V4_HEADER + DATAGRAM == 228);

/// As far as Linux lets its own datagrams go.
const HOPS: u8 = 64;
/// `BPF_RET`: keep 0 bytes, that is, nothing.
const KEEP_NOTHING: SockFilter = SockFilter::new(6, 0, 0, 0);

/// Why nothing can be answered.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    #[error("packet knocks cannot be answered ({0}); set mode = \"socket\", or see `dmesg`")]
    Kernel(#[source] io::Error),
}

/// Sends answers, and never receives anything.
#[derive(Clone)]
pub struct Answerer(Way);

#[derive(Clone)]
enum Way {
    Raw(Arc<RawSockets>),
    /// A socket is bound for each answer.
    ForTheMoment,
}

struct RawSockets {
    v4: Socket,
    /// A host without IPv6 is never asked over IPv6.
    v6: Option<Socket>,
}

impl Answerer {
    /// # Errors
    /// The kernel has no raw sockets.
    pub fn open() -> Result<Self, AnswerError> {
        Self::opened_by(&Here)
    }

    /// # Errors
    /// The kernel has no raw sockets.
    pub fn opened_by(opener: &dyn Opener) -> Result<Self, AnswerError> {
        match RawSockets::opened_by(opener) {
            Err(error) if is_not_allowed(&error) => Ok(Self(Way::ForTheMoment)),
            other => other.map(|sockets| Self(Way::Raw(Arc::new(sockets)))).map_err(AnswerError::Kernel),
        }
    }

    /// Sends one datagram to `to` as if a socket at `from` had sent it; `from` is an address of this host. It takes the
    /// route that such a socket's datagram takes, by the rules for its source address too.
    ///
    /// # Errors
    /// It was not sent: no route, no room, two families. None of these says anything about the next one.
    pub fn answer(&mut self, to: SocketAddr, from: SocketAddr, message: &Message) -> io::Result<()> {
        match (&self.0, to, from) {
            (Way::ForTheMoment, to, from) => answer_bound(to, from, message),
            (Way::Raw(raw), SocketAddr::V4(to), SocketAddr::V4(from)) => raw.answer_v4(to, from, message),
            (Way::Raw(raw), SocketAddr::V6(to), SocketAddr::V6(from)) => raw.answer_v6(to, from, message),
            (Way::Raw(_), SocketAddr::V4(_), SocketAddr::V6(_))
            | (Way::Raw(_), SocketAddr::V6(_), SocketAddr::V4(_)) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

impl RawSockets {
    fn opened_by(opener: &dyn Opener) -> io::Result<Self> {
        let open = |needed| opener.open(needed).map(Socket::from).map_err(NotOpened::into_io);
        let v4 = open(Needed::AnswersV4)?;
        let v6 = match open(Needed::AnswersV6) {
            Err(error) if no_v6(&error) => None,
            other => Some(other?),
        };
        Ok(Self { v4, v6 })
    }

    fn answer_v4(&self, to: SocketAddrV4, from: SocketAddrV4, message: &Message) -> io::Result<()> {
        let packet = packet_v4(to, from, message);
        route_as(&self.v4, SocketAddrV4::new(*from.ip(), 0).into(), Ipv4Addr::UNSPECIFIED.into())?;
        send(&self.v4, &packet, to.into())
    }

    fn answer_v6(&self, to: SocketAddrV6, from: SocketAddrV6, message: &Message) -> io::Result<()> {
        let socket = self.v6.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let packet = packet_v6(to, from, message);
        // Binding to a link-local address would bind to its interface for good; the peer's scope chooses the interface.
        let local = if from.ip().is_unicast_link_local() { Ipv6Addr::UNSPECIFIED } else { *from.ip() };
        route_as(socket, SocketAddrV6::new(local, 0, 0, 0).into(), Ipv6Addr::UNSPECIFIED.into())?;
        // What would be the port is the protocol to a raw socket, which knows its own.
        send(socket, &packet, SocketAddrV6::new(*to.ip(), 0, 0, to.scope_id()).into())
    }
}

/// One that sends, and hears nothing.
pub(super) fn socket(domain: Domain) -> io::Result<OwnedFd> {
    deafened(Socket::new(domain, Type::RAW, Some(Protocol::from(IPPROTO_RAW)))?).map(OwnedFd::from)
}

fn deafened(socket: Socket) -> io::Result<Socket> {
    socket.attach_filter(&[KEEP_NOTHING])?;
    // A moment in which nothing can be sent costs an answer, not the gate its breath.
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn is_not_allowed(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::PERM | Errno::ACCESS))
}

/// The socket is gone before it could hear anything.
fn answer_bound(to: SocketAddr, from: SocketAddr, message: &Message) -> io::Result<()> {
    let socket = deafened(Socket::new(Domain::for_address(from), Type::DGRAM, Some(Protocol::UDP))?)?;
    if from.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&from.into())?;
    send(&socket, message, to)
}

/// A raw socket that is bound routes by that source; no port is taken. Addresses that are this host's without being on an
/// interface (a whole network routed to `lo`) cannot be bound to, and are routed like any other.
fn route_as(socket: &Socket, local: SocketAddr, any: IpAddr) -> io::Result<()> {
    match socket.bind(&local.into()) {
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
            socket.bind(&SocketAddr::new(any, 0).into())
        }
        other => other,
    }
}

fn send(socket: &Socket, packet: &[u8], to: SocketAddr) -> io::Result<()> {
    match socket.send_to(packet, &to.into())? {
        sent if sent == packet.len() => Ok(()),
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}

fn packet_v4(to: SocketAddrV4, from: SocketAddrV4, message: &Message) -> [u8; V4_HEADER + DATAGRAM] {
    let mut packet = [0; V4_HEADER + DATAGRAM];
    let (header, datagram) = packet.split_at_mut(V4_HEADER);
    header[0] = 0x45; // version 4, 5 words
    header[2..4].copy_from_slice(&V4_LENGTH);
    header[6] = 0x40; // do not fragment, as Linux says of its own; then the identification may be 0
    header[8] = HOPS;
    header[9] = UDP;
    header[12..16].copy_from_slice(&from.ip().octets());
    header[16..20].copy_from_slice(&to.ip().octets());
    // The checksum of this header is the kernel's to fill in.
    let addresses = [from.ip().octets(), to.ip().octets()];
    write_datagram(datagram, from.port(), to.port(), addresses.as_flattened(), message);
    packet
}

fn packet_v6(to: SocketAddrV6, from: SocketAddrV6, message: &Message) -> [u8; V6_HEADER + DATAGRAM] {
    let mut packet = [0; V6_HEADER + DATAGRAM];
    let (header, datagram) = packet.split_at_mut(V6_HEADER);
    header[0] = 0x60; // version 6
    header[4..6].copy_from_slice(&DATAGRAM_LENGTH);
    header[6] = UDP;
    header[7] = HOPS;
    header[8..24].copy_from_slice(&from.ip().octets());
    header[24..40].copy_from_slice(&to.ip().octets());
    let addresses = [from.ip().octets(), to.ip().octets()];
    write_datagram(datagram, from.port(), to.port(), addresses.as_flattened(), message);
    packet
}

/// `datagram` has room for exactly the header and the message.
fn write_datagram(datagram: &mut [u8], from: u16, to: u16, addresses: &[u8], message: &Message) {
    datagram[0..2].copy_from_slice(&from.to_be_bytes());
    datagram[2..4].copy_from_slice(&to.to_be_bytes());
    datagram[4..6].copy_from_slice(&DATAGRAM_LENGTH);
    datagram[UDP_HEADER..].copy_from_slice(message);
    let checksum = match !ones_sum(&[addresses, &[0, UDP], &DATAGRAM_LENGTH, datagram]) {
        0 => u16::MAX, // none at all would be 0, and IPv6 throws such a datagram away
        sum => sum,
    };
    datagram[6..8].copy_from_slice(&checksum.to_be_bytes());
}

/// The sum of 16-bit words with end-around carry over parts of an even length (RFC 1071).
fn ones_sum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.as_chunks::<2>().0);
    words.fold(0, |sum: u16, word| {
        let (sum, carry) = sum.overflowing_add(u16::from_be_bytes(*word));
        sum + u16::from(carry)
    })
}

#[cfg(test)]
mod tests {
    use super::super::parse_message;
    use super::*;

    #[test]
    fn an_answer_is_read_back_as_written() {
        let message = std::array::from_fn(|at| u8::try_from(at).expect("200 bytes"));
        let (to, from) = ("192.0.2.1:50000", "192.0.2.2:62201");
        let packet = packet_v4(to.parse().expect("v4"), from.parse().expect("v4"), &message);
        let seen = parse_message(&packet).expect("a message");
        assert_eq!((seen.destination, seen.source), (to.parse().expect("v4"), from.parse().expect("v4")));
        assert_eq!(seen.message, message);
        let (to, from) = ("[2001:db8::1]:50000", "[2001:db8::2]:62201");
        let packet = packet_v6(to.parse().expect("v6"), from.parse().expect("v6"), &message);
        let seen = parse_message(&packet).expect("a message");
        assert_eq!((seen.destination, seen.source), (to.parse().expect("v6"), from.parse().expect("v6")));
        assert_eq!(seen.message, message);
    }

    #[test]
    fn a_datagram_with_its_checksum_sums_up_to_all_ones() {
        for first in 0..=u8::MAX {
            let mut message = [0xa5; MESSAGE_LEN];
            message[0] = first;
            let from = "[2001:db8::2]:62201".parse().expect("v6");
            let packet = packet_v6("[2001:db8::1]:50000".parse().expect("v6"), from, &message);
            let parts = [&packet[8..40], &[0, UDP], &DATAGRAM_LENGTH, &packet[40..]];
            assert_eq!(ones_sum(&parts), u16::MAX, "{first}");
            assert_ne!(packet[46..48], [0, 0], "{first}");
        }
    }

    #[test]
    fn the_carry_goes_round() {
        let cases: [(&[&[u8]], u16); 4] = [
            (&[&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]], 0xddf2), // 1 the example of RFC 1071
            (&[&[0xff, 0xff], &[0x00, 0x01]], 0x0001),                      // 2
            (&[&[0xff, 0xff], &[0xff, 0xff]], 0xffff),                      // 3
            (&[], 0),                                                       // 4
        ];
        for (number, (parts, expected)) in cases.iter().enumerate() {
            assert_eq!(ones_sum(parts), *expected, "{}", number + 1);
        }
    }
}
