//! The ways by which the gate hears: both hear the same, and wherever packets come in.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use knockgate_tests::forgery::{Forger, Opening};
use knockgate_tests::gates::{Configuration, Gate};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::packets::{self, Hand, KNOCK};
use knockgate_tests::peers::{Reached, Service, reach};
use knockgate_tests::scenes::SSH;
use knockgate_tests::{Family, Host, Lab, waiting};

use crate::stage::{LAB, STEPS};

/// What the agent says at its start.
const BY_SOCKETS: &str = "packets are heard by packet sockets";
const BY_NFLOG: &str = "packets are heard by NFLOG";
/// Takes away what packet sockets need.
const WITHOUT_RAW: [&str; 7] =
    ["setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-net_raw", "--ambient-caps", "-net_raw"];
/// From a new link to one that is heard at.
const HEARD: Duration = Duration::from_secs(5);

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("packet sockets hear both kinds of knocks, and are what the agent takes by itself", |lab| {
            both_kinds(lab, "", &[], BY_SOCKETS)
        }),
        story("NFLOG hears both kinds of knocks", |lab| {
            both_kinds(lab, "[capture]\nvia = \"nflog\"", &[], BY_NFLOG)
        }),
        story("without CAP_NET_RAW the agent hears by NFLOG and says why", |lab| {
            both_kinds(lab, "", &WITHOUT_RAW, BY_NFLOG)
        }),
        story("who insists on packet sockets and may not have them is told what to do", insisting),
        story("a link that comes, goes and comes back is heard by packet sockets", |lab| {
            changing_links(lab, "", "")
        }),
        story("a link that comes, goes and comes back is heard by NFLOG", |lab| {
            changing_links(lab, "", "[capture]\nvia = \"nflog\"")
        }),
        story("a link that is named before it is there is heard by packet sockets", |lab| {
            changing_links(lab, "interfaces = [\"eth0\", \"eth7\"]\n", "")
        }),
    ]
}

fn configuration(lab: &Lab, more: &str) -> Configuration {
    Configuration::for_packets(lab, "10.77.1.2").with_services().with(LAB).with(more)
}

/// A packet from one host and a static sequence from another one, over both families.
fn both_kinds(lab: &Lab, capture: &str, through: &[&str], says: &str) -> Result<()> {
    let _ssh = Service::start(&lab.gate, SSH, "ssh")?;
    let mut gate = Gate::configured(lab, &configuration(lab, capture))?;
    let bob = Hand::of(&gate.enrol("bob", &["ssh"], &[])?)?;
    gate.start_through(through)?;
    ensure!(gate.log().contains(says), "the agent does not say {says:?}");

    for family in [Family::V4, Family::V6] {
        let answer = bob.ask(&lab.visitor, lab.gate.at(family, KNOCK), &bob.open_ssh(60))?;
        ensure!(packets::is_granted(answer.as_ref()), "{family:?}: {answer:?}");
        must_be_open(&lab.visitor, lab.gate.ip(family))?;
        knock_steps(lab, lab.client.ip(family), lab.gate.ip(family))?;
        must_be_open(&lab.client, lab.gate.ip(family))?;
        ensure!(
            matches!(reach(&lab.stranger, lab.gate.at(family, SSH))?, Reached::Silence),
            "ssh is open to a stranger"
        );
    }
    gate.stop()
}

fn insisting(lab: &Lab) -> Result<()> {
    let gate = Gate::configured(lab, &configuration(lab, "[capture]\nvia = \"packet-sockets\""))?;
    let said = gate.tell_through(&WITHOUT_RAW, &["run"])?.expect(1)?;
    said.complains_of(&["CAP_NET_RAW", "[capture]", "via = \"auto\""])?;
    ensure!(lab.gate.nft_ruleset()?.is_empty(), "a gate that did not come up left rules behind");
    Ok(())
}

fn changing_links(lab: &Lab, interfaces: &str, capture: &str) -> Result<()> {
    let _ssh = Service::start(&lab.gate, SSH, "ssh")?;
    let text = configuration(lab, capture).replacing("state-dir", &format!("{interfaces}state-dir"))?;
    let mut gate = Gate::configured(lab, &text)?;
    let bob = Hand::of(&gate.enrol("bob", &["ssh"], &[])?)?;
    gate.start()?;

    for network in [1, 2] {
        lab.gate.join("eth7", &lab.visitor, "eth7")?;
        lab.gate.ip_batch(&format!("addr add 10.79.{network}.1/24 dev eth7\nlink set eth7 up"))?;
        lab.visitor.ip_batch(&format!("addr add 10.79.{network}.2/24 dev eth7\nlink set eth7 up"))?;
        let to: IpAddr = [10, 79, network, 1].into();
        let from: IpAddr = [10, 79, network, 2].into();

        waiting::until_true("a packet knock at the new link", HEARD, || {
            let answer = bob.ask(&lab.visitor, SocketAddr::new(to, KNOCK), &bob.open_ssh(1));
            answer.is_ok_and(|answer| packets::is_granted(answer.as_ref()))
        })?;
        waiting::until_true("ssh is shut again", HEARD, || {
            matches!(reach(&lab.visitor, SocketAddr::new(to, SSH)), Ok(Reached::Silence))
        })?;
        let forger = Forger::at(&lab.visitor)?;
        for port in STEPS {
            forger.send(SocketAddr::new(from, 50_000), SocketAddr::new(to, port), &Opening::Syn)?;
        }
        must_be_open(&lab.visitor, to)?;
        lab.gate.ip_batch("link delete eth7").context("the link cannot be taken away")?;
    }
    // And what was there all the time still is.
    let answer = bob.ask(&lab.visitor, lab.gate.at(Family::V4, KNOCK), &bob.open_ssh(60))?;
    ensure!(packets::is_granted(answer.as_ref()), "{answer:?}");
    Ok(())
}

fn knock_steps(lab: &Lab, from: IpAddr, to: IpAddr) -> Result<()> {
    let forger = Forger::at(&lab.client)?;
    STEPS.into_iter().try_for_each(|port| {
        forger.send(SocketAddr::new(from, 50_000), SocketAddr::new(to, port), &Opening::Syn)
    })
}

fn must_be_open(from: &Host, to: IpAddr) -> Result<()> {
    let open = || matches!(reach(from, SocketAddr::new(to, SSH)), Ok(Reached::Greeting(_)));
    waiting::until_true(&format!("ssh at {to} is open for {from:?}"), Duration::from_secs(2), open)
}
