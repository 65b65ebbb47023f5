//! What a stranger gets: nothing.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use knockgate_core::message::{Kind, Mode};
use knockgate_core::{Note, Refusal};
use knockgate_gateway::limits::{CENTRAL_SOCKETS, FRAMES_PER_POLL, LINGER};
use smoltcp::socket::tcp::State;
use smoltcp::wire::{EthernetAddress, IpProtocol};

use crate::knocker::{Knocker, converse};
use crate::raw::{self, Ends};
use crate::world::{CENTRAL, GATEWAY, GATEWAY_V4, GATEWAY_V6, Who, World};

/// Mallory's frames to `port` of the gateway.
fn towards_gateway(world: &mut World, gateway: IpAddr, port: u16) -> Ends {
    world.towards_gateway(Who::Mallory, gateway, 40_000, port)
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn reply_to(world: &mut World, frame: Vec<u8>) -> usize {
    let mark = world.mark();
    world.host(Who::Mallory).port.send(frame);
    world.pass(Duration::from_secs(15));
    world.said_since(mark).len()
}

#[test]
fn a_stranger_gets_no_frame_in_reply() {
    for mode in [Mode::Connect, Mode::Closed] {
        for gateway in [GATEWAY_V4, GATEWAY_V6] {
            let mut world = World::new(mode);
            let decoy = world.config.gate.decoys.ports()[0];
            // While somebody holds a number the decoys are visible, but to him alone.
            Knocker::new(&world, gateway).offered(&mut world, 20);
            let (at_decoy, elsewhere) =
                (towards_gateway(&mut world, gateway, decoy), towards_gateway(&mut world, gateway, 80));
            let central = towards_gateway(&mut world, gateway, CENTRAL);
            #[rustfmt::skip]
            let cases = [
                (1, raw::tcp(at_decoy, raw::SYN)),
                (2, raw::tcp(elsewhere, raw::SYN)),
                (3, raw::tcp(elsewhere, raw::ACK)),
                (4, raw::tcp(elsewhere, raw::SYN_ACK)),
                (5, raw::tcp(elsewhere, raw::FIN_ACK)),
                (6, raw::tcp(central, raw::ACK)),
                (7, raw::tcp(central, raw::SYN_ACK)),
                (8, raw::tcp(central, raw::RST)),
                (9, raw::udp(elsewhere)),
                (10, raw::udp(central)),
                (11, raw::echo(elsewhere)),
                (12, raw::ip(elsewhere, IpProtocol::Unknown(99), 64, &[0; 8])),
                (13, raw::tcp(Ends { hardware: (central.hardware.0, EthernetAddress::BROADCAST), ..central }, raw::SYN)),
            ];
            for (case, frame) in cases {
                assert_eq!(reply_to(&mut world, frame), 0, "case {case} in {mode:?} mode at {gateway}");
            }
        }
    }
}

#[test]
fn nobody_hears_that_the_gateway_does_not_know_his_extension_headers() {
    let mut world = World::new(Mode::Connect);
    let ends = towards_gateway(&mut world, GATEWAY_V6, CENTRAL);
    let segment = raw::tcp(ends, raw::SYN).split_off(14 + 40);
    let about =
        raw::icmp(ends, 255, [135, 0], &[&[0; 4][..], &octets(GATEWAY_V6)].concat()).split_off(14 + 40);
    for (part, next) in [(segment, 6), (about, 58)] {
        #[rustfmt::skip]
        let cases = [
            (1, IpProtocol::HopByHop,  [next, 0, 0x80, 4, 0, 0, 0, 0]), // an option that must be complained of
            (2, IpProtocol::HopByHop,  [next, 0, 0xc0, 4, 0, 0, 0, 0]),
            (3, IpProtocol::Ipv6Opts,  [next, 0, 1, 4, 0, 0, 0, 0]),
            (4, IpProtocol::Ipv6Route, [next, 0, 0, 0, 0, 0, 0, 0]),
            (5, IpProtocol::Ipv6Frag,  [next, 0, 0, 0, 0, 0, 0, 7]),
        ];
        for (case, first, header) in cases {
            let frame = raw::ip(ends, first, 255, &[&header[..], &part].concat());
            assert_eq!(reply_to(&mut world, frame), 0, "case {case} before {next}");
        }
    }
}

#[test]
fn a_damaged_frame_gets_no_reply() {
    let mut world = World::new(Mode::Connect);
    // IPv6 has no checksum over the first eight bytes of its header.
    for (gateway, covered) in [(GATEWAY_V4, 14), (GATEWAY_V6, 14 + 8)] {
        let whole = raw::tcp(towards_gateway(&mut world, gateway, CENTRAL), raw::SYN);
        for at in covered..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x11;
            assert_eq!(reply_to(&mut world, damaged), 0, "byte {at}");
        }
        for length in 0..whole.len() {
            assert_eq!(reply_to(&mut world, whole[..length].to_vec()), 0, "length {length}");
        }
    }
}

