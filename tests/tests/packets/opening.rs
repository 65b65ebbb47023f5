//! What a packet knock opens, for whom, until when, and how little of it is to be seen.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use knockgate_tests::capture::Capture;
use knockgate_tests::gates::Configuration;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::packets::KNOCK;
use knockgate_tests::scenes::{SSH, Scene, WEB};
use knockgate_tests::{Family, Lab, programs};
use serde_json::Value;

const WATCH: &str = "";
const SOCKET: &str = "[packet]\nmode = \"socket\"";

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("a packet knock over IPv4 opens only the asked service and only to the knocker", |lab| {
            opens_for_one(lab, Family::V4, WATCH)
        }),
        story("a packet knock over IPv6 opens only the asked service and only to the knocker", |lab| {
            opens_for_one(lab, Family::V6, WATCH)
        }),
        story("a packet knock on a socket over IPv4 opens for one", |lab| {
            opens_for_one(lab, Family::V4, SOCKET)
        }),
        story("a packet knock on a socket over IPv6 opens for one", |lab| {
            opens_for_one(lab, Family::V6, SOCKET)
        }),
        story("a packet knock closes on time and its report says when and to whom", closes_on_time),
        story("watched packet knocks need no open port", no_open_port),
        story("each knock goes to a port of its own out of a range", |lab| {
            picks_ports(lab, "ports = [\"62000-62499\"]", 62_000..=62_499)
        }),
        story("where every port is watched each knock goes to a port of its own", |lab| {
            picks_ports(lab, "ports = \"any\"", 1..=u16::MAX)
        }),
        story("one command opens both families", both_families),
        story("a knock that finds the gate down says so and opens once it is up", gate_down),
    ]
}

fn opens_for_one(lab: &Lab, family: Family, sections: &str) -> Result<()> {
    let mut scene = Scene::by_packet(lab, family, sections)?;
    for host in [&lab.client, &lab.visitor, &lab.stranger] {
        scene.must_be_shut(host, SSH)?;
        scene.must_be_shut(host, WEB)?;
    }

    let (said, capture) = scene.alice.at_once(&["knock", "alice", "ssh"])?;

    said.expect(0)?;
    let (client, gate) = (lab.client.ip(family), lab.gate.ip(family));
    let [asked, answered] = [capture.datagrams(client, gate)?, capture.datagrams(gate, client)?];
    ensure!(asked.len() == 1 && asked[0].payload.len() == 200, "one datagram of 200 bytes: {asked:?}");
    ensure!(answered.len() == 1 && answered[0].payload.len() == 200, "and one back: {answered:?}");
    ensure!((answered[0].from, answered[0].to) == (asked[0].to, asked[0].from), "{answered:?}");
    ensure!(capture.heard_from(gate)?.len() == 1, "the gate said more: {:?}", capture.heard_from(gate)?);
    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_shut(&lab.client, WEB)?;
    for host in [&lab.visitor, &lab.stranger] {
        scene.must_be_shut(host, SSH)?;
    }
    scene.must_be_healthy()
}

fn closes_on_time(lab: &Lab) -> Result<()> {
    const SECONDS: u64 = 3;
    let scene = Scene::by_packet(lab, Family::V4, "")?;
    let (knocked, by_the_clock) = (Instant::now(), SystemTime::now());

    let report = scene.alice.report(&["knock", "alice", "ssh", "--seconds", "3"], 0)?;

    ensure!(report["via"] == "packet" && report["outcome"] == "open", "{report}");
    ensure!(report["seen"] == lab.client.ip(Family::V4).to_string(), "{report}");
    ensure!(report["left_seconds"] == SECONDS, "{report}");
    let until = humantime::parse_rfc3339(report["until"].as_str().context("no time of closing")?)?;
    let promised = until.duration_since(by_the_clock).unwrap_or_default();
    ensure!(promised.as_secs().abs_diff(SECONDS) <= 1, "open until {promised:?} after the knock: {report}");

    scene.must_be_open(&lab.client, SSH)?;
    let open_for = scene.wait_until_shut(&lab.client, SSH)?.duration_since(knocked);
    // An attempt that meets a shut port takes its patience to find out.
    ensure!(open_for >= Duration::from_secs(SECONDS - 1), "shut after {open_for:?} already");
    ensure!(open_for <= Duration::from_secs(SECONDS + 3), "shut only after {open_for:?}");
    Ok(())
}

fn no_open_port(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, WATCH)?;
    let listening = |option| programs::output(lab.gate.command("ss").args(["-H", "-l", "-n", option]));
    ensure!(listening("-u")?.is_empty(), "something listens on UDP:\n{}", listening("-u")?);
    let tcp = listening("-t")?;
    let ours = |line: &&str| !line.contains(&format!(":{SSH} ")) && !line.contains(&format!(":{WEB} "));
    let central = tcp.lines().filter(ours).find(|line| line.contains(&format!(":{KNOCK}")));
    ensure!(central.is_none(), "something listens on TCP {KNOCK}: {central:?}");
    scene.must_be_healthy()
}

fn picks_ports(lab: &Lab, ports: &str, range: RangeInclusive<u16>) -> Result<()> {
    const KNOCKS: usize = 5;
    let scene = Scene::by_packet(lab, Family::V6, &format!("[packet]\n{ports}"))?;
    let capture = Capture::on(&lab.client)?;

    for _ in 0..KNOCKS {
        scene.alice.knock("ssh")?.expect(0)?;
    }

    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_shut(&lab.stranger, SSH)?;
    let asked = capture.datagrams(lab.client.ip(Family::V6), lab.gate.ip(Family::V6))?;
    let chosen: BTreeSet<u16> = asked.iter().map(|datagram| datagram.to.port()).collect();
    ensure!(chosen.iter().all(|port| range.contains(port)), "{chosen:?} is not all in {range:?}");
    // Five out of hundreds: two may be the same, all of them never are.
    ensure!(chosen.len() >= KNOCKS - 2, "the ports are not drawn: {chosen:?}");
    Ok(())
}

fn both_families(lab: &Lab) -> Result<()> {
    let configuration = Configuration::for_packets(lab, "gate.test").with_services();
    let scene = Scene::set_with_configuration(lab, Family::V4, &configuration)?;

    let report = scene.alice.report(&["knock", "alice", "ssh"], 0)?;

    let opened = report["opened"].as_array().context("no list of what was opened")?;
    let seen: BTreeSet<_> = opened.iter().filter_map(|at| at["seen"].as_str().map(str::to_owned)).collect();
    let expected = [Family::V4, Family::V6].map(|family| lab.client.ip(family).to_string());
    ensure!(seen == BTreeSet::from(expected), "{report}");
    scene.must_be_open(&lab.client, SSH)?;
    let over_v6 = knockgate_tests::peers::reach(&lab.client, lab.gate.at(Family::V6, SSH))?;
    ensure!(over_v6 == knockgate_tests::peers::Reached::Greeting("ssh".to_owned()), "{over_v6:?}");
    let strangers = knockgate_tests::peers::reach(&lab.stranger, lab.gate.at(Family::V6, SSH))?;
    ensure!(strangers == knockgate_tests::peers::Reached::Silence, "{strangers:?}");
    Ok(())
}

fn gate_down(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    scene.gate.stop()?;

    let report = scene.alice.report(&["knock", "alice", "ssh", "--timeout", "2"], 3)?;

    ensure!(report["outcome"] == "no-answer" && report["until"] == Value::Null, "{report}");
    scene.must_be_shut(&lab.client, SSH)?;
    scene.gate.start()?;
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)
}
