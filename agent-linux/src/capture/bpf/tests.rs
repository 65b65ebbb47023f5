//! The filter against the judge, in an interpreter of classic BPF. That the kernel reads programs likewise is tested in
//! `tests/capture`.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::judge::Judge;
use super::super::watch::{Wanted, WantedPackets};
use super::*;

const TCP: u8 = 6;
const UDP: u8 = 17;
const KNOCKS: u16 = 62_201;
const DECOY: u16 = 10_001;
const STEP: u16 = 7000;
const ETHERNET: u32 = 1;

#[test]
fn only_what_is_wanted_passes() {
    let judge = Judge::new(&wanted());
    let knock = |port| datagram(port, 208);
    let padded = |length| [&[0; 12][..], &vec![0; length]].concat();
    let v4 = |protocol, payload: &[u8]| packet_v4(&[], 0, protocol, payload);
    let cases = [
        ("1 a knock", v4(UDP, &knock(KNOCKS)), true),
        ("2 to another port", v4(UDP, &knock(KNOCKS + 1)), false),
        ("3 shorter", v4(UDP, &datagram(KNOCKS, 207)), false),
        ("4 longer", v4(UDP, &datagram(KNOCKS, 209)), false),
        ("5 to a decoy, of any size", v4(UDP, &datagram(DECOY, 9)), true),
        ("6 beside a decoy", v4(UDP, &datagram(DECOY + 1, 9)), false),
        ("7 a step in TCP", v4(TCP, &segment(STEP, 0x02)), true),
        ("8 a step in UDP", v4(UDP, &datagram(STEP + 1, 8)), true),
        ("9 a step in the other protocol", v4(UDP, &datagram(STEP, 8)), false),
        ("10 a step in the other protocol", v4(TCP, &segment(STEP + 1, 0x02)), false),
        ("11 SYN and ACK", v4(TCP, &segment(STEP, 0x12)), false),
        ("12 SYN and RST", v4(TCP, &segment(STEP, 0x06)), false),
        ("13 SYN and FIN", v4(TCP, &segment(STEP, 0x03)), false),
        ("14 SYN with ECN and PSH", v4(TCP, &segment(STEP, 0xca)), true),
        ("15 ICMP", v4(1, &knock(KNOCKS)), false),
        ("16 with options", packet_v4(&padded(8), 0, UDP, &knock(KNOCKS)), true),
        ("17 a later fragment", packet_v4(&[], 1, UDP, &knock(KNOCKS)), false),
        ("18 may not be fragmented", packet_v4(&[], 0x4000, UDP, &knock(KNOCKS)), true),
        ("19 of version 5", [&[0x55][..], &v4(UDP, &knock(KNOCKS))[1..]].concat(), false),
        ("20 nothing", vec![], false),
        ("21 v6", packet_v6(&[], UDP, &knock(KNOCKS)), true),
        ("22 v6 to another port", packet_v6(&[], UDP, &knock(KNOCKS + 1)), false),
        ("23 v6 behind options", packet_v6(&[(HOP_BY_HOP, vec![0; 16])], UDP, &knock(KNOCKS)), true),
        ("24 v6 in one fragment", packet_v6(&[(FRAGMENT, vec![0; 8])], UDP, &knock(KNOCKS)), true),
        (
            "25 v6 later fragment",
            packet_v6(&[(FRAGMENT, vec![0, 0, 0, 8, 0, 0, 0, 0])], UDP, &knock(KNOCKS)),
            false,
        ),
        ("26 v6 ICMP behind options", packet_v6(&[(DESTINATION, vec![0; 8])], 58, &knock(KNOCKS)), false),
        ("27 v6 as many headers as there can be", packet_v6(&six(), TCP, &segment(STEP, 2)), true),
        ("28 v6 one more", packet_v6(&[six(), six()].concat()[..7], TCP, &segment(STEP, 2)), false),
    ];
    for (name, packet, expected) in cases {
        let passes = run(&program(&judge, &packet, None), &arrived(&packet));
        assert_eq!(passes.is_some(), expected, "{name}");
        assert_eq!(judge.read(&packet, 3).is_some(), expected, "{name}");
    }
}

