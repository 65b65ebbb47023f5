//! Which packets are heard, and as what.

use knockgate_agent::capture::ProbeSeen;
use knockgate_agent::capture::watch::{Wanted, WantedPackets};
use knockgate_agent::firewall::Protocol;

use crate::frames::{self, BROADCAST_MAC, GATE_MAC, SYN, TCP, UDP, V4, V6, datagram, frame, segment};
use crate::netns::wait_until;
use crate::scene::*;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;

pub(super) fn plain() {
    let mut scene = Scene::new(&wanted());
    for (family, source) in [(0, "10.1.0.2"), (1, "fd01::2")] {
        let (to, source) = (gates(family), source.parse().expect("an address"));
        send_udp(&scene.lab.client, to, KNOCK_PORT, &[1; 200]);
        send_udp(&scene.lab.client, to, UDP_STEP, b"");
        send_udp(&scene.lab.client, to, DECOY, &[2; 200]);
        send_syn(&scene.lab.client, to, TCP_STEP);
        send_syn(&scene.lab.client, to, DECOY);
        let probe = |protocol, port| {
            let syn = protocol == Protocol::Tcp;
            Heard::Probe(ProbeSeen { source, destination: to, protocol, port, syn })
        };
        let expected = [
            Heard::Knock((to, KNOCK_PORT).into(), 1),
            probe(Protocol::Udp, UDP_STEP),
            probe(Protocol::Udp, DECOY),
            probe(Protocol::Tcp, TCP_STEP),
            probe(Protocol::Tcp, DECOY),
        ];
        assert_eq!(scene.heard(), expected);
    }
    assert_eq!(scene.watch.counts(), Default::default());
}

pub(super) fn extension_headers() {
    let mut scene = Scene::new(&wanted());
    let after = |next: u8, length: u8, payload: &[u8]| {
        let mut header = vec![next, length, 1, 4];
        header.resize((usize::from(length) + 1) * 8, 0);
        [&header, payload].concat()
    };
    let fragment =
        |next: u8, offset: u8, payload: &[u8]| [&[next, 0, 0, offset, 0, 0, 0, 1], payload].concat();
    let knock = knock(1);
    let all = after(DESTINATION, 0, &after(ROUTING, 0, &after(FRAGMENT, 0, &fragment(UDP, 0, &knock))));
    let cases = [
        ("1 hop by hop", HOP_BY_HOP, after(UDP, 0, &knock), true),
        ("2 long options", DESTINATION, after(UDP, 9, &knock), true),
        ("3 routing", ROUTING, after(UDP, 2, &knock), true),
        ("4 a fragment that is all", FRAGMENT, fragment(UDP, 0, &knock), true),
        ("5 one of each", HOP_BY_HOP, all, true),
        ("6 a later fragment", FRAGMENT, fragment(UDP, 8, &knock), false),
        ("7 ICMP behind options", DESTINATION, after(58, 0, &knock), false),
        ("8 no next header", 59, knock.clone(), false),
    ];
    for (name, next, payload, expected) in cases {
        scene.send(&frame(GATE_MAC, V6, &frames::v6(v6(GATE_V6), next, &payload)));
        assert_eq!(scene.heard().len(), usize::from(expected), "{name}");
    }
}

pub(super) fn tagged() {
    let mut scene = Scene::new(&wanted());
    for (kind, family) in [(V4, 0), (V6, 1)] {
        let packet = packet(family, UDP, &knock(1));
        scene.send(&frames::tagged(0, kind, &packet));
        assert_eq!(scene.heard(), [Heard::Knock((gates(family), KNOCK_PORT).into(), 1)], "once");
        scene.send(&frames::tagged(5, kind, &packet));
        assert_eq!(scene.heard(), [], "that VLAN has no interface here");
    }
}

