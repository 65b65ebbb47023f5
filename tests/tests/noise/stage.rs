//! A gate with a static sequence, and what clients and strangers of it do.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, ensure};
use knockgate_tests::forgery::{Forger, Opening};
use knockgate_tests::peers::{Reached, reach_as};
use knockgate_tests::scenes::{SSH, Scene};
use knockgate_tests::{Family, Host, Lab, waiting};

/// The steps of the usual sequence, all of TCP.
pub(crate) const STEPS: [u16; 3] = [7_000, 8_000, 9_000];
/// An unused port that is no step and no neighbour of one.
pub(crate) const NOBODY: u16 = 7_777;
/// The usual sequence.
pub(crate) const LAB: &str =
    "[[static-sequence]]\nname = \"lab\"\nsequence = [7000, 8000, 9000]\nservice = \"ssh\"\nopen = \"2m\"";
/// The same, and another one beside it, with a datagram in it.
pub(crate) const LAB_AND_PRINTER: &str = concat!(
    "[[static-sequence]]\nname = \"lab\"\nsequence = [7000, 8000, 9000]\nservice = \"ssh\"\nopen = \"2m\"\n\n",
    "[[static-sequence]]\nname = \"printer\"\nsequence = [\"7100/tcp\", \"8100/udp\", \"9100/tcp\"]\nservice = \"web\""
);

/// A knock that has not opened by then has failed.
const KNOCK: Duration = Duration::from_secs(2);
/// Source port of knocks by hand.
const FROM: u16 = 50_000;

/// Somebody at the client's host, with an address of his own.
pub(crate) struct Knocker<'s, 'lab> {
    scene: &'s Scene<'lab>,
    forger: Forger,
    pub(crate) source: IpAddr,
}

/// So many clients, each with an address of its own that has not knocked yet.
pub(crate) fn knockers<'s, 'lab>(scene: &'s Scene<'lab>, count: u8) -> Result<Vec<Knocker<'s, 'lab>>> {
    let client = &scene.lab.client;
    (0..count).map(|number| Knocker::new(scene, client, Ipv4Addr::new(10, 77, 2, 100 + number))).collect()
}

impl<'s, 'lab> Knocker<'s, 'lab> {
    fn new(scene: &'s Scene<'lab>, host: &Host, source: Ipv4Addr) -> Result<Self> {
        host.ip_batch(&format!("addr add {source}/24 dev eth0"))?;
        Ok(Self { scene, forger: Forger::at(host)?, source: source.into() })
    }

    /// One step of a sequence.
    pub(crate) fn step(&self, port: u16, what: &Opening) -> Result<()> {
        let to = self.scene.lab.gate.at(self.scene.family, port);
        self.forger.send(SocketAddr::new(self.source, FROM), to, what)
    }

    /// SYNs to these ports, in this order.
    pub(crate) fn knock(&self, ports: &[u16]) -> Result<()> {
        ports.iter().try_for_each(|port| self.step(*port, &Opening::Syn))
    }

    pub(crate) fn is_in(&self, port: u16) -> Result<bool> {
        let to = self.scene.lab.gate.at(self.scene.family, port);
        Ok(matches!(reach_as(self.source, &self.scene.lab.client, to)?, Reached::Greeting(_)))
    }

    /// Whether ssh opens to this client in time.
    pub(crate) fn gets_in(&self) -> bool {
        waiting::until_true("ssh is open", KNOCK, || self.is_in(SSH).is_ok_and(|is_in| is_in)).is_ok()
    }
}

/// Lets so many clients knock one after the other; every one must get in. Somebody who never knocked must not.
pub(crate) fn all_get_in(
    scene: &Scene<'_>,
    count: u8,
    knock: impl Fn(&Knocker<'_, '_>) -> Result<()>,
) -> Result<()> {
    let mut clients = knockers(scene, count + 1)?;
    let Some(idle) = clients.pop() else { return Ok(()) };
    let mut opened = 0;
    for client in &clients {
        knock(client)?;
        opened += u8::from(client.gets_in());
    }
    ensure!(opened == count, "{opened} of {count} knocks opened");
    ensure!(!idle.is_in(SSH)?, "ssh is open to somebody who has not knocked");
    Ok(())
}

/// A gate that hears packet knocks and static sequences.
pub(crate) fn gate_with<'lab>(lab: &'lab Lab, sections: &str) -> Result<Scene<'lab>> {
    Scene::by_packet(lab, Family::V4, sections)
}

/// Bytes of both logs so far.
pub(crate) fn bytes_of_log(scene: &Scene<'_>) -> Result<u64> {
    let audit = std::fs::metadata(scene.lab.path("audit.jsonl"))?.len();
    Ok(audit + u64::try_from(scene.gate.log().len())?)
}
