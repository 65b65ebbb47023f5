//! Frames that no stack would send, and what is in those that were sent.

use std::net::{IpAddr, Ipv6Addr};

use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv4Packet, Icmpv6Packet, IpProtocol, Ipv4Packet,
    Ipv6Packet, TcpPacket, UdpPacket,
};

/// Flags of a TCP segment.
pub(crate) const SYN: u8 = 0x02;
pub(crate) const ACK: u8 = 0x10;
pub(crate) const SYN_ACK: u8 = SYN | ACK;
pub(crate) const FIN_ACK: u8 = 0x01 | ACK;
pub(crate) const RST: u8 = 0x04;

/// Both ends of what is sent.
#[derive(Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) hardware: (EthernetAddress, EthernetAddress),
    pub(crate) from: (IpAddr, u16),
    pub(crate) to: (IpAddr, u16),
}

/// A TCP segment without data.
pub(crate) fn tcp(ends: Ends, flags: u8) -> Vec<u8> {
    let mut bytes = [0; 20];
    let mut packet = TcpPacket::new_unchecked(&mut bytes[..]);
    packet.set_src_port(ends.from.1);
    packet.set_dst_port(ends.to.1);
    packet.set_header_len(20);
    packet.set_syn(flags & SYN != 0);
    packet.set_ack(flags & ACK != 0);
    packet.set_fin(flags & 0x01 != 0);
    packet.set_rst(flags & RST != 0);
    packet.set_window_len(1024);
    packet.fill_checksum(&ends.from.0.into(), &ends.to.0.into());
    ip(ends, IpProtocol::Tcp, 64, &bytes)
}

/// A UDP datagram of one byte.
pub(crate) fn udp(ends: Ends) -> Vec<u8> {
    datagram(ends, &[0])
}

/// A UDP datagram.
pub(crate) fn datagram(ends: Ends, payload: &[u8]) -> Vec<u8> {
    ip(ends, IpProtocol::Udp, 64, &udp_part(ends, payload))
}

/// What of it is in the IP packet.
pub(crate) fn udp_part(ends: Ends, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 8 + payload.len()];
    let mut packet = UdpPacket::new_unchecked(&mut bytes[..]);
    packet.set_src_port(ends.from.1);
    packet.set_dst_port(ends.to.1);
    packet.set_len(u16::try_from(8 + payload.len()).unwrap());
    packet.payload_mut().copy_from_slice(payload);
    packet.fill_checksum(&ends.from.0.into(), &ends.to.0.into());
    bytes
}

/// Whether there is a whole UDP datagram in an untagged frame.
pub(crate) fn is_datagram(frame: &[u8]) -> bool {
    read_datagram(frame).is_some()
}

/// A datagram that came undamaged: both ends, the hop limit, and what is in it.
pub(crate) fn read_datagram(bytes: &[u8]) -> Option<(Ends, u8, &[u8])> {
    let frame = EthernetFrame::new_checked(bytes).ok()?;
    let hardware = (frame.src_addr(), frame.dst_addr());
    let (from, to, hops, part): (IpAddr, IpAddr, u8, &[u8]) = match frame.ethertype() {
        EthernetProtocol::Ipv4 => {
            let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
            let whole = packet.verify_checksum() && !packet.more_frags() && packet.frag_offset() == 0;
            let fits = whole && packet.next_header() == IpProtocol::Udp;
            fits.then(|| {
                (packet.src_addr().into(), packet.dst_addr().into(), packet.hop_limit(), packet.payload())
            })?
        }
        EthernetProtocol::Ipv6 => {
            let packet = Ipv6Packet::new_checked(frame.payload()).ok()?;
            let fits = packet.next_header() == IpProtocol::Udp;
            fits.then(|| {
                (packet.src_addr().into(), packet.dst_addr().into(), packet.hop_limit(), packet.payload())
            })?
        }
        _ => return None,
    };
    let udp = UdpPacket::new_checked(part).ok()?;
    let ends = Ends { hardware, from: (from, udp.src_port()), to: (to, udp.dst_port()) };
    udp.verify_checksum(&from.into(), &to.into()).then(|| (ends, hops, udp.payload()))
}

/// Puts a frame into a VLAN.
pub(crate) fn tagged(frame: &[u8], tag: u16) -> Vec<u8> {
    [&frame[..12], &[0x81, 0], &tag.to_be_bytes(), &frame[12..]].concat()
}

/// A message of ICMP or ICMPv6.
pub(crate) fn icmp(ends: Ends, hops: u8, head: [u8; 2], rest: &[u8]) -> Vec<u8> {
    let mut bytes = [&head[..], &[0, 0], rest].concat();
    match (ends.from.0, ends.to.0) {
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            Icmpv6Packet::new_unchecked(&mut bytes[..]).fill_checksum(&from, &to);
            ip(ends, IpProtocol::Icmpv6, hops, &bytes)
        }
        _ => {
            Icmpv4Packet::new_unchecked(&mut bytes[..]).fill_checksum();
            ip(ends, IpProtocol::Icmp, hops, &bytes)
        }
    }
}