pub(super) fn unasked() {
    let mut scene = Scene::new(&wanted());
    let sized = |size| datagram(KNOCK_PORT, &vec![1; size]);
    for family in 0..2 {
        let kind = [V4, V6][family];
        let payloads = [
            (UDP, sized(199)),
            (UDP, sized(201)),
            (UDP, sized(0)),
            (UDP, datagram(KNOCK_PORT + 1, &[1; 200])),
            (UDP, datagram(TCP_STEP, b"step")),
            (TCP, segment(UDP_STEP, SYN)),
            (TCP, segment(KNOCK_PORT, SYN)),
            (TCP, segment(TCP_STEP, 0x12)),
            (TCP, segment(TCP_STEP, 0x10)),
            (TCP, segment(TCP_STEP, 0x04)),
            (TCP, segment(DECOY, 0x01)),
            (1, knock(1)),
        ];
        for (protocol, payload) in payloads {
            scene.send(&frame(GATE_MAC, kind, &packet(family, protocol, &payload)));
        }
    }
    scene.send(&frame(GATE_MAC, V4, &frames::fragment_v4(GATE_V4.into(), 1, UDP, &knock(1))));
    // An IPv6 packet that says to be IPv4, and the other way round.
    scene.send(&frame(GATE_MAC, V4, &packet(1, UDP, &knock(1))));
    scene.send(&frame(GATE_MAC, V6, &packet(0, UDP, &knock(1))));
    scene.send(&frame(GATE_MAC, 0x0806, &packet(0, UDP, &knock(1))));
    assert_eq!(scene.hear(), (vec![], 0), "nothing was read");
    assert_eq!(scene.watch.counts(), Default::default());
}

pub(super) fn padded() {
    let mut scene = Scene::new(&wanted());
    let padding = [9; 40];
    // A short datagram on a short frame, and one whose bytes are behind the packet's end.
    let short = packet(0, UDP, &datagram(UDP_STEP, b"x"));
    scene.send(&frame(GATE_MAC, V4, &[&short[..], &padding].concat()));
    assert_eq!(scene.heard().len(), 1);
    let whole = [&packet(0, UDP, &knock(1))[..], &padding].concat();
    scene.send(&frame(GATE_MAC, V4, &whole));
    assert_eq!(scene.heard().len(), 1);
    for (at, length) in [(2, 100_u16), (2, 400)] {
        let mut lying = packet(0, UDP, &knock(1));
        lying[at..at + 2].copy_from_slice(&length.to_be_bytes());
        scene.send(&frame(GATE_MAC, V4, &lying));
        assert_eq!(scene.hear(), (vec![], 1), "{length}: read, and not believed");
    }
    assert_eq!(scene.watch.counts().unreadable, 2);
}

pub(super) fn foreign() {
    let mut scene = Scene::new(&wanted());
    scene.lab.forward();
    let to = |mac, address: [u8; 4]| frame(mac, V4, &frames::v4(address.into(), UDP, &knock(1)));
    let to_v6 = |mac, address| frame(mac, V6, &frames::v6(v6(address), UDP, &knock(1)));
    let all_nodes = [0x33, 0x33, 0, 0, 0, 1];
    let frames = [
        to(BROADCAST_MAC, [10, 1, 0, 255]),
        to(BROADCAST_MAC, GATE_V4),
        to([1, 0, 0x5e, 0, 0, 1], [224, 0, 0, 1]),
        to([2, 0, 0, 0, 0, 9], GATE_V4),
        to_v6(all_nodes, "ff02::1"),
        to_v6(all_nodes, GATE_V6),
    ];
    frames.iter().for_each(|frame| scene.send(frame));
    assert_eq!(scene.hear(), (vec![], 0), "the frame says that it is not for this host alone");
    let frames = [
        to(GATE_MAC, [10, 3, 0, 2]),
        to(GATE_MAC, [10, 1, 0, 255]),
        to(GATE_MAC, [10, 1, 0, 7]),
        to(GATE_MAC, [224, 0, 0, 1]),
        to_v6(GATE_MAC, "fd03::2"),
        to_v6(GATE_MAC, "ff02::1"),
        to_v6(GATE_MAC, "fd01::"),
    ];
    frames.iter().for_each(|frame| scene.send(frame));
    assert_eq!(scene.hear(), (vec![], frames.len()), "the address is not this host's");
    assert_eq!(scene.watch.counts().foreign, 7);
    scene.send(&to(GATE_MAC, [10, 3, 0, 1]));
    assert_eq!(scene.heard().len(), 1, "an address that the host has on another interface");
}

pub(super) fn own() {
    let mut scene = Scene::new(&wanted());
    for family in 0..2 {
        send_udp(&scene.lab.gate, gates(family), KNOCK_PORT, &[1; 200]);
        let client = ["10.1.0.2", "fd01::2"][family].parse().expect("an address");
        send_udp(&scene.lab.gate, client, KNOCK_PORT, &[1; 200]);
        send_syn(&scene.lab.gate, client, TCP_STEP);
    }
    send_udp(&scene.lab.gate, [127, 0, 0, 1].into(), KNOCK_PORT, &[1; 200]);
    assert_eq!(scene.hear(), (vec![], 0));
}

