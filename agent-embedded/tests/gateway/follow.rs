//! Grants that follow their connections.

use std::time::Duration;

use knockgate_core::message::{Kind, Mode};
use knockgate_gateway::Config;

use crate::bridge::{connects, machine, says};
use crate::knocker::Knocker;
use crate::world::{CONSOLE, CONSOLE_PORT, GATEWAY_V4, GATEWAY_V6, Who, World, with_console, with_packets};

fn following(config: &mut Config) {
    with_packets(config);
    with_console(config);
    config.gate.services.iter_mut().for_each(|service| service.follow = true);
}

#[test]
fn a_grant_lasts_as_long_as_a_connection_goes_through_it_and_little_longer() {
    for family in [GATEWAY_V4, GATEWAY_V6] {
        let mut world = World::changed(Mode::Connect, following);
        Knocker::new(&world, family).packet(&mut world, Kind::Open, 20, 1).expect("an answer");
        let server = world.host(Who::Machine).listen(22);
        let ssh = machine(&mut world, family, 22);
        let client = connects(&mut world, Who::Alice, ssh).expect("open");
        let (client, server) = ((Who::Alice, client), (Who::Machine, server));

        world.pass(Duration::from_secs(600));
        assert!(world.allows(Who::Alice, family, 22), "it is in use");
        assert!(says(&mut world, client, server, b"still here"));

        world.host(Who::Alice).socket(client.1).close();
        world.pass(Duration::from_secs(6));
        assert!(!world.allows(Who::Alice, family, 22), "it is not");
    }
}

#[test]
fn a_grant_that_nobody_uses_lasts_as_long_as_was_promised() {
    let mut world = World::changed(Mode::Connect, following);
    Knocker::new(&world, GATEWAY_V4).packet(&mut world, Kind::Open, 20, 1).expect("an answer");
    world.pass(Duration::from_secs(19));
    assert!(world.allows(Who::Alice, GATEWAY_V4, 22));
    world.pass(Duration::from_secs(2));
    assert!(!world.allows(Who::Alice, GATEWAY_V4, 22));
}

#[test]
fn a_conversation_with_the_console_counts_as_a_connection() {
    let mut world = World::changed(Mode::Connect, following);
    let mut alice = Knocker::new(&world, GATEWAY_V4).for_service(CONSOLE);
    alice.packet(&mut world, Kind::Open, 20, 1).expect("an answer");
    let (handle, _) = alice.call(&mut world, CONSOLE_PORT).expect("an answer");
    for _ in 0..5 {
        world.pass(Duration::from_secs(20));
        world.host(Who::Alice).socket(handle).send_slice(b"status").unwrap();
    }
    let open = |world: &World| world.gateway.gate().open_grants().count();
    assert_eq!(open(&world), 1, "it is in use");
    world.host(Who::Alice).socket(handle).close();
    world.pass(Duration::from_secs(6));
    assert_eq!(open(&world), 0);
}
