//! A captured knock is worth nothing, whenever and from wherever it is repeated.

use std::time::Duration;

use anyhow::{Result, ensure};
use knockgate_tests::capture::Capture;
use knockgate_tests::gates::CENTRAL;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::scenes::{SSH, Scene};
use knockgate_tests::tracing::{Interference, Tracer};
use knockgate_tests::{Family, Lab, waiting};

/// What a full disk refuses: content, and more room.
const WRITING: &str = "pwrite64,ftruncate,fallocate,fsync,fdatasync";

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("a replayed sequence is refused at once", |lab| refused(lab, Family::V4, Between::Nothing)),
        story("a replayed sequence is refused at once over IPv6", |lab| {
            refused(lab, Family::V6, Between::Nothing)
        }),
        story("a replayed sequence is refused after a clean restart", |lab| {
            refused(lab, Family::V4, Between::Restart)
        }),
        story("a replayed sequence is refused after kill -9", |lab| refused(lab, Family::V4, Between::Kill)),
        story(
            "a sequence captured up to the last port is not finished from elsewhere",
            finished_from_elsewhere,
        ),
        story("a question that was turned away is refused after kill -9", turned_away_question),
        story("a number is stored ahead: a crash loses one, a clean stop none", stored_ahead),
        story(
            "a number that was stored ahead needs no disk, and the one after it does",
            offered_without_disk,
        ),
    ]
}

/// What happens to the agent between the knock and its repetition.
#[derive(Clone, Copy)]
enum Between {
    Nothing,
    Restart,
    Kill,
}

fn refused(lab: &Lab, family: Family, between: Between) -> Result<()> {
    let mut scene = Scene::set(lab, family)?;
    let captured = scene.recorded_knock(1)?;
    scene.wait_until_shut(&lab.client, SSH)?;
    match between {
        Between::Nothing => {}
        Between::Restart => {
            scene.gate.stop()?;
            scene.gate.start()?;
        }
        Between::Kill => {
            scene.gate.kill()?;
            scene.gate.start()?;
        }
    }

    let offers = offers_so_far(&scene)?;
    for attacker in [&lab.stranger, &lab.client] {
        let answers = captured.replay(attacker)?;
        let answered = answers.iter().filter(|answer| !answer.is_empty()).count();
        ensure!(
            answers[0].is_empty(),
            "the gate answered a repeated question for a number from {attacker:?}"
        );
        // After a crash, and only then, a repeated question for a state may be answered: docs/protocol.md, section 6.1.
        ensure!(
            answered == 0 || matches!(between, Between::Kill),
            "the gate answered {answered} repeated questions"
        );
        scene.must_be_shut(attacker, SSH)?;
    }
    scene.must_be_shut(&lab.client, SSH)?;
    ensure!(offers_so_far(&scene)? == offers, "a replay got a number");
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)
}

fn offers_so_far(scene: &Scene<'_>) -> Result<usize> {
    Ok(scene.gate.audit()?.iter().filter(|record| record["event"] == "offered").count())
}

fn stored_ahead(lab: &Lab) -> Result<()> {
    let mut scene = Scene::set(lab, Family::V4)?;
    scene.alice.knock("ssh")?.expect(0)?;
    scene.alice.knock("ssh")?.expect(0)?;
    scene.gate.stop()?;
    scene.gate.start()?;
    scene.alice.knock("ssh")?.expect(0)?;
    scene.gate.kill()?;
    scene.gate.start()?;
    scene.alice.knock("ssh")?.expect(0)?;
    let numbers = numbers_offered(&scene)?;
    ensure!(numbers == [0, 1, 2, 4], "{numbers:?}");
    Ok(())
}

fn offered_without_disk(lab: &Lab) -> Result<()> {
    let scene = Scene::set(lab, Family::V4)?;
    scene.alice.knock("ssh")?.expect(0)?;

    let full = Tracer::attach(scene.gate.pid()?, Interference::Fail { calls: WRITING, error: "ENOSPC" })?;
    scene.alice.knock("ssh")?.expect(0)?;
    scene.alice.knock("ssh")?.expect(4)?;
    ensure!(!full.detach()?.is_empty(), "nothing was written: the disk was not full for anybody");

    scene.alice.knock("ssh")?.expect(0)?;
    let numbers = numbers_offered(&scene)?;
    ensure!(numbers == [0, 1, 3], "{numbers:?}");
    Ok(())
}

fn numbers_offered(scene: &Scene<'_>) -> Result<Vec<u64>> {
    let audit = scene.gate.audit()?;
    let offered = audit.iter().filter(|record| record["event"] == "offered");
    Ok(offered.filter_map(|record| record["number"].as_u64()).collect())
}

/// The attacker sees all of a sequence but its last port used, and uses it from his own address while it is held.
fn finished_from_elsewhere(lab: &Lab) -> Result<()> {
    let scene = Scene::set(lab, Family::V4)?;
    let stalled = scene.stall(&scene.alice, "ssh")?;

    scene.knock_wrongly(&lab.stranger)?;
    scene.must_be_shut(&lab.stranger, SSH)?;

    stalled.let_go()?;
    scene.must_be_shut(&lab.stranger, SSH)
}

/// A question that was turned away would be a good one once the reason is gone: it is used up all the same.
fn turned_away_question(lab: &Lab) -> Result<()> {
    let mut scene = Scene::set(lab, Family::V4)?;
    let stalled = scene.stall(&scene.alice, "ssh")?;
    scene.knock_wrongly(&lab.client)?;
    stalled.let_go()?;
    let capture = Capture::on(&lab.client)?;
    scene.alice.tell(&["knock", "alice", "ssh"])?.expect(5)?;
    let (client, gate) = (lab.client.ip(Family::V4), lab.gate.ip(Family::V4));
    let asked = waiting::until("the question in the capture", Duration::from_secs(2), || {
        Some(capture.knock(client, gate, CENTRAL, SSH)).filter(|knock| !knock.asked.is_empty())
    })?;

    // The new run knows nothing of the lockout any more.
    scene.gate.kill()?;
    scene.gate.start()?;

    let offers = offers_so_far(&scene)?;
    for attacker in [&lab.stranger, &lab.client] {
        let heard = asked.replay(attacker)?;
        ensure!(heard.iter().all(Vec::is_empty), "the gate answered {attacker:?}");
    }
    ensure!(offers_so_far(&scene)? == offers, "a replay got a number");
    Ok(())
}
