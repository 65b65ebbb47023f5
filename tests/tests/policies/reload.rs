//! Modules that change while the agent runs, and their signatures.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use knockgate_tests::gates::Configuration;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::scenes::{SSH, Scene};
use knockgate_tests::{Family, Lab, waiting};
use minisign::KeyPair;
use serde_json::Value;

use super::modules::{DENIES, OPENS, install, installed, is_decision_of, module, opens_for};

/// For the audit log, which is written after the answer.
const WITHIN: Duration = Duration::from_secs(20);

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("a module is replaced under a stream of knocks and none is lost", under_load),
        story("a broken module leaves the old one in force until a good one comes", broken),
        story("another chain decides from a reload on and keeps what its policies have noted", another_chain),
        story("an unsigned module and one signed by somebody else refuse the start", unsigned_start),
        story("an unsigned replacement and one signed by somebody else are not taken up", unsigned_reload),
    ]
}

fn governed(lab: &Lab, more: &str) -> Result<String> {
    Ok(format!("[policy]\nchain = [\"hours\"]\n{more}{}", installed(lab, "hours", &opens_for(100))?))
}

/// Decisions of the policy that opened for so long.
/// Waits for the one knock that the policy has opened for so many seconds.
fn opened_once(scene: &Scene<'_>, seconds: u32) -> Result<()> {
    let is_it = |record: &Value| opened_for(std::slice::from_ref(record), seconds) == 1;
    scene.gate.wait_for_audit(&format!("a decision for {seconds} s"), is_it)?;
    let opened = opened_for(&scene.gate.audit()?, seconds);
    ensure!(opened == 1, "{opened} knocks were opened for {seconds} s");
    Ok(())
}

fn opened_for(audit: &[Value], seconds: u32) -> usize {
    let opened = |record: &&Value| {
        is_decision_of(record, "hours")
            && record["actions"][0]["seconds"] == seconds
            && record["failure"].is_null()
    };
    audit.iter().filter(opened).count()
}

fn under_load(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, &governed(lab, "")?)?;
    let is_over = AtomicBool::new(false);
    let (alice, gate) = (&scene.alice, &scene.gate);
    let knocks = std::thread::scope(|scope| -> Result<usize> {
        let stream = scope.spawn(|| -> Result<usize> {
            let mut knocks = 0;
            while !is_over.load(Ordering::Relaxed) {
                alice.knock("ssh")?.expect(0).with_context(|| format!("knock {knocks}"))?;
                knocks += 1;
            }
            Ok(knocks)
        });
        let replaced = (101..104).try_for_each(|seconds| {
            install(lab, "hours", &module("hours", "packet", &opens_for(seconds))?)?;
            let opened = |record: &Value| {
                is_decision_of(record, "hours") && record["actions"][0]["seconds"] == seconds
            };
            gate.wait_for_audit(&format!("a decision for {seconds} s"), opened).map(drop)
        });
        is_over.store(true, Ordering::Relaxed);
        let knocks = stream.join().map_err(|_| anyhow::anyhow!("the stream of knocks panicked"))?;
        replaced.and(knocks)
    })?;

    let audit = waiting::until("a decision for every knock", WITHIN, || {
        let audit = scene.gate.audit().ok()?;
        let decided: usize = (100..104).map(|seconds| opened_for(&audit, seconds)).sum();
        (decided >= knocks).then_some(audit)
    })?;
    let decided: usize = (100..104).map(|seconds| opened_for(&audit, seconds)).sum();
    ensure!(decided == knocks, "{knocks} knocks and {decided} decisions");
    let loaded = audit.iter().filter(|record| record["event"] == "policy-loaded").count();
    ensure!(loaded == 4, "the start and three replacements: {loaded}");
    scene.must_be_healthy()
}

/// Counts its knocks in what it keeps, and opens for as many seconds and a hundred.
const COUNTS: &str = "(drop (call $store (i32.const 1) (i64.add (call $load (i32.const 1)) (i64.const 1)))) \
     (call $open (i32.const 1) (i32.add (i32.const 100) (i32.wrap_i64 (call $load (i32.const 1)))))";

fn another_chain(lab: &Lab) -> Result<()> {
    let counting = format!("[policy]\nchain = [\"hours\"]\n{}", installed(lab, "hours", COUNTS)?);
    let mut scene = Scene::by_packet(lab, Family::V4, &counting)?;
    scene.alice.knock("ssh")?.expect(0)?;

    let address = lab.gate.ip(Family::V4).to_string();
    let with = |sections: &str| Configuration::for_packets(lab, &address).with_services().with(sections);
    let denying = installed(lab, "never", DENIES)?;
    with(&format!("[policy]\nchain = [\"never\"]\n{denying}")).write()?;
    let said = scene.gate.tell(&["reload"])?.expect(0)?.out;
    ensure!(said.contains("the policy chain: hours -> never"), "{said}");
    scene.alice.knock("ssh")?.expect(4)?;

    // Both policies at once, and the first passes on what it is not asked for: its numbers are those from before.
    with(&format!("{counting}{denying}")).write()?;
    scene.gate.tell(&["reload"])?.expect(0)?;
    scene.alice.knock("ssh")?.expect(0)?;
    opened_once(&scene, 101).context("the first knock")?;
    opened_once(&scene, 102).context("the second knock: its number is not that after the first")?;

    let (place, broken) = (lab.path("hours.wasm"), module("hours", "packet", OPENS)?);
    std::fs::write(&place, broken.get(..40).unwrap_or_default())?;
    scene
        .gate
        .tell(&["reload"])?
        .expect(1)?
        .complains_of(&["hours.wasm cannot be used", "goes on as before"])?;
    scene.alice.knock("ssh")?.expect(0)?;
    opened_once(&scene, 103).context("the old module decides no more")?;
    scene.must_be_healthy()
}

