//! A reload that the kernel does not let come to its end: what is in force then, and what is heard.

use anyhow::{Result, ensure};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::packets::{Hand, is_granted};
use knockgate_tests::peers::{Reached, Service};
use knockgate_tests::scenes::{SSH, Scene, WEB};
use knockgate_tests::tracing::{Interference, Tracer};
use knockgate_tests::{Family, Lab};

use crate::reconfigure::base;

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("while nft cannot be started a reload leaves rules and open ports as they were", guard_refuses),
        story("while no capture socket can be opened a reload leaves what is heard as it was", no_socket),
        story("a reload after which not all is heard says so, and the next one makes up for it", half_deaf),
    ]
}

/// The threads of the agent that do the work of a reload.
const GATE: &str = "gate";
const RELOAD: &str = "reload";

const OTHER: u16 = 8081;
const KNOCK_TOO: u16 = 62300;
const CENTRAL: u16 = 4444;

/// By which a program is started. Not every processor's kernel has all of them.
const STARTING: &str = "clone,clone3,?fork,?vfork";

fn guard_refuses(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    let _other = Service::start(&lab.gate, OTHER, "other")?;
    base(lab).replacing("ports = [8080]", "ports = [8080, 8081]")?.write()?;
    scene.gate.tell(&["reload"])?.expect(0)?;
    scene.alice.knock("web")?.expect(0)?;

    // One port of two goes: what was open at it is shut before the rules change, and these cannot.
    base(lab).replacing("ports = [8080]", "ports = [8081]")?.write()?;
    let fault = Interference::Fail { calls: STARTING, error: "EAGAIN" };
    let hindered = Tracer::attach_to_thread(scene.gate.pid()?, GATE, fault)?;
    let said = scene.gate.tell(&["reload"])?.expect(1)?;
    said.complains_of(&["the guard could not be changed", "the agent goes on as before"])?;
    ensure!(!hindered.detach()?.is_empty(), "nobody has tried to start nft");

    for port in [WEB, OTHER] {
        scene.must_be_open(&lab.client, port)?;
        scene.must_be_shut(&lab.stranger, port)?;
    }
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.gate.wait_for_audit("the refusal", |record| record["event"] == "reload-refused")?;

    let said = scene.gate.tell(&["reload"])?.expect(0)?.out;
    ensure!(said.contains("ports tcp/8080,8081 -> tcp/8081; 1 grant stays"), "{said}");
    scene.must_be_open(&lab.stranger, WEB)?;
    scene.must_be_open(&lab.client, OTHER)?;
    scene.must_be_shut(&lab.stranger, OTHER)?;
    scene.must_be_healthy()
}

fn no_socket(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    let bob = Hand::of(&scene.gate.enrol("bob", &["ssh"], &[])?)?;
    let too = lab.gate.at(Family::V4, KNOCK_TOO);
    let ask = || bob.ask(&lab.visitor, too, &bob.open_ssh(60));
    base(lab).with("[packet]\nports = [62201, 62300]").write()?;

    let fault = Interference::Fail { calls: "socket", error: "EMFILE" };
    let hindered = Tracer::attach_to_thread(scene.gate.pid()?, RELOAD, fault)?;
    let said = scene.gate.tell(&["reload"])?.expect(1)?;
    said.complains_of(&["packets cannot be watched", "the agent goes on as before"])?;
    ensure!(!hindered.detach()?.is_empty(), "nobody has tried to open a socket");

    ensure!(ask()?.is_none(), "a port that is not in force is heard");
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;

    scene.gate.tell(&["reload"])?.expect(0)?;
    let answer = ask()?;
    ensure!(is_granted(answer.as_ref()), "{answer:?}");
    scene.must_be_open(&lab.visitor, SSH)?;
    scene.must_be_healthy()
}

fn half_deaf(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    base(lab).with("[central]\nport = 4444").write()?;

    // The port is taken by then, the guard is changed: there is no way back.
    let fault = Interference::Fail { calls: "getsockname", error: "ENOBUFS" };
    let hindered = Tracer::attach_to_thread(scene.gate.pid()?, RELOAD, fault)?;
    let said = scene.gate.tell(&["reload"])?.expect(0)?.out;
    ensure!(said.contains("but not all of it is heard") && said.contains("reload again"), "{said}");
    ensure!(!hindered.detach()?.is_empty(), "nobody has asked for the port");
    let reached = scene.reached(&lab.stranger, CENTRAL)?;
    ensure!(matches!(reached, Reached::Refused), "{reached:?}");
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;

    scene.gate.tell(&["reload"])?.expect(0)?;
    let reached = scene.reached(&lab.stranger, CENTRAL)?;
    ensure!(matches!(reached, Reached::Mute), "{reached:?}");
    scene.must_be_healthy()
}
