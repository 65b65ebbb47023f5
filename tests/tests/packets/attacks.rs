//! Strangers, liars and floods: who is kept out, and who is not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use knockgate_core::Refusal;
use knockgate_core::limits::MESSAGE_LEN;
use knockgate_core::message::{Kind, Request};
use knockgate_tests::capture::Capture;
use knockgate_tests::clients::Client;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::packets::{self, Hand, KNOCK, SSH_SERVICE, WEB_SERVICE};
use knockgate_tests::scenes::{SSH, Scene, WEB};
use knockgate_tests::{Family, Lab};

const LOCKED_OUT: i32 = 5;
const BOOK_USED_UP: i32 = 7;

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("a packet with any one byte changed is silence and burns nothing", |lab| {
            changed_bytes(lab, Family::V4)
        }),
        story("a packet with any one byte changed is silence and burns nothing over IPv6", |lab| {
            changed_bytes(lab, Family::V6)
        }),
        story("packets of any other length are silence", other_lengths),
        story("who has the door key and is not on the roster hears silence", off_the_roster),
        story("a client gets in while a stranger sends junk, and the junk leaves no log", junk),
        story("a client gets in while another one asks for what he may not have", hostile_client),
        story("a client that is locked out hears so and for how long, and may still close", locked_out),
        story("packet knocks go on when the book is used up", book_used_up),
    ]
}

fn changed_bytes(lab: &Lab, family: Family) -> Result<()> {
    let mut scene = Scene::by_packet(lab, family, "")?;
    let bob = Hand::of(&scene.gate.enrol("bob", &["ssh"], &[])?)?;
    let (to, gate) = (lab.gate.at(family, KNOCK), lab.gate.ip(family));
    let knock = bob.seal(&bob.open_ssh(60))?;
    let changed: Vec<_> = (0..MESSAGE_LEN).map(|at| with_one_bit_flipped(&knock.message, at)).collect();
    let capture = Capture::on(&lab.visitor)?;

    packets::send_all(&lab.visitor, to, changed.iter().map(<[u8; MESSAGE_LEN]>::as_slice))?;
    scene.must_be_shut(&lab.visitor, SSH)?;
    ensure!(capture.heard_from(gate)?.is_empty(), "the gate says {:?}", capture.heard_from(gate)?);

    let answer = knock.send(&lab.visitor, to)?;
    ensure!(packets::is_granted(answer.as_ref()), "the untouched packet is not good any more: {answer:?}");
    scene.must_be_open(&lab.visitor, SSH)?;
    let said = capture.datagrams(gate, lab.visitor.ip(family))?;
    ensure!(said.len() == 1, "{} answers to one good packet", said.len());
    scene.must_be_healthy()
}

fn with_one_bit_flipped(message: &[u8; MESSAGE_LEN], at: usize) -> [u8; MESSAGE_LEN] {
    let mut changed = *message;
    changed[at] ^= 1 << (at % 8);
    changed
}

fn other_lengths(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    let bob = Hand::of(&scene.gate.enrol("bob", &["ssh"], &[])?)?;
    let to = lab.gate.at(Family::V4, KNOCK);
    let knock = bob.seal(&bob.open_ssh(60))?;
    let longer = [&knock.message[..], &[0; 1200]].concat();
    let capture = Capture::on(&lab.visitor)?;

    let lengths = [0, 1, 8, 199, 201, 400, 1400];
    packets::send_all(&lab.visitor, to, lengths.iter().filter_map(|length| longer.get(..*length)))?;

    scene.must_be_shut(&lab.visitor, SSH)?;
    let heard = capture.heard_from(lab.gate.ip(Family::V4))?;
    ensure!(heard.is_empty(), "the gate says {heard:?}");
    scene.must_be_healthy()
}

fn off_the_roster(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    let mallory = Hand::off_the_roster(&lab.path("alice.kgp"))?;
    let (to, gate) = (lab.gate.at(Family::V4, KNOCK), lab.gate.ip(Family::V4));
    let capture = Capture::on(&lab.stranger)?;

    for kind in [Kind::Status, Kind::NextNumber, Kind::Open, Kind::Renew, Kind::Close] {
        let request = Request { service: SSH_SERVICE, seconds: 60, ..mallory.request(kind) };
        ensure!(mallory.ask(&lab.stranger, to, &request)?.is_none(), "{kind:?} of a stranger is answered");
    }

    ensure!(capture.heard_from(gate)?.is_empty(), "the gate says {:?}", capture.heard_from(gate)?);
    scene.must_be_shut(&lab.stranger, SSH)?;
    scene.must_be_healthy()
}