fn broken(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, &governed(lab, "")?)?;
    let good = module("hours", "packet", &opens_for(200))?;

    install(lab, "hours", good.get(..good.len() / 2).unwrap_or_default())?;
    let refused = scene.gate.wait_for_audit("the refusal", |record| record["event"] == "policy-refused")?;
    ensure!(
        refused["reason"].as_str().is_some_and(|reason| reason.contains("hours.wasm cannot be used")),
        "{refused}"
    );
    scene.gate.wait_for_log("what is in use stays", 0)?;
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;

    install(lab, "hours", &good)?;
    let taken_up = |record: &Value| {
        record["event"] == "policy-loaded" && record["seq"].as_u64() > refused["seq"].as_u64()
    };
    scene.gate.wait_for_audit("the good module taken up", taken_up)?;
    scene.alice.knock("ssh")?.expect(0)?;
    opened_once(&scene, 200).context("the good module does not decide")?;
    opened_once(&scene, 100).context("the module before it")?;
    scene.must_be_healthy()
}

fn sign(lab: &Lab, key: &KeyPair, module: &[u8]) -> Result<()> {
    let signature = minisign::sign(None, &key.sk, module, None, None)?.into_string();
    Ok(std::fs::write(lab.path("hours.wasm.minisig"), signature)?)
}

fn keys() -> Result<(KeyPair, KeyPair)> {
    Ok((KeyPair::generate_unencrypted_keypair()?, KeyPair::generate_unencrypted_keypair()?))
}

fn signed_by(lab: &Lab, key: &KeyPair) -> Result<String> {
    governed(lab, &format!("keys = [\"{}\"]\n", key.pk.to_base64()))
}

fn unsigned_start(lab: &Lab) -> Result<()> {
    let (ours, stranger) = keys()?;
    let sections = signed_by(lab, &ours)?;
    let good = module("hours", "packet", &opens_for(100))?;
    sign(lab, &ours, &good)?;
    let mut scene = Scene::by_packet(lab, Family::V4, &sections)?;
    scene.alice.knock("ssh")?.expect(0)?;
    scene.gate.stop()?;

    std::fs::remove_file(lab.path("hours.wasm.minisig"))?;
    scene.gate.tell(&["run"])?.expect(1)?.complains_of(&["policy hours", "it is not signed; sign it"])?;
    sign(lab, &stranger, &good)?;
    scene.gate.tell(&["run"])?.expect(1)?.complains_of(&["policy hours", "which is not listed"])?;
    scene.gate.tell(&["check"])?.expect(1)?.complains_of(&["which is not listed"])?;
    sign(lab, &ours, OPENS.as_bytes())?;
    scene
        .gate
        .tell(&["run"])?
        .expect(1)?
        .complains_of(&["policy hours", "its signature is not of this file"])?;
    Ok(())
}

fn unsigned_reload(lab: &Lab) -> Result<()> {
    let (ours, stranger) = keys()?;
    let sections = signed_by(lab, &ours)?;
    sign(lab, &ours, &module("hours", "packet", &opens_for(100))?)?;
    let mut scene = Scene::by_packet(lab, Family::V4, &sections)?;
    let refused_for = |words: &'static str| {
        move |record: &Value| {
            record["event"] == "policy-refused"
                && record["reason"].as_str().is_some_and(|reason| reason.contains(words))
        }
    };

    let other = module("hours", "packet", &opens_for(200))?;
    std::fs::remove_file(lab.path("hours.wasm.minisig"))?;
    install(lab, "hours", &other)?;
    scene.gate.wait_for_audit("the unsigned one refused", refused_for("it is not signed"))?;
    sign(lab, &stranger, &other)?;
    scene.gate.wait_for_audit("the stranger's refused", refused_for("which is not listed"))?;
    scene.alice.knock("ssh")?.expect(0)?;
    opened_once(&scene, 100).context("the old one is in force no more")?;

    sign(lab, &ours, &other)?;
    let refused = scene.gate.audit()?.iter().rposition(|record| record["event"] == "policy-refused");
    let taken_up = |record: &Value| {
        record["event"] == "policy-loaded" && record["seq"].as_u64() > refused.map(|at| at as u64)
    };
    scene.gate.wait_for_audit("the signed one taken up", taken_up)?;
    scene.alice.knock("ssh")?.expect(0)?;
    opened_once(&scene, 200).context("the new one is not in force")?;
    scene.must_be_healthy()
}
