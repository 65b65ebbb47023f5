//! Packet knocks: where they come in, and the way back.
//!
//! A datagram of the right size at the right port is worth a look; everything else is met with silence, and so is noise. Nothing
//! listens for it, so there is no socket that could give itself away: an answer is a frame made by hand. It leaves from the address, the
//! port and the card that were asked, for those that asked, which may be a router's card.

use core::net::IpAddr;

use heapless::Vec;
use knockgate_core::envelope::Message;
use knockgate_core::limits::MESSAGE_LEN;
use knockgate_core::site::PacketPorts;
use knockgate_core::{Instant, Peer};
use smoltcp::phy::{Device, TxToken};
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, Ipv6Packet, UdpPacket,
};

use crate::clock;
use crate::frame::{self, Ends, Segment, Transport};
use crate::limits::{ANSWERS, EXCHANGES};

const UDP_HEADER: usize = 8;
const V4_HEADER: usize = 20;
const V6_HEADER: usize = 40;
const HOPS: u8 = 64;

/// What was asked over which way.
#[derive(Clone, Copy)]
struct Way {
    peer: Peer,
    /// The card that the question came from.
    hardware: EthernetAddress,
    asked: Ends,
}

/// The ways back to those that have asked and have no answer yet.
pub(crate) struct Packets {
    ports: PacketPorts,
    hardware: EthernetAddress,
    ways: Vec<Way, EXCHANGES>,
    /// What has not been sent yet.
    answers: Vec<(Way, Message), ANSWERS>,
    next_peer: u64,
}

impl Packets {
    /// `hardware` is the gateway's own card; those that ask are named from `first_peer` on.
    pub(crate) const fn new(ports: PacketPorts, hardware: EthernetAddress, first_peer: u64) -> Self {
        Self { ports, hardware, ways: Vec::new(), answers: Vec::new(), next_peer: first_peer }
    }

    /// The message in a datagram to the gateway, if it is of the right size and came undamaged to a port where messages may.
    pub(crate) fn message<'a>(&self, segment: &Segment<'a>) -> Option<&'a Message> {
        let Ends { transport, source, target } = segment.ends;
        let length = *segment.bytes.get(4..)?.first_chunk()?;
        let fits = transport == Transport::Udp
            && self.is_port(target.1)
            && source.1 != 0
            && usize::from(u16::from_be_bytes(length)) == UDP_HEADER + MESSAGE_LEN;
        if !fits || !segment.is_intact() {
            return None;
        }
        segment.bytes.get(UDP_HEADER..)?.first_chunk()
    }

    fn is_port(&self, port: u16) -> bool {
        match &self.ports {
            PacketPorts::Off => false,
            PacketPorts::Listed(ranges) => {
                ranges.iter().any(|range| (range.first..=range.last).contains(&port))
            }
            PacketPorts::Any => true,
        }
    }

    /// A name for whoever sent `asked` from the card `hardware`.
    pub(crate) fn expect(&mut self, hardware: EthernetAddress, asked: Ends) -> Peer {
        if self.ways.is_full() {
            // The core has no more questions open than there are places: the oldest will not be answered.
            self.ways.remove(0);
        }
        self.next_peer = self.next_peer.wrapping_add(1);
        let peer = Peer(self.next_peer);
        let _ = self.ways.push(Way { peer, hardware, asked });
        peer
    }

    /// Nothing will be answered.
    pub(crate) fn forget(&mut self, peer: Peer) {
        self.ways.retain(|way| way.peer != peer);
    }

    /// Has `message` sent to `peer`, if it came this way.
    pub(crate) fn answer(&mut self, peer: Peer, message: &Message) {
        let Some(at) = self.ways.iter().position(|way| way.peer == peer) else { return };
        let way = self.ways.remove(at);
        if self.answers.is_full() {
            // The port has been busy for long; whoever waits for the oldest has asked again.
            self.answers.remove(0);
        }
        let _ = self.answers.push((way, *message));
    }

    /// Whether something waits for the port.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.answers.is_empty()
    }

    /// Sends what can be sent.
    pub(crate) fn transmit(&mut self, now: Instant, outer: &mut impl Device) {
        while !self.answers.is_empty() {
            let Some(token) = outer.transmit(clock::wire(now)) else { return };
            let (way, message) = self.answers.remove(0);
            let length = frame::HEADER + way.head() + UDP_HEADER + MESSAGE_LEN;
            token.consume(length, |frame| way.write(self.hardware, &message, frame));
        }
    }
}

impl Way {
    /// Bytes of the IP header.
    const fn head(&self) -> usize {
        match self.asked.source.0 {
            IpAddr::V4(_) => V4_HEADER,
            IpAddr::V6(_) => V6_HEADER,
        }
    }

    fn write(&self, own: EthernetAddress, message: &Message, bytes: &mut [u8]) {
        let mut frame = EthernetFrame::new_unchecked(bytes);
        frame.set_src_addr(own);
        frame.set_dst_addr(self.hardware);
        let (from, to) = (self.asked.target, self.asked.source);
        let datagram = match (from.0, to.0) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                frame.set_ethertype(EthernetProtocol::Ipv4);
                head_v4(frame.payload_mut(), from, to)
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                frame.set_ethertype(EthernetProtocol::Ipv6);
                head_v6(frame.payload_mut(), from, to)
            }
            // No packet has ends of two families.
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return,
        };
        let mut udp = UdpPacket::new_unchecked(datagram);
        udp.set_src_port(from.1);
        udp.set_dst_port(to.1);
        udp.set_len(DATAGRAM);
        udp.payload_mut().copy_from_slice(message);
        udp.fill_checksum(&from.0.into(), &to.0.into());
    }
}

/// Bytes of an answer with its UDP header.
const DATAGRAM: u16 = 208;
const _: () = assert!(DATAGRAM as usize == UDP_HEADER + MESSAGE_LEN);

/// Writes the header of an answer, and returns the rest.
fn head_v4(bytes: &mut [u8], from: core::net::Ipv4Addr, to: core::net::Ipv4Addr) -> &mut [u8] {
    const LENGTH: u16 = 20 + DATAGRAM;
    let (head, rest) = bytes.split_at_mut(V4_HEADER);
    // A buffer may hold what was sent before.
    head.fill(0);
    let mut packet = Ipv4Packet::new_unchecked(head);
    packet.set_version(4);
    packet.set_header_len(20);
    packet.set_total_len(LENGTH);
    packet.set_dont_frag(true);
    packet.set_hop_limit(HOPS);
    packet.set_next_header(IpProtocol::Udp);
    packet.set_src_addr(from);
    packet.set_dst_addr(to);
    packet.fill_checksum();
    rest
}

fn head_v6(bytes: &mut [u8], from: core::net::Ipv6Addr, to: core::net::Ipv6Addr) -> &mut [u8] {
    let (head, rest) = bytes.split_at_mut(V6_HEADER);
    head.fill(0);
    let mut packet = Ipv6Packet::new_unchecked(head);
    packet.set_version(6);
    packet.set_payload_len(DATAGRAM);
    packet.set_next_header(IpProtocol::Udp);
    packet.set_hop_limit(HOPS);
    packet.set_src_addr(from);
    packet.set_dst_addr(to);
    rest
}
