//! The packet sockets' filters: classic BPF, made from what is wanted.
//!
//! What the kernel's filter refuses never wakes us. It may pass what the parser then refuses, never the other way round:
//! [`super::packet`] is the judge. A filter sees a packet from its IP header on; what it reads beyond the packet's end
//! refuses the packet. Jumps of classic BPF lead forward alone, so a program is made from its end to its beginning:
//! whatever is jumped to is already there, and how far it is is known.
//! Instructions: `linux/filter.h`; what is known about a packet beside its bytes: `SKF_AD_OFF` there.

#[cfg(test)]
mod tests;

use knockgate_core::limits::MESSAGE_LEN;
use socket2::SockFilter;

use super::packet::{
    AUTHENTICATION, DESTINATION, FRAGMENT, HOP_BY_HOP, MAX_EXTENSION_HEADERS, ROUTING, TCP_FLAGS, TCP_SYN,
    V4_OFFSET, V6_OFFSET,
};
use super::ports::Ports;
use super::sys::KEPT;
use crate::firewall::Protocol;

/// `BPF_MAXINSNS`.
pub(super) const MAX_INSTRUCTIONS: usize = 4096;

/// A conditional jump has one byte for how far it leads. Some are left for the jumps that lengthen it.
const NEAR: usize = 250;

const LOAD_HALF_INDEXED: u16 = 0x48;
const LOAD_BYTE_INDEXED: u16 = 0x50;
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
/// Four times the lower half of a byte, into the index: the length of an IPv4 header.
const LOAD_INDEX_HEADER: u16 = 0xb1;
const LOAD_INDEX: u16 = 0x01;
const LOAD_MEMORY: u16 = 0x60;
const STORE: u16 = 0x02;
const ADD: u16 = 0x04;
const ADD_INDEX: u16 = 0x0c;
const SHIFT_LEFT: u16 = 0x64;
const AND: u16 = 0x54;
const TO_INDEX: u16 = 0x07;
const FROM_INDEX: u16 = 0x87;
const JUMP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const IF_AT_LEAST: u16 = 0x35;
const IF_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

const ABOUT_PACKET: u32 = 0xffff_f000;
const PACKET_TYPE: u32 = ABOUT_PACKET + 4;
const INTERFACE: u32 = ABOUT_PACKET + 8;
const HARDWARE_TYPE: u32 = ABOUT_PACKET + 28;
/// `PACKET_HOST`: the frame was for this host alone.
const TO_THIS_HOST: u32 = 0;
/// `ARPHRD_LOOPBACK`
const LOOPBACK: u32 = 772;

const UDP_HEADER: u32 = 8;
const V6_HEADER: u32 = 40;

/// Which packets pass.
pub(super) struct Passing<'a> {
    /// Numbers of the interfaces that count; `None`: all but loopback.
    pub(super) interfaces: Option<&'a [u32]>,
    /// Where a datagram of a knock's size passes.
    pub(super) knocks: &'a Ports,
    /// Where every datagram passes.
    pub(super) datagrams: &'a Ports,
    /// Where a SYN passes.
    pub(super) connections: &'a Ports,
}

/// For the packets of IPv4.
pub(super) fn v4(passing: &Passing<'_>) -> Vec<Instruction> {
    let mut program = Backwards::default();
    let Ends { accept, refuse } = program.ends();
    let transport = program.transport(passing, accept, refuse);

    let udp = program.then(&[(LOAD_INDEX_HEADER, 0)], transport.udp);
    let tcp = program.then(&[(LOAD_INDEX_HEADER, 0)], transport.tcp);
    let is_tcp = program.branch(IF_EQUAL, number(Protocol::Tcp), tcp, refuse);
    let is_udp = program.branch(IF_EQUAL, number(Protocol::Udp), udp, is_tcp);
    let protocol = program.then(&[(LOAD_BYTE, 9)], is_udp);
    let is_whole = program.branch(IF_ANY_BIT, V4_OFFSET.into(), refuse, protocol);
    let fragment = program.then(&[(LOAD_HALF, 6)], is_whole);
    let is_v4 = program.branch(IF_EQUAL, 0x40, fragment, refuse);
    let version = program.then(&[(LOAD_BYTE, 0), (AND, 0xf0)], is_v4);
    program.begin(passing, version, refuse)
}

