//! Knocks in the middle of noise, and the fixed sequences of clients that can do nothing better: real agent, real clients, real
//! firewall, and strangers who send what they like in anybody's name.

mod faults;
mod floods;
mod hearing;
mod knockd;
mod scans;
mod stage;
mod statics;

use std::process::ExitCode;

use knockgate_tests::harness;

/// Floods want a core, and the agent another one, but few stories have a flood.
const LABS_AT_ONCE: usize = 4;

fn main() -> ExitCode {
    harness::run_in(LABS_AT_ONCE, || {
        let mut stories = statics::stories();
        stories.extend(knockd::stories());
        stories.extend(faults::stories());
        stories.extend(scans::stories());
        stories.extend(floods::stories());
        stories.extend(hearing::stories());
        stories
    })
}
