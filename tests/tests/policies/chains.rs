//! Who is asked about what, and shadows.

use anyhow::{Result, ensure};
use knockgate_tests::clients::Client;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::scenes::{SSH, Scene, WEB};
use knockgate_tests::{Family, Lab};

use super::REFUSED;
use super::modules::{ABSTAINS, DENIES, OPENS, installed, is_decision_of};

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("a policy that abstains leaves the decision to the next one", abstains),
        story("whoever abstains at the end of a chain has allowed nothing", nobody_decides),
        story("a service and a client have chains of their own and the client's goes first", own_chains),
        story("a shadow that decides otherwise is written down and changes nothing", shadow),
    ]
}

fn abstains(lab: &Lab) -> Result<()> {
    let modules = installed(lab, "first", ABSTAINS)? + &installed(lab, "second", OPENS)?;
    let sections = format!("[policy]\nchain = [\"first\", \"second\", \"default\"]\n{modules}");
    let mut scene = Scene::by_packet(lab, Family::V4, &sections)?;

    scene.alice.knock("ssh")?.expect(0)?;

    scene.must_be_open(&lab.client, SSH)?;
    let decided =
        scene.gate.wait_for_audit("the second's decision", |record| is_decision_of(record, "second"))?;
    ensure!(
        decided["chain"][0]["policy"] == "first" && decided["chain"][0]["verdict"] == "abstain",
        "{decided}"
    );
    ensure!(decided["chain"][1]["policy"] == "second" && decided["verdict"] == "commit", "{decided}");
    let asked_third = scene.gate.audit()?.iter().any(|record| is_decision_of(record, "default"));
    ensure!(!asked_third, "whoever stands behind the one who decided is not asked");
    scene.must_be_healthy()
}

fn nobody_decides(lab: &Lab) -> Result<()> {
    let modules = installed(lab, "first", ABSTAINS)? + &installed(lab, "second", ABSTAINS)?;
    let sections = format!("[policy]\nchain = [\"first\", \"second\"]\n{modules}");
    let mut scene = Scene::by_packet(lab, Family::V4, &sections)?;
    scene.alice.knock("ssh")?.expect(REFUSED)?;
    scene.must_be_shut(&lab.client, SSH)?;
    scene.must_be_healthy()
}

fn own_chains(lab: &Lab) -> Result<()> {
    let sections = "[policy]\n[policy.services]\nweb = [\"never\"]\n[policy.clients]\nbob = [\"default\"]\n"
        .to_owned()
        + &installed(lab, "never", DENIES)?;
    let mut scene = Scene::by_packet(lab, Family::V4, &sections)?;
    let profile = scene.gate.enrol("bob", &["web"], &[])?;
    let bob = Client::with_profile(lab, &lab.visitor, "bob", &profile)?;

    scene.alice.knock("ssh")?.expect(0)?;
    scene.alice.knock("web")?.expect(REFUSED)?;
    bob.knock("web")?.expect(0)?;

    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_shut(&lab.client, WEB)?;
    scene.must_be_open(&lab.visitor, WEB)?;
    scene.must_be_healthy()
}

fn shadow(lab: &Lab) -> Result<()> {
    let modules = installed(lab, "strict", DENIES)? + &installed(lab, "same", OPENS)?;
    let sections = format!("[policy]\nshadow = [\"strict\", \"same\"]\n{modules}");
    let mut scene = Scene::by_packet(lab, Family::V4, &sections)?;

    scene.alice.knock("ssh")?.expect(0)?;

    scene.must_be_open(&lab.client, SSH)?;
    let differs =
        scene.gate.wait_for_audit("a difference", |record| record["event"] == "shadow-difference")?;
    ensure!(differs["policy"] == "strict" && differs["verdict"] == "deny", "{differs}");
    ensure!(
        differs["live"]["verdict"] == "commit" && differs["live"]["actions"][0]["act"] == "open",
        "{differs}"
    );
    scene.gate.wait_for_log("the shadow decides otherwise", 0)?;
    // A second knock: by the time the first shadow has spoken about it, so has the other.
    scene.alice.knock("web")?.expect(0)?;
    let of = |policy: &'static str| {
        move |record: &serde_json::Value| record["event"] == "shadow-difference" && record["policy"] == policy
    };
    scene.gate.wait_for_audit("the second difference", |record| {
        of("strict")(record) && record["service"] == "web"
    })?;
    ensure!(!scene.gate.audit()?.iter().any(of("same")), "what decides alike is not written down");
    scene.must_be_healthy()
}
