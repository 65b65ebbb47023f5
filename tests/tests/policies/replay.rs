//! What an agent has written down can be decided again.

use anyhow::{Result, ensure};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::programs::{self, Said};
use knockgate_tests::scenes::Scene;
use knockgate_tests::{Family, Lab};

use super::modules::{install, installed, is_decision_of, module};

pub(crate) fn stories() -> Vec<Story> {
    vec![story(
        "the log of a live agent replays without a difference and names those of a changed policy",
        replays,
    )]
}

/// Opens for a second longer each time: what it has kept must be known to decide alike.
const COUNTS: &str = "(local $before i64) (local.set $before (call $load (i32.const 1)))
  (drop (call $store (i32.const 1) (i64.add (local.get $before) (i64.const 1))))
  (call $open (call $asked (i32.const 30)) (i32.add (call $asked (i32.const 32)) (i32.wrap_i64 (local.get $before))))";
/// Opens ssh alone, and as the first time for ever.
const FORGETS: &str = "(if (i32.ne (call $asked (i32.const 30)) (i32.const 1)) (then (return (i32.const 1))))
  (call $open (i32.const 1) (call $asked (i32.const 32)))";

fn replays(lab: &Lab) -> Result<()> {
    let sections = format!("[policy]\nchain = [\"counts\"]\n{}", installed(lab, "counts", COUNTS)?);
    let mut scene = Scene::by_packet(lab, Family::V4, &sections)?;
    for service in ["ssh", "web", "ssh"] {
        scene.alice.knock_for(service, 60)?.expect(0)?;
    }
    scene.gate.wait_for_audit("the last decision", |record| {
        is_decision_of(record, "counts") && record["actions"][0]["seconds"] == 62
    })?;

    let same = replay(lab, "counts")?.expect(0)?.json()?;
    ensure!(same["decisions"] == 3 && same["differ"] == 0 && same["unreadable"] == 0, "{same}");

    install(lab, "forgets", &module("forgets", "packet", FORGETS)?)?;
    let changed = replay(lab, "forgets")?.expect(1)?.json()?;
    ensure!(changed["decisions"] == 3 && changed["differ"] == 2 && changed["denied-now"] == 1, "{changed}");
    let [denied, shorter] = [&changed["differences"][0], &changed["differences"][1]];
    ensure!(denied["about"] == "alice, packet of web from 10.77.2.2", "{denied}");
    ensure!(denied["then"]["verdict"] == "commit" && denied["now"]["verdict"] == "deny", "{denied}");
    ensure!(shorter["about"] == "alice, packet of ssh from 10.77.2.2", "{shorter}");
    ensure!(shorter["then"]["actions"][0]["seconds"] == 62, "{shorter}");
    ensure!(shorter["now"]["actions"][0]["seconds"] == 60, "{shorter}");
    scene.must_be_healthy()
}

/// Asks this module, with the rights of the gate's, about everything that the agent has written down so far.
fn replay(lab: &Lab, policy: &str) -> Result<Said> {
    let mut command = lab.gate.command(programs::ours("knockgate-policy")?);
    command.args([
        "replay",
        "--fail-on-difference",
        "--format",
        "json",
        "--of",
        "counts",
        "--module",
        "counts",
    ]);
    command.arg("--policy").arg(lab.path(&format!("{policy}.wasm")));
    command.arg("--audit").arg(lab.path("audit.jsonl")).arg("--config").arg(lab.path("agent.toml"));
    Said::by(&mut command)
}
