use super::*;

use smoltcp::wire::{Icmpv6Packet, Ipv4Packet, TcpPacket};
use std::vec::Vec;

const CARD: [u8; 6] = [2, 0, 0, 0, 0, 1];
const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 2];
const V6_SOURCE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
const V6_TARGET: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const TCP: u8 = 6;
const UDP: u8 = 17;
const SYN: u8 = 0x02;

fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    [&CARD[..], &OTHER, &kind.to_be_bytes(), payload].concat()
}

/// An IPv4 packet from 192.0.2.2 to 192.0.2.1.
fn ipv4_with(protocol: u8, hops: u8, fragment: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let header = 20 + options.len();
    let words = u8::try_from(header / 4).unwrap();
    let [a, b] = u16::try_from(header + payload.len()).unwrap().to_be_bytes();
    let [c, d] = fragment.to_be_bytes();
    let head = [0x40 | words, 0, a, b, 0, 9, c, d, hops, protocol, 0, 0, 192, 0, 2, 2, 192, 0, 2, 1];
    let mut bytes = ethernet(0x0800, &[&head, options, payload].concat());
    if let Ok(mut packet) = Ipv4Packet::new_checked(&mut bytes[14..]) {
        packet.fill_checksum();
    }
    bytes
}

fn ipv4(protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    ipv4_with(protocol, 64, fragment, &[], payload)
}

fn ipv6(next: u8, hops: u8, payload: &[u8]) -> Vec<u8> {
    let [a, b] = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&[0x60, 0, 0, 0, a, b, next, hops][..], &V6_SOURCE.octets(), &V6_TARGET.octets()];
    ethernet(0x86dd, &[&head.concat(), payload].concat())
}

fn tcp(flags: u8) -> [u8; 20] {
    let mut bytes = [0; 20];
    bytes[0..4].copy_from_slice(&[0x9c, 0x40, 0, 22]);
    (bytes[12], bytes[13]) = (0x50, flags);
    let addresses = [[192, 0, 2, 2], [192, 0, 2, 1]].map(|octets| IpAddr::from(octets).into());
    TcpPacket::new_unchecked(&mut bytes[..]).fill_checksum(&addresses[0], &addresses[1]);
    bytes
}

fn udp(length: u8) -> [u8; 16] {
    [0x9c, 0x40, 0, 53, 0, length, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]
}

fn icmpv6(kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = [&[kind, code, 0, 0][..], rest].concat();
    Icmpv6Packet::new_unchecked(&mut bytes[..]).fill_checksum(&V6_SOURCE, &V6_TARGET);
    bytes
}

fn packet(bytes: &[u8]) -> Option<Packet<'_>> {
    match Frame::parse(bytes)?.kind {
        Kind::Packet(packet) => Some(packet),
        Kind::Arp(_) | Kind::Other => None,
    }
}

/// What a packet carries, in a word; nothing if it is malformed.
fn word(bytes: &[u8]) -> &'static str {
    match packet(bytes).map(|packet| packet.content) {
        Some(Content::Segment(Segment { ends, .. })) => match ends.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
            Transport::Echo => "echo",
        },
        Some(Content::Neighbour { .. }) => "neighbour",
        Some(Content::Router) => "router",
        Some(Content::GroupQuery) => "query",
        Some(Content::Trouble(_)) => "trouble",
        Some(Content::Rest) => "rest",
        Some(Content::Other) => "other",
        None => "",
    }
}

