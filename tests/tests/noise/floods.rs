//! Floods: the first step of a sequence from thousands of addresses, junk of a knock's size, and whoever knows the door key. Nobody
//! is kept out by them, and they leave a line a minute.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use knockgate_core::limits::MESSAGE_LEN;
use knockgate_tests::forgery::{Flood, Opening};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::packets::{self, Hand, KNOCK};
use knockgate_tests::scenes::{SSH, Scene};
use knockgate_tests::{Family, Lab, waiting};
use serde_json::Value;

use crate::stage::{LAB, STEPS, all_get_in, bytes_of_log, gate_with};

/// Addresses that nobody in the lab has.
const SOURCES: u64 = 32_000;
/// Knocks by packet while a flood lasts.
const KNOCKS: usize = 12;
/// Bytes of both logs that a hostile packet may cost.
const BYTES_EACH: f64 = 0.1;
/// Hostile packets, at least: with fewer, what is written once a minute would count.
const PACKETS: u64 = 20_000;
/// From a flood to the line that tells of it.
const A_MINUTE: Duration = Duration::from_secs(70);
/// From a record to the line that was written before it, on its way through the agent's standard error.
const A_SECOND: Duration = Duration::from_secs(1);

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("a flood of the first step from everywhere keeps no static sequence out", first_step),
        story("junk of a knock's size from everywhere keeps no packet knock out", |lab| {
            junk(lab, MESSAGE_LEN)
        }),
        story("junk of another size keeps no packet knock out", |lab| junk(lab, MESSAGE_LEN - 1)),
        story("a source that knows the door key and is not enrolled keeps nobody out", door_key),
        story("a minute of noise is one line and one record", one_line),
    ]
}

/// Somebody else for every packet: out of 198.18.0.0/15, which is for tests of devices. Source: RFC 2544.
fn stranger(number: u64) -> SocketAddr {
    // A step that shares no factor with the count meets each of them.
    let host = u32::try_from(number * 7_919 % SOURCES).unwrap_or_default();
    let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + 256 + host);
    SocketAddr::new(address.into(), 1_024 + u16::try_from(number % 30_000).unwrap_or_default())
}

/// Somebody of one prefix. Source: RFC 5737.
fn heaviest(number: u64) -> SocketAddr {
    let host = u8::try_from(number / 10 % 256).unwrap_or_default();
    SocketAddr::from(([203, 0, 113, host], 1_024))
}

fn flood_of_first_step(lab: &Lab) -> Result<Flood> {
    let to = lab.gate.at(Family::V4, STEPS[0]);
    Flood::start(&lab.stranger, None, move |number| (stranger(number), to, Opening::Syn))
}

fn first_step(lab: &Lab) -> Result<()> {
    let mut scene = gate_with(lab, LAB)?;
    let flood = flood_of_first_step(lab)?;
    begun(&flood)?;

    all_get_in(&scene, 20, |client| client.knock(&STEPS))?;

    ended(flood)?;
    scene.must_be_healthy()
}

fn junk(lab: &Lab, length: usize) -> Result<()> {
    let mut scene = gate_with(lab, "")?;
    let (to, noise) = (lab.gate.at(Family::V4, KNOCK), packets::noise(1 << 16)?);
    let allowed = bytes_of_knocks(&scene, KNOCKS)?;
    let before = bytes_of_log(&scene)?;
    let flood = Flood::start(&lab.stranger, None, move |number| {
        // Windows into one piece of noise: no two packets in a row are the same.
        let at = usize::try_from(number).unwrap_or(0) % (noise.len() - length);
        (stranger(number), to, Opening::Datagram(noise[at..at + length].to_vec()))
    })?;
    begun(&flood)?;

    for knock in 1..=KNOCKS {
        scene.alice.knock("ssh")?.expect(0).with_context(|| format!("knock {knock} of {KNOCKS}"))?;
    }

    let sent = ended(flood)?;
    scene.must_be_open(&lab.client, SSH)?;
    must_be_cheap(&scene, before + allowed, sent)?;
    scene.must_be_healthy()
}

