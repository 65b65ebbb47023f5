//! A full disk, a firewall that somebody flushes, an agent that is killed: what is open, and until when.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use knockgate_core::Refusal;
use knockgate_core::message::{Request, Verdict};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::packets::{Hand, KNOCK};
use knockgate_tests::peers::Reached;
use knockgate_tests::scenes::{APART_TRACED, RESTORING, SSH, Scene, WEB};
use knockgate_tests::tracing::{Interference, Tracer};
use knockgate_tests::{Family, Lab, waiting};
use serde_json::Value;

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story(
            "on a full disk nothing opens that would have to be stored, and all is well once there is room",
            |lab| full_disk(lab, ""),
        ),
        story("two processes open nothing on a full disk that would have to be stored", |lab| {
            full_disk(lab, APART_TRACED)
        }),
        story("with no room for the audit log knocks open, and what was lost is counted", |lab| {
            full_log(lab, "", Refused::Nothing)
        }),
        story(
            "with no room for the audit log nothing opens where that is wanted, until there is room",
            |lab| full_log(lab, "[audit]\non-failure = \"refuse\"\n", Refused::Everything),
        ),
        story("two processes open nothing without room for the audit log where that is wanted", |lab| {
            full_log(lab, &format!("{APART_TRACED}\n[audit]\non-failure = \"refuse\"\n"), Refused::Everything)
        }),
        story("while the audit log hangs knocks open, and once it goes on it has all of it", hung_log),
        story("a flushed table is restored with what packet knocks have opened", |lab| {
            restored(lab, "flush table inet knockgate")
        }),
        story("a deleted table is restored with what packet knocks have opened", |lab| {
            restored(lab, "delete table inet knockgate")
        }),
        story("what a packet knock has opened closes on time with the agent killed", closes_without_agent),
        story("what a packet knock has opened survives restart and crash, and closes on time", adopted),
    ]
}

/// Microseconds, further in the future than any lease.
const AHEAD: u64 = 600_000_000;
/// What a full disk refuses: content, and more room.
const WRITING: &str = "pwrite64,ftruncate,fallocate,fsync,fdatasync";

fn full_disk(lab: &Lab, sections: &str) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, sections)?;
    let [bob, carol] = ["bob", "carol"].map(|name| Hand::of(&scene.gate.enrol(name, &["ssh"], &[])?));
    let (bob, carol) = (bob?, carol?);
    let to = lab.gate.at(Family::V4, KNOCK);
    let far_ahead = || {
        let request = bob.open_ssh(1);
        Request { counter: request.counter + AHEAD, ..request }
    };
    let first = bob.ask(&lab.visitor, to, &far_ahead())?.context("silence")?;
    ensure!(first.verdict == Verdict::Granted, "{first:?}");
    scene.wait_until_shut(&lab.visitor, SSH)?;

    // A small disk would not do: a store finds room in itself for a while.
    let full = Tracer::attach(scene.gate.pid()?, Interference::Fail { calls: WRITING, error: "ENOSPC" })?;
    for _ in 0..2 {
        let refused = bob.ask(&lab.visitor, to, &far_ahead())?.context("silence")?;
        ensure!(refused.refusal() == Some(Refusal::Unavailable), "{refused:?}");
        scene.must_be_shut(&lab.visitor, SSH)?;
    }
    // In the lease the disk is not needed.
    let in_the_lease = carol.ask(&lab.visitor, to, &carol.open_ssh(1))?.context("silence")?;
    ensure!(in_the_lease.verdict == Verdict::Granted, "{in_the_lease:?}");
    scene.wait_until_shut(&lab.visitor, SSH)?;
    ensure!(!full.detach()?.is_empty(), "nothing was written: the disk was not full for anybody");

    let after = bob.ask(&lab.visitor, to, &far_ahead())?.context("silence")?;
    ensure!(after.verdict == Verdict::Granted, "{after:?}");
    scene.must_be_open(&lab.visitor, SSH)?;
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_healthy()
}

/// What becomes of knocks while the audit log cannot be written.
#[derive(PartialEq, Eq)]
enum Refused {
    Nothing,
    Everything,
}

