//! Between an event and the verdict nothing is allocated, neither here nor in the engine, and nothing is given back.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

mod stage;

use std::sync::Arc;

use knockgate_policy_abi::limits::IN_LINE_FUEL;
use knockgate_policy_host::{Capabilities, InLine, PolicyEngine, Profile, builtin};
use stage::{knock, no_state, rights};

#[test]
fn a_decision_in_line_allocates_nothing() {
    let engine = PolicyEngine::new(Profile::Server, Capabilities::ALL).unwrap();
    for policy in builtin::ALL {
        let loaded = engine.load(policy.name, policy.module, &rights()).unwrap();
        let mut in_line = InLine::new(Arc::new(loaded), no_state()).unwrap();
        in_line.prepare();
        let event = knock();
        for round in 0..10 {
            let mut decision = None;
            let counted = allocation_counter::measure(|| decision = in_line.decide(&event, IN_LINE_FUEL));
            // It stores who has knocked, and that is not done in line.
            assert_eq!(decision.is_some(), policy.name != "two-person", "{}", policy.name);
            assert_eq!(
                (counted.count_total, counted.count_current),
                (0, 0),
                "{}, round {round}",
                policy.name
            );
            in_line.prepare();
        }
    }
}