/// For the packets of IPv6.
pub(super) fn v6(passing: &Passing<'_>) -> Vec<Instruction> {
    let mut program = Backwards::default();
    let Ends { accept, refuse } = program.ends();
    let transport = program.transport(passing, accept, refuse);

    // Behind the last header there may be only a transport; before each that is there, one more.
    let mut header = program.transport_by_number(&transport, refuse);
    for _ in 0..MAX_EXTENSION_HEADERS {
        header = program.extension(&transport, header, refuse);
    }
    let first = program.then(&[(LOAD_INDEX, V6_HEADER), (LOAD_BYTE, 6)], header);
    let is_v6 = program.branch(IF_EQUAL, 0x60, first, refuse);
    let version = program.then(&[(LOAD_BYTE, 0), (AND, 0xf0)], is_v6);
    program.begin(passing, version, refuse)
}

fn number(protocol: Protocol) -> u32 {
    protocol.number().into()
}

/// One step of a program: what to do, by how many instructions to go on in either case of a condition, and with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instruction {
    code: u16,
    yes: u8,
    no: u8,
    operand: u32,
}

impl From<Instruction> for SockFilter {
    fn from(Instruction { code, yes, no, operand }: Instruction) -> Self {
        Self::new(code, yes, no, operand)
    }
}

/// An instruction, by how many stand behind it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place(usize);

struct Ends {
    accept: Place,
    refuse: Place,
}

/// What looks at a transport's header; the index is where it begins.
struct Transport {
    udp: Place,
    tcp: Place,
}

/// A program from its end on.
#[derive(Default)]
struct Backwards {
    code: Vec<Instruction>,
}

impl Backwards {
    fn ends(&mut self) -> Ends {
        let refuse = self.push(RETURN, 0, 0, 0);
        let kept = u32::try_from(KEPT).expect("what is kept of a packet is short");
        Ends { accept: self.push(RETURN, 0, 0, kept), refuse }
    }

    fn transport(&mut self, passing: &Passing<'_>, accept: Place, refuse: Place) -> Transport {
        let port: (u16, u32) = (LOAD_HALF_INDEXED, 2);
        let connection = self.search(passing.connections.ranges(), accept, refuse);
        let connection = self.then(&[port], connection);
        let is_syn = self.branch(IF_EQUAL, TCP_SYN.into(), connection, refuse);
        let tcp = self.then(&[(LOAD_BYTE_INDEXED, 13), (AND, TCP_FLAGS.into())], is_syn);

        let knock = self.search(passing.knocks.ranges(), accept, refuse);
        let knock = self.then(&[port], knock);
        let size = u32::try_from(MESSAGE_LEN).expect("a message has 200 bytes") + UDP_HEADER;
        let has_size = self.branch(IF_EQUAL, size, knock, refuse);
        let length = self.then(&[(LOAD_HALF_INDEXED, 4)], has_size);
        let datagram = self.search(passing.datagrams.ranges(), accept, length);
        Transport { udp: self.then(&[port], datagram), tcp }
    }

    fn transport_by_number(&mut self, transport: &Transport, other: Place) -> Place {
        let tcp = self.branch(IF_EQUAL, number(Protocol::Tcp), transport.tcp, other);
        self.branch(IF_EQUAL, number(Protocol::Udp), transport.udp, tcp)
    }

    /// One header of IPv6, whose number is in the accumulator, and `next` behind it.
    fn extension(&mut self, transport: &Transport, next: Place, refuse: Place) -> Place {
        const NUMBER: u32 = 0;
        let keep_number: [(u16, u32); 2] = [(LOAD_BYTE_INDEXED, 0), (STORE, NUMBER)];
        let step: [(u16, u32); 3] = [(ADD_INDEX, 0), (TO_INDEX, 0), (LOAD_MEMORY, NUMBER)];

        let stepped = self.then(&step, next);
        let sized = self.then(&[(LOAD_BYTE_INDEXED, 1), (ADD, 1), (SHIFT_LEFT, 3)], stepped);
        let sized = self.then(&keep_number, sized);

        let stepped = self.then(&step, next);
        let authentication = self.then(&[(LOAD_BYTE_INDEXED, 1), (ADD, 2), (SHIFT_LEFT, 2)], stepped);
        let authentication = self.then(&keep_number, authentication);

        let stepped = self.then(&[(FROM_INDEX, 0), (ADD, 8), (TO_INDEX, 0), (LOAD_MEMORY, NUMBER)], next);
        let whole = self.then(&keep_number, stepped);
        let is_whole = self.branch(IF_ANY_BIT, V6_OFFSET.into(), refuse, whole);
        let fragment = self.then(&[(LOAD_HALF_INDEXED, 2)], is_whole);

        let mut by_number = self.branch(IF_EQUAL, FRAGMENT.into(), fragment, refuse);
        by_number = self.branch(IF_EQUAL, AUTHENTICATION.into(), authentication, by_number);
        for header in [DESTINATION, ROUTING, HOP_BY_HOP] {
            by_number = self.branch(IF_EQUAL, header.into(), sized, by_number);
        }
        self.transport_by_number(transport, by_number)
    }

