//! Everything that must hold before a change lands, in the order in which it fails fastest.

use anyhow::Result;

use crate::step::{Steps, skipped};
use crate::{bench, core_check, dist, gateway, lint, policies, setup, small_agent, tool};

pub(crate) fn run(steps: &mut Steps) -> Result<()> {
    setup::run(steps)?;
    lint::run(steps)?;
    policies::run(steps)?;
    core_check::run(steps)?;
    build_binaries(steps)?;
    steps.step("build: agent without the policy engine", || small_agent::build(small_agent::UNOPTIMISED))?;
    // Tests start it in QEMU; boards that nobody can emulate are seen to compile.
    gateway::run(steps, &gateway::Wanted::Build(None))?;
    gateway::run(steps, &gateway::Wanted::Size)?;
    steps.step("test: unit, property, golden and end-to-end tests", || {
        tool::run(tool::cargo().args(["test", "--workspace", "--locked"]))
    })?;
    walk(steps)?;
    bench::short(steps)?;
    steps.finish("test");
    Ok(())
}

/// What the packages do to a machine, with the programs that have been tested.
fn walk(steps: &mut Steps) -> Result<()> {
    if !tool::is_root() {
        skipped("only root can start the machines of the walk with the packages");
        return Ok(());
    }
    dist::test(steps, dist::Build::Dev)
}

/// The end-to-end tests run the real programs, which `cargo test` alone would not build.
pub(crate) fn build_binaries(steps: &mut Steps) -> Result<()> {
    steps.step("build: agent, client and test programs", || {
        tool::run(tool::cargo().args(["build", "--quiet", "--workspace", "--bins", "--locked"]))
    })
}
