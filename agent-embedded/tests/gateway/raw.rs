//! Frames that no stack would send, and what is in those that were sent.

use std::net::IpAddr;

use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket,
    UdpPacket,
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
    let mut bytes = [0; 9];
    let mut packet = UdpPacket::new_unchecked(&mut bytes[..]);
    packet.set_src_port(ends.from.1);
    packet.set_dst_port(ends.to.1);
    packet.set_len(9);
    packet.fill_checksum(&ends.from.0.into(), &ends.to.0.into());
    ip(ends, IpProtocol::Udp, 64, &bytes)
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

/// Makes a first fragment of an IPv4 packet.
pub(crate) fn fragment(mut frame: Vec<u8>) -> Vec<u8> {
    let mut packet = Ipv4Packet::new_unchecked(&mut frame[14..]);
    packet.set_more_frags(true);
    packet.fill_checksum();
    frame
}

fn ethernet(ends: Ends, protocol: EthernetProtocol, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; 14 + length];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes);
    frame.set_src_addr(ends.hardware.0);
    frame.set_dst_addr(ends.hardware.1);
    frame.set_ethertype(protocol);
    bytes
}

/// Whether a frame only asks or tells who has an address.
pub(crate) fn is_address_talk(bytes: &[u8]) -> bool {
    let frame = EthernetFrame::new_checked(bytes).unwrap();
    match frame.ethertype() {
        EthernetProtocol::Arp => true,
        EthernetProtocol::Ipv6 => {
            let packet = Ipv6Packet::new_checked(frame.payload()).unwrap();
            packet.next_header() == IpProtocol::Icmpv6 && matches!(packet.payload().first(), Some(133..=136))
        }
        _ => false,
    }
}
