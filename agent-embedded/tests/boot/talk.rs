//! Somebody outside, at 192.0.2.10: packet knocks and connection attempts as frames.

use std::net::Ipv4Addr;

use knockgate_core::client::Keys;
use knockgate_core::message::{Answer, Kind, Request};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, IpAddress, IpProtocol, Ipv4Packet, Ipv4Repr,
    TcpControl, TcpPacket, TcpRepr, TcpSeqNumber, UdpPacket, UdpRepr,
};

use crate::bench::{HARDWARE, Running};
use crate::site::{GATE, MACHINE, SSH};
use crate::stage::chip::Noise;

const HERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
const HERE_MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 10]);
const MACHINE_MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 100]);

/// A packet knock, which can be sent again and again.
pub(crate) struct Knock {
    pub(crate) frame: Vec<u8>,
    keys: Keys,
    request: Request,
    seed: u64,
}

impl Knock {
    /// Asks for SSH with that counter.
    pub(crate) fn new(keys: Keys, counter: u64) -> Self {
        let request = Request { service: SSH, seconds: 60, ..Request::new(Kind::Open, counter) };
        let (_, message) = keys.ask(&request, &mut Noise(counter)).unwrap();
        Self { frame: datagram(&message), keys, request, seed: counter }
    }

    /// The gate's answer among the frames that came back.
    pub(crate) fn answer(&self, frames: &[Vec<u8>]) -> Option<Answer> {
        let (question, _) = self.keys.ask(&self.request, &mut Noise(self.seed)).unwrap();
        frames.iter().find_map(|frame| question.answer(&payload(frame)?.try_into().ok()?).ok())
    }
}

/// Whether a connection that is begun now would reach the machine behind the gate.
pub(crate) fn reaches(running: &mut Running) -> bool {
    let (_, inwards) = running.send(&syn());
    !inwards.is_empty()
}

fn datagram(bytes: &[u8]) -> Vec<u8> {
    let udp = UdpRepr { src_port: 40_000, dst_port: 62_201 };
    let (from, to) = (IpAddress::from(HERE), IpAddress::from(GATE));
    packet(HARDWARE, GATE, IpProtocol::Udp, 8 + bytes.len(), |buffer| {
        let mut packet = UdpPacket::new_unchecked(buffer);
        let checksums = ChecksumCapabilities::default();
        udp.emit(&mut packet, &from, &to, bytes.len(), |to| to.copy_from_slice(bytes), &checksums);
    })
}

fn syn() -> Vec<u8> {
    let tcp = TcpRepr {
        src_port: 41_000,
        dst_port: 22,
        control: TcpControl::Syn,
        seq_number: TcpSeqNumber(7),
        ack_number: None,
        window_len: 1000,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let (from, to) = (IpAddress::from(HERE), IpAddress::from(MACHINE));
    packet(MACHINE_MAC, MACHINE, IpProtocol::Tcp, tcp.buffer_len(), |buffer| {
        tcp.emit(&mut TcpPacket::new_unchecked(buffer), &from, &to, &ChecksumCapabilities::default());
    })
}

fn packet(
    mac: EthernetAddress,
    to: Ipv4Addr,
    next_header: IpProtocol,
    payload_len: usize,
    fill: impl FnOnce(&mut [u8]),
) -> Vec<u8> {
    let ip = Ipv4Repr { src_addr: HERE, dst_addr: to, next_header, payload_len, hop_limit: 64 };
    let mut bytes = vec![0; 14 + ip.buffer_len() + payload_len];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    frame.set_src_addr(HERE_MAC);
    frame.set_dst_addr(mac);
    frame.set_ethertype(EthernetProtocol::Ipv4);
    let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet, &ChecksumCapabilities::default());
    fill(packet.payload_mut());
    bytes
}

/// What a datagram carries.
fn payload(frame: &[u8]) -> Option<Vec<u8>> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
    let udp = UdpPacket::new_checked(packet.payload()).ok()?;
    Some(udp.payload().to_vec())
}
