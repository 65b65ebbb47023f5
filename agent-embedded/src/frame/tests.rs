use super::*;

const CARD: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn ethernet(kind: u16, payload: &[u8]) -> std::vec::Vec<u8> {
    [&CARD[..], &[2, 0, 0, 0, 0, 2], &kind.to_be_bytes(), payload].concat()
}

/// An IPv4 packet from 192.0.2.2 to 192.0.2.1.
fn ipv4(protocol: u8, fragment: u16, payload: &[u8]) -> std::vec::Vec<u8> {
    let length = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let [high, low] = fragment.to_be_bytes();
    let head =
        [0x45, 0, length[0], length[1], 0, 0, high, low, 64, protocol, 0, 0, 192, 0, 2, 2, 192, 0, 2, 1];
    let mut bytes = ethernet(0x0800, &[&head, payload].concat());
    Ipv4Packet::new_unchecked(&mut bytes[14..]).fill_checksum();
    bytes
}

fn tcp(flags: u8) -> [u8; 20] {
    let mut bytes = [0; 20];
    bytes[0..4].copy_from_slice(&[0x9c, 0x40, 0, 22]);
    (bytes[12], bytes[13]) = (0x50, flags);
    let addresses = [[192, 0, 2, 2], [192, 0, 2, 1]].map(|octets| IpAddr::from(octets).into());
    TcpPacket::new_unchecked(&mut bytes[..]).fill_checksum(&addresses[0], &addresses[1]);
    bytes
}

fn kind(bytes: &[u8]) -> Option<Kind> {
    Frame::parse(bytes).map(|frame| frame.kind)
}

fn segment(bytes: &[u8]) -> Segment {
    match kind(bytes) {
        Some(Kind::Segment(segment)) => segment,
        other => panic!("no segment: {other:?}"),
    }
}

#[test]
fn a_segment_says_both_ends_and_what_it_does_to_its_connection() {
    #[rustfmt::skip]
    let cases = [
        (1, 0x02, Step::Begin),    // SYN
        (2, 0xc2, Step::Begin),    // SYN with ECE and CWR (RFC 3168)
        (3, 0x12, Step::Continue), // SYN ACK
        (4, 0x10, Step::Continue), // ACK
        (5, 0x00, Step::Continue), // no flag at all
        (6, 0x11, Step::End),      // FIN ACK
        (7, 0x04, Step::End),      // RST
        (8, 0x03, Step::End),      // SYN FIN
        (9, 0x06, Step::End),      // SYN RST
    ];
    for (case, flags, step) in cases {
        let expected = Segment {
            protocol: Protocol::Tcp,
            source: ([192, 0, 2, 2].into(), 40_000),
            target: ([192, 0, 2, 1].into(), 22),
            step,
            intact: true,
        };
        assert_eq!(segment(&ipv4(6, 0, &tcp(flags))), expected, "case {case}");
    }
}

#[test]
fn a_damaged_segment_is_read_and_marked() {
    let mut bytes = ipv4(6, 0, &tcp(0x02));
    *bytes.last_mut().unwrap() ^= 1;
    assert!(!segment(&bytes).intact);
}

#[test]
fn padding_after_the_packet_does_not_matter() {
    let bytes = [ipv4(6, 0, &tcp(0x02)), std::vec![0xff; 6]].concat();
    assert!(segment(&bytes).intact);
}

#[test]
fn no_fragment_is_taken_for_a_segment() {
    let more = 0x2000;
    for (case, fragment) in [(1, more), (2, more | 1), (3, 1), (4, 0x1fff)] {
        assert_eq!(kind(&ipv4(6, fragment, &tcp(0x02))), Some(Kind::Other), "case {case}");
    }
}

#[test]
fn what_is_cut_short_is_not_read() {
    let whole = ipv4(6, 0, &tcp(0x02));
    for length in 0..whole.len() {
        assert_eq!(Frame::parse(&whole[..length]), None, "length {length}");
    }
}

#[test]
fn frames_are_told_apart_by_what_is_in_them() {
    let arp = [&[0, 1, 8, 0, 6, 4, 0, 1][..], &[0; 16], &[192, 0, 2, 1]].concat();
    let target = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    let to = Ipv6Addr::LOCALHOST;
    let ipv6 = |next: u8, hops: u8, payload: &[u8]| {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&[0x60, 0, 0, 0, length[0], length[1], next, hops][..], &target.octets(), &to.octets()];
        ethernet(0x86dd, &[&head.concat(), payload].concat())
    };
    let ndp = |kind: u8| [&[kind, 0, 0, 0, 0, 0, 0, 0][..], &target.octets()].concat();
    #[rustfmt::skip]
    let cases = [
        (1, ethernet(0x0806, &arp),                Some(Kind::Arp { target: [192, 0, 2, 1].into() })),
        (2, ethernet(0x0806, &arp[..27]),          None),
        (3, ipv6(58, 255, &ndp(135)),              Some(Kind::Neighbour { to, about: target })),
        (4, ipv6(58, 255, &ndp(136)),              Some(Kind::Neighbour { to, about: target })),
        (5, ipv6(58, 64, &ndp(135)),               Some(Kind::Other)), // a router has passed it on
        (6, ipv6(58, 255, &ndp(128)[..8]),         Some(Kind::Other)), // echo
        (7, ipv6(0, 64, &[6, 0, 0, 0, 0, 0, 0, 0]), Some(Kind::Other)), // hop-by-hop options
        (8, ipv6(44, 64, &[6, 0, 0, 1, 0, 0, 0, 0]), Some(Kind::Other)), // fragment
        (9, ethernet(0x8100, &[0; 40]),            Some(Kind::Other)), // VLAN tag
        (10, ethernet(0x0800, &[0x55; 40]),        None),
        (11, ethernet(0x86dd, &[0x45; 40]),        None),
    ];
    for (case, bytes, expected) in cases {
        assert_eq!(kind(&bytes), expected, "case {case}");
    }
}

#[test]
fn no_bytes_make_it_panic() {
    let mut state = 1_u64;
    for kind in [0x0800, 0x0806, 0x86dd] {
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let length = usize::try_from(state >> 58).unwrap();
            let payload: std::vec::Vec<u8> = (0..length)
                .map(|at| state.rotate_left(u32::try_from(at * 7).unwrap()).to_le_bytes()[3])
                .collect();
            let mut bytes = ethernet(kind, &payload);
            if let Some(version) = bytes.get_mut(14).filter(|_| kind != 0x0806) {
                *version = if kind == 0x0800 { 0x45 } else { 0x60 };
            }
            let _ = Frame::parse(&bytes);
        }
    }
}
