//! Strangers who send as much as they can.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use knockgate_core::Refusal;
use knockgate_core::message::{Kind, Mode, Verdict};
use knockgate_gateway::limits::{CENTRAL_SOCKETS, LINGER};
use smoltcp::iface::SocketHandle;

use crate::bridge::{connects, machine, says};
use crate::knocker::Knocker;
use crate::raw::{self, Ends};
use crate::world::{CENTRAL, GATEWAY_V4, GATEWAY_V6, Who, World, with_packets};

const FLOOD: u16 = 10_000;

/// An address outside that nobody has.
fn spoofed(family: IpAddr, n: u16) -> IpAddr {
    let [high, low] = n.to_be_bytes();
    match family {
        IpAddr::V4(_) => IpAddr::from([198, 51, high, low]),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 9, n, 0, 0, 0, 1).into(),
    }
}

/// Alice, connected to the machine's ssh under a grant.
fn connected(world: &mut World, family: IpAddr) -> (SocketHandle, SocketHandle) {
    Knocker::new(world, family).packet(world, Kind::Open, 20, 1).expect("an answer");
    let server = world.host(Who::Machine).listen(22);
    let ssh = machine(world, family, 22);
    (connects(world, Who::Alice, ssh).expect("open"), server)
}

#[test]
fn ten_thousand_spoofed_probes_and_as_much_junk_stop_neither_a_knock_nor_a_flow() {
    for family in [GATEWAY_V4, GATEWAY_V6] {
        for mode in [Mode::Connect, Mode::Closed] {
            let mut world = World::changed(mode, with_packets);
            let (client, server) = connected(&mut world, family);
            let (client, server) = ((Who::Alice, client), (Who::Machine, server));
            world.pass(Duration::from_secs(21));
            let mut alice = Knocker::starting_at(&world, family, 1_000);
            let before = world.gateway.health(world.now().instant);
            let decoys = world.config.gate.decoys.ports().to_vec();
            let inside = world.inwards(Who::Mallory, family, 0, 22);
            let own = world.towards_gateway(Who::Mallory, family, 0, CENTRAL);
            let mark = world.mark();

            for n in 0..FLOOD {
                let from = (spoofed(family, n), 1_024 + n);
                let decoy = decoys[usize::from(n) % decoys.len()];
                let frames = [
                    raw::tcp(Ends { from, to: (own.to.0, decoy), ..own }, raw::SYN),
                    raw::tcp(Ends { from, ..inside }, raw::SYN),
                    raw::udp(Ends { from, ..inside }),
                    raw::datagram(Ends { from, ..own }, &[n as u8; 200]),
                ];
                let port = &world.host(Who::Mallory).port;
                frames.into_iter().for_each(|frame| port.send(frame));
                if n % 1_000 == 500 {
                    world.run_until(Duration::ZERO, |_| true);
                    assert!(says(&mut world, client, server, &[n as u8; 100]), "the flow goes on");
                }
            }
            // The knock is behind all of it in the queue.
            world.outside.carry();
            let answer = alice.packet(&mut world, Kind::Open, 20, 1).expect("an answer");

            assert_eq!(answer.verdict, Verdict::Granted);
            assert!(world.allows(Who::Alice, family, 22));
            assert_eq!(
                world.said_since(mark).len() - 1,
                alice_heard(&world, mark),
                "nobody else was answered"
            );
            assert!(says(&mut world, server, client, b"good day"));
            assert_eq!(world.gateway.health(world.now().instant).flows, before.flows);
            assert_eq!(world.gateway.gate().refusals().of(Refusal::Unsealed), u64::from(FLOOD));
        }
    }
}

/// Segments of the flow that went out through the gateway.
fn alice_heard(world: &World, mark: usize) -> usize {
    let said = world.said_since(mark);
    said.iter().filter(|frame| frame[6..12] == [2, 0, 0, 0, 0, 100]).count()
}

#[test]
fn spoofed_syns_at_the_central_port_do_not_stop_a_knock() {
    let mut world = World::new(Mode::Connect);
    let own = world.towards_gateway(Who::Mallory, GATEWAY_V4, 0, CENTRAL);
    for n in 0..FLOOD {
        let from = (spoofed(GATEWAY_V4, n), 40_000);
        world.host(Who::Mallory).port.send(raw::tcp(Ends { from, ..own }, raw::SYN));
    }
    Knocker::new(&world, GATEWAY_V4).knock(&mut world, 20);
    assert!(world.allows(Who::Alice, GATEWAY_V4, 22));
}

#[test]
fn strangers_who_do_not_agree_to_a_closing_keep_no_client_out() {
    let mut world = World::new(Mode::Connect);
    let central = SocketAddr::new(GATEWAY_V4, CENTRAL);
    let crowd: Vec<_> = (0..CENTRAL_SOCKETS).map(|_| world.host(Who::Mallory).connect(central)).collect();
    let is_there =
        |world: &mut World| crowd.iter().all(|one| world.host(Who::Mallory).socket(*one).may_send());
    assert!(world.run_until(Duration::from_secs(1), is_there));
    world.host(Who::Mallory).mute();
    world.pass(LINGER);
    let before = world.elapsed();

    assert!(Knocker::new(&world, GATEWAY_V4).ask(&mut world, Kind::Status, 0).is_some());

    assert!(world.elapsed() - before < Duration::from_secs(1), "the first SYN is let in");
}

#[test]
fn a_flood_in_the_name_of_a_client_leaves_the_flows_of_others_alone() {
    for family in [GATEWAY_V4, GATEWAY_V6] {
        let mut world = World::changed(Mode::Connect, with_packets);
        let server = world.host(Who::Mallory).listen(443);
        let to = SocketAddr::new(world.host(Who::Mallory).address_towards(family), 443);
        let client = connects(&mut world, Who::Machine, to).expect("begun inside");
        Knocker::new(&world, family).packet(&mut world, Kind::Open, 3_600, 1).expect("an answer");
        let ends = world.inwards(Who::Alice, family, 0, 22);
        for n in 0..FLOOD {
            let frame = raw::tcp(Ends { from: (ends.from.0, n), ..ends }, raw::SYN);
            world.host(Who::Mallory).port.send(frame);
            if n % 500 == 0 {
                world.run_until(Duration::ZERO, |_| true);
            }
        }
        world.run_until(Duration::ZERO, |_| true);
        assert!(says(&mut world, (Who::Machine, client), (Who::Mallory, server), b"still here"));
        assert!(says(&mut world, (Who::Mallory, server), (Who::Machine, client), b"so am I"));
    }
}
