//! TCP sessions that were open before the guard.
//!
//! On a host without any stateful firewall the guard's own rules switch conntrack on, and conntrack knows nothing of
//! the sessions that are open already: to it, the next packet of an idle ssh session is a new connection. The very
//! administrator who starts the guard would be cut off. So the sessions that the kernel's socket table shows are let
//! through by addresses and ports, for packets that cannot open a connection.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::plan::{Plan, Protocol};

/// A host with more sessions on guarded ports than this has a stateful firewall, and it is not worth its rule's memory.
const MAX_SESSIONS: usize = 4096;
/// `TCP_ESTABLISHED` in `/proc/net/tcp`.
const ESTABLISHED: &str = "01";

/// The remote side and the local port of an open session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) peer: IpAddr,
    pub(crate) peer_port: u16,
    pub(crate) port: u16,
}

/// Sessions on the plan's guarded ports. A table that cannot be read has none: the guard itself is worth more.
pub(crate) fn open_sessions(plan: &Plan) -> Vec<Session> {
    let tcp = plan.services.iter().filter(|service| service.protocol == Protocol::Tcp);
    let guarded: Vec<u16> = tcp.flat_map(|service| service.ports.iter().copied()).collect();
    ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|table| parse(&table))
        .filter(|session| guarded.contains(&session.port) && !session.peer.is_loopback())
        .take(MAX_SESSIONS)
        .collect()
}

fn parse(table: &str) -> Vec<Session> {
    table.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Session> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (local, remote, state) = (words.next()?, words.next()?, words.next()?);
    if state != ESTABLISHED {
        return None;
    }
    let (_, port) = parse_end(local)?;
    let (peer, peer_port) = parse_end(remote)?;
    Some(Session { peer, peer_port, port })
}

/// `0100007F:0016`: the address as words in the byte order of the machine, the port as a number.
fn parse_end(end: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = end.split_once(':')?;
    let mut bytes = [0_u8; 16];
    let words = address.as_bytes().chunks(8);
    for (word, place) in words.zip(bytes.chunks_exact_mut(4)) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        place.copy_from_slice(&word.to_ne_bytes());
    }
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(*bytes.first_chunk::<4>()?)),
        32 => IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical(),
        _ => return None,
    };
    Some((address, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    const HEADING: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid";

    #[test]
    fn only_established_sessions_are_read() {
        let cases = [
            (HEADING, None), // 1
            ("   0: 0200020A:0016 0902000A:C350 01 00000000:00000000 00:0 0", Some("10.0.2.9:50000 22")), // 2
            ("   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:0 0", None), // 3 listening
            ("   2: 0200020A:0016 0902000A:C350 06 00000000:00000000 00:0 0", None), // 4 closing
            (
                "   3: 000000FD000000000000000001000000:0016 000000FD000000000000000002000000:C350 01 0",
                Some("[fd00::2]:50000 22"),
            ), // 5
            (
                "   4: 0000000000000000FFFF00000200020A:0016 0000000000000000FFFF00000902000A:0001 01 0",
                Some("10.0.2.9:1 22"),
            ), // 6 mapped
            ("   5: 0200020A:0016 0902000A:C350", None), // 7 cut
            ("   6: 0200020A:0016 0902000:C350 01", None), // 8 odd
            ("   7: 0200020A:0016 XX02000A:C350 01", None), // 9 no number
            ("   8: 0200020A:10016 0902000A:C350 01", None), // 10 too big
            ("", None),      // 11
        ];
        for (number, (line, expected)) in cases.iter().enumerate() {
            let show = |s: &Session| format!("{} {}", std::net::SocketAddr::new(s.peer, s.peer_port), s.port);
            let found: Vec<_> = parse(line).iter().map(show).collect();
            let expected: Vec<_> = expected.iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{}", number + 1);
        }
    }
}