    /// The beginning: whose the frame was, and by which interface it came.
    fn begin(mut self, passing: &Passing<'_>, inside: Place, refuse: Place) -> Vec<Instruction> {
        let interface = match passing.interfaces {
            None => {
                let not_loopback = self.branch(IF_EQUAL, LOOPBACK, refuse, inside);
                self.then(&[(LOAD_WORD, HARDWARE_TYPE)], not_loopback)
            }
            Some(numbers) => {
                let mut numbers = numbers.to_vec();
                numbers.sort_unstable();
                numbers.dedup();
                let is_named = self.search(numbers.iter().map(|number| (*number, *number)), inside, refuse);
                self.then(&[(LOAD_WORD, INTERFACE)], is_named)
            }
        };
        let is_ours = self.branch(IF_EQUAL, TO_THIS_HOST, interface, refuse);
        self.then(&[(LOAD_WORD, PACKET_TYPE)], is_ours);
        self.code.reverse();
        self.code
    }

    /// `yes` if the accumulator is in one of the ascending ranges. A binary search: a hundred ports cost seven comparisons.
    fn search(&mut self, ranges: impl Iterator<Item = (u32, u32)>, yes: Place, no: Place) -> Place {
        // At each of these numbers, membership changes.
        let turns: Vec<u32> =
            ranges.flat_map(|(first, last)| [Some(first), last.checked_add(1)]).flatten().collect();
        self.search_turns(&turns, no, yes)
    }

    /// To `here` from below every turn; each turn that is reached leads from one of the two to the other.
    fn search_turns(&mut self, turns: &[u32], here: Place, there: Place) -> Place {
        let (below, rest) = turns.split_at(turns.len() / 2);
        let [turn, above @ ..] = rest else { return here };
        let is_there_above = below.len() % 2 == 0;
        let (next, after_next) = if is_there_above { (there, here) } else { (here, there) };
        let above = self.search_turns(above, next, after_next);
        let below = self.search_turns(below, here, there);
        self.branch(IF_AT_LEAST, *turn, above, below)
    }

    /// Instructions in a row, and behind them `next`.
    fn then(&mut self, row: &[(u16, u32)], next: Place) -> Place {
        let mut place = self.right_before(next);
        for &(code, operand) in row.iter().rev() {
            place = self.push(code, 0, 0, operand);
        }
        place
    }

    fn branch(&mut self, condition: u16, operand: u32, yes: Place, no: Place) -> Place {
        let (yes, no) = (self.near(yes), self.near(no));
        let (yes, no) = (self.distance(yes), self.distance(no));
        let short = |distance| u8::try_from(distance).expect("both are near");
        self.push(condition, short(yes), short(no), operand)
    }

    /// The place itself, or a jump to it that is within reach of a branch.
    fn near(&mut self, place: Place) -> Place {
        if self.distance(place) <= NEAR { place } else { self.jump(place) }
    }

    fn right_before(&mut self, place: Place) -> Place {
        if self.distance(place) == 0 { place } else { self.jump(place) }
    }

    fn jump(&mut self, place: Place) -> Place {
        let distance = u32::try_from(self.distance(place)).expect("a program is short");
        self.push(JUMP, 0, 0, distance)
    }

    /// How many instructions lie between the next one to be written and a place.
    fn distance(&self, place: Place) -> usize {
        self.code.len() - 1 - place.0
    }

    fn push(&mut self, code: u16, yes: u8, no: u8, operand: u32) -> Place {
        self.code.push(Instruction { code, yes, no, operand });
        Place(self.code.len() - 1)
    }
}