#[test]
fn only_frames_for_this_host_pass_and_only_on_interfaces_that_count() {
    let judge = Judge::new(&wanted());
    let packet = packet_v4(&[], 0, UDP, &datagram(KNOCKS, 208));
    let frame = arrived(&packet);
    let cases: [(Frame<'_>, Option<&[u32]>, bool); 9] = [
        (frame, None, true),                                  // 1
        (Frame { to: 1, ..frame }, None, false),              // 2 broadcast
        (Frame { to: 2, ..frame }, None, false),              // 3 multicast
        (Frame { to: 3, ..frame }, None, false),              // 4 to another host
        (Frame { hardware: LOOPBACK, ..frame }, None, false), // 5
        (frame, Some(&[3]), true),                            // 6
        (frame, Some(&[9, 3, 2, 3]), true),                   // 7
        (frame, Some(&[2, 4]), false),                        // 8
        (frame, Some(&[]), false),                            // 9
    ];
    for (number, (frame, interfaces, expected)) in cases.iter().enumerate() {
        let passes = run(&program(&judge, &packet, *interfaces), frame);
        assert_eq!(passes.is_some(), *expected, "{}", number + 1);
    }
}

#[test]
fn every_port_of_a_large_configuration_is_found_and_no_other() {
    let judge = Judge::new(&large());
    let (v4, v6) = (v4(&judge.passing(None)), v6(&judge.passing(None)));
    println!("{} and {} instructions", v4.len(), v6.len());
    assert!(v6.len() < MAX_INSTRUCTIONS);
    for port in 0..=u16::MAX {
        for payload in [datagram(port, 208), datagram(port, 9)] {
            let packet = packet_v4(&[], 0, UDP, &payload);
            let passes = run(&v4, &arrived(&packet));
            assert_eq!(passes.is_some(), judge.read(&packet, 3).is_some(), "{port}");
        }
        let packet = packet_v6(&[], TCP, &segment(port, 2));
        assert_eq!(run(&v6, &arrived(&packet)).is_some(), judge.read(&packet, 3).is_some(), "{port}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn whatever_the_judge_takes_the_filter_lets_pass(
        packet in packets(),
        bend in proptest::option::of((0..400_usize, any::<u8>())),
        cut in proptest::option::of(0..400_usize),
        interfaces in proptest::option::of(vec(0..6_u32, 0..4)),
    ) {
        let mut packet = packet;
        if let Some((at, value)) = bend && let Some(byte) = packet.get_mut(at) {
            *byte = value;
        }
        packet.truncate(cut.unwrap_or(usize::MAX));
        for wanted in [wanted(), large(), Wanted { packets: WantedPackets::Anywhere { except: vec![53] }, ..wanted() }] {
            let judge = Judge::new(&wanted);
            let passes = run(&program(&judge, &packet, interfaces.as_deref()), &arrived(&packet));
            let is_heard = interfaces.as_ref().is_none_or(|numbers| numbers.contains(&3));
            if is_heard && judge.read(&packet, 3).is_some() {
                prop_assert_eq!(passes, Some(KEPT));
            }
            prop_assert!(is_heard || passes.is_none());
        }
    }
}

fn packets() -> impl Strategy<Value = Vec<u8>> {
    let ports = prop_oneof![Just(KNOCKS), Just(DECOY), Just(STEP), Just(STEP + 1), Just(53), any::<u16>()];
    let length = prop_oneof![Just(208_u16), 0..220_u16];
    let flags = prop_oneof![Just(0x02_u8), any::<u8>()];
    let payload = (ports, length, flags, any::<bool>()).prop_map(|(port, length, flags, is_tcp)| {
        if is_tcp { (TCP, segment(port, flags)) } else { (UDP, datagram(port, length)) }
    });
    let number = prop_oneof![
        Just(HOP_BY_HOP),
        Just(ROUTING),
        Just(FRAGMENT),
        Just(AUTHENTICATION),
        Just(DESTINATION),
        Just(59)
    ];
    let extension =
        (number, prop_oneof![3 => Just(0_u8), 1 => any::<u8>()], 0..3_u8).prop_map(|(number, odd, extra)| {
            let length = if number == AUTHENTICATION { 12 } else { (usize::from(extra) + 1) * 8 };
            let mut bytes = vec![0; length];
            // The offset of a fragment, else one of the options.
            bytes[3] = odd;
            (number, bytes)
        });
    (
        payload,
        vec(extension, 0..8),
        prop_oneof![3 => Just(0_u16), 1 => any::<u16>()],
        0..4_usize,
        any::<bool>(),
    )
        .prop_map(|((protocol, payload), extensions, fragment, options, is_v4)| match is_v4 {
            true => packet_v4(&vec![0; options * 4], fragment, protocol, &payload),
            false => packet_v6(&extensions, protocol, &payload),
        })
}

fn wanted() -> Wanted {
    Wanted {
        packets: WantedPackets::Ports(vec![KNOCKS..=KNOCKS]),
        probes: vec![DECOY],
        statics: vec![(Protocol::Tcp, STEP), (Protocol::Udp, STEP + 1)],
        ..Wanted::default()
    }
}

/// A hundred decoys, as many ranges as anybody would list, sixteen long static sequences.
fn large() -> Wanted {
    let scattered = |count: u16, from: u16, apart: u16| (0..count).map(move |number| from + number * apart);
    Wanted {
        packets: WantedPackets::Ports(scattered(64, 40_000, 300).map(|first| first..=first + 99).collect()),
        probes: scattered(100, 10_000, 229).collect(),
        statics: scattered(128, 1000, 37)
            .flat_map(|port| [(Protocol::Tcp, port), (Protocol::Udp, port + 9)])
            .collect(),
        ..Wanted::default()
    }
}

fn program(judge: &Judge, packet: &[u8], interfaces: Option<&[u32]>) -> Vec<Instruction> {
    let passing = judge.passing(interfaces);
    // The kernel asks the filter of the family that the frame names; here the version stands for it.
    match packet.first().map(|byte| byte >> 4) {
        Some(6) => v6(&passing),
        _ => v4(&passing),
    }
}

fn six() -> Vec<(u8, Vec<u8>)> {
    [HOP_BY_HOP, DESTINATION, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION]
        .into_iter()
        .map(|number| (number, vec![0; if number == AUTHENTICATION { 12 } else { 8 }]))
        .collect()
}

fn packet_v4(options: &[u8], fragment: u16, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let words = u8::try_from(5 + options.len() / 4).expect("short");
    let [high, low] = fragment.to_be_bytes();
    let head = [0x40 | words, 0, 0, 0, 0, 0, high, low, 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    [&head, options, payload].concat()
}

/// Extension headers by their number and bytes, of which the first two are written here.
fn packet_v6(extensions: &[(u8, Vec<u8>)], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let numbers: Vec<u8> = extensions.iter().map(|(number, _)| *number).chain([protocol]).collect();
    let mut packet = vec![0x60, 0, 0, 0, 0, 0, numbers[0], 64];
    packet.extend_from_slice(&[1; 16]);
    packet.extend_from_slice(&[2; 16]);
    for ((number, bytes), next) in extensions.iter().zip(&numbers[1..]) {
        let length = match *number {
            AUTHENTICATION => bytes.len() / 4 - 2,
            FRAGMENT => 0,
            _ => bytes.len() / 8 - 1,
        };
        packet.extend_from_slice(&[*next, u8::try_from(length).expect("short")]);
        packet.extend_from_slice(&bytes[2..]);
    }
    packet.extend_from_slice(payload);
    packet
}

/// Says that it has `length` bytes, and has them.
fn datagram(port: u16, length: u16) -> Vec<u8> {
    let header = [50_000, port, length, 0].map(u16::to_be_bytes).concat();
    [header, vec![7; usize::from(length.saturating_sub(8))]].concat()
}

fn segment(port: u16, flags: u8) -> Vec<u8> {
    let [high, low] = port.to_be_bytes();
    vec![0xc3, 0x50, high, low, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0]
}

#[derive(Clone, Copy)]
struct Frame<'a> {
    bytes: &'a [u8],
    to: u32,
    interface: u32,
    hardware: u32,
}

fn arrived(bytes: &[u8]) -> Frame<'_> {
    Frame { bytes, to: TO_THIS_HOST, interface: 3, hardware: ETHERNET }
}

impl Frame<'_> {
    fn word(&self, at: u32) -> Option<u32> {
        match at {
            PACKET_TYPE => Some(self.to),
            INTERFACE => Some(self.interface),
            HARDWARE_TYPE => Some(self.hardware),
            _ => panic!("words are only read from beside the packet"),
        }
    }

    fn half(&self, at: u32) -> Option<u32> {
        let bytes = self.bytes.get(usize::try_from(at).ok()?..)?.first_chunk()?;
        Some(u16::from_be_bytes(*bytes).into())
    }

    fn byte(&self, at: u32) -> Option<u32> {
        self.bytes.get(usize::try_from(at).ok()?).map(|byte| u32::from(*byte))
    }
}

