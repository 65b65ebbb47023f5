//! What a good knock opens, for whom, and until when.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::peers::{Reached, Service};
use knockgate_tests::scenes::{SSH, Scene, WEB};
use knockgate_tests::{Family, Lab};
use serde_json::Value;

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("a knock over IPv4 opens only the asked service and only to the knocker", |lab| {
            opens_for_one(lab, Family::V4)
        }),
        story("a knock over IPv6 opens only the asked service and only to the knocker", |lab| {
            opens_for_one(lab, Family::V6)
        }),
        story("a gate with a name is reached over either family", named_gate),
        story("the grant ends on time with the agent killed", ends_with_agent_killed),
        story("a grant survives a clean restart and a kill of the agent", survives_restart),
        story("a service forwarded to an inner host opens and closes the same way over IPv4", |lab| {
            forwarded(lab, Family::V4)
        }),
        story("a service forwarded to an inner host opens and closes the same way over IPv6", |lab| {
            forwarded(lab, Family::V6)
        }),
        story("a client enrolled while the agent runs can knock without a restart", enrolled_while_running),
        story("a client that was removed cannot knock any more", removed_client),
        story(
            "clients behind one address keep a service open for each other, each for his own time",
            shared_address,
        ),
        story(
            "nobody inherits the time of a client that was removed while the agent was down",
            no_inheritance,
        ),
        story("the audit log tells every step of a knock", audit_tells_all),
    ]
}

fn opens_for_one(lab: &Lab, family: Family) -> Result<()> {
    let mut scene = Scene::set(lab, family)?;
    for host in [&lab.client, &lab.visitor, &lab.stranger] {
        scene.must_be_shut(host, SSH)?;
        scene.must_be_shut(host, WEB)?;
    }

    scene.alice.knock("ssh")?.expect(0)?;

    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_shut(&lab.client, WEB)?;
    for host in [&lab.visitor, &lab.stranger] {
        scene.must_be_shut(host, SSH)?;
    }
    scene.must_be_healthy()
}

fn named_gate(lab: &Lab) -> Result<()> {
    for (family, option) in [(Family::V6, "-6"), (Family::V4, "-4")] {
        let configuration = knockgate_tests::gates::Configuration::bare(lab, "gate.test").with_services();
        let mut scene = Scene::set_with_configuration(lab, family, &configuration)?;
        scene.alice.tell(&["knock", "alice", "ssh", option])?.expect(0)?;
        scene.must_be_open(&lab.client, SSH)?;
        scene.gate.stop()?;
        // The second family begins as the first one did: nothing enrolled, nothing open.
        std::fs::remove_dir_all(lab.path("state"))?;
        std::fs::remove_dir_all(lab.path("home-alice"))?;
        std::fs::remove_file(lab.path("alice.kgp"))?;
    }
    Ok(())
}

fn ends_with_agent_killed(lab: &Lab) -> Result<()> {
    let seconds = 3;
    let mut scene = Scene::set(lab, Family::V4)?;
    let knocked = Instant::now();
    scene.alice.knock_for("ssh", seconds)?.expect(0)?;

    scene.gate.kill()?;

    scene.must_be_open(&lab.client, SSH)?;
    let shut = scene.wait_until_shut(&lab.client, SSH)?;
    let open_for = shut.duration_since(knocked);
    // An attempt that meets a shut port takes its patience to find out.
    ensure!(open_for >= Duration::from_secs(u64::from(seconds) - 1), "shut after {open_for:?} already");
    ensure!(open_for <= Duration::from_secs(u64::from(seconds) + 3), "shut only after {open_for:?}");
    Ok(())
}

fn survives_restart(lab: &Lab) -> Result<()> {
    let mut scene = Scene::set(lab, Family::V6)?;
    scene.alice.knock_for("ssh", 60)?.expect(0)?;

    scene.gate.stop()?;
    scene.gate.start()?;
    scene.must_be_open(&lab.client, SSH)?;

    scene.gate.kill()?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.gate.start()?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_shut(&lab.client, WEB)?;
    scene.must_be_shut(&lab.stranger, SSH)
}

fn forwarded(lab: &Lab, family: Family) -> Result<()> {
    const OUTSIDE: u16 = 2222;
    let _inner = Service::start(&lab.inner, 22, "inner")?;
    let service = "[service.plc]\nid = 3\nprotocol = \"tcp\"\nports = [2222]\n\
                   forward = [\"10.78.0.2:22\", \"[fd78::2]:22\"]";
    let mut scene = Scene::set_with(lab, family, service)?;
    let profile = scene.gate.enrol("bob", &["plc"], &[])?;
    let bob = knockgate_tests::clients::Client::with_profile(lab, &lab.visitor, "bob", &profile)?;
    scene.must_be_shut(&lab.visitor, OUTSIDE)?;

    bob.knock_for("plc", 3)?.expect(0)?;

    let reached = scene.reached(&lab.visitor, OUTSIDE)?;
    ensure!(reached == Reached::Greeting("inner".to_owned()), "{reached:?}");
    scene.must_be_shut(&lab.client, OUTSIDE)?;
    scene.must_be_shut(&lab.visitor, SSH)?;
    scene.wait_until_shut(&lab.visitor, OUTSIDE)?;

    // As under ProcSubset=pid, which the package's unit has.
    ensure!(!scene.gate.log().contains("cannot be read"), "it can be read so far");
    scene.gate.stop()?;
    let hidden = "mount -t tmpfs tmpfs /proc/sys && exec \"$@\"";
    scene.gate.start_through(&["unshare", "--mount", "sh", "-c", hidden, "sh"])?;
    for sysctl in ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"] {
        ensure!(scene.gate.log().contains(&format!("look whether `sysctl {sysctl}` says 1")), "{sysctl}");
    }
    bob.knock_for("plc", 3)?.expect(0)?;
    let reached = scene.reached(&lab.visitor, OUTSIDE)?;
    ensure!(reached == Reached::Greeting("inner".to_owned()), "{reached:?}");
    Ok(())
}

