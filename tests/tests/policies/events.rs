//! What happens beside knocks reaches policies, and what they do about it happens.

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixListener;

use anyhow::{Context as _, Result, ensure};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::scenes::{SSH, Scene, WEB};
use knockgate_tests::{Family, Lab};
use serde_json::Value;

use super::REFUSED;
use super::modules::{install, is_decision_of, module, section};

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("start, expiry, close and failed attempts reach a policy and it remembers them", remembers),
        story(
            "a policy locks a client out after two failed attempts and hears nothing of its own lockout",
            locks_out,
        ),
        story("a policy notifies a local listener when a client fails", notifies),
    ]
}

/// Counts every cause under its number. Opens ssh once the gate's start was seen, and web once a grant has expired.
const REMEMBERS: &str = "(local $cause i32) (local.set $cause (call $asked (i32.const 4)))
  (if (i32.ne (local.get $cause) (i32.const 2)) (then
    (drop (call $store (local.get $cause) (i64.add (call $load (local.get $cause)) (i64.const 1))))
    (return (i32.const 0))))
  (if (i64.eqz (call $load (select (i32.const 8) (i32.const 5) (i32.eq (call $asked (i32.const 30)) (i32.const 1))))) (then
    (return (i32.const 1))))
  (call $open (call $asked (i32.const 30)) (call $asked (i32.const 32)))";

fn remembers(lab: &Lab) -> Result<()> {
    let causes = "packet close expiry failed-attempt start-up";
    install(lab, "memory", &module("memory", causes, REMEMBERS)?)?;
    let sections = format!("[policy]\nchain = [\"memory\"]\n{}", section(lab, "memory"));
    let mut scene = Scene::by_packet(lab, Family::V4, &sections)?;
    let heard = |cause: &'static str| {
        move |record: &Value| is_decision_of(record, "memory") && record["attributes"]["cause"] == cause
    };
    scene.gate.wait_for_audit("the start told", heard("start-up"))?;

    scene.alice.knock("web")?.expect(REFUSED)?;
    let failed = scene.gate.wait_for_audit("the failed attempt told", heard("failed-attempt"))?;
    ensure!(failed["client"] == "alice" && failed["attributes"]["client-failures"] == 1, "{failed}");

    scene.alice.knock_for("ssh", 2)?.expect(0)?;
    scene.wait_until_shut(&lab.client, SSH)?;
    let expired = scene.gate.wait_for_audit("the expiry told", heard("expiry"))?;
    ensure!(expired["service"] == "ssh" && expired["attributes"]["grant"].is_u64(), "{expired}");

    scene.alice.knock_for("web", 60)?.expect(0)?;
    scene.must_be_open(&lab.client, WEB)?;
    scene.alice.tell(&["close", "alice", "web"])?.expect(0)?;
    scene.gate.wait_for_audit("the close told", heard("close"))?;
    let kept =
        scene.gate.audit()?.into_iter().rfind(|record| heard("packet")(record) && record["service"] == "web");
    let kept = kept.context("no decision about web")?;
    ensure!(
        kept["loaded"][0][0] == 5 && kept["loaded"][0][1] == 1,
        "what was read can be read again: {kept}"
    );
    scene.must_be_healthy()
}

/// Opens ssh and nothing else; the second failure in a row locks out, and so does every lockout, which would never end.
const STRICT: &str = "(local $cause i32) (local.set $cause (call $asked (i32.const 4)))
  (if (i32.eq (local.get $cause) (i32.const 6)) (then
    (drop (call $lockout (i32.const 77))) (return (i32.const 0))))
  (if (i32.eq (local.get $cause) (i32.const 7)) (then
    (if (i32.lt_u (call $asked (i32.const 12)) (i32.const 2)) (then (return (i32.const 2))))
    (drop (call $lockout (i32.const 60))) (return (i32.const 0))))
  (if (i32.ne (call $asked (i32.const 30)) (i32.const 1)) (then (return (i32.const 1))))
  (call $open (i32.const 1) (i32.const 60))";

fn locks_out(lab: &Lab) -> Result<()> {
    install(lab, "strict", &module("strict", "packet failed-attempt lockout", STRICT)?)?;
    let sections = format!("[policy]\nchain = [\"strict\"]\n{}", section(lab, "strict"));
    let mut scene = Scene::by_packet(lab, Family::V4, &sections)?;

    scene.alice.knock("web")?.expect(REFUSED)?;
    scene.alice.knock("web")?.expect(REFUSED)?;

    let locked = scene.gate.wait_for_audit("a lockout", |record| record["event"] == "lockout")?;
    ensure!(locked["who"] == "client alice" && locked["seconds"] == 60, "{locked}");
    let refused = scene.alice.knock("ssh")?;
    ensure!(refused.code != Some(0), "{refused}");
    scene.must_be_shut(&lab.client, SSH)?;
    let audit = scene.gate.audit()?;
    let told =
        |record: &&Value| is_decision_of(record, "strict") && record["attributes"]["cause"] == "lockout";
    ensure!(audit.iter().filter(told).count() == 0, "a reaction is no event");
    ensure!(audit.iter().filter(|record| record["event"] == "lockout").count() == 1, "locked out once");
    ensure!(scene.gate.is_alive(), "the agent has ended");
    Ok(())
}

const TELLS: &str = "(if (i32.eq (call $asked (i32.const 4)) (i32.const 7)) (then
    (drop (call $notify (i32.const 9) (i32.const 42))) (return (i32.const 0))))
  (i32.const 1)";

fn notifies(lab: &Lab) -> Result<()> {
    let socket = lab.path("ops.sock");
    let listener = UnixListener::bind(&socket)?;
    install(lab, "tells", &module("tells", "packet failed-attempt", TELLS)?)?;
    let sections = format!(
        "[policy]\nchain = [\"tells\"]\n{}channels = [\"ops\"]\n[channel.ops]\nid = 9\nsocket = \"{}\"\n",
        section(lab, "tells"),
        socket.display()
    );
    let mut scene = Scene::by_packet(lab, Family::V4, &sections)?;

    scene.alice.knock("ssh")?.expect(REFUSED)?;

    let mut line = String::new();
    BufReader::new(listener.accept()?.0).read_line(&mut line)?;
    let notice: Value = serde_json::from_str(&line)?;
    ensure!(notice["code"] == 42 && notice["channel"] == "ops" && notice["policy"] == "tells", "{notice}");
    ensure!(notice["cause"] == "failed-attempt" && notice["client"] == "alice", "{notice}");
    scene.must_be_healthy()
}