/// An echo request or reply with this number.
pub(crate) fn echo_with(ends: Ends, kind: EchoKind, number: u16) -> Vec<u8> {
    let kind = match (kind, ends.from.0) {
        (EchoKind::Request, IpAddr::V4(_)) => 8,
        (EchoKind::Reply, IpAddr::V4(_)) => 0,
        (EchoKind::Request, IpAddr::V6(_)) => 128,
        (EchoKind::Reply, IpAddr::V6(_)) => 129,
    };
    let [a, b] = number.to_be_bytes();
    icmp(ends, 64, [kind, 0], &[a, b, 0, 1])
}

#[derive(Clone, Copy)]
pub(crate) enum EchoKind {
    Request,
    Reply,
}

/// Pieces of a packet, from `from` to `to` each, the last of them ending where the packet does.
pub(crate) fn pieces(
    ends: Ends,
    protocol: IpProtocol,
    id: u32,
    part: &[u8],
    cuts: &[(usize, usize)],
) -> Vec<Vec<u8>> {
    let piece = |&(from, to): &(usize, usize)| {
        let more = to < part.len();
        match ends.from.0 {
            IpAddr::V4(_) => {
                let mut frame = ip(ends, protocol, 64, &part[from..to]);
                let mut packet = Ipv4Packet::new_unchecked(&mut frame[14..]);
                packet.set_ident(id as u16);
                packet.set_more_frags(more);
                packet.set_frag_offset(u16::try_from(from).unwrap());
                packet.fill_checksum();
                frame
            }
            IpAddr::V6(_) => {
                let word = u16::try_from(from).unwrap() | u16::from(more);
                let head = [&[u8::from(protocol), 0][..], &word.to_be_bytes(), &id.to_be_bytes()].concat();
                ip(ends, IpProtocol::Ipv6Frag, 64, &[&head[..], &part[from..to]].concat())
            }
        }
    };
    cuts.iter().map(piece).collect()
}

/// An echo request ("ping"). Its checksum is right for IPv4.
pub(crate) fn echo(ends: Ends) -> Vec<u8> {
    match ends.from.0 {
        IpAddr::V4(_) => ip(ends, IpProtocol::Icmp, 64, &[8, 0, 0xf7, 0xff, 0, 0, 0, 0]),
        IpAddr::V6(_) => ip(ends, IpProtocol::Icmpv6, 64, &[128, 0, 0, 0, 0, 0, 0, 0]),
    }
}

/// An IP packet in a frame.
pub(crate) fn ip(ends: Ends, protocol: IpProtocol, hops: u8, payload: &[u8]) -> Vec<u8> {
    match (ends.from.0, ends.to.0) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut frame = ethernet(ends, EthernetProtocol::Ipv4, 20 + payload.len());
            let mut packet = Ipv4Packet::new_unchecked(&mut frame[14..]);
            packet.set_version(4);
            packet.set_header_len(20);
            packet.set_total_len(u16::try_from(20 + payload.len()).unwrap());
            packet.set_hop_limit(hops);
            packet.set_next_header(protocol);
            packet.set_src_addr(from);
            packet.set_dst_addr(to);
            packet.payload_mut().copy_from_slice(payload);
            packet.fill_checksum();
            frame
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut frame = ethernet(ends, EthernetProtocol::Ipv6, 40 + payload.len());
            let mut packet = Ipv6Packet::new_unchecked(&mut frame[14..]);
            packet.set_version(6);
            packet.set_payload_len(u16::try_from(payload.len()).unwrap());
            packet.set_next_header(protocol);
            packet.set_hop_limit(hops);
            packet.set_src_addr(from);
            packet.set_dst_addr(to);
            packet.payload_mut().copy_from_slice(payload);
            frame
        }
        _ => panic!("both ends of a packet are of one family"),
    }
}

fn ethernet(ends: Ends, protocol: EthernetProtocol, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; 14 + length];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes);
    frame.set_src_addr(ends.hardware.0);
    frame.set_dst_addr(ends.hardware.1);
    frame.set_ethertype(protocol);
    bytes
}

/// Whether a frame only asks or tells who has an address, or tells where somebody can be asked.
pub(crate) fn is_address_talk(bytes: &[u8]) -> bool {
    let frame = EthernetFrame::new_checked(bytes).unwrap();
    match frame.ethertype() {
        EthernetProtocol::Arp => true,
        EthernetProtocol::Ipv6 => {
            let packet = Ipv6Packet::new_checked(frame.payload()).unwrap();
            match packet.next_header() {
                IpProtocol::Icmpv6 => matches!(packet.payload().first(), Some(133..=136)),
                IpProtocol::HopByHop => reported_groups(bytes).is_some(),
                _ => false,
            }
        }
        _ => false,
    }
}

/// The groups that a frame says to listen to, if its checksum is right.
pub(crate) fn reported_groups(bytes: &[u8]) -> Option<Vec<Ipv6Addr>> {
    let frame = EthernetFrame::new_checked(bytes).ok()?;
    let packet = Ipv6Packet::new_checked(frame.payload()).ok()?;
    let report = packet.payload().strip_prefix(&[58, 0, 5, 2, 0, 0, 1, 0])?;
    let is_good = Icmpv6Packet::new_checked(report)
        .is_ok_and(|report| report.verify_checksum(&packet.src_addr(), &packet.dst_addr()));
    let is_report = is_good && packet.hop_limit() == 1 && report[..2] == [143, 0];
    let records = report[8..].chunks_exact(20);
    let groups = records.map(|record| Ipv6Addr::from(<[u8; 16]>::try_from(&record[4..]).unwrap()));
    is_report.then(|| groups.collect())
}
