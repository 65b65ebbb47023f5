//! The gateway end to end: the scenarios that it shares with the agent on Linux, and what only a gateway does. The firmware runs
//! in QEMU between a real client and a real service.

mod bridge;
mod console;
mod floods;
mod power;
mod wires;

use std::process::ExitCode;

use anyhow::Result;
use knockgate_tests::scenarios::stage::{Agent, Plan, Site, Stage};
use knockgate_tests::{Lab, harness, scenarios};

/// Emulated machines want more of a core than programs do, and still everybody waits half of the time.
const LABS_AT_ONCE: usize = 6;

fn main() -> ExitCode {
    harness::run_in(LABS_AT_ONCE, || {
        // The longest first.
        let mut stories = power::stories();
        stories.extend(bridge::stories());
        stories.extend(wires::stories());
        stories.extend(floods::stories());
        stories.extend(console::stories());
        stories.extend(scenarios::stories());
        stories
    })
}

/// A site whose gateway is up.
fn site<'lab>(lab: &'lab Lab, plan: &Plan) -> Result<Site<'lab>> {
    Stage::new(lab, Agent::Gateway).set(plan)
}