#[test]
fn a_segment_says_both_ends_and_what_it_does_to_its_flow() {
    #[rustfmt::skip]
    let cases = [
        (1, 0x02, Some(Step::Begin)),    // SYN
        (2, 0xc2, Some(Step::Begin)),    // SYN with ECE and CWR (RFC 3168)
        (3, 0x12, Some(Step::Continue)), // SYN ACK
        (4, 0x10, Some(Step::Continue)), // ACK
        (5, 0x00, Some(Step::Continue)), // no flag at all
        (6, 0x11, Some(Step::Finish)),   // FIN ACK
        (7, 0x04, Some(Step::Reset)),    // RST
        (8, 0x15, Some(Step::Reset)),    // RST FIN ACK
        (9, 0x03, None),                 // SYN FIN
        (10, 0x06, None),                // SYN RST
        (11, 0x13, None),                // SYN FIN ACK
    ];
    for (case, flags, step) in cases {
        let bytes = ipv4(TCP, 0, &tcp(flags));
        let read = Frame::parse(&bytes);
        let segment = read.as_ref().and_then(Frame::segment);
        assert_eq!(segment.map(|segment| segment.step), step, "case {case}");
        let (source, target) = (([192, 0, 2, 2].into(), 40_000), ([192, 0, 2, 1].into(), 22));
        let ends = Ends { transport: Transport::Tcp, source, target };
        assert!(segment.is_none_or(|segment| segment.ends == ends && segment.is_intact()), "case {case}");
    }
}

#[test]
fn a_damaged_segment_is_read_and_known_to_be_damaged() {
    let mut bytes = ipv4(TCP, 0, &tcp(SYN));
    *bytes.last_mut().unwrap() ^= 1;
    assert!(!Frame::parse(&bytes).unwrap().segment().unwrap().is_intact());
}

#[test]
fn over_ipv6_no_datagram_goes_without_a_checksum() {
    let intact = |bytes: &[u8]| Frame::parse(bytes).unwrap().segment().unwrap().is_intact();
    assert!(intact(&ipv4(UDP, 0, &udp(16))));
    assert!(!intact(&ipv6(UDP, 64, &udp(16))));
}

#[test]
fn padding_after_the_packet_does_not_matter() {
    let bytes = [ipv4(TCP, 0, &tcp(SYN)), std::vec![0xff; 6]].concat();
    assert!(Frame::parse(&bytes).unwrap().segment().unwrap().is_intact());
}

#[test]
fn what_is_cut_short_is_not_read() {
    for whole in [ipv4(TCP, 0, &tcp(SYN)), ipv6(TCP, 64, &tcp(SYN)), arp(1)] {
        for length in 0..whole.len() {
            assert_eq!(Frame::parse(&whole[..length]), None, "length {length}");
        }
    }
}