/// As much as a stranger can send while a client knocks several times.
fn junk(lab: &Lab) -> Result<()> {
    const PACKETS: usize = 20_000;
    /// Bytes of log, both of them, that a packet may cost.
    const BYTES_EACH: f64 = 0.1;
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    let to = lab.gate.at(Family::V4, KNOCK);
    let before_a_knock = bytes_of_log(&scene)?;
    scene.alice.knock("ssh")?.expect(0)?;
    scene.gate.wait_for_audit("the knock", |record| record["event"] == "grant-opened")?;
    let one_knock = bytes_of_log(&scene)? - before_a_knock;
    let noise = packets::noise(PACKETS + MESSAGE_LEN)?;
    let before = bytes_of_log(&scene)?;
    let flooding = AtomicBool::new(true);

    let mut knocks = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Windows into one piece of noise: no two packets are the same.
            let sent = packets::flood(&lab.stranger, to, noise.windows(MESSAGE_LEN).take(PACKETS));
            flooding.store(false, Ordering::Relaxed);
            sent
        });
        while flooding.load(Ordering::Relaxed) || knocks == 0 {
            scene.alice.knock("ssh")?.expect(0)?;
            knocks += 1;
        }
        Ok::<_, anyhow::Error>(())
    })?;

    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_shut(&lab.stranger, SSH)?;
    scene.must_be_healthy()?;
    // Twice what the knocks cost alone: that they were answered later may be worth a word.
    let of_junk = (bytes_of_log(&scene)? - before).saturating_sub(2 * one_knock * (knocks + 1));
    let each = of_junk as f64 / PACKETS as f64;
    ensure!(each < BYTES_EACH, "{of_junk} bytes of log for {PACKETS} packets of junk: {each} each");
    Ok(())
}

fn bytes_of_log(scene: &Scene<'_>) -> Result<usize> {
    let audit = std::fs::metadata(scene.lab.path("audit.jsonl"))?.len();
    Ok(scene.gate.log().len() + usize::try_from(audit)?)
}

fn hostile_client(lab: &Lab) -> Result<()> {
    const REQUESTS: usize = 2_000;
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    let mallory = Hand::of(&scene.gate.enrol("mallory", &["ssh"], &[])?)?;
    let to = lab.gate.at(Family::V4, KNOCK);
    let for_web = || Request { service: WEB_SERVICE, ..mallory.request(Kind::Open) };
    let refused = packets::refusal(mallory.ask(&lab.stranger, to, &for_web())?)?;
    ensure!(refused == Refusal::NotAllowed, "{refused:?}");
    let sealed: Vec<_> = (0..REQUESTS).map(|_| mallory.seal(&for_web())).collect::<Result<_>>()?;
    let flooding = AtomicBool::new(true);

    std::thread::scope(|scope| {
        scope.spawn(|| {
            let messages: Vec<&[u8]> = sealed.iter().map(|sealed| sealed.message.as_slice()).collect();
            // Once all are used up, each of them is a replay, and the gate has the same work.
            let sent = packets::flood(&lab.stranger, to, messages.repeat(3));
            flooding.store(false, Ordering::Relaxed);
            sent
        });
        let mut knocks = 0;
        while flooding.load(Ordering::Relaxed) || knocks == 0 {
            scene.alice.knock("ssh")?.expect(0)?;
            knocks += 1;
        }
        Ok::<_, anyhow::Error>(())
    })?;

    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_shut(&lab.stranger, WEB)?;
    scene.must_be_shut(&lab.stranger, SSH)?;
    scene.must_be_healthy()
}

fn locked_out(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, "[central]")?;
    let profile = scene.gate.enrol("bob", &["ssh"], &[])?;
    let bob = Client::with_profile(lab, &lab.visitor, "bob", &profile)?;
    scene.alice.knock("web")?.expect(0)?;
    let stalled = scene.stall(&scene.alice, "ssh")?;
    scene.knock_wrongly(&lab.client)?;
    stalled.let_go()?;

    let report = scene.alice.report(&["knock", "alice", "ssh", "--via", "packet"], LOCKED_OUT)?;

    let left = report["retry_ms"].as_u64().context("the client does not say for how long")?;
    ensure!(Duration::from_millis(left) <= Duration::from_secs(60), "{report}");
    scene.must_be_shut(&lab.client, SSH)?;
    scene.must_be_open(&lab.client, WEB)?;
    scene.alice.tell(&["close", "alice", "web"])?.expect(0)?;
    scene.must_be_shut(&lab.client, WEB)?;
    bob.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.visitor, SSH)?;
    ensure!(scene.gate.is_alive(), "the agent has ended");
    Ok(())
}

fn book_used_up(lab: &Lab) -> Result<()> {
    let scene = Scene::by_packet(lab, Family::V4, "[central]\n\n[sequence]\ncount = 1")?;
    let by_sequence = ["knock", "alice", "ssh", "--via", "sequence", "--seconds", "1"];
    scene.alice.tell(&by_sequence)?.expect(0)?;
    scene.alice.tell(&by_sequence)?.expect(BOOK_USED_UP)?;
    scene.wait_until_shut(&lab.client, SSH)?;

    let report = scene.alice.report(&["knock", "alice", "ssh"], 0)?;

    ensure!(report["via"] == "packet", "{report}");
    scene.must_be_open(&lab.client, SSH)
}
