//! Packet knocks: seen without an open port, answered without one, and on a socket of our own.

use std::mem::MaybeUninit;
use std::net::{SocketAddr, SocketAddrV6};

use knockgate_agent::capture::answer::Answerer;
use knockgate_agent::capture::bound::BoundSocket;
use knockgate_agent::capture::packets::{PacketLog, PacketSeen};
use knockgate_agent::capture::watch::Seen;
use knockgate_agent::firewall::{Packets, PortRange};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use super::*;
use crate::traffic::{knocker, send_udp, udp_meets};

const KNOCK: [u8; 200] = [7; 200];
const REPLY: [u8; 200] = [8; 200];
const PORT: u16 = 62_201;
const KNOCKS: u16 = 63;

pub(super) fn watched() {
    let lab = Lab::new();
    let mut log = listen(&lab);
    let _firewall = install(&lab, &watching());
    for family in 0..2 {
        let to = gate(&lab, family);
        for port in [PORT, 62_300, 62_301] {
            assert_eq!(udp_meets(&lab.stranger, to, port, &KNOCK), Answer::Silence);
            let seen = next_packet(&mut log);
            assert_eq!((seen.source.ip(), seen.message), (stranger(&lab, family), KNOCK));
            assert_eq!(seen.destination, SocketAddr::new(to, port));
        }
        for size in [0, 1, 199, 201, 1200] {
            assert_eq!(udp_meets(&lab.stranger, to, PORT, &vec![7; size]), Answer::Silence, "{size}");
        }
        assert_eq!(udp_meets(&lab.stranger, to, 62_299, &KNOCK), Answer::Refused, "not watched");
        assert_eq!(dial(&lab.stranger, to, PORT), Answer::Refused, "TCP is as before");
    }
    for group in ["10.1.0.255", "255.255.255.255"] {
        send_udp(&lab.client, group.parse().expect("an address"), PORT, &KNOCK);
    }
    assert_eq!(udp_meets(&lab.gate, gate(&lab, 0), PORT, &KNOCK), Answer::Refused, "from the host itself");
    send_udp(&lab.client, gate(&lab, 0), PORT, &REPLY);
    assert_eq!(next_packet(&mut log).message, REPLY, "nothing came between");
    assert_eq!(log.try_recv().expect("reads"), None);
    assert_eq!((log.lost(), log.unreadable()), (0, 0));
}

pub(super) fn fragments() {
    let lab = Lab::new();
    lab.client.ip("link set eth0 mtu 100\n");
    let mut log = listen(&lab);
    let _firewall = install(&lab, &watching());
    send_udp(&lab.client, gate(&lab, 0), PORT, &KNOCK);
    assert_eq!(next_packet(&mut log).message, KNOCK);
    assert_eq!(log.unreadable(), 0);
}

pub(super) fn answered() {
    let lab = Lab::new();
    let mut log = listen(&lab);
    let _firewall = install(&lab, &watching());
    let mut answerer = lab.gate.on(|| Answerer::open().expect("root may"));
    for asked in ["10.1.0.1", "10.2.0.1", "fd01::1", "fd02::1"] {
        let asked = SocketAddr::new(asked.parse().expect("an address"), PORT);
        let client = knocker(&lab.client, asked);
        // Again and again from one port: the flow that an answer makes does not hide the next knock.
        for round in 0..3 {
            client.send(&[round; 200]).expect("sends");
            let seen = next_packet(&mut log);
            assert_eq!((seen.destination, seen.message[0]), (asked, round));
            assert_eq!(seen.source, client.local_addr().expect("it is connected"));
            answerer.answer(seen.source, seen.destination, &REPLY).expect("sends");
            assert_eq!(traffic::receive_udp(&client), REPLY);
        }
    }
    assert!(lab.gate.on(|| traffic::table("udp").is_empty()), "nothing is bound");
}

pub(super) fn answered_on_the_link() {
    let lab = Lab::new();
    let mut log = listen(&lab);
    let _firewall = install(&lab, &watching());
    let mut answerer = lab.gate.on(|| Answerer::open().expect("root may"));
    let (gates, at_the_gate) = lab.gate.link_local_on("eth1");
    let (own, interface) = lab.client.link_local_on("eth0");
    let global = SocketAddr::new(gate(&lab, 1), PORT);
    for asked in [SocketAddrV6::new(gates, PORT, 0, interface).into(), global] {
        let client = knocker(&lab.client, asked);
        client.send(&KNOCK).expect("sends");
        let PacketSeen { source, destination, .. } = next_packet(&mut log);
        if asked != global {
            let port = client.local_addr().expect("it is connected").port();
            assert_eq!(source, SocketAddrV6::new(own, port, 0, at_the_gate).into());
        }
        answerer.answer(source, destination, &REPLY).expect("sends");
        assert_eq!(traffic::receive_udp(&client), REPLY);
    }
}

