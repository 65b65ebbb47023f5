//! The paper's system on Linux, end to end: real agent, real client, real firewall, real networks.

mod administration;
mod books;
mod firewall;
mod lockout;
mod modes;
mod opening;
mod policies;
mod replay;

use std::process::ExitCode;

use knockgate_tests::harness;

fn main() -> ExitCode {
    harness::run(|| {
        let mut stories = opening::stories();
        stories.extend(replay::stories());
        stories.extend(lockout::stories());
        stories.extend(modes::stories());
        stories.extend(books::stories());
        stories.extend(firewall::stories());
        stories.extend(policies::stories());
        stories.extend(administration::stories());
        stories
    })
}
