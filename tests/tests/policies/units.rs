//! Policies start units where a service manager answers, and decide all the same where none does.

use anyhow::{Result, ensure};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::scenes::{SSH, Scene};
use knockgate_tests::{Family, Lab};
use serde_json::json;

use super::modules::{installed, is_decision_of};
use super::service_manager::{Bus, StandIn};

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("a knock starts a unit through the service manager and opens", starts),
        story("without a bus starting is answered -4 and the knock opens all the same", no_bus),
        story("a service manager that comes later is found and starts units from then on", comes_later),
    ]
}

/// Starts unit 5 and opens for 100 seconds plus what it was answered: a refusal can be read from the seconds.
const WAKES: &str = "(call $open (i32.const 1) (i32.add (i32.const 100) (call $start (i32.const 5))))";
/// `no such thing` of the ABI.
const NO_SUCH_THING: i32 = -4;

fn scene(lab: &Lab) -> Result<Scene<'_>> {
    let sections = format!(
        "[policy]\nchain = [\"wakes\"]\n{}units = [\"backup\"]\n[unit.backup]\nid = 5\nunit = \"backup.service\"\n",
        installed(lab, "wakes", WAKES)?
    );
    Scene::by_packet(lab, Family::V4, &sections)
}

fn starts(lab: &Lab) -> Result<()> {
    let bus = Bus::start(lab)?;
    let manager = StandIn::on(lab, &bus)?;
    let mut scene = scene(lab)?;
    scene.gate.wait_for_log("the service manager answers", 0)?;

    scene.alice.knock("ssh")?.expect(0)?;

    scene.must_be_open(&lab.client, SSH)?;
    let started = scene.gate.wait_for_audit("the unit", |record| record["event"] == "unit-start")?;
    ensure!(started["unit"] == "backup" && started["outcome"] == "started", "{started}");
    ensure!(started["policy"] == "wakes" && started["client"] == "alice", "{started}");
    ensure!(manager.started() == ["backup.service replace"], "{:?}", manager.started());
    let decided = scene.gate.wait_for_audit("the decision", |record| is_decision_of(record, "wakes"))?;
    ensure!(decided["actions"][0] == json!({ "act": "start", "unit": 5 }), "{decided}");
    ensure!(decided["actions"][1]["seconds"] == 100 && decided["refused"] == json!([]), "{decided}");
    scene.must_be_healthy()
}

fn no_bus(lab: &Lab) -> Result<()> {
    let mut scene = scene(lab)?;
    scene.gate.wait_for_log("no service manager answers", 0)?;

    scene.alice.knock("ssh")?.expect(0)?;

    scene.must_be_open(&lab.client, SSH)?;
    let decided = scene.gate.wait_for_audit("the decision", |record| is_decision_of(record, "wakes"))?;
    ensure!(decided["verdict"] == "commit" && decided["refused"] == json!(["start"]), "{decided}");
    ensure!(decided["attributes"]["lacking"] == json!(["start"]), "{decided}");
    let open = json!({ "act": "open", "service": 1, "seconds": 100 + NO_SUCH_THING });
    ensure!(decided["actions"] == json!([open]), "the act was not answered {NO_SUCH_THING}: {decided}");
    let ordered = scene.gate.audit()?.iter().any(|record| record["event"] == "unit-start");
    ensure!(!ordered, "what was refused is not ordered");
    ensure!(scene.gate.log().matches("no service manager answers").count() == 1, "it is said once");
    scene.must_be_healthy()
}

fn comes_later(lab: &Lab) -> Result<()> {
    let mut scene = scene(lab)?;
    scene.gate.wait_for_log("no service manager answers", 0)?;
    let bus = Bus::start(lab)?;
    let manager = StandIn::on(lab, &bus)?;
    scene.gate.wait_for_log("the service manager answers", 0)?;

    scene.alice.knock("ssh")?.expect(0)?;

    scene.gate.wait_for_audit("the unit", |record| record["event"] == "unit-start")?;
    ensure!(manager.started().len() == 1, "{:?}", manager.started());
    scene.must_be_healthy()
}
