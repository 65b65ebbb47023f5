//! What passes between the two ports.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use knockgate_core::message::Mode;
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::State;
use smoltcp::wire::IpProtocol;

use crate::knocker::Knocker;
use crate::raw::{self, Ends};
use crate::world::{GATEWAY, GATEWAY_V4, GATEWAY_V6, Who, World};

const SOON: Duration = Duration::from_secs(3);

fn machine(world: &mut World, family: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(world.host(Who::Machine).address_towards(family), port)
}

fn connects(world: &mut World, who: Who, to: SocketAddr) -> Option<SocketHandle> {
    let handle = world.host(who).connect(to);
    let connected = world.run_until(SOON, |world| world.host(who).state(handle) == State::Established);
    if !connected {
        world.host(who).forget(handle);
    }
    connected.then_some(handle)
}

fn says(world: &mut World, from: (Who, SocketHandle), to: (Who, SocketHandle), words: &[u8]) -> bool {
    world.host(from.0).socket(from.1).send_slice(words).unwrap();
    let mut heard = Vec::new();
    world.run_until(SOON, |world| {
        heard.extend(world.host(to.0).read(to.1));
        heard == words
    })
}

#[test]
fn a_guarded_service_is_reached_under_a_grant_and_the_connection_outlives_it() {
    for family in [GATEWAY_V4, GATEWAY_V6] {
        let mut world = World::new(Mode::Connect);
        let ssh = machine(&mut world, family, 22);
        let server = world.host(Who::Machine).listen(22);
        assert!(connects(&mut world, Who::Alice, ssh).is_none(), "shut before");

        Knocker::new(&world, family).knock(&mut world, 20);

        assert!(connects(&mut world, Who::Mallory, ssh).is_none(), "a grant is for one source");
        let client = connects(&mut world, Who::Alice, ssh).expect("open to the knocker");
        let (client, server) = ((Who::Alice, client), (Who::Machine, server));
        assert!(says(&mut world, client, server, b"SSH-2.0-client"));
        assert!(says(&mut world, server, client, b"SSH-2.0-server"));

        world.pass(Duration::from_secs(600));
        assert!(!world.allows(Who::Alice, family, 22));
        world.host(Who::Machine).listen(22);
        assert!(connects(&mut world, Who::Alice, ssh).is_none(), "shut afterwards");
        assert!(says(&mut world, client, server, b"uptime"), "what was begun goes on");
        assert!(says(&mut world, server, client, b"10 minutes"));
    }
}

#[test]
fn a_connection_begun_inside_passes_and_its_answers_too() {
    for family in [GATEWAY_V4, GATEWAY_V6] {
        let mut world = World::new(Mode::Connect);
        let server = world.host(Who::Mallory).listen(443);
        let to = SocketAddr::new(world.host(Who::Mallory).address_towards(family), 443);
        let client = connects(&mut world, Who::Machine, to).expect("frames from inside pass");
        assert!(says(&mut world, (Who::Machine, client), (Who::Mallory, server), b"hello"));
        assert!(says(&mut world, (Who::Mallory, server), (Who::Machine, client), b"good day"));
    }
}

/// Whether a frame that `from` sends comes out of the gateway's other port.
fn passes(world: &mut World, from: Who, frame: Vec<u8>) -> bool {
    let cable = |world: &World| match from {
        Who::Machine => world.outside.log.len(),
        Who::Alice | Who::Mallory => world.inside.log.len(),
    };
    let mark = cable(world);
    world.host(from).port.send(frame.clone());
    world.run_until(Duration::ZERO, |_| true);
    let log = match from {
        Who::Machine => &world.outside.log,
        Who::Alice | Who::Mallory => &world.inside.log,
    };
    log.iter().skip(mark).any(|(end, sent)| *end == GATEWAY && *sent == frame)
}

/// From Mallory's port `from` to the machine's port `to`.
fn inwards(world: &mut World, family: IpAddr, from: u16, to: u16) -> Ends {
    let mallory = world.host(Who::Mallory);
    let (hardware, address) = (mallory.hardware, mallory.address_towards(family));
    let machine = world.host(Who::Machine);
    Ends {
        hardware: (hardware, machine.hardware),
        from: (address, from),
        to: (machine.address_towards(family), to),
    }
}

fn back(ends: Ends) -> Ends {
    Ends { hardware: (ends.hardware.1, ends.hardware.0), from: ends.to, to: ends.from }
}

#[test]
fn nothing_but_address_talk_comes_in_uninvited() {
    for family in [GATEWAY_V4, GATEWAY_V6] {
        let mut world = World::new(Mode::Connect);
        let ends = inwards(&mut world, family, 40_000, 22);
        let mut cases = vec![
            (1, raw::tcp(ends, raw::SYN)),
            (2, raw::tcp(ends, raw::ACK)),
            (3, raw::tcp(ends, raw::SYN_ACK)),
            (4, raw::tcp(ends, raw::RST)),
            (5, raw::udp(ends)),
            (6, raw::echo(ends)),
            (7, raw::ip(ends, IpProtocol::Unknown(99), 64, &[0; 8])),
            // ICMPv6 beyond neighbour discovery, with the hop limit of the latter.
            (8, raw::ip(ends, IpProtocol::Icmpv6, 255, &[137, 0, 0, 0, 0, 0, 0, 0])),
        ];
        if family.is_ipv4() {
            cases.push((9, raw::fragment(raw::udp(ends))));
        }
        for (case, frame) in cases {
            assert!(!passes(&mut world, Who::Mallory, frame), "case {case} in {family}");
        }
    }
}

#[test]
fn a_datagram_from_inside_invites_its_answer_and_no_other() {
    for family in [GATEWAY_V4, GATEWAY_V6] {
        let mut world = World::new(Mode::Connect);
        let answer = inwards(&mut world, family, 123, 40_000);
        assert!(passes(&mut world, Who::Machine, raw::udp(back(answer))));
        let other = inwards(&mut world, family, 124, 40_000);
        assert!(!passes(&mut world, Who::Mallory, raw::udp(other)));
        assert!(!passes(&mut world, Who::Mallory, raw::tcp(answer, raw::SYN)));
        assert!(passes(&mut world, Who::Mallory, raw::udp(answer)));
        world.pass(Duration::from_secs(301));
        assert!(!passes(&mut world, Who::Mallory, raw::udp(answer)), "a silent flow is forgotten");
    }
}

#[test]
fn a_late_segment_from_inside_invites_nobody() {
    let mut world = World::new(Mode::Connect);
    let ends = inwards(&mut world, GATEWAY_V4, 40_000, 22);
    assert!(passes(&mut world, Who::Machine, raw::tcp(back(ends), raw::ACK)));
    assert!(!passes(&mut world, Who::Mallory, raw::tcp(ends, raw::ACK)));
}

#[test]
fn whatever_is_sent_inside_goes_out() {
    let mut world = World::new(Mode::Connect);
    let ends = back(inwards(&mut world, GATEWAY_V4, 40_000, 22));
    for frame in [raw::echo(ends), raw::fragment(raw::udp(ends)), vec![0xff; 60]] {
        assert!(passes(&mut world, Who::Machine, frame));
    }
}