/// Everything that only an enrolled client's key can tell from a knock.
fn door_key(lab: &Lab) -> Result<()> {
    const MESSAGES: usize = 2_000;
    const PER_SECOND: u32 = 5_000;
    let mut scene = gate_with(lab, "")?;
    let mallory = Hand::off_the_roster(&lab.path("alice.kgp"))?;
    let sealed: Vec<_> = (0..MESSAGES)
        .map(|_| Ok(mallory.seal(&mallory.open_ssh(60))?.message.to_vec()))
        .collect::<Result<_>>()?;
    let (from, to) = (lab.stranger.at(Family::V4, 40_000), lab.gate.at(Family::V4, KNOCK));
    let allowed = bytes_of_knocks(&scene, KNOCKS)?;
    let before = bytes_of_log(&scene)?;
    let flood = Flood::start(&lab.stranger, Some(PER_SECOND), move |number| {
        let message = &sealed[usize::try_from(number).unwrap_or(0) % sealed.len()];
        (from, to, Opening::Datagram(message.clone()))
    })?;
    begun(&flood)?;

    for knock in 1..=KNOCKS {
        scene.alice.knock("ssh")?.expect(0).with_context(|| format!("knock {knock} of {KNOCKS}"))?;
    }

    let sent = ended(flood)?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_shut(&lab.stranger, SSH)?;
    must_be_cheap(&scene, before + allowed, sent)?;
    scene.gate.stop()?;
    let told = noise_records(&scene)?;
    let over = told.iter().filter_map(|record| record["over-budget"].as_u64()).sum::<u64>();
    ensure!(over > sent / 2, "only {over} of {sent} messages were over their source's budget: {told:?}");
    Ok(())
}

fn one_line(lab: &Lab) -> Result<()> {
    let scene = gate_with(lab, LAB)?;
    let before = bytes_of_log(&scene)?;
    let to = lab.gate.at(Family::V4, STEPS[0]);
    // One in ten is of the same prefix.
    let from = |number| if number % 10 == 0 { heaviest(number) } else { stranger(number) };
    let flood = Flood::start(&lab.stranger, None, move |number| (from(number), to, Opening::Syn))?;
    waiting::until_true("enough of a flood", A_MINUTE, || flood.sent() >= PACKETS)?;
    let sent = flood.stop()?;
    waiting::until_true("a record of the noise", A_MINUTE, || {
        noise_records(&scene).is_ok_and(|told| !told.is_empty())
    })?;

    let told = noise_records(&scene)?;
    // It may lie on both sides of a minute's end.
    ensure!((1..=2).contains(&told.len()), "{told:?}");
    let lines = || scene.gate.log().lines().filter(|line| line.contains("noise in ")).count();
    waiting::until_true("a line for each record", A_SECOND, || (told.len()..=2).contains(&lines()))?;
    let seen = told.iter().filter_map(|record| record["probes"].as_u64()).sum::<u64>();
    ensure!(seen > 0 && seen <= sent, "{sent} packets were sent: {told:?}");
    let Some(most) = told.iter().max_by_key(|record| record["probes"].as_u64()) else { return Ok(()) };
    let [heaviest, probes] = [&most["from"][0], &most["probes"]];
    let (packets, probes) = heaviest["packets"].as_u64().zip(probes.as_u64()).context("no counts")?;
    ensure!(
        heaviest["prefix"] == "203.0.113.0/24" && packets > probes / 20 && packets < probes / 5,
        "{most}"
    );
    must_be_cheap(&scene, before, sent)
}

fn noise_records(scene: &Scene<'_>) -> Result<Vec<Value>> {
    Ok(scene.gate.audit()?.into_iter().filter(|record| record["event"] == "noise").collect())
}

fn begun(flood: &Flood) -> Result<()> {
    waiting::until_true("a flood begins", Duration::from_secs(5), || flood.sent() >= 1_000)
}

/// Lets a flood go on until it was one. How many packets it had.
fn ended(flood: Flood) -> Result<u64> {
    waiting::until_true("enough of a flood", A_MINUTE, || flood.sent() >= PACKETS)?;
    flood.stop()
}

/// What so many knocks write, flood or not; twice, for in a flood a client may have to ask again.
fn bytes_of_knocks(scene: &Scene<'_>, knocks: usize) -> Result<u64> {
    let before = bytes_of_log(scene)?;
    scene.alice.knock("ssh")?.expect(0)?;
    scene.gate.wait_for_audit("the knock", |record| record["event"] == "grant-opened")?;
    let one = bytes_of_log(scene)? - before;
    Ok(2 * one * u64::try_from(knocks + 1)?)
}

fn must_be_cheap(scene: &Scene<'_>, allowed: u64, packets: u64) -> Result<()> {
    let written = bytes_of_log(scene)?.saturating_sub(allowed);
    let each = written as f64 / packets as f64;
    ensure!(each < BYTES_EACH, "{written} bytes of log for {packets} hostile packets: {each} each");
    Ok(())
}