#[test]
fn ipv4_packets_are_told_apart_by_what_is_in_them() {
    let (more, later) = (0x2000, 0x0001);
    let query = [0x11, 0, 0, 0, 0, 0, 0, 0];
    let alert = [148, 4, 0, 0];
    let echo = |kind| [kind, 0, 0, 0, 0, 7, 0, 0];
    let whole = |bytes: Vec<u8>| bytes;
    let sum_is_wrong = |mut bytes: Vec<u8>| {
        bytes[24] ^= 1;
        bytes
    };
    #[rustfmt::skip]
    let cases = [
        (1,  whole(ipv4(TCP, 0, &tcp(SYN))),                       "tcp"),
        (2,  sum_is_wrong(ipv4(TCP, 0, &tcp(SYN))),                ""),
        (3,  whole(ipv4(TCP, 0, &tcp(SYN)[..19])),                 ""),
        (4,  whole(ipv4(UDP, 0, &udp(16))),                        "udp"),
        (5,  whole(ipv4(UDP, 0, &udp(15))),                        "udp"),
        (6,  whole(ipv4(UDP, 0, &udp(17))),                        ""), // longer than there is
        (7,  whole(ipv4(UDP, 0, &udp(7))),                         ""),
        (8,  whole(ipv4(UDP, 0x8000, &udp(16))),                   ""), // the bit that must be zero
        (9,  whole(ipv4(UDP, 0x4000, &udp(16))),                   "udp"), // not to be fragmented
        (10, whole(ipv4(UDP, more, &udp(200))),                    "udp"), // a first fragment
        (11, whole(ipv4(UDP, more | later, &udp(16))),             "rest"),
        (12, whole(ipv4(UDP, later, &udp(16))),                    "rest"),
        (13, whole(ipv4(UDP, 0x1fff, &udp(16))),                   ""), // beyond the longest packet
        (14, whole(ipv4(UDP, more, &udp(200)[..15])),              ""), // no multiple of eight
        (15, whole(ipv4(TCP, more, &tcp(SYN)[..16])),              ""), // not the whole header
        (16, whole(ipv4(UDP, more, &[])),                          ""),
        (17, whole(ipv4(1, 0, &echo(8))),                          "echo"),
        (18, whole(ipv4(1, 0, &echo(0))),                          "echo"),
        (19, whole(ipv4(1, 0, &echo(13))),                         "other"), // timestamp
        (20, whole(ipv4(1, 0, &echo(5))),                          "other"), // redirect
        (21, whole(ipv4(1, 0, &echo(8)[..7])),                     ""),
        (22, whole(ipv4(99, 0, &[0; 40])),                         "other"),
        (23, whole(ipv4(58, 0, &[135; 40])),                       "other"), // the other family's
        (24, whole(ipv4_with(UDP, 64, 0, &alert, &udp(16))),       "udp"),
        (25, whole(ipv4_with(UDP, 64, 0, &[1, 1, 0, 9], &udp(16))), "udp"), // padding
        (26, whole(ipv4_with(UDP, 64, 0, &[131, 4, 4, 0], &udp(16))), "other"), // source route
        (27, whole(ipv4_with(UDP, 64, 0, &[7, 4, 4, 0], &udp(16))), "other"), // record route
        (28, whole(ipv4_with(2, 1, 0, &alert, &query)),            "other"), // to no group
    ];
    for (case, bytes, expected) in cases {
        assert_eq!(word(&bytes), expected, "case {case}");
    }
    let mut bytes = ipv4_with(2, 1, 0, &alert, &query);
    bytes[30..34].copy_from_slice(&[224, 0, 0, 1]);
    Ipv4Packet::new_unchecked(&mut bytes[14..]).fill_checksum();
    assert_eq!(word(&bytes), "query");
}

#[test]
fn ipv6_packets_are_told_apart_by_what_is_in_them() {
    let about = |kind: u8| icmpv6(kind, 0, &[&[0; 4][..], &V6_TARGET.octets()].concat());
    let after = |next: u8, rest: &[u8]| [&[next, 0, 0, 0, 0, 0, 0, 0][..], rest].concat();
    let fragment = |next: u8, word: u16, rest: &[u8]| {
        [&[next, 0][..], &word.to_be_bytes(), &[0, 0, 0, 9], rest].concat()
    };
    let syn = tcp(SYN);
    let damaged = |mut bytes: Vec<u8>| {
        bytes[4] ^= 1;
        bytes
    };
    let redirect = icmpv6(137, 0, &[0; 40]);
    #[rustfmt::skip]
    let cases = [
        (1,  ipv6(TCP, 64, &syn),                                  "tcp"),
        (2,  ipv6(58, 255, &about(135)),                           "neighbour"),
        (3,  ipv6(58, 255, &about(136)),                           "neighbour"),
        (4,  ipv6(58, 64, &about(135)),                            "other"), // a router has passed it on
        (5,  ipv6(58, 255, &damaged(about(135))),                  ""),
        (6,  ipv6(58, 255, &about(135)[..20]),                     ""),
        (7,  ipv6(58, 255, &about(133)),                           "router"),
        (8,  ipv6(58, 255, &about(134)),                           "router"),
        (9,  ipv6(58, 255, &redirect),                             "other"),
        (10, ipv6(58, 64, &about(128)),                            "echo"),
        (11, ipv6(58, 64, &about(129)),                            "echo"),
        (12, ipv6(58, 1, &about(130)),                             "query"),
        (13, ipv6(58, 64, &about(130)),                            "other"),
        (14, ipv6(0, 1, &after(58, &about(130))),                  "query"), // behind its router alert
        (15, ipv6(58, 1, &about(131)),                             "other"),
        (16, ipv6(0, 64, &after(TCP, &syn)),                       "tcp"),
        (17, ipv6(60, 64, &after(0, &after(TCP, &syn))),           "other"), // hop by hop, but not first
        (18, ipv6(43, 64, &after(TCP, &syn)),                      "tcp"), // a route that has come to its end
        (19, ipv6(43, 64, &[&[TCP, 0, 0, 1, 0, 0, 0, 0][..], &syn].concat()), "other"),
        (20, ipv6(60, 64, &after(60, &after(60, &after(60, &after(60, &after(TCP, &syn)))))), "other"),
        (21, ipv6(60, 64, &after(60, &after(TCP, &syn))),          "tcp"),
        (22, ipv6(44, 64, &fragment(TCP, 0, &syn)),                "tcp"), // its own only fragment
        (23, ipv6(44, 64, &fragment(UDP, 1, &udp(200))),           "udp"), // a first fragment
        (24, ipv6(44, 64, &fragment(UDP, 9, &udp(16))),            "rest"),
        (25, ipv6(44, 64, &fragment(UDP, 8, &udp(16))),            "rest"),
        (26, ipv6(44, 64, &fragment(TCP, 1, &syn[..16])),          ""), // not the whole header
        (27, ipv6(44, 64, &fragment(60, 1, &after(UDP, &udp(200)))), "udp"),
        (28, ipv6(44, 64, &fragment(44, 1, &fragment(UDP, 1, &udp(200)))), "other"),
        (29, ipv6(44, 64, &fragment(58, 1, &about(135))),          ""), // never fragmented
        (30, ipv6(51, 64, &[0; 40]),                               "other"), // authentication
        (31, ipv6(50, 64, &[0; 40]),                               "other"), // encryption
        (32, ipv6(59, 64, &[0; 40]),                               "other"), // nothing
        (33, ipv6(60, 64, &[TCP, 200, 0, 0, 0, 0, 0, 0]),          ""), // longer than there is
    ];
    for (case, bytes, expected) in cases {
        assert_eq!(word(&bytes), expected, "case {case}");
    }
}