/// How many bytes of a frame a program keeps; `None`: it refuses the frame.
fn run(program: &[Instruction], frame: &Frame<'_>) -> Option<usize> {
    let (mut accumulator, mut index, mut memory) = (0_u32, 0_u32, [0_u32; 16]);
    let place = |operand| usize::try_from(operand).expect("small");
    let mut rest = program;
    loop {
        let ([Instruction { code, yes, no, operand }, behind @ ..], at) = (rest, index) else {
            panic!("a program ends by returning");
        };
        let operand = *operand;
        let mut skipped = 0;
        let mut branch = |condition| skipped = usize::from(if condition { *yes } else { *no });
        match *code {
            LOAD_WORD => accumulator = frame.word(operand)?,
            LOAD_HALF => accumulator = frame.half(operand)?,
            LOAD_BYTE => accumulator = frame.byte(operand)?,
            LOAD_HALF_INDEXED => accumulator = frame.half(at.checked_add(operand)?)?,
            LOAD_BYTE_INDEXED => accumulator = frame.byte(at.checked_add(operand)?)?,
            LOAD_INDEX_HEADER => index = (frame.byte(operand)? & 0x0f) * 4,
            LOAD_INDEX => index = operand,
            LOAD_MEMORY => accumulator = memory[place(operand)],
            STORE => memory[place(operand)] = accumulator,
            ADD => accumulator = accumulator.wrapping_add(operand),
            ADD_INDEX => accumulator = accumulator.wrapping_add(index),
            SHIFT_LEFT => accumulator <<= operand,
            AND => accumulator &= operand,
            TO_INDEX => index = accumulator,
            FROM_INDEX => accumulator = index,
            JUMP => skipped = place(operand),
            IF_EQUAL => branch(accumulator == operand),
            IF_AT_LEAST => branch(accumulator >= operand),
            IF_ANY_BIT => branch(accumulator & operand != 0),
            RETURN => return (operand != 0).then(|| place(operand)),
            other => panic!("instruction {other:#x} is not one of ours"),
        }
        rest = &behind[skipped..];
    }
}
