//! What an operator sees of a running gate, and what he can order.

use anyhow::{Context, Result, ensure};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::scenes::{SSH, Scene, WEB};
use knockgate_tests::{Family, Lab, packets};
use serde_json::Value;

const REFUSED: i32 = 4;
const LOCKED_OUT: i32 = 5;

const TRAPS: &str = r#"(module
  (@custom "knockgate.manifest" "abi=1.0\0aname=traps\0aservices=*\0acapabilities=open\0acauses=packet\0a")
  (func (export "decide") (result i32) unreachable))"#;

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("what is open is listed and closed at once, also what an earlier agent has opened", grants),
        story("rescue opens when every policy fails, for its time, and outlives the agent", rescue),
        story("why tells where a knock ended and what to do", why),
        story("whoever is unlocked gets in at once", unlock),
        story("a lockout of everybody ends when all are unlocked, and by no name", unlock_everybody),
    ]
}

/// What a command says as JSON.
fn told(scene: &Scene<'_>, arguments: &[&str]) -> Result<Value> {
    scene.gate.tell(&[arguments, &["--json"]].concat())?.expect(0)?.json()
}

fn grants(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    scene.alice.knock_for("ssh", 600)?.expect(0)?;
    let source = lab.client.ip(Family::V4).to_string();

    let grants = told(&scene, &["grants"])?;
    let grant = &grants["grants"][0];
    ensure!(grants["from"] == "agent" && grant["client"] == "alice" && grant["to"] == source, "{grants}");
    ensure!(grant["service"] == "ssh" && grant["left_seconds"].as_u64() > Some(500), "{grants}");
    let status = told(&scene, &["status"])?;
    ensure!(status["counts"]["grants"] == 1 && status["knocks"]["opened"] == 1, "{status}");
    ensure!(status["policies"][0]["policy"] == "default" && status["lease"]["wanted"] == true, "{status}");
    ensure!(status["engine"] == "interpreter" && status["guard_trouble"].is_null(), "{status}");
    let clients = told(&scene, &["clients"])?;
    ensure!(clients["clients"][0]["last"]["outcome"] == "opened", "{clients}");
    for command in ["status", "grants", "lockouts", "clients"] {
        scene.gate.tell(&[command])?.expect(0)?;
    }

    scene.gate.stop()?;
    let kernel = told(&scene, &["grants"])?;
    ensure!(kernel["from"] == "kernel" && kernel["grants"][0]["client"] == "alice", "{kernel}");
    scene.gate.tell(&["status"])?.expect(1)?.complains_of(&["no agent answers", "knockgated run"])?;

    scene.gate.start()?;
    scene.must_be_open(&lab.client, SSH)?;
    let revoked = told(&scene, &["revoke", &source])?;
    ensure!(revoked["revoked"][0]["grant"] == grant["grant"], "{revoked}");
    scene.must_be_shut(&lab.client, SSH)?;
    scene.gate.wait_for_audit("who has ordered it", |record| {
        record["event"] == "ordered" && record["order"] == "revoke" && record["uid"] == 0
    })?;
    scene.gate.tell(&["revoke", "alice"])?.expect(1)?.complains_of(&["knockgated grants"])?;

    scene.alice.knock("ssh")?.expect(0)?;
    scene.alice.knock("web")?.expect(0)?;
    let revoked = told(&scene, &["revoke", "--all"])?;
    ensure!(revoked["revoked"].as_array().is_some_and(|all| all.len() == 2), "{revoked}");
    scene.must_be_shut(&lab.client, SSH)?;
    scene.must_be_shut(&lab.client, WEB)?;
    // Nothing to close is no failure.
    told(&scene, &["revoke", "--all"])?;
    scene.must_be_healthy()
}

fn rescue(lab: &Lab) -> Result<()> {
    let file = lab.path("traps.wasm");
    std::fs::write(&file, wat::parse_str(TRAPS).context("the policy is not valid WAT")?)?;
    let policy = format!(
        "[policy]\nchain = [\"traps\"]\n[policy-module.traps]\nfile = \"{}\"\nservices = [\"ssh\", \"web\"]\ncapabilities = [\"open\"]",
        file.display()
    );
    let mut scene = Scene::by_packet(lab, Family::V4, &policy)?;
    scene.alice.knock("web")?.expect(REFUSED)?;
    let why = told(&scene, &["why", "alice"])?;
    ensure!(why["attempts"][0]["reason"] == "policy-failed", "{why}");
    let status = told(&scene, &["status"])?;
    ensure!(status["policies"][0]["failures"].as_u64() >= Some(1), "{status}");
    let module = &status["modules"][0];
    ensure!(module["policy"] == "traps" && module["sha256"].as_str().map(str::len) == Some(64), "{status}");
    let asked = status["guarded"].as_array().context("no list")?.iter().map(|guarded| &guarded["policies"]);
    ensure!(asked.into_iter().all(|policies| *policies == serde_json::json!(["traps"])), "{status}");

    let visitor = lab.visitor.ip(Family::V4).to_string();
    scene.gate.tell(&["rescue", "nothing", &visitor])?.expect(1)?.complains_of(&["ssh, web"])?;
    let opened = told(&scene, &["rescue", "web", &visitor, "--for", "5m"])?;
    ensure!(
        opened["grant"]["client"] == "console" && opened["grant"]["left_seconds"].as_u64() > Some(290),
        "{opened}"
    );
    scene.must_be_open(&lab.visitor, WEB)?;
    scene.must_be_shut(&lab.visitor, SSH)?;
    scene.must_be_shut(&lab.stranger, WEB)?;

    scene.gate.kill()?;
    scene.gate.start()?;
    let grants = told(&scene, &["grants"])?;
    ensure!(grants["grants"][0]["client"] == "console", "{grants}");
    told(&scene, &["revoke", "console"])?;
    scene.must_be_shut(&lab.visitor, WEB)?;
    scene
        .gate
        .wait_for_audit("a rescue", |record| record["event"] == "ordered" && record["order"] == "rescue")?;
    Ok(())
}

