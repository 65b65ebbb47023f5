//! Wrong knocks and strangers' junk: who is locked out, who is not, and for how long.

use std::io::Read as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use knockgate_tests::clients::Client;
use knockgate_tests::gates::CENTRAL;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::scenes::{SSH, Scene};
use knockgate_tests::{Family, Lab, peers, waiting};

const LOCKED_OUT: i32 = 5;

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("a wrong port locks out the source for 60 s and nobody else", |lab| {
            source_alone(lab, Family::V4)
        }),
        story("a wrong port locks out the source for 60 s and nobody else over IPv6", |lab| {
            source_alone(lab, Family::V6)
        }),
        story("a lockout ends by itself", ends_by_itself),
        story("a global lockout shuts everybody out and is warned of", global),
        story("a stranger's junk on the central port gets silence and does not delay a client", junk),
    ]
}

fn source_alone(lab: &Lab, family: Family) -> Result<()> {
    let mut scene = Scene::set(lab, family)?;
    let profile = scene.gate.enrol("bob", &["ssh"], &[])?;
    let bob = Client::with_profile(lab, &lab.visitor, "bob", &profile)?;

    let stalled = scene.stall(&scene.alice, "ssh")?;
    scene.knock_wrongly(&lab.client)?;
    stalled.let_go()?;

    let locked = scene.alice.tell(&["knock", "alice", "ssh", "--json"])?.expect(LOCKED_OUT)?;
    ensure!(!locked.out.is_empty() || !locked.err.is_empty(), "the client must say for how long");
    scene.must_be_shut(&lab.client, SSH)?;
    bob.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.visitor, SSH)?;
    // Of IPv6 the whole /64 is locked out.
    let source = match family {
        Family::V4 => "10.77.2.2",
        Family::V6 => "fd77:2::",
    };
    for who in ["alice", source] {
        let record = scene.gate.wait_for_audit(&format!("a lockout of {who}"), |record| {
            record["event"] == "lockout" && record["who"].as_str().is_some_and(|locked| locked.contains(who))
        })?;
        ensure!(record["seconds"] == 60, "the lockout should be for 60 s: {record}");
    }
    ensure!(scene.gate.is_alive(), "the agent has ended");
    Ok(())
}

fn ends_by_itself(lab: &Lab) -> Result<()> {
    let scene = Scene::set_with(lab, Family::V4, "[lockout]\nduration = \"3s\"")?;
    let stalled = scene.stall(&scene.alice, "ssh")?;
    scene.knock_wrongly(&lab.client)?;
    stalled.let_go()?;

    waiting::until_true("alice can knock again", Duration::from_secs(10), || {
        scene.alice.knock("ssh").is_ok_and(|said| said.code == Some(0))
    })?;
    scene.must_be_open(&lab.client, SSH)
}

fn global(lab: &Lab) -> Result<()> {
    let scene = Scene::set_with(lab, Family::V4, "[lockout]\nscope = \"global\"")?;
    ensure!(scene.gate.log().contains("global"), "the agent does not warn of the global lockout");
    let profile = scene.gate.enrol("bob", &["ssh"], &[])?;
    let bob = Client::with_profile(lab, &lab.visitor, "bob", &profile)?;

    let stalled = scene.stall(&scene.alice, "ssh")?;
    scene.knock_wrongly(&lab.client)?;
    stalled.let_go()?;

    bob.knock("ssh")?.expect(LOCKED_OUT)?;
    scene.must_be_shut(&lab.visitor, SSH)
}

fn junk(lab: &Lab) -> Result<()> {
    let mut scene = Scene::set(lab, Family::V4)?;
    let central = lab.gate.at(Family::V4, CENTRAL);
    for length in [1, 199, 200, 201, 10_000] {
        let heard = peers::send(&lab.stranger, central, &random(length)?)?;
        ensure!(heard.is_empty(), "{length} bytes of junk were answered with {} bytes", heard.len());
    }
    // Connections that say nothing and stay.
    let idle = lab.stranger.inside(|| {
        Ok((0..200)
            .filter_map(|_| TcpStream::connect_timeout(&central, peers::PATIENCE).ok())
            .collect::<Vec<_>>())
    })?;
    ensure!(!idle.is_empty(), "the central port took no connection at all");

    let started = Instant::now();
    scene.alice.knock("ssh")?.expect(0)?;
    let took = started.elapsed();

    ensure!(took < Duration::from_secs(10), "the knock took {took:?} beside {} idle strangers", idle.len());
    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_shut(&lab.stranger, SSH)?;
    drop(idle);
    scene.must_be_healthy()
}

fn random(length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
