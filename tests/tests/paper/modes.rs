//! Decoys for the holder, decoys for everybody, and ports that stay shut.

use std::panic::resume_unwind;
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use knockgate_tests::capture::Capture;
use knockgate_tests::gates::CENTRAL;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::peers::{Reached, reach_from_here};
use knockgate_tests::programs::Said;
use knockgate_tests::scenes::{DECOY_RANGE, SSH, Scene};
use knockgate_tests::{Family, Host, Lab};

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("closed mode opens a service and answers no knock over IPv4", |lab| closed(lab, Family::V4)),
        story("closed mode opens a service and answers no knock over IPv6", |lab| closed(lab, Family::V6)),
        story("a replayed sequence of closed mode is refused", closed_replay),
        story("decoys open only for the holder", decoys_for_the_holder),
        story("decoys that are always there open for everybody and nothing else does", decoys_always),
        story("decoys that are always there look like the central port to nmap", scanned),
    ]
}

const CLOSED: &str = "[sequence]\nmode = \"closed\"";

fn closed(lab: &Lab, family: Family) -> Result<()> {
    let mut scene = Scene::set_with(lab, family, CLOSED)?;
    let capture = Capture::on(&lab.client)?;

    scene.alice.knock("ssh")?.expect(0)?;

    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_shut(&lab.stranger, SSH)?;
    let gate = lab.gate.ip(family);
    let knocked = |port: u16| DECOY_RANGE.contains(&port);
    let segments = capture.segments();
    ensure!(segments.iter().any(|s| s.to.ip() == gate && knocked(s.to.port())), "no knock was seen");
    let answer = segments.iter().find(|s| s.from.ip() == gate && knocked(s.from.port()));
    ensure!(answer.is_none(), "the gate answered a knock: {answer:?}");
    scene.must_be_healthy()
}

fn closed_replay(lab: &Lab) -> Result<()> {
    let scene = Scene::set_with(lab, Family::V4, CLOSED)?;
    let captured = scene.recorded_knock(1)?;
    scene.wait_until_shut(&lab.client, SSH)?;

    for attacker in [&lab.stranger, &lab.client] {
        let answers = captured.replay(attacker)?;
        ensure!(answers.iter().all(Vec::is_empty), "the gate answered a repeated question");
        scene.must_be_shut(attacker, SSH)?;
    }
    Ok(())
}

fn decoys_for_the_holder(lab: &Lab) -> Result<()> {
    let scene = Scene::set(lab, Family::V4)?;
    let decoys = scene.decoys()?;
    let before = offered(&scene, &lab.stranger, &decoys)?;
    ensure!(before.is_empty(), "before anybody holds a number a stranger finds {before:?}");

    let stalled = scene.stall(&scene.alice, "ssh")?;
    let during = offered(&scene, &lab.stranger, &decoys)?;
    ensure!(during.is_empty(), "while alice holds a number a stranger finds {during:?}");
    stalled.let_go()
}

fn decoys_always(lab: &Lab) -> Result<()> {
    let scene = Scene::set_with(lab, Family::V4, "[sequence]\ndecoys = \"always\"")?;
    let decoys = scene.decoys()?;
    let missing = decoys.len() - offered(&scene, &lab.stranger, &decoys)?.len();
    ensure!(missing == 0, "{missing} of {} decoys are not offered", decoys.len());

    scene.alice.knock("ssh")?.expect(0)?;

    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_shut(&lab.stranger, SSH)
}

/// Whatever nmap sends, a decoy for everybody and the central port answer alike, and unlike a port where nobody listens.
fn scanned(lab: &Lab) -> Result<()> {
    const NOBODY: u16 = 9;
    let scene = Scene::set_with(lab, Family::V4, "[sequence]\ndecoys = \"always\"")?;
    let decoy = *scene.decoys()?.first().context("a gate has decoys")?;
    let gate = lab.gate.ip(Family::V4).to_string();
    let ports = format!("{NOBODY},{decoy},{CENTRAL}");
    for (scan, tells_apart) in [("-sS", true), ("-sF", true), ("-sN", true), ("-sX", true), ("-sA", false)] {
        let mut nmap = lab.stranger.command("nmap");
        nmap.args(["--privileged", "-n", "-Pn", scan, "-p", &ports, "--max-retries", "1", &gate]);
        let found = Said::by(&mut nmap)?.expect(0)?.out;
        let state = |port: u16| {
            let line = found.lines().find(|line| line.starts_with(&format!("{port}/tcp")));
            let state = line.and_then(|line| line.split_whitespace().nth(1));
            state.with_context(|| format!("nmap {scan} says nothing of port {port}:\n{found}"))
        };
        ensure!(state(decoy)? == state(CENTRAL)?, "nmap {scan} tells them apart:\n{found}");
        ensure!((state(decoy)? != state(NOBODY)?) == tells_apart, "nmap {scan} is not what it was:\n{found}");
    }
    Ok(())
}

/// Those ports to which a host can connect. All at once: whoever walks slowly sees the hold end.
fn offered(scene: &Scene<'_>, from: &Host, ports: &[u16]) -> Result<Vec<u16>> {
    let gate = scene.lab.gate.ip(scene.family);
    let offers = |port: u16| -> Result<Option<u16>> {
        let reached = from.inside(|| Ok(reach_from_here((gate, port).into(), Duration::from_millis(300))))?;
        Ok(matches!(reached, Reached::Mute | Reached::Greeting(_)).then_some(port))
    };
    std::thread::scope(|scope| {
        let attempts: Vec<_> = ports.iter().map(|port| scope.spawn(move || offers(*port))).collect();
        let join =
            |attempt: ScopedJoinHandle<'_, _>| attempt.join().unwrap_or_else(|panic| resume_unwind(panic));
        attempts.into_iter().filter_map(|attempt| join(attempt).transpose()).collect()
    })
}
