//! Policies that decide, and policies that misbehave.

use anyhow::{Context, Result, ensure};
use knockgate_tests::clients::Client;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::programs;
use knockgate_tests::scenes::{SSH, Scene};
use knockgate_tests::{Family, Lab};

const REFUSED: i32 = 4;

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("a policy that loops denies the knock and leaves the agent healthy", |lab| {
            misbehaves(lab, LOOPS)
        }),
        story("a policy that traps denies the knock and leaves the agent healthy", |lab| {
            misbehaves(lab, TRAPS)
        }),
        story("a policy that asks for too much denies the knock and leaves the agent healthy", |lab| {
            misbehaves(lab, GREEDY)
        }),
        story("a policy that grows without end denies the knock and leaves the agent healthy", |lab| {
            misbehaves(lab, GROWS)
        }),
        story("a policy that counts a client's grants grants one at a time", one_grant),
        story("the example policy for office hours is loaded and decides", office_hours),
    ]
}

const MANIFEST: &str = "abi=1.0\\nname=hostile\\nversion=1\\nservices=*\\nmax-seconds=3600\\ncapabilities=open\\ncauses=sequence\\n";
const LOOPS: &str = "(loop $again (br $again)) (i32.const 0)";
const TRAPS: &str = "unreachable";
/// A century, which neither the manifest nor the configuration allows.
const GREEDY: &str = "(call $open (i32.const 1) (i32.const 0x7fffffff)) drop (i32.const 0)";
const GROWS: &str = "(loop $again (drop (memory.grow (i32.const 64))) (br $again)) (i32.const 0)";

/// Opens ssh or web when the client (13: client-grants) has nothing open, else denies.
const ONE_GRANT: &str = r#"(module
  (@custom "knockgate.manifest" "abi=1.0\0aname=one-grant\0aservices=*\0acapabilities=open\0a")
  (import "knockgate:policy/event@1.0.0" "attr" (func $attr (param i32) (result i64)))
  (import "knockgate:policy/act@1.0.0" "open" (func $open (param i32 i32) (result i32)))
  (func (export "decide") (result i32)
    (if (result i32) (i64.eqz (call $attr (i32.const 13)))
      (then (i32.ne (i32.const 0)
        (call $open (i32.wrap_i64 (call $attr (i32.const 30))) (i32.wrap_i64 (call $attr (i32.const 32))))))
      (else (i32.const 1)))))"#;

fn hostile(body: &str) -> String {
    format!(
        r#"(module
  (@custom "knockgate.manifest" "{MANIFEST}")
  (import "knockgate:policy/act@1.0.0" "open" (func $open (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "decide") (result i32) {body}))"#
    )
}

fn misbehaves(lab: &Lab, body: &str) -> Result<()> {
    let module = wat::parse_str(hostile(body)).context("the hostile policy is not valid WAT")?;
    let file = lab.path("hostile.wasm");
    std::fs::write(&file, module)?;
    let mut scene = Scene::set_with(lab, Family::V4, &governed_by("hostile", &file.display().to_string()))?;

    scene.alice.knock("ssh")?.expect(REFUSED)?;
    // Who asks for too much has agreed to nothing that could be opened; the others have failed.
    let is_known = |reason: &serde_json::Value| *reason == "policy-failed" || *reason == "denied";
    scene.gate.wait_for_audit("the refusal", |record| {
        record["event"] == "refused" && is_known(&record["reason"]) && record["service"] == "ssh"
    })?;
    let why = scene.gate.tell(&["why", "alice", "--json"])?.expect(0)?.json()?;
    let told = |attempt: &serde_json::Value| {
        attempt["asked"] == "sequence" && is_known(&attempt["reason"]) && attempt["remedy"].is_string()
    };
    ensure!(why["attempts"].as_array().is_some_and(|attempts| attempts.iter().any(told)), "{why}");

    scene.must_be_shut(&lab.client, SSH)?;
    scene.must_be_healthy()?;
    // A second one is refused as politely: nothing was used up by the first.
    scene.alice.knock("ssh")?.expect(REFUSED)?;
    scene.must_be_healthy()
}

fn governed_by(name: &str, file: &str) -> String {
    format!(
        "[policy]\nchain = [\"{name}\"]\n[policy-module.{name}]\nfile = \"{file}\"\nservices = [\"ssh\", \"web\"]\n\
         capabilities = [\"open\", \"log\", \"state\"]\nmax-seconds = 3600"
    )
}

fn one_grant(lab: &Lab) -> Result<()> {
    let file = lab.path("one_grant.wasm");
    std::fs::write(&file, wat::parse_str(ONE_GRANT).context("the policy is not valid WAT")?)?;
    let policy = governed_by("one-grant", &file.display().to_string());
    let mut scene = Scene::set_with(lab, Family::V4, &policy)?;
    let profile = scene.gate.enrol("bob", &["ssh"], &[])?;
    let bob = Client::with_profile(lab, &lab.visitor, "bob", &profile)?;

    scene.alice.knock_for("ssh", 60)?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.alice.knock_for("web", 60)?.expect(REFUSED)?;
    scene.must_be_shut(&lab.client, knockgate_tests::scenes::WEB)?;
    bob.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.visitor, SSH)?;
    scene.must_be_healthy()
}

/// Tests run at any hour, so the answer is one of two; which one is the policy's own test.
fn office_hours(lab: &Lab) -> Result<()> {
    let file = programs::policy("office_hours_rust")?.display().to_string();
    let mut scene = Scene::set_with(lab, Family::V4, &governed_by("office-hours", &file))?;
    let said = scene.alice.knock("ssh")?;
    match said.code {
        Some(0) => scene.must_be_open(&lab.client, SSH)?,
        _ => scene.must_be_shut(&lab.client, SSH)?,
    }
    ensure!([Some(0), Some(REFUSED)].contains(&said.code), "{said}");
    scene.must_be_healthy()
}
