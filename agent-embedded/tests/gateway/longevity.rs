//! A whole day.

use std::time::Duration;

use knockgate_core::message::{Kind, Mode};
use knockgate_gateway::limits::{FLOWS, GRANTS};
use smoltcp::wire::EthernetAddress;

use crate::bridge::{connects, machine, says};
use crate::knocker::Knocker;
use crate::raw::{self, Ends};
use crate::world::{CENTRAL, GATEWAY_V4, GATEWAY_V6, Who, World, with_packets};

const HOUR: Duration = Duration::from_secs(3_600);

/// That nothing is taken from the heap is looked after in every turn of [`World::poll_gateway`].
#[test]
fn a_day_of_knocks_flows_questions_and_strangers_leaves_nothing_behind() {
    let mut world = World::changed(Mode::Connect, with_packets);
    let mut alice = Knocker::new(&world, GATEWAY_V4);
    let end = world.elapsed() + 24 * HOUR;
    let mut round: u16 = 0;
    while world.elapsed() < end {
        round += 1;
        let family = if round.is_multiple_of(2) { GATEWAY_V4 } else { GATEWAY_V6 };
        alice = alice.towards(family);
        if round % 4 < 2 {
            alice.packet(&mut world, Kind::Open, 120, round).expect("an answer");
        } else {
            alice.knock(&mut world, 120);
        }
        use_what_is_open(&mut world, family);
        ask_from_inside(&mut world, family, round);
        strangers(&mut world, family, round);
        let health = world.gateway.health(world.now().instant);
        assert!(health.flows <= FLOWS && health.grants <= GRANTS, "{health:?}");
        world.pass(Duration::from_secs(600));
        forget_the_past(&mut world);
    }
    world.pass(3 * HOUR);
    let health = world.gateway.health(world.now().instant);
    assert_eq!((health.flows, health.grants), (0, 0), "all of it has ended");
    assert_eq!(world.gateway.gate().lockouts().iter().count(), 0);
}

fn use_what_is_open(world: &mut World, family: std::net::IpAddr) {
    let server = world.host(Who::Machine).listen(22);
    let ssh = machine(world, family, 22);
    let client = connects(world, Who::Alice, ssh).expect("open");
    assert!(says(world, (Who::Alice, client), (Who::Machine, server), b"uptime"));
    for (who, handle) in [(Who::Alice, client), (Who::Machine, server)] {
        world.host(who).socket(handle).close();
    }
    world.pass(Duration::from_secs(15));
    world.host(Who::Alice).forget(client);
    world.host(Who::Machine).forget(server);
}

/// Names are looked up, and an address is asked for.
fn ask_from_inside(world: &mut World, family: std::net::IpAddr, round: u16) {
    let answer = world.inwards(Who::Mallory, family, 53, 1_024 + round);
    let question =
        Ends { hardware: (answer.hardware.1, answer.hardware.0), from: answer.to, to: answer.from };
    for _ in 0..FLOWS / 100 {
        assert!(world.passes(Who::Machine, &raw::udp(question)));
        assert!(world.passes(Who::Mallory, &raw::udp(answer)));
    }
    let mut boot = vec![0; 240];
    (boot[0], boot[1], boot[2], boot[7]) = (1, 1, 6, round as u8);
    let card = question.hardware.0;
    boot[28..34].copy_from_slice(&card.0);
    let everybody = Ends {
        hardware: (card, EthernetAddress::BROADCAST),
        from: ([0, 0, 0, 0].into(), 68),
        to: ([255, 255, 255, 255].into(), 67),
    };
    assert!(world.passes(Who::Machine, &raw::datagram(everybody, &boot)));
}

fn strangers(world: &mut World, family: std::net::IpAddr, round: u16) {
    for n in 0..50 {
        let own = world.towards_gateway(Who::Mallory, family, 1_024 + n, CENTRAL);
        let inside = world.inwards(Who::Mallory, family, 1_024 + n, round);
        let frames =
            [raw::tcp(own, raw::SYN), raw::datagram(own, &[n as u8; 200]), raw::tcp(inside, raw::SYN)];
        frames.into_iter().for_each(|frame| world.host(Who::Mallory).port.send(frame));
    }
    world.run_until(Duration::ZERO, |_| true);
}

/// What a test remembers of a day, and no gateway does.
fn forget_the_past(world: &mut World) {
    world.outside.log.clear();
    world.inside.log.clear();
    world.gateway.environment_mut().notes.clear();
    for who in [Who::Alice, Who::Mallory, Who::Machine] {
        world.host(who).port.datagrams();
    }
}
