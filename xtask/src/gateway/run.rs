//! A gateway to try: the firmware in QEMU, a machine behind it and somebody in front of it, each in a network namespace.

use std::process::Command;

use anyhow::{Result, bail};

use super::firmware;
use crate::step::Steps;
use crate::{setup, test, tool};

/// Builds everything, then hands over to the program `gateway` of the tests crate, which says how to reach whom, and ends with
/// Ctrl-C.
pub(crate) fn run(steps: &mut Steps) -> Result<()> {
    setup::packages(steps)?;
    firmware::build(steps, &firmware::QEMU)?;
    test::build_binaries(steps)?;
    println!();
    if !tool::succeeds_loudly(&mut Command::new("target/debug/gateway"))? {
        bail!("the gateway did not run to its end; what it said last tells why");
    }
    Ok(())
}
