//! Static sequences by knockd's own client: what they open, to whom, what is said of them, and what becomes of it.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use knockgate_tests::gates::Configuration;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::programs::Said;
use knockgate_tests::scenes::{SSH, Scene, WEB};
use knockgate_tests::{Family, Lab, waiting};

use crate::stage::{LAB, LAB_AND_PRINTER, gate_with};

/// From a knock to an open port, the client's way there included.
const OPENING: Duration = Duration::from_secs(2);
/// As the packaged unit hears.
const NFLOG: &str = "[capture]\nvia = \"nflog\"";

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("knockd's client opens by SYNs", |lab| by_syns(lab, Family::V4, "")),
        story("knockd's client opens by SYNs over IPv6", |lab| by_syns(lab, Family::V6, "")),
        story("knockd's client opens by SYNs over IPv6 that are heard by NFLOG", |lab| {
            by_syns(lab, Family::V6, NFLOG)
        }),
        story("knockd's client opens with a datagram among the steps", |lab| mixed(lab, Family::V4, "")),
        story("knockd's client opens with a datagram among the steps over IPv6", |lab| {
            mixed(lab, Family::V6, "")
        }),
        story("knockd's client opens with a datagram among the steps that are heard by NFLOG", |lab| {
            mixed(lab, Family::V4, NFLOG)
        }),
        story("a static sequence opens for as long as it says", own_time),
        story("part of a static sequence and a wrong order open nothing", parts),
        story("a static sequence stands in the logs by its name and is no client to policies", named),
        story("a policy that wants to know who it is denies a static sequence", anonymous),
        story("the grant of a static sequence outlives a restart, and not its sequence", lasting),
        story(
            "static sequences and one-time sequences in closed mode do not disturb each other",
            closed_mode,
        ),
        story("a client gets no name that a static sequence has", taken_name),
        story("a gate says what static sequences it has and what they are worth", told),
    ]
}

/// `knock` of the package knockd, from the lab's client: `ports` as it takes them.
fn knock(scene: &Scene<'_>, ports: &[&str]) -> Result<()> {
    let installed = Command::new("knock").arg("--version").output().is_ok();
    if !installed {
        bail!("`knock` is not installed; run `cargo xtask setup`, or install the package knockd");
    }
    let family = match scene.family {
        Family::V4 => "-4",
        Family::V6 => "-6",
    };
    let gate = scene.lab.gate.ip(scene.family).to_string();
    let mut command = scene.alice.host().command("knock");
    Said::by(command.args([family, &gate]).args(ports))?.expect(0)?;
    Ok(())
}

fn wait_until_open(scene: &Scene<'_>, port: u16) -> Result<()> {
    waiting::until_true(&format!("port {port} is open"), OPENING, || {
        scene.must_be_open(scene.alice.host(), port).is_ok()
    })
}

fn must_hear_by(scene: &Scene<'_>, capture: &str) -> Result<()> {
    let says = scene.gate.log().contains("packets are heard by NFLOG");
    ensure!(says == (capture == NFLOG), "the agent hears in another way than {capture:?} says");
    Ok(())
}

fn by_syns(lab: &Lab, family: Family, capture: &str) -> Result<()> {
    let mut scene = Scene::by_packet(lab, family, &format!("{LAB}\n\n{capture}"))?;
    must_hear_by(&scene, capture)?;
    scene.must_be_shut(&lab.client, SSH)?;

    knock(&scene, &["7000", "8000", "9000"])?;

    wait_until_open(&scene, SSH)?;
    scene.must_be_shut(&lab.visitor, SSH)?;
    scene.must_be_shut(&lab.client, WEB)?;
    scene.must_be_healthy()
}

fn mixed(lab: &Lab, family: Family, capture: &str) -> Result<()> {
    let scene = Scene::by_packet(lab, family, &format!("{LAB_AND_PRINTER}\n\n{capture}"))?;
    must_hear_by(&scene, capture)?;
    knock(&scene, &["7100:udp", "8100:tcp", "9100:udp"])?;
    scene.must_be_shut(&lab.client, WEB)?;

    knock(&scene, &["7100:tcp", "8100:udp", "9100:tcp"])?;

    wait_until_open(&scene, WEB)?;
    scene.must_be_shut(&lab.visitor, WEB)?;
    scene.must_be_shut(&lab.client, SSH)
}

fn own_time(lab: &Lab) -> Result<()> {
    let scene = gate_with(lab, &LAB.replace("2m", "2s"))?;
    knock(&scene, &["7000", "8000", "9000"])?;
    wait_until_open(&scene, SSH)?;
    scene.wait_until_shut(&lab.client, SSH)?;
    // And whoever has the sequence has it for ever.
    knock(&scene, &["7000", "8000", "9000"])?;
    wait_until_open(&scene, SSH)
}

