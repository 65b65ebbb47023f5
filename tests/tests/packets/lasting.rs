//! Grants that live: prolonged, closed, kept open by a connection, opened to a whole network.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use knockgate_tests::clients::Client;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::peers::{Quiet, Reached, reach_as, reach_from_here};
use knockgate_tests::scenes::{SSH, Scene, WEB};
use knockgate_tests::{Family, Lab, waiting};
use serde_json::Value;

const REFUSED: i32 = 4;

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("renew prolongs what is open and close ends it", renew_and_close),
        story("renew opens nothing where nothing is open", nothing_to_renew),
        story("close without a service closes everything at this address", close_everything),
        story("a grant can be closed by its number from another address", close_from_elsewhere),
        story("a port that follows stays open for a connection and closes soon after it", follows),
        story("a port that follows never stays open beyond its longest time", follows_to_the_end),
        story("a neighbour in the same prefix gets in where client and gate agree over IPv4", |lab| {
            neighbours(lab, Family::V4)
        }),
        story("a neighbour in the same prefix gets in where client and gate agree over IPv6", |lab| {
            neighbours(lab, Family::V6)
        }),
        story("no prefix is opened where the gate has none", no_prefix),
    ]
}

fn renew_and_close(lab: &Lab) -> Result<()> {
    let scene = Scene::by_packet(lab, Family::V4, "")?;
    let knocked = Instant::now();
    let first = scene.alice.report(&["knock", "alice", "ssh", "--seconds", "3"], 0)?;

    let renewed = scene.alice.report(&["renew", "alice", "ssh", "--seconds", "30"], 0)?;

    let left = renewed["left_seconds"].as_u64().context("renew does not say for how long")?;
    ensure!((28..=30).contains(&left), "{renewed}");
    let grant = |report: &Value| report["opened"][0]["grant"].clone();
    ensure!(grant(&first) == grant(&renewed), "another grant: {first} {renewed}");
    waiting::until_true("the first time is over", Duration::from_secs(10), || {
        knocked.elapsed() > Duration::from_secs(4)
    })?;
    scene.must_be_open(&lab.client, SSH)?;

    scene.alice.tell(&["close", "alice", "ssh"])?.expect(0)?;
    scene.must_be_shut(&lab.client, SSH)?;
    let closed = scene.gate.wait_for_audit("the closing", |record| record["event"] == "grant-closed")?;
    ensure!(closed["client"] == "alice" && closed["service"] == "ssh", "{closed}");
    Ok(())
}

fn nothing_to_renew(lab: &Lab) -> Result<()> {
    let scene = Scene::by_packet(lab, Family::V4, "")?;
    for command in [["renew", "alice", "ssh"], ["close", "alice", "ssh"]] {
        let report = scene.alice.report(&command, REFUSED)?;
        ensure!(report["reason"] == "no-grant", "{report}");
        scene.must_be_shut(&lab.client, SSH)?;
    }
    Ok(())
}

fn close_everything(lab: &Lab) -> Result<()> {
    let scene = Scene::by_packet(lab, Family::V6, "")?;
    for service in ["ssh", "web"] {
        scene.alice.knock(service)?.expect(0)?;
    }
    scene.must_be_open(&lab.client, WEB)?;

    scene.alice.tell(&["close", "alice"])?.expect(0)?;

    scene.must_be_shut(&lab.client, SSH)?;
    scene.must_be_shut(&lab.client, WEB)
}

fn close_from_elsewhere(lab: &Lab) -> Result<()> {
    let scene = Scene::by_packet(lab, Family::V4, "")?;
    let on_the_road = Client::with_profile(lab, &lab.visitor, "road", &lab.path("alice.kgp"))?;
    let report = scene.alice.report(&["knock", "alice", "ssh"], 0)?;
    let grant = report["opened"][0]["grant"].as_u64().context("no number of the grant")?.to_string();

    // Nothing of hers is open there, so only the number says what is meant.
    on_the_road.tell(&["close", "road", "ssh"])?.expect(REFUSED)?;
    scene.must_be_open(&lab.client, SSH)?;
    on_the_road.tell(&["close", "road", "--grant", &grant])?.expect(0)?;

    scene.must_be_shut(&lab.client, SSH)
}

const SHELL: u16 = 2323;

/// A service that follows, and is open for two seconds by itself.
fn following<'lab>(lab: &'lab Lab, max_open: &str) -> Result<(Scene<'lab>, Client<'lab>, Quiet)> {
    let shell = format!(
        "[service.shell]\nid = 3\nprotocol = \"tcp\"\nports = [{SHELL}]\nopen = \"2s\"\n\
         max-open = \"{max_open}\"\nfollow = true"
    );
    let scene = Scene::by_packet(lab, Family::V4, &shell)?;
    let profile = scene.gate.enrol("bob", &["shell"], &[])?;
    let bob = Client::with_profile(lab, &lab.visitor, "bob", &profile)?;
    Ok((scene, bob, Quiet::start(&lab.gate, SHELL)?))
}

