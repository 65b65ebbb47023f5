//! The usual scene: a gate with two guarded services and one enrolled client.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::clients::Client;
use crate::gates::{Configuration, Gate};
use crate::peers::{Reached, Service, reach};
use crate::sequences::{self, Stalled};
use crate::{Family, Host, Lab, waiting};

pub const SSH: u16 = 22;
pub const WEB: u16 = 8080;
/// An agent of two processes, which ends at the first system call that it has no use for.
pub const APART: &str = "[process]\nseparate = true\nsandbox = \"require\"\nforbidden = \"kill\"";
/// The same for whoever traces it: a tracer lets a call fail by making it one that nobody knows.
pub const APART_TRACED: &str = "[process]\nseparate = true\nsandbox = \"require\"";

/// Where decoys are, unless a configuration says otherwise.
pub const DECOY_RANGE: std::ops::RangeInclusive<u16> = 10_000..=32_767;

/// For the agent to put back a table that somebody else has changed. How soon it does is measured by the story of the meddlers.
pub const RESTORING: Duration = Duration::from_secs(20);

/// How long after its deadline a port may still be open.
const CLOSING: Duration = Duration::from_secs(6);

/// A running gate, its services, and Alice, who may use both, at the lab's client.
pub struct Scene<'lab> {
    pub lab: &'lab Lab,
    pub family: Family,
    pub gate: Gate<'lab>,
    pub alice: Client<'lab>,
    _services: [Service; 2],
}

impl<'lab> Scene<'lab> {
    pub fn set(lab: &'lab Lab, family: Family) -> Result<Self> {
        Self::set_with(lab, family, "")
    }

    /// The scene with more sections in the configuration.
    pub fn set_with(lab: &'lab Lab, family: Family, sections: &str) -> Result<Self> {
        let address = lab.gate.ip(family).to_string();
        Self::set_with_configuration(
            lab,
            family,
            &Configuration::bare(lab, &address).with_services().with(sections),
        )
    }

    /// A gate without a central port: whatever is asked is asked by packet. With more sections in the configuration.
    pub fn by_packet(lab: &'lab Lab, family: Family, sections: &str) -> Result<Self> {
        let address = lab.gate.ip(family).to_string();
        let configuration = Configuration::for_packets(lab, &address).with_services().with(sections);
        Self::set_with_configuration(lab, family, &configuration)
    }

    /// The same with more keys in the table of ssh.
    pub fn by_packet_with_ssh(lab: &'lab Lab, family: Family, keys: &str) -> Result<Self> {
        let address = lab.gate.ip(family).to_string();
        let configuration = Configuration::for_packets(lab, &address).with_services();
        let table = format!("[service.ssh]\n{keys}\n");
        Self::set_with_configuration(lab, family, &configuration.replacing("[service.ssh]\n", &table)?)
    }

    pub fn set_with_configuration(lab: &'lab Lab, family: Family, text: &Configuration) -> Result<Self> {
        let services = [Service::start(&lab.gate, SSH, "ssh")?, Service::start(&lab.gate, WEB, "web")?];
        let mut gate = Gate::configured(lab, text)?;
        let profile = gate.enrol("alice", &["ssh", "web"], &[])?;
        let alice = Client::with_profile(lab, &lab.client, "alice", &profile)?;
        gate.start()?;
        Ok(Self { lab, family, gate, alice, _services: services })
    }

    /// What a host gets from a port of the gate.
    pub fn reached(&self, from: &Host, port: u16) -> Result<Reached> {
        reach(from, self.lab.gate.at(self.family, port))
    }

    pub fn must_be_open(&self, from: &Host, port: u16) -> Result<()> {
        match self.reached(from, port)? {
            Reached::Greeting(_) => Ok(()),
            other => bail!("port {port} should be open for {from:?}: {other:?}"),
        }
    }

    pub fn must_be_shut(&self, from: &Host, port: u16) -> Result<()> {
        match self.reached(from, port)? {
            Reached::Silence => Ok(()),
            other => bail!("port {port} should be shut and silent for {from:?}: {other:?}"),
        }
    }

    /// Waits until a port is shut again; returns when.
    pub fn wait_until_shut(&self, from: &Host, port: u16) -> Result<Instant> {
        let what = format!("port {port} is shut for {from:?}");
        waiting::until(&what, CLOSING, || {
            matches!(self.reached(from, port), Ok(Reached::Silence)).then(Instant::now)
        })
    }

    /// A knock of Alice's for ssh that succeeds, as an attacker on the path records it.
    pub fn recorded_knock(&self, seconds: u32) -> Result<crate::capture::Knock> {
        sequences::recorded_knock(self.lab, self.family, &self.alice, seconds)
    }

    /// A client asks for a number and then cannot knock: until the returned guard is dropped, the gate holds that number
    /// for it.
    pub fn stall(&self, client: &Client<'lab>, service: &str) -> Result<Stalled> {
        sequences::stall(self.lab, self.family, client, service)
    }

    /// Every decoy of the gate, ascending.
    pub fn decoys(&self) -> Result<Vec<u16>> {
        sequences::decoys(&self.gate)
    }

    /// Connects to decoys in ascending order as the same host, past the stall. No sequence is that long.
    pub fn knock_wrongly(&self, from: &Host) -> Result<()> {
        let gate = self.lab.gate.ip(self.family);
        sequences::knock_wrongly(&self.decoys()?, gate, from, sequences::FOR_AN_ANSWER)
    }

    /// The agent runs, answers Alice, and opens for her as ever.
    pub fn must_be_healthy(&mut self) -> Result<()> {
        ensure!(self.gate.is_alive(), "the agent has ended");
        self.alice.status()?.expect(0).context("the gate does not answer a status question")?;
        Ok(())
    }
}
