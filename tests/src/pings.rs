//! ICMP by hand: echoes, and what a router announces.

use std::io::{ErrorKind, Read as _};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{Host, waiting};

/// Types of messages, ICMP and ICMPv6.
const ECHO_V4: (u8, u8) = (8, 0);
const ECHO_V6: (u8, u8) = (128, 129);
const ROUTER_ADVERTISEMENT: u8 = 134;
const PREFIX_INFORMATION: u8 = 3;
/// On this link, and hosts may make addresses of it.
const ON_LINK_AND_AUTONOMOUS: u8 = 0xc0;
/// Neighbours believe only what no router has passed on. Source: RFC 4861, section 6.1.2.
const UNROUTED: u32 = 255;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

const NUMBER: [u8; 2] = [0x4b, 0x47];

/// Whether an echo request, with so many bytes of payload, is answered in time.
pub fn is_answered(from: &Host, to: IpAddr, payload: usize, patience: Duration) -> Result<bool> {
    from.inside(|| {
        let ((request, reply), socket) = match to {
            IpAddr::V4(_) => (ECHO_V4, Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?),
            IpAddr::V6(_) => (ECHO_V6, Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?),
        };
        let mut message = vec![request, 0, 0, 0, NUMBER[0], NUMBER[1], 0, 1];
        message.resize(message.len() + payload, b'.');
        if to.is_ipv4() {
            // Of ICMPv6 the kernel makes it.
            let sum = checksum(&message);
            message[2..4].copy_from_slice(&sum);
        }
        socket.send_to(&message, &SocketAddr::new(to, 0).into())?;
        hears(&socket, reply, to, patience)
    })
}

/// Whether a message of a type comes from an address. Raw sockets get everybody's.
fn hears(socket: &Socket, reply: u8, from: IpAddr, patience: Duration) -> Result<bool> {
    let deadline = Instant::now() + patience;
    let mut bytes = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        socket.set_read_timeout(Some(left))?;
        match waiting::uninterrupted(|| (&*socket).read(&mut bytes)) {
            Ok(length) if is_reply(bytes.get(..length).unwrap_or_default(), reply, from) => return Ok(true),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// An IPv4 packet with its header, or an ICMPv6 message.
fn is_reply(bytes: &[u8], reply: u8, from: IpAddr) -> bool {
    let message = match from {
        IpAddr::V4(from) if bytes.get(12..16) != Some(&from.octets()) => return false,
        IpAddr::V4(_) => bytes.first().and_then(|first| bytes.get(usize::from(first & 0x0f) * 4..)),
        IpAddr::V6(_) => Some(bytes),
    };
    message.is_some_and(|message| message.first() == Some(&reply) && message.get(4..6) == Some(&NUMBER))
}

/// A router at a link tells everybody there of itself and of a /64.
pub fn advertise(router: &Host, link: &str, prefix: Ipv6Addr) -> Result<()> {
    router.inside(|| {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
        let index = rustix::net::netdevice::name_to_index(&socket, link)
            .with_context(|| format!("no link {link}"))?;
        socket.set_multicast_if_v6(index)?;
        socket.set_multicast_hops_v6(UNROUTED)?;
        // Hop limit 64, lifetime half an hour, no times of its own.
        let mut message = vec![ROUTER_ADVERTISEMENT, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];
        message.extend([PREFIX_INFORMATION, 4, 64, ON_LINK_AND_AUTONOMOUS]);
        // An hour, twice, and four bytes that are reserved.
        message.extend([0, 0, 0x0e, 0x10, 0, 0, 0x0e, 0x10, 0, 0, 0, 0]);
        message.extend(prefix.octets());
        socket.send_to(&message, &SocketAddr::new(ALL_NODES.into(), 0).into())?;
        Ok(())
    })
}

/// The internet checksum of a message that has zeros where it belongs.
pub fn checksum(message: &[u8]) -> [u8; 2] {
    let words =
        message.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| low.into()));
    let sum = words.sum::<u32>();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    u16::try_from(!folded & 0xffff).unwrap_or_default().to_be_bytes()
}
