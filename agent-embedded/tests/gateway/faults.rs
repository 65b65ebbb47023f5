//! A network that loses and duplicates frames.

use std::time::Duration;

use knockgate_core::message::{Mode, Verdict};

use crate::cable::Faults;
use crate::knocker::Knocker;
use crate::world::{GATEWAY_V4, GATEWAY_V6, HOLD, Who, World};

const BAD: Faults = Faults { lost: 10, doubled: 10 };

#[test]
fn a_knock_opens_over_a_bad_network() {
    for seed in 0..16 {
        for family in [GATEWAY_V4, GATEWAY_V6] {
            let mut world = World::with_faults(Mode::Connect, BAD, seed);
            let mut alice = Knocker::new(&world, family);
            let knocked = (0..5).any(|_| {
                let offer = alice.offered(&mut world, 600);
                let ports = alice.ports(&world, offer);
                alice.connect_all(&mut world, &ports)
            });
            assert!(knocked, "seed {seed}: every one of five numbers came to grief");
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
