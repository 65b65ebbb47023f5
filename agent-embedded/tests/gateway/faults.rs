//! A network that loses, duplicates, reorders and damages frames.

use std::time::Duration;

use knockgate_core::message::{Kind, Mode, Verdict};

use crate::bridge::{connects, machine};
use crate::cable::Faults;
use crate::knocker::Knocker;
use crate::world::{GATEWAY_V4, GATEWAY_V6, HOLD, Who, World, with_packets};

const BAD: Faults = Faults { lost: 10, doubled: 10, late: 10, damaged: 2 };

#[test]
fn a_knock_opens_over_a_bad_network() {
    for seed in 0..16 {
        for family in [GATEWAY_V4, GATEWAY_V6] {
            let mut world = World::with_faults(Mode::Connect, BAD, seed);
            let mut alice = Knocker::new(&world, family);
            let knocked = (0..8).any(|_| {
                let offer = alice.offered(&mut world, 600);
                let ports = alice.ports(&world, offer);
                alice.connect_all(&mut world, &ports)
            });
            assert!(knocked, "seed {seed}: every one of eight numbers came to grief");
            assert_eq!(
                world.gateway.gate().lockouts().iter().count(),
                0,
                "seed {seed}: a lost frame is no wrong port"
            );
            assert_eq!(alice.status(&mut world).verdict, Verdict::Granted, "seed {seed}");
            assert!(world.allows(Who::Alice, family, 22), "seed {seed}");
            assert!(!world.allows(Who::Mallory, family, 22), "seed {seed}");
        }
    }
}

#[test]
fn probes_that_are_sent_again_open_over_a_bad_network() {
    for seed in 0..16 {
        let mut world = World::with_faults(Mode::Closed, BAD, seed);
        let mut alice = Knocker::new(&world, GATEWAY_V4);
        let offer = alice.offered(&mut world, 600);
        let ports = alice.ports(&world, offer);
        let end = world.elapsed() + HOLD;
        while !world.allows(Who::Alice, GATEWAY_V4, 22) {
            assert!(world.elapsed() < end, "seed {seed}");
            alice.probe_all(&mut world, &ports, offer.gap_ms);
            world.pass(Duration::from_millis(100));
        }
    }
}

#[test]
fn a_packet_that_is_sent_again_opens_and_what_is_said_through_the_door_arrives_whole() {
    for seed in 0..64 {
        for family in [GATEWAY_V4, GATEWAY_V6] {
            let mut world = World::built(Mode::Connect, BAD, seed, with_packets);
            let mut alice = Knocker::new(&world, family);
            let answer = (0..20).find_map(|_| alice.packet(&mut world, Kind::Open, 600, 1));
            assert_eq!(answer.expect("one of twenty").verdict, Verdict::Granted, "seed {seed}");
            assert!(world.allows(Who::Alice, family, 22), "seed {seed}");
            assert!(!world.allows(Who::Mallory, family, 22), "seed {seed}");
            arrives_whole(&mut world, family, seed);
        }
    }
}

/// Several segments each way through the bridge.
fn arrives_whole(world: &mut World, family: std::net::IpAddr, seed: u64) {
    let speech: Vec<u8> = (0..3_000_u32).map(|n| (n % 251) as u8).collect();
    let server = world.host(Who::Machine).listen(22);
    let ssh = machine(world, family, 22);
    let client = (0..60).find_map(|_| connects(world, Who::Alice, ssh)).expect("open");
    for (from, to) in
        [((Who::Alice, client), (Who::Machine, server)), ((Who::Machine, server), (Who::Alice, client))]
    {
        world.host(from.0).socket(from.1).send_slice(&speech).unwrap();
        let mut heard = Vec::new();
        world.run_until(Duration::from_secs(120), |world| {
            heard.extend(world.host(to.0).read(to.1));
            heard.len() >= speech.len()
        });
        assert_eq!(heard.len(), speech.len(), "seed {seed}");
        assert_eq!(heard, speech, "seed {seed}");
    }
}
