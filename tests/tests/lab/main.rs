//! The lab itself: what the other tests rest on.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use knockgate_tests::capture::Capture;
use knockgate_tests::harness::{self, story};
use knockgate_tests::peers::{Reached, Service, reach};
use knockgate_tests::programs::Running;
use knockgate_tests::{Family, Lab, waiting};

fn main() -> ExitCode {
    harness::run(|| {
        vec![
            story("hosts see each other over IPv4 and IPv6", hosts_see_each_other),
            story("a port nobody listens on refuses", unused_port_refuses),
            story("the inner host is behind the gate alone", inner_host_is_behind_the_gate),
            story("firewall rules stay in their namespace", rules_stay_in_their_namespace),
            story("a capture sees the ports of a sequence in order", capture_sees_a_sequence),
            story("a program dies with its handle", program_dies_with_its_handle),
            story("names resolve to both addresses of the gate", names_resolve),
        ]
    })
}

fn greeting(text: &str) -> Reached {
    Reached::Greeting(text.to_owned())
}

fn hosts_see_each_other(lab: &Lab) -> Result<()> {
    let _service = Service::start(&lab.gate, 22, "hello")?;
    for host in [&lab.client, &lab.visitor, &lab.stranger, &lab.inner] {
        for family in [Family::V4, Family::V6] {
            let reached = reach(host, lab.gate.at(family, 22))?;
            ensure!(reached == greeting("hello"), "{host:?} over {family:?}: {reached:?}");
        }
    }
    Ok(())
}

fn unused_port_refuses(lab: &Lab) -> Result<()> {
    let reached = reach(&lab.client, lab.gate.at(Family::V6, 9))?;
    ensure!(reached == Reached::Refused, "{reached:?}");
    Ok(())
}

fn inner_host_is_behind_the_gate(lab: &Lab) -> Result<()> {
    let _service = Service::start(&lab.inner, 22, "inner")?;
    let from_gate = reach(&lab.gate, lab.inner.at(Family::V4, 22))?;
    ensure!(from_gate == greeting("inner"), "{from_gate:?}");
    let from_client = reach(&lab.client, lab.inner.at(Family::V4, 22))?;
    ensure!(matches!(from_client, Reached::Error(_) | Reached::Silence), "{from_client:?}");
    Ok(())
}

fn rules_stay_in_their_namespace(lab: &Lab) -> Result<()> {
    let _at_gate = Service::start(&lab.gate, 22, "gate")?;
    let _at_visitor = Service::start(&lab.visitor, 22, "visitor")?;

    lab.gate
        .nft("table inet shut { chain c { type filter hook input priority 0\n tcp dport 22 drop\n }\n }")?;

    let shut = reach(&lab.client, lab.gate.at(Family::V4, 22))?;
    ensure!(shut == Reached::Silence, "{shut:?}");
    let open = reach(&lab.client, lab.visitor.at(Family::V4, 22))?;
    ensure!(open == greeting("visitor"), "{open:?}");
    ensure!(lab.visitor.nft_ruleset()?.is_empty(), "the visitor has rules");
    Ok(())
}

fn capture_sees_a_sequence(lab: &Lab) -> Result<()> {
    let _central = Service::start(&lab.gate, 62201, "sealed")?;
    for family in [Family::V4, Family::V6] {
        let capture = Capture::on(&lab.client)?;
        let asked = knockgate_tests::peers::send(&lab.client, lab.gate.at(family, 62201), b"question")?;
        ensure!(!asked.is_empty(), "no answer over {family:?}");
        for port in [700, 300, 500] {
            reach(&lab.client, lab.gate.at(family, port))?;
        }
        let (client, gate) = (lab.client.ip(family), lab.gate.ip(family));
        let knock = waiting::until("three ports in the capture", Duration::from_secs(2), || {
            Some(capture.knock(client, gate, 62201, 22)).filter(|knock| knock.ports.len() == 3)
        })?;
        ensure!(knock.ports == [700, 300, 500] && knock.asked == [b"question".to_vec()], "{knock:?}");
    }
    Ok(())
}

fn program_dies_with_its_handle(lab: &Lab) -> Result<()> {
    let log = lab.log("sleeper");
    let mut script = lab.client.command("sh");
    let mut running = Running::start(script.args(["-c", "echo awake; exec sleep 1000"]), &log)?;
    running.wait_for_text("awake", 0, Duration::from_secs(2))?;
    let process = std::path::PathBuf::from(format!("/proc/{}", running.pid()));
    ensure!(process.exists(), "{process:?} should run");

    drop(running);

    ensure!(!process.exists(), "{process:?} still runs");
    Ok(())
}

fn names_resolve(lab: &Lab) -> Result<()> {
    let found = lab.client.inside(|| {
        use std::net::ToSocketAddrs as _;
        Ok("gate.test:22".to_socket_addrs()?.collect::<Vec<_>>())
    })?;
    for family in [Family::V4, Family::V6] {
        ensure!(found.contains(&lab.gate.at(family, 22)), "{found:?}");
    }
    Ok(())
}