fn full_log(lab: &Lab, config: &str, refused: Refused) -> Result<()> {
    const SOON: Duration = Duration::from_secs(10);
    let mut scene = Scene::by_packet(lab, Family::V4, config)?;
    let bob = Hand::of(&scene.gate.enrol("bob", &["ssh"], &[])?)?;
    let to = lab.gate.at(Family::V4, KNOCK);
    let ask = || bob.ask(&lab.visitor, to, &bob.open_ssh(1))?.context("silence");
    ensure!(ask()?.verdict == Verdict::Granted, "there is room");

    let log = lab.path("audit.jsonl");
    let calls = "write,fdatasync";
    let full =
        Tracer::attach(scene.gate.pid()?, Interference::FailAt { calls, error: "ENOSPC", file: &log })?;
    // The agent learns that there is no room when it writes what this one has done.
    ensure!(ask()?.verdict == Verdict::Granted, "the first one finds out");
    scene.gate.wait_for_log("the audit log cannot be written", 0)?;
    let answer = ask()?;
    match refused {
        Refused::Nothing => ensure!(answer.verdict == Verdict::Granted, "{answer:?}"),
        Refused::Everything => {
            ensure!(answer.refusal() == Some(Refusal::Unrecorded), "{answer:?}");
            scene.wait_until_shut(&lab.visitor, SSH)?;
            ensure!(ask()?.refusal() == Some(Refusal::Unrecorded), "still");
            scene.must_be_shut(&lab.visitor, SSH)?;
            // Whoever is at the host itself is not kept out by a full disk.
            let visitor = lab.visitor.ip(Family::V4).to_string();
            scene.gate.tell(&["rescue", "web", &visitor, "--for", "1m"])?.expect(0)?;
            scene.must_be_open(&lab.visitor, WEB)?;
        }
    }
    full.detach()?;

    // Nobody need knock for the log to be found well again.
    let lost = scene.gate.wait_for_audit("what was lost", |record| record["event"] == "lost")?;
    ensure!(lost["records"].as_u64().is_some_and(|records| records > 0), "{lost}");
    waiting::until_true("bob is let in again", SOON, || {
        ask().is_ok_and(|answer| answer.verdict == Verdict::Granted)
    })?;
    scene.must_be_healthy()
}

/// As on a network file system whose server is away: no write comes to an end, and none fails.
fn hung_log(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    let audit = || std::fs::read_to_string(lab.path("audit.jsonl"));
    scene.gate.wait_for_audit("the start", |record| record["event"] == "started")?;
    let hung = Interference::Delay { calls: "write", seconds: 600 };
    let hung = Tracer::attach_to_thread(scene.gate.pid()?, "audit", hung)?;
    let before = audit()?;

    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.alice.knock("web")?.expect(0)?;
    scene.must_be_open(&lab.client, WEB)?;
    ensure!(audit()? == before, "the log did not hang");

    ensure!(!hung.detach()?.is_empty(), "nobody has tried to write");
    for service in ["ssh", "web"] {
        let opened = |record: &Value| record["event"] == "grant-opened" && record["service"] == service;
        scene.gate.wait_for_audit(service, opened)?;
    }
    scene.must_be_healthy()
}

fn restored(lab: &Lab, damage: &str) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    scene.alice.knock_for("ssh", 60)?.expect(0)?;

    lab.gate.nft(damage)?;

    waiting::until_true("the guard is back", RESTORING, || {
        matches!(scene.reached(&lab.stranger, SSH), Ok(Reached::Silence))
    })?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_shut(&lab.client, WEB)?;
    scene.alice.knock_for("web", 60)?.expect(0)?;
    scene.must_be_open(&lab.client, WEB)?;
    scene.must_be_shut(&lab.stranger, WEB)?;
    scene.must_be_healthy()
}

const SECONDS: u32 = 4;
/// More than two starts take.
const LONGER: u32 = 15;

fn closes_without_agent(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V6, "")?;
    let knocked = Instant::now();
    scene.alice.knock_for("ssh", SECONDS)?.expect(0)?;
    scene.gate.kill()?;
    scene.must_be_open(&lab.client, SSH)?;
    must_close_in_time(&scene, knocked)
}

fn adopted(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    let knocked = Instant::now();
    scene.alice.knock_for("ssh", LONGER)?.expect(0)?;
    scene.gate.stop()?;
    scene.gate.start()?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.gate.kill()?;
    scene.gate.start()?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_shut(&lab.stranger, SSH)?;
    let is_shut = || scene.must_be_shut(&lab.client, SSH).is_ok();
    waiting::until_true("the end of the grant", Duration::from_secs(2 * u64::from(LONGER)), is_shut)?;
    ensure!(
        knocked.elapsed() >= Duration::from_secs(u64::from(LONGER) - 1),
        "shut after {:?}",
        knocked.elapsed()
    );
    Ok(())
}

fn must_close_in_time(scene: &Scene<'_>, knocked: Instant) -> Result<()> {
    let shut = scene.wait_until_shut(&scene.lab.client, SSH)?.duration_since(knocked);
    ensure!(shut >= Duration::from_secs(u64::from(SECONDS) - 1), "shut after {shut:?} already");
    ensure!(shut <= Duration::from_secs(u64::from(SECONDS) + 3), "shut only after {shut:?}");
    Ok(())
}
