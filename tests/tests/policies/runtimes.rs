//! Policies that bring the runtime of their language along: megabytes to compile, at the start and while the agent runs.

use std::time::Duration;

use anyhow::{Result, ensure};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::scenes::Scene;
use knockgate_tests::{Family, Lab, programs, waiting};
use serde_json::Value;

use super::REFUSED;
use super::modules::{DENIES, install, is_decision_of, module, section};

/// For compiling one such module on a busy machine, by a compiler that is not optimised itself.
const COMPILING: Duration = Duration::from_secs(60);

pub(crate) fn stories() -> Vec<Story> {
    vec![story(
        "a Go module is compiled at the start and a JavaScript component at run time and they decide alike",
        decide_alike,
    )]
}

fn decide_alike(lab: &Lab) -> Result<()> {
    install(lab, "go", &std::fs::read(programs::policy("office_hours_go")?)?)?;
    install(lab, "changing", &module("changing", "packet", DENIES)?)?;
    let rights = "wasi = \"inert\"\n";
    let sections = format!(
        "[policy]\nengine = \"compiler\"\n[policy.services]\nssh = [\"go\"]\nweb = [\"changing\"]\n{}{rights}{}{rights}",
        section(lab, "go"),
        section(lab, "changing")
    );
    let mut scene = Scene::by_packet(lab, Family::V4, &sections)?;
    scene.alice.knock("web")?.expect(REFUSED)?;
    let decided = |policy, after| {
        scene.gate.wait_for_audit(&format!("a decision of {policy}"), |record| {
            is_decision_of(record, policy) && record["seq"].as_u64() > after
        })
    };
    let denied = decided("changing", None)?;

    install(lab, "changing", &std::fs::read(programs::policy("office_hours_javascript")?)?)?;
    waiting::until_true("the component is taken up", COMPILING, || {
        scene.gate.log().contains("took up the changed file")
    })?;

    let said = ["ssh", "web"].map(|service| scene.alice.knock(service));
    let (go, javascript) = (decided("go", None)?, decided("changing", denied["seq"].as_u64())?);
    for (said, decided) in said.into_iter().zip([&go, &javascript]) {
        ensure!(decided["failure"] == Value::Null && decided["fuel"].as_u64() > Some(0), "{decided}");
        // Whether it is office hours is not for this story to say.
        said?.expect(if decided["verdict"] == "commit" { 0 } else { REFUSED })?;
    }
    ensure!(javascript["service"] == "web" && go["verdict"] == javascript["verdict"], "{go}\n{javascript}");
    scene.must_be_healthy()
}