fn why(lab: &Lab) -> Result<()> {
    let scene = Scene::by_packet(lab, Family::V4, "")?;
    let profile = scene.gate.enrol("bob", &["web"], &[])?;
    let hand = packets::Hand::of(&profile)?;
    let to = lab.gate.at(Family::V4, 62201);
    let message = hand.ask(&lab.visitor, to, &hand.open_ssh(60))?.context("no answer")?;
    ensure!(matches!(message.verdict, knockgate_core::message::Verdict::Refused(_)), "{message:?}");

    let why = told(&scene, &["why", "bob"])?;
    let last = &why["attempts"][0];
    ensure!(
        last["outcome"] == "refused" && last["reason"] == "not-allowed" && last["asked"] == "open",
        "{why}"
    );
    let step = |name: &str| {
        let steps = last["steps"].as_array().into_iter().flatten();
        steps.into_iter().find(|step| step["step"] == name).map(|step| step["passed"].clone())
    };
    for (name, passed) in
        [("door-key", "yes"), ("replay", "yes"), ("service", "no"), ("policy", "not-reached")]
    {
        ensure!(step(name) == Some(passed.into()), "{name}: {last}");
    }
    ensure!(step("answer") == Some("yes".into()), "{last}");
    ensure!(last["remedy"].as_str().is_some_and(|remedy| remedy.contains("--service")), "{last}");

    scene.gate.tell(&["client", "remove", "bob"])?.expect(0)?;
    scene.gate.wait_for_log("removed=[\"bob\"]", 0)?;
    hand.ask(&lab.visitor, to, &hand.open_ssh(60))?;
    let address = lab.visitor.ip(Family::V4).to_string();
    let why = told(&scene, &["why", &address])?;
    let silence = &why["attempts"][0];
    ensure!(silence["outcome"] == "silence" && silence["reason"] == "unknown-client", "{why}");
    let said = scene.gate.tell(&["why", &lab.stranger.ip(Family::V4).to_string()])?.expect(0)?;
    ensure!(said.out.contains("unheard") && said.out.contains("knockgate doctor"), "{said}");
    scene.gate.tell(&["why", "nobody"])?.expect(1)?.complains_of(&["knockgated clients"])?;
    Ok(())
}

fn unlock(lab: &Lab) -> Result<()> {
    let scene = locked_out(lab, "source")?;
    let lockouts = told(&scene, &["lockouts"])?;
    ensure!(lockouts["lockouts"].as_array().is_some_and(|all| all.len() == 2), "{lockouts}");
    told(&scene, &["unlock", "alice"])?;
    scene.alice.knock("ssh")?.expect(LOCKED_OUT)?;
    told(&scene, &["unlock", &lab.client.ip(Family::V4).to_string()])?;
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)
}

fn unlock_everybody(lab: &Lab) -> Result<()> {
    let scene = locked_out(lab, "global")?;
    let lockouts = told(&scene, &["lockouts"])?;
    ensure!(lockouts["lockouts"][0]["kind"] == "everybody", "{lockouts}");
    for named in ["alice", "everybody", &lab.client.ip(Family::V4).to_string()] {
        scene.gate.tell(&["unlock", named])?.expect(1)?.complains_of(&["knockgated lockouts"])?;
    }
    let unlocked = told(&scene, &["unlock", "--all"])?;
    ensure!(unlocked["unlocked"].as_array().is_some_and(|all| all.len() == 1), "{unlocked}");
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)
}

/// Alice has knocked a wrong port, and hears so.
fn locked_out<'lab>(lab: &'lab Lab, scope: &str) -> Result<Scene<'lab>> {
    let sections = format!("[central]\n\n[lockout]\nduration = \"10m\"\nscope = \"{scope}\"");
    let scene = Scene::by_packet(lab, Family::V4, &sections)?;
    let stalled = scene.stall(&scene.alice, "ssh")?;
    scene.knock_wrongly(&lab.client)?;
    stalled.let_go()?;
    scene.alice.knock("ssh")?.expect(LOCKED_OUT)?;
    Ok(scene)
}