fn enrolled_while_running(lab: &Lab) -> Result<()> {
    let scene = Scene::set(lab, Family::V4)?;
    let profile = scene.gate.enrol("bob", &["web"], &[])?;
    let bob = knockgate_tests::clients::Client::with_profile(lab, &lab.visitor, "bob", &profile)?;

    bob.knock("web")?.expect(0)?;

    scene.must_be_open(&lab.visitor, WEB)?;
    scene.must_be_shut(&lab.visitor, SSH)?;
    ensure!(bob.knock("ssh")?.code != Some(0), "bob may not use ssh");
    scene.must_be_shut(&lab.visitor, SSH)
}

fn removed_client(lab: &Lab) -> Result<()> {
    let mut scene = Scene::set(lab, Family::V4)?;
    scene.gate.tell(&["client", "remove", "alice"])?.expect(0)?;

    knockgate_tests::waiting::until_true("alice is refused", Duration::from_secs(5), || {
        scene.alice.tell(&["status", "alice", "--timeout", "2"]).is_ok_and(|said| said.code == Some(3))
    })?;
    let knocked = scene.alice.tell(&["knock", "alice", "ssh", "--timeout", "2"])?.expect(3)?;

    ensure!(!knocked.err.is_empty(), "a client that gets no answer must be told what it can mean");
    scene.must_be_shut(&lab.client, SSH)?;
    ensure!(scene.gate.is_alive(), "the agent has ended");
    Ok(())
}

fn audit_tells_all(lab: &Lab) -> Result<()> {
    let scene = Scene::set(lab, Family::V4)?;
    scene.alice.knock_for("ssh", 1)?.expect(0)?;
    scene.wait_until_shut(&lab.client, SSH)?;

    let address = lab.client.ip(Family::V4).to_string();
    let from_alice = |event: &str| {
        scene.gate.wait_for_audit(&format!("{event} of {address}"), |record| {
            record["event"] == event && record["source"] == address.as_str() && record["time"] != Value::Null
        })
    };
    for event in ["central-connection", "offered", "decision", "grant-closed"] {
        from_alice(event)?;
    }
    let knock = from_alice("knock")?;
    ensure!(knock["client"] == "alice" && knock["number"] == 0, "{knock}");
    ensure!(knock["ports-seen"].as_array().is_some_and(|ports| ports.len() == 6), "{knock}");
    let opened = from_alice("grant-opened")?;
    ensure!(opened["service"] == "ssh" && opened["seconds"] == 1, "{opened}");
    Ok(())
}

/// The kernel has one element for both: a grant that is taken back must not leave it longer than the other one's.
fn shared_address(lab: &Lab) -> Result<()> {
    let scene = Scene::set(lab, Family::V4)?;
    let profile = scene.gate.enrol("bob", &["ssh"], &[])?;
    let bob = knockgate_tests::clients::Client::with_profile(lab, &lab.client, "bob", &profile)?;
    scene.gate.wait_for_audit("bob on the roster", |record| record["event"] == "roster-changed")?;
    scene.alice.knock_for("ssh", 60)?.expect(0)?;
    let knocked = Instant::now();
    bob.knock_for("ssh", 6)?.expect(0)?;

    scene.gate.tell(&["client", "remove", "alice"])?.expect(0)?;

    scene.gate.wait_for_audit("the end of alice's grant", |record| {
        record["event"] == "grant-closed" && record["reason"] == "revoked"
    })?;
    scene.must_be_open(&lab.client, SSH)?;
    let shut = scene.wait_until_shut(&lab.client, SSH)?;
    let open_for = shut.duration_since(knocked);
    ensure!(open_for >= Duration::from_secs(5), "bob's grant ended with alice's, after {open_for:?}");
    Ok(())
}

/// What is open longest was granted to alice; bob shares it for a while and must not be taken for its owner.
fn no_inheritance(lab: &Lab) -> Result<()> {
    let mut scene = Scene::set(lab, Family::V4)?;
    let profile = scene.gate.enrol("bob", &["ssh"], &[])?;
    let bob = knockgate_tests::clients::Client::with_profile(lab, &lab.client, "bob", &profile)?;
    scene.gate.wait_for_audit("bob on the roster", |record| record["event"] == "roster-changed")?;
    scene.alice.knock_for("ssh", 60)?.expect(0)?;
    bob.knock_for("ssh", 20)?.expect(0)?;

    scene.gate.stop()?;
    scene.gate.tell(&["client", "remove", "alice"])?.expect(0)?;
    scene.gate.start()?;

    scene.must_be_shut(&lab.client, SSH)?;
    bob.knock_for("ssh", 20)?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)
}
