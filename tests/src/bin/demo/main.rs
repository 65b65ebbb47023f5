//! The demo: one gate, one client, one stranger, and what happens between them, with times.
//!
//! `cargo xtask demo` builds what it needs and runs it. With `--policy FILE --key FILE` it shows one policy's decisions instead.

mod decisions;
mod timeline;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use knockgate_tests::capture::Capture;
use knockgate_tests::scenes::{SSH, Scene};
use knockgate_tests::{Family, Host, Lab, packets, sandbox};

use decisions::Signed;
use timeline::{Expected, Timeline};

/// How long the demo's grant lasts: long enough to look, short enough to wait for.
const SECONDS: u32 = 5;

fn main() -> ExitCode {
    match wanted().and_then(run) {
        Ok(()) => {
            println!("demo: ok");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("demo: FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A policy to show, if the command line names one.
fn wanted() -> Result<Option<Signed>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => Ok(None),
        ["--policy", module, "--key", key] => {
            Ok(Some(Signed { module: PathBuf::from(module), key: PathBuf::from(key) }))
        }
        _ => bail!(
            "give nothing, or --policy FILE --key FILE: a signed policy, and the public key of its signature"
        ),
    }
}

fn run(policy: Option<Signed>) -> Result<()> {
    sandbox::enter()?;
    println!("Knockgate demo: a gate, a client and a stranger, each in a network namespace of its own\n");
    let mut timeline = Timeline::start();
    let lab = Lab::build()?;
    let shown = match policy {
        Some(policy) => decisions::show(&lab, &policy, &mut timeline),
        None => show(&lab, &mut timeline),
    };
    if shown.is_err() {
        println!("{}", lab.all_logs());
    }
    shown
}

fn show(lab: &Lab, timeline: &mut Timeline) -> Result<()> {
    timeline.tell("network", "client 10.77.2.2, stranger 10.77.4.2, gate 10.77.1.2; and the same over IPv6");
    for (way, play) in [("packet", play_packet as Play), ("sequence", play_sequence)] {
        for (named, family) in [("IPv4", Family::V4), ("IPv6", Family::V6)] {
            println!("\nA {way} knock over {named}");
            play(lab, family, timeline)?;
            forget(lab)?;
        }
    }
    Ok(())
}

type Play = fn(&Lab, Family, &mut Timeline) -> Result<()>;

/// One datagram opens, and is worth nothing to whoever has captured it.
fn play_packet(lab: &Lab, family: Family, timeline: &mut Timeline) -> Result<()> {
    let ssh = lab.gate.at(family, SSH);
    let mut scene = Scene::by_packet(lab, family, "")?;
    timeline.tell("gate", format_args!("knockgated is up and guards {ssh}; nothing listens for knocks"));
    timeline.reach("client", &lab.client, ssh, Expected::Shut)?;

    let capture = Capture::on(&lab.client)?;
    timeline.tell("client", format_args!("knockgate knock alice ssh --seconds {SECONDS}"));
    let said = scene.alice.knock_for("ssh", SECONDS)?.expect(0)?;
    timeline.tell("client", said.out.trim());
    timeline.reach("client", &lab.client, ssh, Expected::Open)?;
    timeline.reach("stranger", &lab.stranger, ssh, Expected::Shut)?;

    let sent = capture.datagrams(lab.client.ip(family), lab.gate.ip(family))?;
    let Some(knock) = sent.first() else { bail!("no datagram in the capture") };
    timeline.tell(
        "attacker",
        format_args!("has captured {} bytes that look like noise, and sends them again", knock.payload.len()),
    );
    let resend = |from: &Host| -> Result<()> {
        ensure!(packets::exchange(from, knock.to, &knock.payload)?.is_none(), "the gate answered a replay");
        Ok(())
    };
    resend(&lab.stranger)?;
    timeline.reach("stranger", &lab.stranger, ssh, Expected::Shut)?;

    timeline.tell("client", format_args!("waits until the {SECONDS} seconds are over"));
    scene.wait_until_shut(&lab.client, SSH)?;
    timeline.tell("gate", "has shut the port again");
    resend(&lab.client)?;
    timeline.tell("attacker", "sends the knock again from the client's own address");
    timeline.reach("client", &lab.client, ssh, Expected::Shut)?;
    scene.gate.stop()
}

/// The paper's way: a number from the central port, then the ports that the book has under it.
fn play_sequence(lab: &Lab, family: Family, timeline: &mut Timeline) -> Result<()> {
    let ssh = lab.gate.at(family, SSH);
    let mut scene = Scene::set(lab, family)?;
    timeline.tell("gate", format_args!("knockgated is up and guards {ssh}; the client has a profile"));
    timeline.reach("client", &lab.client, ssh, Expected::Shut)?;
    timeline.reach("stranger", &lab.stranger, ssh, Expected::Shut)?;

    let knock = knock(&scene, timeline)?;
    timeline.reach("client", &lab.client, ssh, Expected::Open)?;
    timeline.reach("stranger", &lab.stranger, ssh, Expected::Shut)?;

    timeline
        .tell("attacker", "repeats the captured knock from another address, while the client has its grant");
    replay(&knock, &lab.stranger)?;
    timeline.reach("stranger", &lab.stranger, ssh, Expected::Shut)?;

    timeline.tell("client", format_args!("waits until the {SECONDS} seconds are over"));
    scene.wait_until_shut(&lab.client, SSH)?;
    timeline.tell("gate", "has shut the port again");
    timeline.tell("attacker", "repeats the captured knock from the client's own address");
    replay(&knock, &lab.client)?;
    timeline.reach("client", &lab.client, ssh, Expected::Shut)?;
    scene.gate.stop()
}

/// Knocks and shows what the client said and what an attacker on the path saw.
fn knock(scene: &Scene<'_>, timeline: &Timeline) -> Result<knockgate_tests::capture::Knock> {
    let began = Instant::now();
    timeline.tell("client", format_args!("knockgate knock alice ssh --via sequence --seconds {SECONDS}"));
    let knock = scene.recorded_knock(SECONDS)?;
    timeline.tell(
        "attacker",
        format_args!(
            "captures {} bytes to {} and connections to ports {:?}",
            knock.asked.iter().map(Vec::len).sum::<usize>(),
            knock.central,
            knock.ports
        ),
    );
    timeline
        .tell("client", format_args!("is told that ssh is open, after {} ms", began.elapsed().as_millis()));
    Ok(knock)
}

fn replay(knock: &knockgate_tests::capture::Knock, from: &Host) -> Result<()> {
    let answers = knock.replay(from)?;
    ensure!(answers.iter().all(Vec::is_empty), "the gate answered a repeated question");
    Ok(())
}

/// The second part begins with a gate that knows nothing of the first.
fn forget(lab: &Lab) -> Result<()> {
    std::fs::remove_dir_all(lab.path("state"))?;
    std::fs::remove_dir_all(lab.path("home-alice"))?;
    Ok(std::fs::remove_file(lab.path("alice.kgp"))?)
}