pub(super) fn addresses() {
    let mut scene = Scene::new(&wanted());
    let added = frame(GATE_MAC, V4, &frames::v4([10, 1, 0, 77].into(), UDP, &knock(1)));
    let added_v6 = frame(GATE_MAC, V6, &frames::v6(v6("fd01::77"), UDP, &knock(1)));
    let network = frame(GATE_MAC, V4, &frames::v4([10, 77, 1, 2].into(), UDP, &knock(1)));
    for (change, expected) in [("add", 3), ("delete", 0), ("add", 3)] {
        scene.lab.gate.ip(&format!(
            "address {change} 10.1.0.77/24 dev eth1\n\
             address {change} fd01::77/64 dev eth1 nodad\n\
             route {change} local 10.77.0.0/16 dev lo\n"
        ));
        // The kernel gives a new address of IPv6 its route a little later.
        wait_until(change, || {
            [&added, &added_v6, &network].into_iter().for_each(|frame| scene.send(frame));
            scene.hear().0.len() == expected
        });
    }
}

pub(super) fn flood() {
    const FRAMES: usize = 100_000;
    let mut scene = Scene::new(&wanted());
    let junk = frame(GATE_MAC, V4, &packet(0, UDP, &knock(1)));
    (0..FRAMES).for_each(|_| scene.send(&junk));

    let mut read = 0;
    wait_until("everything was read", || {
        let taken = scene.watch.read(64, &mut |_| {}).expect("reads");
        assert!(taken.packets <= 64);
        read += taken.packets;
        !taken.more
    });

    let lost = usize::try_from(scene.watch.counts().lost).expect("few");
    assert_eq!(read + lost, FRAMES, "{read} read, {lost} lost");
    assert!(lost > 0 && (1000..40_000).contains(&read), "{read} read, {lost} lost");
    scene.send(&frame(GATE_MAC, V4, &packet(0, UDP, &knock(2))));
    assert_eq!(scene.heard(), [Heard::Knock((gates(0), KNOCK_PORT).into(), 2)], "and it goes on");
    assert_eq!(scene.watch.counts().lost, lost as u64, "what was counted stays counted");
}

pub(super) fn nothing_is_allocated() {
    let mut scene = Scene::new(&Wanted { interfaces: vec!["eth1".to_owned()], ..wanted() });
    // A host that has just got its addresses goes on changing for a while, and those are read anew.
    wait_until("a reading without a change of the host", || {
        for _ in 0..100 {
            scene.send(&frame(GATE_MAC, V4, &packet(0, UDP, &knock(1))));
            scene.send(&frame(GATE_MAC, V6, &packet(1, TCP, &segment(TCP_STEP, SYN))));
            scene.send(&frame(GATE_MAC, V4, &frames::v4([10, 3, 0, 2].into(), UDP, &knock(1))));
        }
        let mut seen = 0;
        let allocated = allocation_counter::measure(|| {
            while scene.watch.read(64, &mut |_| seen += 1).is_ok_and(|taken| taken.packets > 0) {}
        });
        assert_eq!(seen, 200);
        allocated.count_total == 0
    });
}

pub(super) fn large() {
    let ranges = (0..64).map(|n| 40_000 + n * 300).map(|first| first..=first + 99);
    let steps = (0..128).map(|n| 1000 + n * 37);
    let wanted = Wanted {
        packets: WantedPackets::Ports(ranges.chain([KNOCK_PORT..=KNOCK_PORT]).collect()),
        probes: (0..100).map(|n| 10_000 + n * 229).collect(),
        statics: steps.flat_map(|port| [(Protocol::Tcp, port), (Protocol::Udp, port + 9)]).collect(),
        ..Wanted::default()
    };
    let mut scene = Scene::new(&wanted);
    for (port, expected) in [(40_000, 1), (58_999, 1), (59_000, 0), (39_999, 0)] {
        scene.send(&frame(GATE_MAC, V6, &packet(1, UDP, &datagram(port, &[1; 200]))));
        assert_eq!(scene.heard().len(), expected, "{port}");
    }
    for (port, expected) in [(10_000 + 99 * 229, 1), (10_000 + 99 * 229 + 1, 0), (1000 + 127 * 37, 1)] {
        scene.send(&frame(GATE_MAC, V4, &packet(0, TCP, &segment(port, SYN))));
        assert_eq!(scene.heard().len(), expected, "{port}");
    }
}

/// To the gate.
fn packet(family: usize, protocol: u8, payload: &[u8]) -> Vec<u8> {
    match family {
        0 => frames::v4(GATE_V4.into(), protocol, payload),
        _ => frames::v6(v6(GATE_V6), protocol, payload),
    }
}