fn connect(scene: &Scene<'_>) -> Result<TcpStream> {
    let to = scene.lab.gate.at(scene.family, SHELL);
    scene.lab.visitor.inside(|| Ok(TcpStream::connect_timeout(&to, Duration::from_secs(2))?))
}

fn is_open(scene: &Scene<'_>) -> Result<bool> {
    let to = scene.lab.gate.at(scene.family, SHELL);
    let reached = scene.lab.visitor.inside(|| Ok(reach_from_here(to, Duration::from_millis(300))))?;
    Ok(reached == Reached::Mute)
}

fn follows(lab: &Lab) -> Result<()> {
    let (scene, bob, _shell) = following(lab, "1h")?;
    bob.knock("shell")?.expect(0)?;
    let connection = connect(&scene)?;
    let connected = Instant::now();

    // Long past the two seconds, and nothing is said on the connection meanwhile.
    waiting::until_true("ten seconds with the port open", Duration::from_secs(12), || {
        connected.elapsed() > Duration::from_secs(10)
    })?;
    ensure!(is_open(&scene)?, "shut while a connection is established");
    ensure!(!matches!(scene.reached(&lab.stranger, SHELL)?, Reached::Mute), "open for a stranger");

    drop(connection);
    // To look at the port would be a connection, too. Noticed within about a second, and three seconds of grace.
    waiting::until_true("the closing in the audit log", Duration::from_secs(8), || {
        let closed = |record: &Value| record["event"] == "grant-closed" && record["client"] == "bob";
        scene.gate.audit().is_ok_and(|records| records.iter().any(closed))
    })?;
    ensure!(!is_open(&scene)?, "the port is still open");
    Ok(())
}

fn follows_to_the_end(lab: &Lab) -> Result<()> {
    const LONGEST: Duration = Duration::from_secs(6);
    let (scene, bob, _shell) = following(lab, "6s")?;
    let knocked = Instant::now();
    bob.knock("shell")?.expect(0)?;
    let mut connection = connect(&scene)?;

    waiting::until_true("the port is shut", LONGEST + Duration::from_secs(4), || {
        is_open(&scene).is_ok_and(|open| !open)
    })?;

    ensure!(knocked.elapsed() + Duration::from_secs(1) > LONGEST, "shut after {:?}", knocked.elapsed());
    // Established connections are not cut.
    connection.set_read_timeout(Some(Duration::from_secs(2)))?;
    connection.write_all(b"still there")?;
    let mut heard = [0; 11];
    connection.read_exact(&mut heard)?;
    ensure!(&heard == b"still there");
    Ok(())
}

/// Another address of the client's network.
fn neighbour(lab: &Lab, family: Family) -> Result<IpAddr> {
    let (address, bits) = match family {
        Family::V4 => ("10.77.2.9", 24),
        Family::V6 => ("fd77:2::9", 64),
    };
    // Nothing leaves from there by itself.
    lab.client.ip_batch(&format!("addr add {address}/{bits} dev eth0 preferred_lft 0"))?;
    Ok(address.parse()?)
}

fn neighbours(lab: &Lab, family: Family) -> Result<()> {
    let scene = Scene::by_packet_with_ssh(lab, family, "prefix-v4 = 24\nprefix-v6 = 64")?;
    let (neighbour, to) = (neighbour(lab, family)?, lab.gate.at(family, SSH));
    let gets_in = |address| Ok::<_, anyhow::Error>(reach_as(address, &lab.client, to)? != Reached::Silence);

    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;
    ensure!(!gets_in(neighbour)?, "a neighbour gets in without having been asked for");

    scene.alice.tell(&["knock", "alice", "ssh", "--prefix", "--seconds", "60"])?.expect(0)?;
    ensure!(gets_in(neighbour)?, "the neighbour is kept out");
    ensure!(gets_in(lab.client.ip(family))?, "the client is kept out");
    for host in [&lab.visitor, &lab.stranger] {
        scene.must_be_shut(host, SSH)?;
    }
    scene.must_be_shut(&lab.client, WEB)?;

    scene.alice.tell(&["close", "alice", "ssh"])?.expect(0)?;
    ensure!(!gets_in(neighbour)?, "the prefix is still open");
    scene.must_be_shut(&lab.client, SSH)
}

fn no_prefix(lab: &Lab) -> Result<()> {
    let scene = Scene::by_packet(lab, Family::V4, "")?;
    let neighbour = neighbour(lab, Family::V4)?;

    scene.alice.tell(&["knock", "alice", "ssh", "--prefix"])?.expect(0)?;

    scene.must_be_open(&lab.client, SSH)?;
    let reached = reach_as(neighbour, &lab.client, lab.gate.at(Family::V4, SSH))?;
    ensure!(reached == Reached::Silence, "{reached:?}");
    Ok(())
}
