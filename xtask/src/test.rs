//! Everything that must hold before a change lands, in the order in which it fails fastest.

use anyhow::Result;

use crate::{bench, core_check, gateway, lint, policies, setup, step::Steps, tool};

pub(crate) fn run(steps: &mut Steps) -> Result<()> {
    setup::run(steps)?;
    lint::run(steps)?;
    policies::run(steps)?;
    core_check::run(steps)?;
    build_binaries(steps)?;
    // Tests start it in QEMU; boards that nobody can emulate are seen to compile.
    gateway::run(steps, &gateway::Wanted::Build(None))?;
    gateway::run(steps, &gateway::Wanted::Size)?;
    steps.step("test: unit, property, golden and end-to-end tests", || {
        tool::run(tool::cargo().args(["test", "--workspace", "--locked"]))
    })?;
    bench::short(steps)?;
    steps.finish("test");
    Ok(())
}

/// The end-to-end tests run the real programs, which `cargo test` alone would not build.
pub(crate) fn build_binaries(steps: &mut Steps) -> Result<()> {
    steps.step("build: agent, client and test programs", || {
        tool::run(tool::cargo().args(["build", "--quiet", "--workspace", "--bins", "--locked"]))
    })
}