#[test]
fn a_fragment_says_which_part_of_which_packet_it_is() {
    let middle = ipv4(UDP, 0x2000 | 100, &[0; 16]);
    let expected = Piece { id: 9, protocol: UDP, from: 800, to: 816, rank: Rank::Middle };
    assert_eq!(packet(&middle).unwrap().piece, Some(expected));
    let header = [UDP, 0, 0x03, 0x20, 0, 1, 0, 9];
    let last = ipv6(44, 64, &[&header[..], &[0; 13]].concat());
    let expected = Piece { id: 0x1_0009, protocol: UDP, from: 800, to: 813, rank: Rank::Last };
    assert_eq!(packet(&last).unwrap().piece, Some(expected));
}

#[test]
fn trouble_is_about_the_packet_that_it_quotes() {
    let quoted = ipv4(TCP, 0, &tcp(0x10)[..8]);
    let of_v4 = |kind: u8, quoted: &[u8]| ipv4(1, 0, &[&[kind, 4, 0, 0, 0, 0, 5, 0][..], quoted].concat());
    let quoted_v6 = ipv6(UDP, 64, &udp(16));
    let of_v6 =
        |kind: u8, quoted: &[u8]| ipv6(58, 64, &icmpv6(kind, 0, &[&[0, 0, 5, 0][..], quoted].concat()));
    #[rustfmt::skip]
    let cases = [
        (1, of_v4(3, &quoted[14..]),            "trouble"),
        (2, of_v4(11, &quoted[14..]),           "trouble"),
        (3, of_v4(12, &quoted[14..]),           "trouble"),
        (4, of_v4(4, &quoted[14..]),            "other"), // slow down
        (5, of_v4(5, &quoted[14..]),            "other"), // redirect
        (6, of_v4(3, &quoted[14..37]),          "other"), // cut short before the ports
        (7, of_v4(3, &ipv4(TCP, 1, &[0; 8])[14..]), "other"), // a fragment without ports
        (8, of_v4(3, &ipv4(99, 0, &[0; 8])[14..]), "other"),
        (9, of_v6(1, &quoted_v6[14..]),         "trouble"),
        (10, of_v6(2, &quoted_v6[14..]),        "trouble"),
        (11, of_v6(4, &quoted_v6[14..57]),      "other"),
    ];
    for (case, bytes, expected) in cases {
        assert_eq!(word(&bytes), expected, "case {case}");
    }
    let Content::Trouble(ends) = packet(&of_v4(3, &quoted[14..])).unwrap().content else {
        panic!("no trouble")
    };
    assert_eq!(ends.source, ([192, 0, 2, 2].into(), 40_000));
    assert_eq!(ends.target, ([192, 0, 2, 1].into(), 22));
}

