//! A captured packet is worth nothing: at once, after a restart, after a crash, at another gate.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use knockgate_core::message::{Request, Verdict};
use knockgate_tests::capture::Capture;
use knockgate_tests::gates::Gate;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::packets::{self, Hand, KNOCK};
use knockgate_tests::scenes::{SSH, Scene};
use knockgate_tests::{Family, Lab, waiting};

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("a replayed packet knock is met with silence at once", |lab| {
            refused(lab, Family::V4, Between::Nothing, Counter::InTheLease)
        }),
        story("a replayed packet knock is met with silence at once over IPv6", |lab| {
            refused(lab, Family::V6, Between::Nothing, Counter::InTheLease)
        }),
        story("a replayed packet knock is met with silence after a clean restart", |lab| {
            refused(lab, Family::V4, Between::Restart, Counter::InTheLease)
        }),
        story(
            "a replayed packet knock from outside the lease is met with silence after a clean restart",
            |lab| refused(lab, Family::V4, Between::Restart, Counter::OutsideTheLease),
        ),
        story("a replayed packet knock is met with silence after kill -9", |lab| {
            refused(lab, Family::V4, Between::Kill, Counter::InTheLease)
        }),
        story("a replayed packet knock from outside the lease is met with silence after kill -9", |lab| {
            refused(lab, Family::V4, Between::Kill, Counter::OutsideTheLease)
        }),
        story("a replayed packet knock of a gate without a lease is met with silence after kill -9", |lab| {
            without_a_lease(lab, Between::Kill)
        }),
        story("the packets of a real client cannot be replayed after any number of crashes", real_client),
        story("a packet knock is noise at another gate", another_gate),
        story("a knock that was not delivered opens once and from where its sender says", undelivered),
    ]
}

/// What happens to the agent between the knock and its repetition.
#[derive(Clone, Copy)]
enum Between {
    Nothing,
    Restart,
    Kill,
}

impl Between {
    fn happens_to(self, gate: &mut Gate<'_>) -> Result<()> {
        match self {
            Self::Nothing => return Ok(()),
            Self::Restart => gate.stop()?,
            Self::Kill => gate.kill()?,
        }
        gate.start()
    }
}

/// Whether the counter of a knock waits for the disk.
#[derive(Clone, Copy)]
enum Counter {
    InTheLease,
    OutsideTheLease,
}

/// Further in the future than any lease.
const AHEAD: Duration = Duration::from_secs(600);

impl Counter {
    fn put_into(self, request: Request) -> Request {
        match self {
            Self::InTheLease => request,
            Self::OutsideTheLease => Request {
                counter: request.counter + u64::try_from(AHEAD.as_micros()).unwrap_or(0),
                ..request
            },
        }
    }
}

fn refused(lab: &Lab, family: Family, between: Between, counter: Counter) -> Result<()> {
    let scene = Scene::by_packet(lab, family, "")?;
    is_refused_in(scene, between, counter)
}

fn without_a_lease(lab: &Lab, between: Between) -> Result<()> {
    let scene = Scene::by_packet(lab, Family::V4, "[packet]\nlease = \"0s\"")?;
    is_refused_in(scene, between, Counter::InTheLease)
}

fn is_refused_in(mut scene: Scene<'_>, between: Between, counter: Counter) -> Result<()> {
    let (lab, family) = (scene.lab, scene.family);
    let bob = Hand::of(&scene.gate.enrol("bob", &["ssh"], &[])?)?;
    let to = lab.gate.at(family, KNOCK);
    let knock = bob.seal(&counter.put_into(bob.open_ssh(1)))?;
    let answer = knock.send(&lab.visitor, to)?.context("the gate does not answer a good knock")?;
    ensure!(answer.verdict == Verdict::Granted, "{answer:?}");
    scene.must_be_open(&lab.visitor, SSH)?;
    scene.wait_until_shut(&lab.visitor, SSH)?;

    between.happens_to(&mut scene.gate)?;

    let opened = grants_opened(&scene)?;
    for attacker in [&lab.stranger, &lab.visitor] {
        let capture = Capture::on(attacker)?;
        ensure!(packets::exchange(attacker, to, &knock.message)?.is_none(), "the gate answers {attacker:?}");
        let heard = capture.heard_from(lab.gate.ip(family))?;
        ensure!(heard.is_empty(), "the gate is heard by {attacker:?}: {heard:?}");
        scene.must_be_shut(attacker, SSH)?;
    }
    ensure!(grants_opened(&scene)? == opened, "a replay has opened something");
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)
}