pub(super) fn answers_take_their_route() {
    let lab = Lab::new();
    lab.gate.ip("rule add from 10.2.0.1 unreachable\n");
    let mut answerer = lab.gate.on(|| Answerer::open().expect("root may"));
    let client = lab.client.on(|| traffic::udp(50_000));
    let to = SocketAddr::new(lab.client.v4.parse().expect("an address"), 50_000);
    let mut from = |address: &str| {
        answerer.answer(to, SocketAddr::new(address.parse().expect("an address"), PORT), &REPLY)
    };
    assert!(from("10.2.0.1").is_err(), "the rule for its source forbids it");
    from("10.1.0.1").expect("sends");
    from("10.9.0.1").expect("sends for an address that is routed here without being on an interface");
    assert!(from("fd01::1").is_err(), "two families");
    assert_eq!(traffic::receive_udp(&client), REPLY);
    assert_eq!(traffic::receive_udp(&client), REPLY);
    assert_eq!(traffic::drain_udp(&client), 0);
}

pub(super) fn the_answerer_is_deaf() {
    let lab = Lab::new();
    let _answerer = lab.gate.on(|| Answerer::open().expect("root may"));
    for family in 0..2 {
        let witness = lab.gate.on(|| traffic::raw(gate(&lab, family)));
        // Every socket has had the first one when the witness has the second.
        for _ in 0..2 {
            traffic::send_raw(&lab.client, client(&lab, family), gate(&lab, family));
        }
        for _ in 0..2 {
            assert!(witness.recv(&mut [MaybeUninit::uninit(); 64]).expect("it comes") > 0);
        }
        let sockets = lab.gate.on(|| traffic::table(["raw", "raw6"][family]));
        assert_eq!(sockets.len(), 2, "{sockets:?}");
        assert!(sockets.iter().all(|socket| socket.contains(" 00000000:00000000 ")), "{sockets:?}");
    }
}

pub(super) fn the_hosts_own_flows() {
    let lab = Lab::new();
    let _log = listen(&lab);
    let _firewall = install(&lab, &watching());
    let resolver = lab.client.on(|| traffic::udp(53));
    let host = lab.gate.on(|| traffic::udp(PORT));
    host.send_to(b"question", (lab.client.v4, 53)).expect("sends");
    let (_, from) = resolver.recv_from(&mut [0; 64]).expect("it is asked");
    resolver.send_to(b"answer", from).expect("sends");
    assert_eq!(traffic::receive_udp(&host), b"answer");
}

pub(super) fn anywhere() {
    let lab = Lab::new();
    let mut log = listen(&lab);
    let packets = Packets::WatchedAnywhere { report: Report::Nflog { group: KNOCKS } };
    let mut firewall = install(&lab, &Plan { packets, mode: CLOSED, ..plan() });
    let mut probes = lab.gate.on(|| ProbeLog::bind(GROUP).expect("the group is free"));
    let media = lab.gate.on(|| traffic::udp(MEDIA));
    for family in 0..2 {
        let to = gate(&lab, family);
        for port in [1, 9999, 65_535] {
            assert_eq!(udp_meets(&lab.stranger, to, port, &KNOCK), Answer::Silence);
            assert_eq!(next_packet(&mut log).destination, SocketAddr::new(to, port));
            assert_eq!(udp_meets(&lab.stranger, to, port, &KNOCK[1..]), Answer::Refused, "the bare host");
        }
        send_udp(&lab.client, to, MEDIA, &KNOCK);
        let (protocol, ports) = (Protocol::Udp, [MEDIA].into());
        let door = Grant { service: 3, protocol, ports, ..grant(1, client(&lab, family)) };
        firewall.open(&door).expect("opens");
        send_udp(&lab.client, to, MEDIA, &REPLY);
        assert_eq!(traffic::receive_udp(&media), REPLY, "what a grant lets through, and only that");

        firewall.watch(client(&lab, family), MINUTE).expect("watches");
        send_udp(&lab.client, to, 10_001, b"a probe");
        assert_eq!(next_probe(&mut probes).port, 10_001);
        send_udp(&lab.client, to, 10_001, &KNOCK);
        assert_eq!(next_packet(&mut log).destination.port(), 10_001, "no wrong step of a sequence");
    }
    // The answer to a question of the host's own is no knock, whatever its size.
    let resolver = lab.client.on(|| traffic::udp(53));
    let host = lab.gate.on(|| traffic::udp(40_001));
    host.send_to(b"question", (lab.client.v4, 53)).expect("sends");
    let (_, from) = resolver.recv_from(&mut [0; 64]).expect("it is asked");
    resolver.send_to(&KNOCK, from).expect("sends");
    assert_eq!(traffic::receive_udp(&host), KNOCK);
    assert_eq!((log.try_recv().expect("reads"), probes.try_recv().expect("reads")), (None, None));
}