fn arp(operation: u8) -> Vec<u8> {
    let head = [0, 1, 8, 0, 6, 4, 0, operation];
    ethernet(0x0806, &[&head[..], &OTHER, &[192, 0, 2, 2], &[0; 6], &[192, 0, 2, 1]].concat())
}

#[test]
fn arp_is_about_ipv4_over_ethernet() {
    let expected = Arp {
        hardware: EthernetAddress(OTHER),
        sender: [192, 0, 2, 2].into(),
        target: [192, 0, 2, 1].into(),
    };
    assert_eq!(Frame::parse(&arp(1)).map(|frame| frame.kind), Some(Kind::Arp(expected)));
    assert_eq!(Frame::parse(&arp(2)).map(|frame| frame.kind), Some(Kind::Arp(expected)));
    assert_eq!(Frame::parse(&arp(3)), None, "reverse ARP");
    let mut odd = arp(1);
    odd[18] = 8;
    assert_eq!(Frame::parse(&odd), None, "long addresses");
}

#[test]
fn one_tag_is_looked_behind_and_no_second_one() {
    let tagged =
        |bytes: &[u8], tag: u16| [&bytes[..12], &[0x81, 0], &tag.to_be_bytes(), &bytes[12..]].concat();
    let plain = ipv4(TCP, 0, &tcp(SYN));
    let once = tagged(&plain, 0x6005);
    let (frame, inside) = (Frame::parse(&once).unwrap(), Frame::parse(&plain).unwrap());
    assert_eq!(frame, Frame { tag: Some(5), ..inside });
    assert_eq!(inside.tag, None);
    let twice = tagged(&once, 0x6006);
    assert_eq!(Frame::parse(&twice).unwrap().kind, Kind::Other);
    let other = [&plain[..12], &[0x88, 0xa8, 0, 5], &plain[12..]].concat();
    assert_eq!(Frame::parse(&other).unwrap().kind, Kind::Other);
    for length in 0..once.len() {
        assert_eq!(Frame::parse(&once[..length]), None, "length {length}");
    }
}

#[test]
fn no_bytes_make_it_panic() {
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let about = icmpv6(135, 0, &[&[0; 4][..], &V6_TARGET.octets()].concat());
    let bases = [
        ipv4(TCP, 0, &tcp(SYN)),
        ipv4_with(2, 1, 0, &[148, 4, 0, 0], &[0x11, 0, 0, 0, 0, 0, 0, 0]),
        ipv4(1, 0, &[&[3, 4, 0, 0, 0, 0, 5, 0][..], &ipv4(TCP, 0, &tcp(SYN))[14..]].concat()),
        ipv6(58, 255, &about),
        ipv6(44, 64, &[&[UDP, 0, 0, 1, 0, 0, 0, 9][..], &udp(200)].concat()),
        arp(1),
    ];
    for _ in 0..50_000 {
        let mut bytes = bases[usize::try_from(random()).unwrap() % bases.len()].clone();
        for _ in 0..random() % 6 {
            let at = usize::try_from(random()).unwrap() % bytes.len();
            bytes[at] = u8::try_from(random() % 256).unwrap();
        }
        bytes.truncate(usize::try_from(random()).unwrap() % (bytes.len() + 1));
        if let Some(segment) = Frame::parse(&bytes).as_ref().and_then(Frame::segment) {
            // Either is right; reading what is not there would be wrong.
            assert!([true, false].contains(&segment.is_intact()));
        }
    }
}
