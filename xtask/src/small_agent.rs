//! The agent without the policy engine. It has a target folder of its own, for cargo would put it in the place of the other one.

use anyhow::Result;

use crate::tool;

/// Below cargo's target folder. Tests and benchmarks look for it there.
const FOLDER: &str = "without-engine";

/// For tests, where nothing depends on its speed: a third of the time to build.
pub(crate) const UNOPTIMISED: &[&str] =
    &["--config", "profile.dev.opt-level=0", "--config", "profile.dev.package.\"*\".opt-level=0"];

/// `options` choose the profile.
pub(crate) fn build(options: &[&str]) -> Result<()> {
    let target = tool::target().join(FOLDER);
    let mut cargo = tool::cargo();
    cargo.args(["build", "--quiet", "--locked", "-p", "knockgate-agent", "--no-default-features"]);
    tool::run(cargo.args(["--bin", "knockgated"]).args(options).arg("--target-dir").arg(target))
}