#[test]
fn junk_on_the_central_port_gets_no_byte() {
    let mut world = World::new(Mode::Connect);
    for junk in [&[0x55; 200][..], &[0x55; 1], &[0x55; 2000]] {
        let mallory = world.host(Who::Mallory).connect(SocketAddr::new(GATEWAY_V4, CENTRAL));
        world.run_until(Duration::from_secs(1), |world| world.host(Who::Mallory).socket(mallory).may_send());
        world.host(Who::Mallory).socket(mallory).send_slice(junk).unwrap();
        world.pass(LINGER / 2);
        assert_eq!(world.host(Who::Mallory).state(mallory), State::Established, "silent, and open");
        assert!(world.host(Who::Mallory).read(mallory).is_empty());
        assert!(
            world.run_until(LINGER, |world| world.host(Who::Mallory).state(mallory) == State::CloseWait),
            "closed after a while"
        );
        assert!(world.host(Who::Mallory).read(mallory).is_empty());
    }
    assert_eq!(world.gateway.gate().refusals().of(Refusal::Unsealed), 2, "one byte is no message");
}

#[test]
fn a_crowd_of_strangers_on_the_central_port_does_not_delay_a_client() {
    let undisturbed = {
        let mut world = World::new(Mode::Connect);
        Knocker::new(&world, GATEWAY_V4).knock(&mut world, 20);
        world.elapsed()
    };
    let mut world = World::new(Mode::Connect);
    let central = SocketAddr::new(GATEWAY_V4, CENTRAL);
    let crowd: Vec<_> = (0..3 * CENTRAL_SOCKETS).map(|_| world.host(Who::Mallory).connect(central)).collect();
    world.run_until(Duration::ZERO, |_| true);
    for &one in &crowd {
        // Those that were given up by the gateway do not know yet.
        let _ = world.host(Who::Mallory).socket(one).send_slice(&[0x55; 200]);
    }
    world.run_until(Duration::ZERO, |_| true);
    let before = world.elapsed();

    Knocker::new(&world, GATEWAY_V4).knock(&mut world, 20);

    assert_eq!(world.elapsed() - before, undisturbed);
    assert!(world.allows(Who::Alice, GATEWAY_V4, 22));
}

#[test]
fn a_connection_that_was_never_complete_leaves_nothing_behind() {
    for gateway in [GATEWAY_V4, GATEWAY_V6] {
        let mut world = World::new(Mode::Connect);
        let ends = towards_gateway(&mut world, gateway, CENTRAL);
        // Mallory's own stack knows nothing of this SYN and resets what comes back.
        assert_eq!(reply_to(&mut world, raw::tcp(ends, raw::SYN)), 1);
        world.host(Who::Mallory).port.send(raw::tcp(ends, raw::SYN));
        world.run_until(Duration::ZERO, |_| true);

        Knocker::new(&world, gateway).offered(&mut world, 20);

        let alice = world.host(Who::Alice).address_towards(gateway);
        let offered_to_alice = |note: &Note| matches!(note, Note::Offered { source, .. } if *source == alice);
        assert!(world.gateway.environment().notes.iter().any(offered_to_alice));
    }
}

#[test]
fn a_replayed_handshake_gets_silence() {
    let mut world = World::new(Mode::Connect);
    let sealed = Knocker::new(&world, GATEWAY_V4).sealed();
    let central = SocketAddr::new(GATEWAY_V4, CENTRAL);
    assert!(converse(&mut world, Who::Alice, central, &sealed).is_some(), "the first time it is answered");
    for who in [Who::Alice, Who::Mallory] {
        assert_eq!(converse(&mut world, who, central, &sealed), None);
    }
    assert_eq!(world.gateway.gate().refusals().of(Refusal::Replayed), 2);
}

#[test]
fn a_flood_is_worked_off_in_small_bites_and_a_client_is_served_meanwhile() {
    let mut world = World::new(Mode::Connect);
    let mut alice = Knocker::new(&world, GATEWAY_V4);
    let spoofed = |world: &mut World, n: u16| {
        let ends = towards_gateway(world, GATEWAY_V4, CENTRAL);
        let [high, low] = n.to_be_bytes();
        raw::tcp(Ends { from: (IpAddr::from([198, 51, high, low]), 40_000), ..ends }, raw::SYN)
    };
    for n in 0..10_000 {
        let frame = spoofed(&mut world, n);
        world.host(Who::Mallory).port.send(frame);
    }
    world.outside.carry();
    let mut waiting = world.outside.waiting_at(GATEWAY);
    while waiting > 0 {
        let now = world.now();
        let next = world.poll_gateway();
        let left = world.outside.waiting_at(GATEWAY);
        assert!(waiting - left <= FRAMES_PER_POLL);
        assert!(left == 0 || next == Some(now.instant), "it asks to be called again at once");
        waiting = left;
    }
    assert!(alice.ask(&mut world, Kind::Status, 0).is_some());
}
