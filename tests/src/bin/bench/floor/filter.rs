//! Classic BPF for a packet socket that sees packets from their IPv4 header on: the kernel drops what is no step of a knock.

use socket2::SockFilter;

/// Instructions of linux/bpf_common.h.
const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE_AFTER_HEADER: u16 = 0x50;
const LOAD_HALF_AFTER_HEADER: u16 = 0x48;
const LOAD_HEADER_LENGTH: u16 = 0xb1;
const AND: u16 = 0x54;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

const TCP: u32 = 6;
const UDP: u32 = 17;
const FRAGMENT_OFFSET: u32 = 0x1fff;
/// FIN, SYN, RST and ACK; the first segment of a connection has SYN alone.
const FLAGS: u32 = 0x17;
const SYN: u32 = 0x02;
/// More than any packet that is looked at.
const EVERYTHING: u32 = 0x4_0000;

/// One line of a filter. What does not pass a test is dropped.
#[derive(Clone, Copy)]
enum Line {
    Load(u16, u32),
    Equals(u32),
    HasNone(u32),
    /// The last test: one of several numbers, of which this is one.
    OneOf(u32),
}

/// SYNs to one of these ports.
pub(super) fn syns_to(ports: &[u16]) -> Vec<SockFilter> {
    let mut lines = first_part_of(TCP);
    lines.extend([
        Line::Load(LOAD_BYTE_AFTER_HEADER, 13),
        Line::Load(AND, FLAGS),
        Line::Equals(SYN),
        Line::Load(LOAD_HALF_AFTER_HEADER, 2),
    ]);
    lines.extend(ports.iter().map(|port| Line::OneOf((*port).into())));
    assemble(&lines)
}

/// Datagrams to one port, of this length with their header.
pub(super) fn datagrams_to(port: u16, length: u16) -> Vec<SockFilter> {
    let mut lines = first_part_of(UDP);
    lines.extend([
        Line::Load(LOAD_HALF_AFTER_HEADER, 4),
        Line::Equals(length.into()),
        Line::Load(LOAD_HALF_AFTER_HEADER, 2),
        Line::OneOf(port.into()),
    ]);
    assemble(&lines)
}

/// A packet of a protocol that is no later fragment, with the length of its header in the index register.
fn first_part_of(protocol: u32) -> Vec<Line> {
    vec![
        Line::Load(LOAD_BYTE, 9),
        Line::Equals(protocol),
        Line::Load(LOAD_HALF, 6),
        Line::HasNone(FRAGMENT_OFFSET),
        Line::Load(LOAD_HEADER_LENGTH, 0),
    ]
}

/// At the end stand "drop", which is reached by falling through, and "take".
fn assemble(lines: &[Line]) -> Vec<SockFilter> {
    let distance = |line: usize, to: usize| u8::try_from(to - line - 1).expect("a filter is short");
    let (drop, take) = (lines.len(), lines.len() + 1);
    let assembled = lines.iter().enumerate().map(|(at, line)| match *line {
        Line::Load(code, operand) => SockFilter::new(code, 0, 0, operand),
        Line::Equals(value) => SockFilter::new(JUMP_IF_EQUAL, 0, distance(at, drop), value),
        Line::HasNone(bits) => SockFilter::new(JUMP_IF_ANY_BIT, distance(at, drop), 0, bits),
        Line::OneOf(value) => SockFilter::new(JUMP_IF_EQUAL, distance(at, take), 0, value),
    });
    let end = [SockFilter::new(RETURN, 0, 0, 0), SockFilter::new(RETURN, 0, 0, EVERYTHING)];
    assembled.chain(end).collect()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV4;
    use std::os::unix::net::UnixDatagram;

    use socket2::SockRef;

    use super::*;
    use crate::segment::{datagram, syn};

    const FROM: &str = "10.77.2.2:2000";

    #[test]
    fn syns_to_the_ports_pass_and_nothing_else() {
        let filter = syns_to(&[7_000, 8_000, 9_000]);
        let to = |port| -> [u8; 40] { syn(address(FROM), SocketAddrV4::new([10, 77, 1, 2].into(), port)) };
        let changed = |at: usize, value: u8| {
            let mut packet = to(7_000);
            packet[at] = value;
            packet
        };
        #[rustfmt::skip]
        let cases = [
            (1, to(7_000), true), (2, to(9_000), true), (3, to(7_001), false), (4, to(22), false),
            (5, changed(33, 0x12), false), (6, changed(33, 0x06), false), (7, changed(33, 0x42), true),
            (8, changed(7, 0x01), false), (9, changed(9, 17), false),
        ];
        for (case, packet, passes) in cases {
            assert_eq!(passes_in_kernel(&filter, &packet), passes, "case {case}");
        }
    }

    #[test]
    fn datagrams_of_the_size_pass_and_nothing_else() {
        let filter = datagrams_to(62_201, 208);
        let packet = |port, length| {
            datagram(address(FROM), SocketAddrV4::new([10, 77, 1, 2].into(), port), &vec![1; length])
        };
        assert!(passes_in_kernel(&filter, &packet(62_201, 200)));
        assert!(!passes_in_kernel(&filter, &packet(62_200, 200)));
        assert!(!passes_in_kernel(&filter, &packet(62_201, 199)));
        assert!(!passes_in_kernel(&filter, &packet(62_201, 201)));
    }

    /// Any datagram socket filters what is sent to it, from the first byte on.
    fn passes_in_kernel(filter: &[SockFilter], packet: &[u8]) -> bool {
        let (sender, receiver) = UnixDatagram::pair().unwrap();
        SockRef::from(&receiver).attach_filter(filter).unwrap();
        receiver.set_nonblocking(true).unwrap();
        // What the filter drops cannot be sent.
        let _ = sender.send(packet);
        receiver.recv(&mut [0; 512]).is_ok()
    }

    fn address(text: &str) -> SocketAddrV4 {
        text.parse().unwrap()
    }
}
