//! The agent that was built without the policy engine: what it opens, and what it cannot be configured to do.

use anyhow::{Result, ensure};
use knockgate_tests::gates::Configuration;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::scenes::{SSH, Scene};
use knockgate_tests::{Family, Lab, programs};
use serde_json::Value;

const POLICIES: &str = "[policy]\nchain = [\"house\", \"hours\", \"plain\"]\n\
    [policy-module.house]\nfile = \"/etc/knockgate/house.wasm\"\nservices = [\"ssh\"]\ncapabilities = [\"open\"]\n\
    [policy-module.hours]\nbuilt-in = \"office-hours\"\n\
    [policy-module.plain]\nbuilt-in = \"default\"\n";

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("an agent without the policy engine opens what was asked for", opens),
        story("an agent without the policy engine says at which line a policy needs it", refuses),
    ]
}

fn opens(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    scene.gate.stop()?;
    scene.gate.set_agent(programs::agent_without_engine()?);
    scene.gate.start()?;
    scene.must_be_shut(&lab.client, SSH)?;

    scene.alice.knock("ssh")?.expect(0)?;

    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_shut(&lab.stranger, SSH)?;
    let decision = scene.gate.wait_for_audit("the decision", |record| record["event"] == "decision")?;
    let told = (&decision["policy"], &decision["verdict"], &decision["fuel"]);
    ensure!(told == (&"default".into(), &"commit".into(), &Value::from(0)), "{decision}");
    scene.must_be_healthy()
}

fn refuses(lab: &Lab) -> Result<()> {
    let address = lab.gate.ip(Family::V4).to_string();
    let configuration = Configuration::for_packets(lab, &address).with_services().with(POLICIES);
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    scene.gate.set_agent(programs::agent_without_engine()?);
    configuration.write()?;

    let said = scene.gate.tell(&["check"])?;

    let lines: Vec<&str> = said.err.lines().collect();
    for (name, what) in [("house", "/etc/knockgate/house.wasm"), ("hours", "the built-in office-hours")] {
        let place = format!("agent.toml:{}:", configuration.line_of(&format!("[policy-module.{name}]"))?);
        let sentence = format!("policy-module.{name} is {what}, which needs the policy engine");
        let is_said = |line: &&str| {
            line.contains(&place) && line.contains(&sentence) && line.ends_with("that has the engine")
        };
        ensure!(lines.iter().any(is_said), "no {place} {sentence} in {lines:?}");
    }
    ensure!(said.code == Some(1) && lines.len() == 2, "{said:?}");
    scene.must_be_healthy()
}
