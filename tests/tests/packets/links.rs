//! The gate's link goes down and comes back, and the gate gets another address: who knocks there is let in there.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, ensure};
use knockgate_tests::gates::{Configuration, Gate};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::packets::{Hand, KNOCK, is_granted};
use knockgate_tests::peers::{Reached, Service, reach};
use knockgate_tests::scenes::{APART, SSH};
use knockgate_tests::{Host, Lab, waiting};

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("a link that goes down and a gate with another address are heard by packet sockets", |lab| {
            moves(lab, "")
        }),
        story("a link that goes down and a gate with another address are heard by NFLOG", |lab| {
            moves(lab, "[capture]\nvia = \"nflog\"")
        }),
        story("a link that goes down and a gate with another address are heard by bound sockets", |lab| {
            moves(lab, "[packet]\nmode = \"socket\"")
        }),
        story("a link that goes down and a gate with another address are heard by two processes", |lab| {
            moves(lab, APART)
        }),
    ]
}

/// A link that comes up takes its time, IPv6 most.
const UP_WITHIN: Duration = Duration::from_secs(10);

/// The last parts of the addresses that the gate has, one after the other.
const ADDRESSES: [u8; 3] = [2, 9, 2];

fn moves(lab: &Lab, sections: &str) -> Result<()> {
    let _ssh = Service::start(&lab.gate, SSH, "ssh")?;
    let configuration = Configuration::for_packets(lab, "gate.test").with_services().with(sections);
    let mut gate = Gate::configured(lab, &configuration)?;
    let bob = Hand::of(&gate.enrol("bob", &["ssh"], &[])?)?;
    gate.start()?;
    for pair in ADDRESSES.windows(2) {
        let &[old, new] = pair else { continue };
        lab.gate.ip_batch(&format!(
            "addr del 10.77.1.{old}/24 dev eth0\naddr del fd77:1::{old}/64 dev eth0\nlink set eth0 down\nlink set eth0 up\n\
             addr add 10.77.1.{new}/24 dev eth0\naddr add fd77:1::{new}/64 dev eth0\n\
             route add default via 10.77.1.1\nroute add ::/0 via fd77:1::1"
        ))?;
        let has_grants = old != ADDRESSES[0];
        for to in [IpAddr::from([10, 77, 1, new]), IpAddr::from([0xfd77, 1, 0, 0, 0, 0, 0, u16::from(new)])] {
            let ssh = SocketAddr::new(to, SSH);
            if has_grants {
                waiting::until_true(&format!("what was open before is open at {to}"), UP_WITHIN, || {
                    is_open(&lab.visitor, ssh).unwrap_or(false)
                })?;
            }
            waiting::until_true(&format!("a knock at {to} is heard"), UP_WITHIN, || {
                let answer = bob.ask(&lab.visitor, SocketAddr::new(to, KNOCK), &bob.open_ssh(600));
                answer.is_ok_and(|answer| is_granted(answer.as_ref()))
            })?;
            ensure!(is_open(&lab.visitor, ssh)?, "{to} is shut for bob");
            ensure!(!is_open(&lab.stranger, ssh)?, "{to} is open to a stranger");
        }
    }
    ensure!(gate.is_alive(), "the agent has ended");
    gate.stop()
}

fn is_open(from: &Host, to: SocketAddr) -> Result<bool> {
    Ok(matches!(reach(from, to)?, Reached::Greeting(_)))
}
