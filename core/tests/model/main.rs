//! The gate against a naive reference under random events and time, and the laws that hold whatever happens.
//!
//! `event` draws what happens: requests, packet knocks, replays, probes, reports of a host that may be slow, fail or crash,
//! leases, decisions of every kind, time; `PROPTEST_CASES` says how many cases. `world` lets it happen to the real gate, with real cryptography and a pretended kernel, and to
//! `reference`, which says in plain code what must come of it. `laws` keeps what no reference is needed for.

mod event;
mod laws;
mod people;
mod reference;
mod world;

use proptest::prelude::*;

use event::{Event, Rules};
use world::World;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_gate_does_what_the_reference_says_and_breaks_no_law(
        rules in Rules::any(),
        events in prop::collection::vec(Event::any(), 1..200),
    ) {
        let mut world = World::new(rules);
        for event in events {
            world.happen(event);
        }
        world.end();
    }
}
