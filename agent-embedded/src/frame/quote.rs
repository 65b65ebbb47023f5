//! The packet that a message of trouble quotes: its beginning, as it was sent by whoever is told.

use super::ip::{self, Head, Walked};
use super::transport::{ICMP, ICMPV6, TCP, UDP};
use super::{Ends, Rank, Transport, number};

/// An echo request; whoever got the reply back would have nothing to complain about.
const ECHO: u8 = 8;
const ECHO_V6: u8 = 128;

pub(super) fn v4(bytes: &[u8]) -> Option<Ends> {
    ends(&ip::head_v4(bytes)?)
}

pub(super) fn v6(bytes: &[u8]) -> Option<Ends> {
    match ip::extensions(ip::head_v6(bytes)?)? {
        Walked::To(head) => ends(&head),
        Walked::Astray(_) => None,
    }
}

fn ends(head: &Head<'_>) -> Option<Ends> {
    if head.piece.is_some_and(|piece| piece.rank != Rank::First) {
        return None;
    }
    let first = *head.rest.first()?;
    let (transport, at) = match (head.protocol, head.source.is_ipv4(), first) {
        (TCP, ..) => (Transport::Tcp, [0, 2]),
        (UDP, ..) => (Transport::Udp, [0, 2]),
        (ICMP, true, ECHO) | (ICMPV6, false, ECHO_V6) => (Transport::Echo, [4, 4]),
        _ => return None,
    };
    let [source, target] = at.map(|at| number(head.rest, at));
    Some(Ends { transport, source: (head.source, source?), target: (head.target, target?) })
}