pub(super) fn bound() {
    let lab = Lab::new();
    let ports = vec![PortRange::one(PORT)];
    let _firewall = install(&lab, &Plan { packets: Packets::Bound { ports }, ..plan() });
    let mut socket = lab.gate.on(|| BoundSocket::bind(PORT).expect("the port is free"));
    let (gates, _) = lab.gate.link_local_on("eth1");
    let (_, interface) = lab.client.link_local_on("eth0");
    let asked = ["10.1.0.1", "10.2.0.1", "fd01::1", "fd02::1"];
    let asked = asked.map(|asked| SocketAddr::new(asked.parse().expect("an address"), PORT));
    for asked in asked.into_iter().chain([SocketAddrV6::new(gates, PORT, 0, interface).into()]) {
        let client = knocker(&lab.client, asked);
        for noise in [0, 199, 201, 1400] {
            client.send(&vec![1; noise]).expect("sends");
        }
        client.send(&KNOCK).expect("sends");
        let seen = next(&mut socket);
        assert_eq!((seen.destination.ip(), seen.message), (asked.ip(), KNOCK));
        assert_eq!(seen.destination.port(), PORT);
        socket.answerer().answer(seen.source, seen.destination, &REPLY).expect("sends");
        assert_eq!(traffic::receive_udp(&client), REPLY);
    }
    for group in ["10.1.0.255", "255.255.255.255"] {
        send_udp(&lab.client, group.parse().expect("an address"), PORT, &KNOCK);
    }
    send_udp(&lab.client, gate(&lab, 0), PORT, &REPLY);
    let broadcast =
        std::iter::repeat_with(|| next(&mut socket)).take_while(|seen| seen.message != REPLY).count();
    assert!(broadcast <= 1, "to all hosts of a net that this host is on, perhaps; to all hosts, never");
}

/// Waits for the next packet that a socket takes.
fn next(socket: &mut BoundSocket) -> PacketSeen {
    let mut next = None;
    wait_until("a packet comes", || {
        socket.read(&mut |seen| {
            if let Seen::Message { source, destination, message } = seen {
                next = Some(PacketSeen { source, destination, message: *message });
            }
        });
        next.is_some()
    });
    next.expect("it has come")
}

pub(super) fn powerless() {
    let lab = Lab::new();
    let log = lab.gate.on(|| {
        give_up_all();
        PacketLog::bind(KNOCKS).err()
    });
    assert!(matches!(log, Some(NflogError::NotAllowed)), "{log:?}");
}

pub(super) fn answered_without_power() {
    let lab = Lab::new();
    let mut log = listen(&lab);
    let _firewall = install(&lab, &watching());
    let (gates, _) = lab.gate.link_local_on("eth1");
    let (_, interface) = lab.client.link_local_on("eth0");
    let asked = [0, 1].map(|family| SocketAddr::new(gate(&lab, family), PORT));
    for asked in asked.into_iter().chain([SocketAddrV6::new(gates, PORT, 0, interface).into()]) {
        let client = knocker(&lab.client, asked);
        for _ in 0..2 {
            client.send(&KNOCK).expect("sends");
            let seen = next_packet(&mut log);
            lab.gate.on(|| {
                give_up_all();
                let mut answerer = Answerer::open().expect("a socket is bound for each answer");
                answerer.answer(seen.source, seen.destination, &REPLY).expect("anybody may send");
                let open = [traffic::table("udp"), traffic::table("udp6"), traffic::table("raw")].concat();
                assert!(open.is_empty(), "{open:?}");
            });
            assert_eq!(traffic::receive_udp(&client), REPLY, "from where it was asked");
        }
    }
}

fn give_up_all() {
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
        .expect("anybody may give up power");
}

/// Waits for the next knock.
fn next_packet(log: &mut PacketLog) -> PacketSeen {
    let mut next = None;
    wait_until("a packet is reported", || {
        next = log.try_recv().expect("reads");
        next.is_some()
    });
    next.expect("it has come")
}

fn watching() -> Plan {
    let ports = vec![PortRange::one(PORT), PortRange { first: 62_300, last: 62_301 }];
    Plan { packets: Packets::Watched { ports, report: Report::Nflog { group: KNOCKS } }, ..plan() }
}

fn listen(lab: &Lab) -> PacketLog {
    lab.gate.on(|| PacketLog::bind(KNOCKS).expect("the group is free"))
}