fn parts(lab: &Lab) -> Result<()> {
    let scene = gate_with(lab, &format!("{LAB}\nwithin = \"1s\""))?;
    knock(&scene, &["9000", "8000", "7000"])?;
    scene.must_be_shut(&lab.client, SSH)?;
    // From here on the attempt before is too old.
    waiting::let_pass(Duration::from_millis(1_100));
    knock(&scene, &["7000", "8000"])?;
    waiting::let_pass(Duration::from_millis(1_100));
    knock(&scene, &["9000"])?;
    scene.must_be_shut(&lab.client, SSH)
}

fn named(lab: &Lab) -> Result<()> {
    let scene = gate_with(lab, &format!("{LAB}\n[policy.clients]\nalice = [\"default\"]"))?;
    knock(&scene, &["7000", "8000", "9000"])?;
    wait_until_open(&scene, SSH)?;

    let opened = scene.gate.wait_for_audit("the grant", |record| record["event"] == "grant-opened")?;
    ensure!(opened["client"] == "lab" && opened["service"] == "ssh" && opened["seconds"] == 120, "{opened}");
    let decided = scene.gate.wait_for_audit("the decision", |record| record["event"] == "decision")?;
    ensure!(decided["client"].is_null() && decided["source"] == "10.77.2.2", "{decided}");
    let seen = &decided["attributes"];
    ensure!(seen.get("client").is_none() && seen.get("client-name").is_none(), "{decided}");
    ensure!(seen["cause"] == "sequence" || seen["cause"] == 1, "{decided}");
    ensure!(seen["service"] == 1 && seen["seconds"] == 120, "{decided}");
    let log = scene.gate.log();
    ensure!(log.contains("opened") && log.contains("client=lab"), "{log}");
    Ok(())
}

fn anonymous(lab: &Lab) -> Result<()> {
    const LIMIT: &str = "[policy.services]\nssh = [\"limit-per-client\"]\n\n\
                         [policy-module.limit-per-client]\nbuilt-in = \"limit-per-client\"";
    let scene = gate_with(lab, &format!("{LAB}\n\n{LIMIT}"))?;
    knock(&scene, &["7000", "8000", "9000"])?;
    let decided = scene.gate.wait_for_audit("the decision", |record| record["event"] == "decision")?;
    ensure!(decided["verdict"] == "deny", "{decided}");
    scene.must_be_shut(&lab.client, SSH)?;
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)
}

fn lasting(lab: &Lab) -> Result<()> {
    let mut scene = gate_with(lab, LAB)?;
    knock(&scene, &["7000", "8000", "9000"])?;
    wait_until_open(&scene, SSH)?;

    scene.gate.stop()?;
    scene.gate.start()?;
    scene.must_be_open(&lab.client, SSH)?;
    let adopted = scene.gate.wait_for_audit("the grant", |record| record["event"] == "grant-adopted")?;
    ensure!(adopted["client"] == "lab", "{adopted}");

    scene.gate.stop()?;
    Configuration::for_packets(lab, "10.77.1.2").with_services().write()?;
    scene.gate.start()?;
    scene.must_be_shut(&lab.client, SSH)
}

fn closed_mode(lab: &Lab) -> Result<()> {
    let sections = format!("{LAB_AND_PRINTER}\n\n[central]\n\n[sequence]\nmode = \"closed\"");
    let mut scene = Scene::by_packet(lab, Family::V4, &sections)?;
    scene.alice.tell(&["knock", "alice", "web", "--via", "sequence"])?.expect(0)?;
    scene.must_be_open(&lab.client, WEB)?;
    knock(&scene, &["7000", "8000", "9000"])?;
    wait_until_open(&scene, SSH)?;
    scene.must_be_healthy()
}

fn taken_name(lab: &Lab) -> Result<()> {
    let scene = gate_with(lab, LAB)?;
    let out = lab.path("lab.kgp").display().to_string();
    let added = scene.gate.tell(&["client", "add", "lab", "--service", "ssh", "--out", &out])?;
    added.expect(1)?.complains_of(&["lab", "static sequence", "choose another name"])?;
    let roster = scene.gate.tell(&["client", "list"])?.expect(0)?;
    ensure!(!roster.out.contains("lab"), "half enrolled: {roster}");

    // And a sequence gets no name that a client has.
    Configuration::for_packets(lab, "10.77.1.2")
        .with_services()
        .with(&LAB.replace("\"lab\"", "\"alice\""))
        .write()?;
    for command in ["check", "run"] {
        let said = scene.gate.tell(&[command])?.expect(1)?;
        said.complains_of(&["agent.toml:", "alice", "static sequence", "name"])?;
    }
    Ok(())
}

fn told(lab: &Lab) -> Result<()> {
    let scene = gate_with(lab, LAB_AND_PRINTER)?;
    let check = scene.gate.tell(&["check"])?.expect(0)?.out;
    for words in ["lab: tcp/7000, tcp/8000, tcp/9000 within 5s open ssh for 2m", "printer: ", "udp/8100"] {
        ensure!(check.contains(words), "no {words:?} in:\n{check}");
    }
    for text in [check, scene.gate.log()] {
        ensure!(text.contains("whoever has seen a static sequence on the way can repeat it"), "{text}");
    }
    Ok(())
}
