//! Packet knocks at the gateway's own address.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use knockgate_core::message::{Kind, Mode, Verdict};
use knockgate_core::profile::PortRange;
use knockgate_core::site::PacketPorts;
use knockgate_core::{Instant, Refusal};
use knockgate_gateway::limits::HANDSHAKES_PER_POLL;
use smoltcp::wire::{EthernetAddress, IpProtocol};

use crate::knocker::Knocker;
use crate::raw::{self, Ends};
use crate::world::{GATEWAY, GATEWAY_MAC, GATEWAY_V4, GATEWAY_V6, Who, World, with_packets};

const PORT: u16 = 62_201;
const LINK_LOCAL: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 1));

#[test]
fn one_packet_opens_to_its_sender_and_is_answered_from_where_it_was_sent() {
    for mode in [Mode::Connect, Mode::Closed] {
        for gateway in [GATEWAY_V4, GATEWAY_V6, LINK_LOCAL] {
            let mut world = World::changed(mode, with_packets);
            let mut alice = Knocker::new(&world, gateway);
            let mark = world.mark();

            let answer = alice.packet(&mut world, Kind::Open, 20, PORT).expect("an answer");

            assert_eq!(answer.verdict, Verdict::Granted, "{gateway}");
            assert!(world.allows(Who::Alice, gateway, 22));
            assert!(!world.allows(Who::Mallory, gateway, 22));
            let asked = world.towards_gateway(Who::Alice, gateway, 40_000, PORT);
            let said = world.said_since(mark);
            let (back, hops, message) = raw::read_datagram(said[0]).expect("checksums are right");
            assert_eq!((said.len(), hops, message.len()), (1, 64, 200));
            assert_eq!((back.from, back.to), (asked.to, asked.from));
            assert_eq!(back.hardware, (asked.hardware.1, asked.hardware.0));
        }
    }
}

#[test]
fn whoever_asks_from_behind_a_router_is_answered_by_way_of_it() {
    let far = |gateway| match gateway {
        IpAddr::V4(_) => IpAddr::from([198, 51, 100, 7]),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, 7).into(),
    };
    for gateway in [GATEWAY_V4, GATEWAY_V6] {
        let mut world = World::changed(Mode::Connect, with_packets);
        let mut alice = Knocker::new(&world, gateway);
        let ends = world.towards_gateway(Who::Alice, gateway, 40_000, PORT);
        let mark = world.mark();
        let ends = Ends { from: (far(gateway), 40_000), ..ends };
        alice.packet_between(&mut world, Kind::Open, 20, ends).expect("an answer");
        let said = world.said_since(mark);
        let (back, ..) = raw::read_datagram(said[0]).unwrap();
        assert_eq!((back.to, back.hardware.1), (ends.from, ends.hardware.0));
    }
}

#[test]
fn packets_are_heard_at_the_listed_ports_alone() {
    let range = PortRange { first: 5_000, last: 5_009 };
    let listed = PacketPorts::Listed([range].into_iter().collect());
    #[rustfmt::skip]
    let cases = [
        (1, PacketPorts::Off,  5_000,  false),
        (2, listed.clone(),    4_999,  false),
        (3, listed.clone(),    5_000,  true),
        (4, listed.clone(),    5_009,  true),
        (5, listed,            5_010,  false),
        (6, PacketPorts::Any,  1,      true),
        (7, PacketPorts::Any,  65_535, true),
    ];
    for (case, ports, port, heard) in cases {
        let mut world = World::changed(Mode::Connect, |config| config.packet_ports = ports);
        let answer = Knocker::new(&world, GATEWAY_V4).packet(&mut world, Kind::Status, 0, port);
        assert_eq!(answer.is_some(), heard, "case {case}");
    }
}

#[test]
fn whatever_is_no_whole_message_in_one_datagram_is_met_with_silence() {
    for gateway in [GATEWAY_V4, GATEWAY_V6] {
        let mut world = World::changed(Mode::Connect, with_packets);
        let sealed = Knocker::new(&world, gateway).sealed();
        let ends = world.towards_gateway(Who::Alice, gateway, 40_000, PORT);
        let whole = raw::datagram(ends, &sealed);
        let mut damaged = whole.clone();
        *damaged.last_mut().unwrap() ^= 1;
        let part = raw::udp_part(ends, &sealed);
        let mut frames = raw::pieces(ends, IpProtocol::Udp, 1, &part, &[(0, 104), (104, 208)]);
        let elsewhere = Ends { hardware: (ends.hardware.0, EthernetAddress::BROADCAST), ..ends };
        frames.extend([
            raw::datagram(ends, &[&sealed[..], &[0]].concat()),
            raw::datagram(ends, &sealed[..199]),
            raw::datagram(ends, &[]),
            damaged,
            raw::datagram(Ends { from: (ends.from.0, 0), ..ends }, &sealed),
            raw::datagram(elsewhere, &sealed),
            raw::tagged(&whole, 5),
            raw::tagged(&whole, 0),
        ]);
        let mark = world.mark();
        for frame in frames {
            world.host(Who::Alice).port.send(frame);
        }
        world.pass(Duration::from_secs(5));
        assert_eq!(world.said_since(mark), Vec::<&[u8]>::new());
        assert_eq!(world.gateway.gate().refusals().of(Refusal::Unsealed), 0, "nothing was looked into");
        world.host(Who::Alice).port.send(whole);
        world.run_until(Duration::ZERO, |_| true);
        assert_eq!(world.said_since(mark).len(), 1, "the message itself is good");
    }
}

