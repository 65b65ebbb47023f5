//! Frames on both sides of a gateway that has no site: nobody outside may begin anything.
//!
//! A script is a row of frames: what happens (one byte), the length (two bytes), the frame. The checksum of an IPv4 header is
//! mended, because nobody finds it by trying.

use std::collections::VecDeque;

use knockgate_core::Instant;
use knockgate_gateway::ShutGateway;
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::wire::{EthernetAddress, Ipv4Packet};

const CARD: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);
const HEADER: usize = 14;
/// Of a whole frame with and without a VLAN tag.
const LONGEST: usize = 1514;
const TAG: usize = 4;

/// What happens to the frames of a script.
pub fn gateway_bridge(data: &[u8]) {
    let mut gateway = ShutGateway::new(Port::default(), Port::default(), CARD, 7, Instant::from_micros(0));
    let mut now = 0;
    let mut said: Vec<Vec<u8>> = Vec::new();
    for (what, frame) in frames(data) {
        now += u64::from(what >> 1) * 1_000_000;
        let from_inside = what & 1 == 1;
        let port = if from_inside { gateway.inner_mut() } else { gateway.outer_mut() };
        port.incoming.push_back(frame.clone());
        gateway.poll(Instant::from_micros(now));
        let out: Vec<_> = gateway.outer_mut().outgoing.drain(..).collect();
        let inside: Vec<_> = gateway.inner_mut().outgoing.drain(..).collect();
        if from_inside {
            assert!(inside.is_empty(), "nothing turns back");
            assert!(out.is_empty() || out == [frame.clone()], "what goes out is not changed");
            assert!(out.len() == 1 || frame.len() > LONGEST, "and nothing is held back");
            said.push(frame);
        } else {
            assert!(out.is_empty(), "nobody outside is answered");
            assert!(inside.is_empty() || inside == [frame.clone()], "what comes in is not changed");
            assert!(inside.is_empty() || frame.len() <= LONGEST + TAG);
            assert!(inside.is_empty() || may_come_in(&frame, &said), "somebody has come in: {frame:02x?}");
        }
    }
}

/// Whether a frame speaks of addresses and groups alone, or has something to do with what was said inside. More than that a
/// second reader of frames would have to know.
fn may_come_in(frame: &[u8], said: &[Vec<u8>]) -> bool {
    let (kind, packet) = inside_tag(frame);
    let (target, protocol): (&[u8], u8) = match kind {
        [0x08, 0x06] => return true,
        [0x08, 0x00] => (&packet[16..20], packet[9]),
        [0x86, 0xdd] => (&packet[24..40], packet[6]),
        _ => return false,
    };
    const IGMP: u8 = 2;
    const ICMPV6: u8 = 58;
    const HOP_BY_HOP: u8 = 0;
    let may_be_talk =
        kind == [0x86, 0xdd] && [ICMPV6, HOP_BY_HOP, 43, 44, 60].contains(&protocol) || protocol == IGMP;
    let spoke = said.iter().any(|said| said.windows(target.len()).any(|window| window == target));
    // Whoever asks for an address has none, and is told apart by his card.
    let asked =
        said.iter().any(|said| said.len() > 46 && frame.windows(6).any(|window| window == &said[6..12]));
    may_be_talk || spoke || asked
}

fn inside_tag(frame: &[u8]) -> ([u8; 2], &[u8]) {
    let at = if frame[12..14] == [0x81, 0] { HEADER + TAG } else { HEADER };
    ([frame[at - 2], frame[at - 1]], &frame[at..])
}

fn frames(mut data: &[u8]) -> impl Iterator<Item = (u8, Vec<u8>)> {
    std::iter::from_fn(move || {
        let ([what, low, high], rest) = data.split_first_chunk()?;
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (frame, rest) = rest.split_at(length);
        data = rest;
        Some((*what, mended(frame.to_vec())))
    })
}

fn mended(mut frame: Vec<u8>) -> Vec<u8> {
    if frame.len() > HEADER + TAG {
        let (kind, packet) = inside_tag(&frame);
        let at = frame.len() - packet.len();
        if kind == [0x08, 0x00]
            && let Ok(mut packet) = Ipv4Packet::new_checked(&mut frame[at..])
        {
            packet.fill_checksum();
        }
    }
    frame
}

/// A card in memory.
#[derive(Default)]
struct Port {
    incoming: VecDeque<Vec<u8>>,
    outgoing: Vec<Vec<u8>>,
}

struct Received(Vec<u8>);

struct Sender<'a>(&'a mut Vec<Vec<u8>>);

impl Device for Port {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sender<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Received, Sender<'_>)> {
        Some((Received(self.incoming.pop_front()?), Sender(&mut self.outgoing)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Sender<'_>> {
        Some(Sender(&mut self.outgoing))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = LONGEST;
        capabilities
    }
}

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl TxToken for Sender<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut frame = vec![0; length];
        let result = write(&mut frame);
        self.0.push(frame);
        result
    }
}

const OUTER: [u8; 6] = [2, 0, 0, 0, 0, 66];
const INNER: [u8; 6] = [2, 0, 0, 0, 0, 100];
const IN: u8 = 0;
const OUT: u8 = 1;

