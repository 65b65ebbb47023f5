//! Policies end to end: chains, shadows, events, units, reload, replay, large and hostile modules on the real agent, with a real firewall.

mod apart;
mod chains;
mod engines;
mod events;
mod modules;
mod reload;
mod replay;
mod runtimes;
mod service_manager;
mod trouble;
mod units;

use std::process::ExitCode;

use knockgate_tests::harness;

fn main() -> ExitCode {
    harness::run(|| {
        let mut stories = chains::stories();
        stories.extend(apart::stories());
        stories.extend(engines::stories());
        stories.extend(events::stories());
        stories.extend(reload::stories());
        stories.extend(replay::stories());
        stories.extend(runtimes::stories());
        stories.extend(trouble::stories());
        stories.extend(units::stories());
        stories
    })
}

/// The client's exit status when the gate refuses.
const REFUSED: i32 = 4;
