//! Whoever tries every port finds no sequence, and keeps nobody out.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use knockgate_tests::forgery::{Flood, Opening};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::programs::Said;
use knockgate_tests::scenes::{SSH, Scene};
use knockgate_tests::{Family, Lab, waiting};

use crate::stage::{LAB, STEPS, all_get_in, gate_with};

const EVERY_PORT: u64 = 65_535;
/// Longer than a scan of every port takes on a busy machine.
const SCAN: Duration = Duration::from_secs(60);
/// As slow as a stranger who does not want to be noticed.
const WALK: u32 = 100;

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("nmap's scan of every port opens nothing", nmap),
        story("a scan of every port upwards opens nothing", |lab| in_order(lab, |number| number + 1)),
        story("a scan of every port downwards opens nothing", |lab| {
            in_order(lab, |number| EVERY_PORT - number)
        }),
        story("a scan of every port in closed mode opens nothing", closed_mode),
        story("a stranger who walks through the first steps keeps nobody out", |lab| {
            stranger_walks(lab, |number| [STEPS[0], STEPS[1]][usize::from(number % 2 == 1)])
        }),
        story("a stranger who walks through all ports around the steps keeps nobody out", |lab| {
            stranger_walks(lab, |number| 6_900 + u16::try_from(number % 2_200).unwrap_or_default())
        }),
    ]
}

fn nmap(lab: &Lab) -> Result<()> {
    let mut scene = gate_with(lab, LAB)?;
    let gate = lab.gate.ip(Family::V4).to_string();
    let mut nmap = lab.stranger.command("nmap");
    nmap.args(["--privileged", "-n", "-Pn", "-T5", "--max-retries", "1", "--min-rate", "15000"]);
    Said::by(nmap.args(["-sS", "-p-", &gate]))?.expect(0)?;
    scene.must_be_shut(&lab.stranger, SSH)?;
    scene.must_be_healthy()
}

fn in_order(lab: &Lab, port: fn(u64) -> u64) -> Result<()> {
    let scene = gate_with(lab, LAB)?;
    scan(&scene, port)
}

fn closed_mode(lab: &Lab) -> Result<()> {
    let scene = gate_with(lab, &format!("{LAB}\n\n[central]\n\n[sequence]\nmode = \"closed\""))?;
    scan(&scene, |number| number + 1)
}

/// Every port once, as fast as a scanner that loses nothing.
fn scan(scene: &Scene<'_>, port: fn(u64) -> u64) -> Result<()> {
    const PER_SECOND: u32 = 20_000;
    let lab = scene.lab;
    let (stranger, gate) = (lab.stranger.at(Family::V4, 50_000), lab.gate.ip(Family::V4));
    let scanning = Flood::start(&lab.stranger, Some(PER_SECOND), move |number| {
        let port = u16::try_from(port(number % EVERY_PORT)).unwrap_or(1);
        (stranger, SocketAddr::new(gate, port), Opening::Syn)
    })?;
    waiting::until_true("every port is scanned", SCAN, || scanning.sent() >= EVERY_PORT)?;
    scanning.stop()?;
    scene.must_be_shut(&lab.stranger, SSH)
}

fn stranger_walks(lab: &Lab, port: fn(u64) -> u16) -> Result<()> {
    let mut scene = gate_with(lab, LAB)?;
    let (stranger, gate) = (lab.stranger.at(Family::V4, 50_000), lab.gate.ip(Family::V4));
    let walking = Flood::start(&lab.stranger, Some(WALK), move |number| {
        (stranger, SocketAddr::new(gate, port(number)), Opening::Syn)
    })?;

    all_get_in(&scene, 12, |client| client.knock(&STEPS))?;

    waiting::until_true("the stranger was there all the time", SCAN, || walking.sent() >= 200)?;
    walking.stop()?;
    scene.must_be_shut(&lab.stranger, SSH)?;
    scene.must_be_healthy()
}
