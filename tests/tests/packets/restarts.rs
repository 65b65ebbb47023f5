//! Two hundred agents, one after the other, each killed at some moment, while packets come and clients knock.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use knockgate_core::message::Request;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::packets::{self, Hand, KNOCK, is_granted};
use knockgate_tests::peers::{Reached, reach};
use knockgate_tests::scenes::{SSH, Scene, WEB};
use knockgate_tests::{Family, Lab, waiting};

pub(crate) fn stories() -> Vec<Story> {
    vec![story(
        "an agent that is killed and started two hundred times during traffic never opens to a stranger, admits nothing twice and \
         keeps what it has opened",
        killed_and_started,
    )]
}

const STARTS: usize = 200;
/// How long an agent lives at most once it is up.
const LIFE: Duration = Duration::from_millis(60);
/// Who knocks does not wait for long: there is another agent soon.
const PATIENCE: Duration = Duration::from_millis(100);
/// Beyond the lease that the crash before has burnt, as a client asks again that has met with silence.
const AHEAD: u64 = 130_000_000;
/// Between two packets of a stranger.
const PAUSE: Duration = Duration::from_millis(2);

/// What those have seen who were there all the time.
#[derive(Default)]
struct Seen {
    over: AtomicBool,
    /// Knocks that were granted: an attacker on the way has recorded them.
    granted: Mutex<Vec<Vec<u8>>>,
    probes: AtomicU64,
}

fn killed_and_started(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    let bob = scene.gate.enrol("bob", &["ssh"], &[])?;
    scene.alice.knock_for("web", 3600)?.expect(0)?;
    scene.gate.stop()?;
    let moments = packets::noise(STARTS)?;
    let seen = Seen::default();

    std::thread::scope(|scope| {
        let others = [
            scope.spawn(|| knock_all_the_time(lab, &bob, &seen)),
            scope.spawn(|| send_all_the_time(lab, &seen)),
            scope.spawn(|| probe_all_the_time(lab, &seen)),
        ];
        let killed = moments.iter().try_for_each(|moment| {
            scene.gate.start()?;
            waiting::let_pass(LIFE * u32::from(*moment) / 255);
            scene.gate.kill()
        });
        seen.over.store(true, Ordering::Relaxed);
        let told = others.map(|other| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        killed.and_then(|()| told.into_iter().collect::<Result<()>>())
    })?;

    let granted = seen.granted.into_inner().unwrap_or_default().len();
    ensure!(granted > STARTS / 20, "bob got in {granted} times: that is no traffic");
    ensure!(seen.probes.load(Ordering::Relaxed) > 10, "nobody has looked");
    scene.must_be_open(&lab.client, WEB)?;
    scene.gate.start()?;
    scene.gate.wait_for_audit("alice's grant is taken over", |record| {
        record["event"] == "grant-adopted" && record["client"] == "alice"
    })?;
    scene.must_be_open(&lab.client, WEB)?;
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;
    // Of what the stranger has sent again nothing was ever admitted, by no agent.
    let stranger = lab.stranger.ip(Family::V4).to_string();
    let his = scene.gate.audit()?.into_iter().find(|record| record["source"] == stranger.as_str());
    ensure!(his.is_none(), "{his:?}");
    scene.gate.tell(&["audit", "verify"])?.expect(0)?;
    scene.must_be_healthy()
}

fn knock_all_the_time(lab: &Lab, profile: &std::path::Path, seen: &Seen) -> Result<()> {
    let bob = Hand::of(profile)?;
    let to = lab.gate.at(Family::V4, KNOCK);
    let mut counter = packets::unix_micros();
    while !seen.over.load(Ordering::Relaxed) {
        counter += AHEAD;
        let knock = bob.seal(&Request { counter, ..bob.open_ssh(1) })?;
        let answer = packets::exchange_within(PATIENCE, &lab.visitor, to, &knock.message)?;
        let answer = answer.map(|answer| knock.read(&answer)).transpose()?;
        if is_granted(answer.as_ref()) {
            seen.granted.lock().ok().context("somebody has panicked")?.push(knock.message.to_vec());
        }
    }
    Ok(())
}

/// Noise, and the latest that an attacker on the way has recorded.
fn send_all_the_time(lab: &Lab, seen: &Seen) -> Result<()> {
    let to = lab.gate.at(Family::V4, KNOCK);
    let noise = packets::noise(200)?;
    while !seen.over.load(Ordering::Relaxed) {
        let granted = seen.granted.lock().ok().context("somebody has panicked")?;
        let recorded: Vec<_> = granted.iter().rev().take(8).cloned().collect();
        drop(granted);
        packets::send_all(&lab.stranger, to, recorded.iter().chain([&noise]).map(Vec::as_slice))?;
        waiting::let_pass(PAUSE);
    }
    Ok(())
}

fn probe_all_the_time(lab: &Lab, seen: &Seen) -> Result<()> {
    while !seen.over.load(Ordering::Relaxed) {
        for port in [SSH, WEB] {
            let reached = reach(&lab.stranger, lab.gate.at(Family::V4, port))?;
            ensure!(reached == Reached::Silence, "port {port}: {reached:?}");
        }
        seen.probes.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