#[test]
fn noise_is_counted_and_a_replay_is_met_with_silence() {
    let mut world = World::changed(Mode::Connect, with_packets);
    let sealed = Knocker::new(&world, GATEWAY_V4).sealed();
    let ends = world.towards_gateway(Who::Mallory, GATEWAY_V4, 40_000, PORT);
    let mark = world.mark();
    for message in [&sealed, &sealed, &[0x55; 200]] {
        world.host(Who::Mallory).port.send(raw::datagram(ends, message));
        world.run_until(Duration::ZERO, |_| true);
    }
    assert_eq!(world.said_since(mark).len(), 1);
    let refusals = world.gateway.gate().refusals();
    assert_eq!((refusals.of(Refusal::Unsealed), refusals.of(Refusal::Replayed)), (1, 1));
}

#[test]
fn a_turn_takes_few_handshakes_and_asks_for_the_next_turn_at_once() {
    let mut world = World::changed(Mode::Connect, with_packets);
    let mut alice = Knocker::new(&world, GATEWAY_V4);
    let ends = world.towards_gateway(Who::Alice, GATEWAY_V4, 40_000, PORT);
    for _ in 0..3 * HANDSHAKES_PER_POLL {
        let frame = raw::datagram(ends, &alice.sealed());
        world.host(Who::Alice).port.send(frame);
    }
    world.outside.carry();
    for left in [2, 1, 0] {
        let next = world.poll_gateway();
        assert_eq!(world.outside.waiting_at(GATEWAY), left * HANDSHAKES_PER_POLL);
        assert_eq!(next, Some(Instant::from_micros(0)), "{left}");
    }
}

#[test]
fn a_sequence_may_be_asked_for_by_packet_where_there_is_no_central_port() {
    for mode in [Mode::Connect, Mode::Closed] {
        let mut world = World::changed(mode, |config| {
            with_packets(config);
            config.central_port = None;
        });
        let mut alice = Knocker::new(&world, GATEWAY_V4);
        let offer = alice.packet(&mut world, Kind::NextNumber, 20, PORT).unwrap().offer.expect("a number");
        let ports = alice.ports(&world, offer);
        match mode {
            Mode::Connect => assert!(alice.connect_all(&mut world, &ports)),
            Mode::Closed => alice.probe_all(&mut world, &ports, offer.gap_ms),
        }
        assert!(world.allows(Who::Alice, GATEWAY_V4, 22));
        let syn = raw::tcp(world.towards_gateway(Who::Mallory, GATEWAY_V4, 40_000, PORT), raw::SYN);
        let mark = world.mark();
        world.host(Who::Mallory).port.send(syn);
        world.pass(Duration::from_secs(5));
        assert_eq!(world.said_since(mark), Vec::<&[u8]>::new());
    }
}

#[test]
fn a_datagram_to_a_decoy_is_a_probe_unless_it_is_a_message() {
    let mut world = World::changed(Mode::Closed, with_packets);
    let mut alice = Knocker::new(&world, GATEWAY_V4);
    let offer = alice.packet(&mut world, Kind::NextNumber, 20, PORT).unwrap().offer.unwrap();
    let ports = alice.ports(&world, offer);
    assert!(alice.packet(&mut world, Kind::Status, 0, ports[0]).is_some());
    for port in ports {
        let probe = raw::udp(world.towards_gateway(Who::Alice, GATEWAY_V4, 40_000, port));
        world.host(Who::Alice).port.send(probe);
        world.pass(Duration::from_millis(20));
    }
    assert!(world.allows(Who::Alice, GATEWAY_V4, 22));
}

#[test]
fn nobody_speaks_in_the_gateways_own_name() {
    for gateway in [GATEWAY_V4, GATEWAY_V6] {
        let mut world = World::changed(Mode::Connect, with_packets);
        let sealed = Knocker::new(&world, gateway).sealed();
        let ends = world.towards_gateway(Who::Mallory, gateway, 40_000, PORT);
        let mark = world.mark();
        let group = if gateway.is_ipv4() { "224.0.0.1" } else { "ff02::1" };
        let nobody = if gateway.is_ipv4() { "0.0.0.0" } else { "::" };
        for from in [gateway, group.parse().unwrap(), nobody.parse().unwrap()] {
            let frame = raw::datagram(Ends { from: (from, 40_000), ..ends }, &sealed);
            world.host(Who::Mallory).port.send(frame);
        }
        let own_card = Ends { hardware: (GATEWAY_MAC, GATEWAY_MAC), ..ends };
        world.host(Who::Mallory).port.send(raw::datagram(own_card, &sealed));
        world.pass(Duration::from_secs(5));
        assert_eq!(world.said_since(mark), Vec::<&[u8]>::new());
    }
}
