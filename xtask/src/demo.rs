//! The demo: builds what it needs and runs the program `demo` of the tests crate.

use anyhow::{Result, bail};

use crate::{policies, setup, step::Steps, test, tool};

pub(crate) fn run(steps: &mut Steps) -> Result<()> {
    setup::run(steps)?;
    policies::run(steps)?;
    test::build_binaries(steps)?;
    println!();
    let mut demo = tool::cargo();
    demo.args(["run", "--quiet", "--locked", "-p", "knockgate-tests", "--bin", "demo"]);
    if !tool::succeeds_loudly(&mut demo)? {
        bail!("the demo failed; the timeline above ends with what went wrong");
    }
    Ok(())
}
