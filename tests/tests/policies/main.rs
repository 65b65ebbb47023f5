//! Policies end to end: chains, shadows, events, reload and hostile modules on the real agent, with a real firewall.

mod chains;
mod events;
mod modules;
mod reload;
mod trouble;

use std::process::ExitCode;

use knockgate_tests::harness;

fn main() -> ExitCode {
    harness::run(|| {
        let mut stories = chains::stories();
        stories.extend(events::stories());
        stories.extend(reload::stories());
        stories.extend(trouble::stories());
        stories
    })
}

/// The client's exit status when the gate refuses.
const REFUSED: i32 = 4;
