//! The gateway end to end: the scenarios that it shares with the agent on Linux, and what only a gateway does. The firmware runs
//! in QEMU between a real client and a real service.

use std::process::ExitCode;

use knockgate_tests::{harness, scenarios};

/// Emulated machines want a core each.
const LABS_AT_ONCE: usize = 3;

fn main() -> ExitCode {
    harness::run_in(LABS_AT_ONCE, scenarios::stories)
}
