//! What a stranger sends, as frames.

use std::net::{Ipv4Addr, SocketAddrV4};

use knockgate_core::limits::MESSAGE_LEN;
use knockgate_tests::packets::KNOCK;

use super::Noise;
use super::spoof::{Random, Sources};
use crate::link::{IPV4, Mac};
use crate::segment::{datagram, syn};
use crate::three::SEQUENCE;

/// Bytes of junk that could never be a knock.
const SHORT: usize = 40;
/// Bytes of what fwknop's client sends for one port, Rijndael and an HMAC.
const FWKNOP_KNOCK: usize = 225;
/// Of RFC 4648. fwknopd looks no further at what has other letters.
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// SYNs to the first port of the fixed sequence.
    FirstPort,
    /// Random bytes of exactly a knock's size to the knock port.
    JunkOfKnockSize,
    /// The same for fwknop: letters that it uses, as many as in a knock of its own.
    JunkForFwknop,
    /// Random bytes of another size.
    WrongSize,
    /// SYNs to all ports of the sequence, one after the other.
    Walk,
}

impl Kind {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::FirstPort => "first port",
            Self::JunkOfKnockSize | Self::JunkForFwknop => "junk of knock size",
            Self::WrongSize => "wrong size",
            Self::Walk => "a walk through the ports",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "syn" => Some(Self::FirstPort),
            "junk" => Some(Self::JunkOfKnockSize),
            "letters" => Some(Self::JunkForFwknop),
            "short" => Some(Self::WrongSize),
            "walk" => Some(Self::Walk),
            _ => None,
        }
    }
}

/// An endless number of frames.
pub(super) struct Frames {
    kind: Kind,
    sources: Sources,
    header: [u8; 14],
    gate: Ipv4Addr,
    random: Random,
    made: usize,
    batch: Vec<Vec<u8>>,
}

impl Frames {
    /// From an Ethernet address to another, and to the gate's address behind it.
    pub(super) fn new(noise: Noise, [to, from]: [Mac; 2], gate: Ipv4Addr) -> Self {
        let mut header = [0; 14];
        header[..6].copy_from_slice(&to);
        header[6..12].copy_from_slice(&from);
        header[12..].copy_from_slice(&IPV4.to_be_bytes());
        let (sources, random) = (Sources::of(noise.sources), Random::seeded(0x6b6e_6f63_6b67_6174));
        Self { kind: noise.kind, sources, header, gate, random, made: 0, batch: Vec::new() }
    }

    /// So many new ones.
    pub(super) fn next(&mut self, count: usize) -> &[Vec<u8>] {
        self.batch.resize(count, Vec::new());
        for place in 0..count {
            let mut frame = std::mem::take(&mut self.batch[place]);
            frame.clear();
            frame.extend(self.header);
            self.write_packet(&mut frame);
            self.batch[place] = frame;
        }
        &self.batch
    }

    fn write_packet(&mut self, frame: &mut Vec<u8>) {
        let source = self.sources.draw(&mut self.random);
        let [low, high, ..] = self.random.next().to_le_bytes();
        // An unprivileged port, as any client's.
        let from = SocketAddrV4::new(source, u16::from_le_bytes([low, high]) | 0x8000);
        let to = |port| SocketAddrV4::new(self.gate, port);
        match self.kind {
            Kind::FirstPort => frame.extend(syn(from, to(SEQUENCE[0]))),
            Kind::JunkOfKnockSize => {
                frame.extend(datagram(from, to(KNOCK), &junk::<MESSAGE_LEN>(&mut self.random)))
            }
            Kind::JunkForFwknop => {
                let letters =
                    junk::<FWKNOP_KNOCK>(&mut self.random).map(|byte| BASE64[usize::from(byte & 0x3f)]);
                frame.extend(datagram(from, to(KNOCK), &letters));
            }
            Kind::WrongSize => frame.extend(datagram(from, to(KNOCK), &junk::<SHORT>(&mut self.random))),
            Kind::Walk => frame.extend(syn(from, to(SEQUENCE[self.made % SEQUENCE.len()]))),
        }
        self.made += 1;
    }
}

fn junk<const LENGTH: usize>(random: &mut Random) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    for piece in bytes.chunks_mut(8) {
        piece.copy_from_slice(&random.next().to_le_bytes()[..piece.len()]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{Moment, parse};

    const GATE: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 2);

    fn frames(kind: Kind) -> Frames {
        Frames::new(Noise { kind, sources: 32_000, rate: None }, [[1; 6], [2; 6]], GATE)
    }

    #[test]
    fn a_frame_goes_to_the_gate_from_a_stranger() {
        for kind in [Kind::FirstPort, Kind::JunkOfKnockSize, Kind::JunkForFwknop, Kind::WrongSize, Kind::Walk]
        {
            let mut frames = frames(kind);
            for frame in frames.next(64) {
                assert_eq!(frame[..14], [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 8, 0]);
                let packet = parse(&frame[14..], Moment::of_stamp([0, 0])).unwrap();
                assert_eq!((*packet.to.ip(), packet.from.ip().octets()[0]), (GATE, 100));
            }
        }
    }

    #[test]
    fn junk_has_exactly_a_knocks_size_and_is_never_the_same() {
        let mut frames = frames(Kind::JunkOfKnockSize);
        let two = frames.next(2);
        assert!(two.iter().all(|frame| frame.len() == 14 + 28 + MESSAGE_LEN));
        assert_ne!(two[0][42..], two[1][42..]);
    }

    #[test]
    fn a_walk_takes_the_ports_in_order() {
        let mut frames = frames(Kind::Walk);
        let ports = frames
            .next(4)
            .iter()
            .map(|frame| parse(&frame[14..], Moment::of_stamp([0, 0])).unwrap().to.port());
        assert_eq!(ports.collect::<Vec<_>>(), [7_000, 8_000, 9_000, 7_000]);
    }
}