/// Scripts in which something comes in rightly.
pub(crate) fn scripts() -> Vec<Vec<u8>> {
    let tagged = |frame: &[u8]| [&frame[..12], &[0x81, 0, 0, 5], &frame[12..]].concat();
    let mut scripts = Vec::new();
    for v6 in [false, true] {
        let udp = [0, 53, 0x9c, 0x40, 0, 9, 0, 0, 1];
        let back = [0x9c, 0x40, 0, 53, 0, 9, 0, 0, 1];
        let (syn, syn_ack) = (tcp([0x9c, 0x40, 0, 22], 0x02), tcp([0, 22, 0x9c, 0x40], 0x12));
        let (ping, pong) = if v6 { (128, 129) } else { (8, 0) };
        let icmp = if v6 { 58 } else { 1 };
        let question = packet(v6, OUT, 17, 0, &back);
        let quote = [&[3, 4, 0, 0, 0, 0, 5, 0], &question[HEADER..]].concat();
        let quote_v6 = [&[2, 0, 0, 0, 0, 0, 5, 0], &question[HEADER..]].concat();
        let first = [&[0, 53, 0x9c, 0x40, 2, 8, 0, 0][..], &[7; 248]].concat();
        scripts.extend([
            script(&[(OUT, question.clone()), (IN, packet(v6, IN, 17, 0, &udp))]),
            script(&[(OUT, tagged(&question)), (IN, tagged(&packet(v6, IN, 17, 0, &udp)))]),
            script(&[(OUT, packet(v6, OUT, 6, 0, &syn)), (IN, packet(v6, IN, 6, 0, &syn_ack))]),
            script(&[
                (OUT, packet(v6, OUT, icmp, 0, &[ping, 0, 0, 0, 0, 7, 0, 0])),
                (IN, packet(v6, IN, icmp, 0, &[pong, 0, 0, 0, 0, 7, 0, 0])),
            ]),
            script(&[
                (OUT, question.clone()),
                (IN, packet(v6, IN, icmp, 0, if v6 { &quote_v6 } else { &quote })),
            ]),
            script(&[
                (OUT, question),
                (IN, packet(v6, IN, 17, 0x2000, &first)),
                (IN, packet(v6, IN, 17, 32, &[7; 100])),
            ]),
        ]);
    }
    scripts.push(script(&[(IN, arp()), (OUT, arp())]));
    scripts
}

fn script(frames: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let length = |frame: &Vec<u8>| u16::try_from(frame.len()).expect("a frame is short").to_le_bytes();
    frames.iter().flat_map(|(what, frame)| [&[*what], &length(frame)[..], frame].concat()).collect()
}

fn tcp(ports: [u8; 4], flags: u8) -> Vec<u8> {
    [&ports[..], &[0; 8], &[0x50, flags, 4, 0, 0, 0, 0, 0]].concat()
}

/// A packet of which `fragment` says as in IPv4 which part it is; 0 if it is whole.
fn packet(v6: bool, way: u8, protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let (from, to) = if way == IN { (66, 100) } else { (100, 66) };
    let (source, target) = if way == IN { (OUTER, INNER) } else { (INNER, OUTER) };
    let ethernet = [&target[..], &source].concat();
    if v6 {
        let word = (fragment & 0x1fff) << 3 | fragment >> 13;
        let head = [&[protocol, 0][..], &word.to_be_bytes(), &[0, 0, 0, 9]].concat();
        let (next, head) = if fragment == 0 { (protocol, vec![]) } else { (44, head) };
        let [a, b] = u16::try_from(head.len() + payload.len()).expect("it is short").to_be_bytes();
        let address = |last| [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
        let ip = [&[0x60, 0, 0, 0, a, b, next, 64][..], &address(from), &address(to)].concat();
        return [&ethernet[..], &[0x86, 0xdd], &ip, &head, payload].concat();
    }
    let [a, b] = u16::try_from(20 + payload.len()).expect("it is short").to_be_bytes();
    let [c, d] = fragment.to_be_bytes();
    let ip = [0x45, 0, a, b, 0, 9, c, d, 64, protocol, 0, 0, 192, 0, 2, from, 192, 0, 2, to];
    mended([&ethernet[..], &[0x08, 0x00], &ip, payload].concat())
}

fn arp() -> Vec<u8> {
    let head = [0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1];
    [&[0xff; 6][..], &OUTER, &head, &OUTER, &[192, 0, 2, 66], &[0; 6], &[192, 0, 2, 100]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise the corpus would grow from nothing.
    #[test]
    fn in_every_seed_the_last_frame_passes() {
        for (number, script) in scripts().into_iter().enumerate() {
            let mut gateway =
                ShutGateway::new(Port::default(), Port::default(), CARD, 7, Instant::from_micros(0));
            let mut passed = 0;
            for (what, frame) in frames(&script) {
                let port = if what == OUT { gateway.inner_mut() } else { gateway.outer_mut() };
                port.incoming.push_back(frame);
                gateway.poll(Instant::from_micros(0));
                passed += gateway.inner_mut().outgoing.drain(..).count();
                passed += gateway.outer_mut().outgoing.drain(..).count();
            }
            assert_eq!(passed, frames(&script).count(), "seed {number}");
        }
    }
}