/// Openings in the audit log. It can be longer than it was read before, never shorter.
fn grants_opened(scene: &Scene<'_>) -> Result<usize> {
    Ok(scene.gate.audit()?.iter().filter(|record| record["event"] == "grant-opened").count())
}

/// All that a client ever sends, captured on its way, and sent again after every crash.
fn real_client(lab: &Lab) -> Result<()> {
    const CRASHES: usize = 4;
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    let (client, gate) = (lab.client.ip(Family::V4), lab.gate.ip(Family::V4));
    let capture = Capture::on(&lab.client)?;
    let mut opened = 0;
    for _ in 0..CRASHES {
        scene.alice.knock_for("ssh", 1)?.expect(0)?;
        opened += 1;
        scene.wait_until_shut(&lab.client, SSH)?;
        scene.gate.kill()?;
        scene.gate.start()?;

        let captured = capture.datagrams(client, gate)?;
        let to = lab.gate.at(Family::V4, KNOCK);
        packets::send_all(&lab.stranger, to, captured.iter().map(|packet| packet.payload.as_slice()))?;
        scene.must_be_shut(&lab.stranger, SSH)?;
        ensure!(grants_opened(&scene)? == opened, "a replay has opened something");
    }
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)
}

fn another_gate(lab: &Lab) -> Result<()> {
    let to = lab.gate.at(Family::V4, KNOCK);
    let mut first = Scene::by_packet(lab, Family::V4, "")?;
    let profile = first.gate.enrol("bob", &["ssh"], &[])?;
    // The same keys, and another gate's name.
    let astray = Hand::for_another_gate(&profile)?;
    ensure!(astray.ask(&lab.visitor, to, &astray.open_ssh(1))?.is_none(), "sealed for another gate");
    first.must_be_shut(&lab.visitor, SSH)?;
    let bob = Hand::of(&profile)?;
    let knock = bob.seal(&bob.open_ssh(60))?;
    first.gate.stop()?;
    drop(first);
    for left in ["state", "home-alice"] {
        std::fs::remove_dir_all(lab.path(left))?;
    }
    for profile in ["alice.kgp", "bob.kgp"] {
        std::fs::remove_file(lab.path(profile))?;
    }

    // Another gate, other keys, and a knock that was never used.
    let mut second = Scene::by_packet(lab, Family::V4, "")?;
    ensure!(knock.send(&lab.visitor, to)?.is_none(), "the other gate answers");
    second.must_be_shut(&lab.visitor, SSH)?;
    second.must_be_healthy()
}

/// What is held back on the way is not used yet. It opens to whoever sends it, unless it names its source, and once.
fn undelivered(lab: &Lab) -> Result<()> {
    let scene = Scene::by_packet(lab, Family::V4, "")?;
    let bob = Hand::of(&scene.gate.enrol("bob", &["ssh"], &[])?)?;
    let to = lab.gate.at(Family::V4, KNOCK);
    let named = Request { source: Some(lab.visitor.ip(Family::V4)), ..bob.open_ssh(60) };
    let knock = bob.seal(&named)?;

    // The attacker is first, from his own address.
    let refused = knock.send(&lab.stranger, to)?;
    ensure!(packets::refusal(refused)? == knockgate_core::Refusal::WrongSource, "a wrong source is told");
    scene.must_be_shut(&lab.stranger, SSH)?;
    scene.must_be_shut(&lab.visitor, SSH)?;
    // The counter is used up; bob asks anew.
    ensure!(knock.send(&lab.visitor, to)?.is_none(), "a counter was admitted twice");
    let again = Request { source: Some(lab.visitor.ip(Family::V4)), ..bob.open_ssh(60) };
    ensure!(packets::is_granted(bob.ask(&lab.visitor, to, &again)?.as_ref()), "bob is kept out");
    waiting::until_true("ssh is open for bob", Duration::from_secs(2), || {
        scene.must_be_open(&lab.visitor, SSH).is_ok()
    })?;
    scene.must_be_shut(&lab.stranger, SSH)
}
