//! Knockgate's gates as they are by default, behind a host firewall that drops what the guard lets pass.

use std::path::PathBuf;

use anyhow::Result;
use knockgate_tests::gates::{Configuration, Gate};
use knockgate_tests::packets::Hand;
use knockgate_tests::{Family, Lab, programs};

use crate::direct::{Behind, Direct, Means};
use crate::door;
use crate::three::{OTHER, SEQUENCE};

/// A program and its arguments in front of the agent's; none is the default.
pub(crate) type Through<'a> = &'a [&'a str];

/// A gate that hears packet knocks and is not running yet, and the profile of a client who may use ssh.
pub(crate) struct Ready<'lab> {
    pub(crate) gate: Gate<'lab>,
    pub(crate) profile: PathBuf,
}

impl<'lab> Ready<'lab> {
    pub(crate) fn set(lab: &'lab Lab, before_enrolment: impl FnOnce(&Lab) -> Result<()>) -> Result<Self> {
        Self::configured(lab, &configuration(lab), before_enrolment)
    }

    fn configured(
        lab: &'lab Lab,
        configuration: &Configuration,
        before_enrolment: impl FnOnce(&Lab) -> Result<()>,
    ) -> Result<Self> {
        lab.gate.nft(&door::behind_guard())?;
        let gate = Gate::configured(lab, configuration)?;
        before_enrolment(lab)?;
        let profile = gate.enrol("alice", &["ssh"], &[])?;
        Ok(Self { gate, profile })
    }
}

/// Packet knocks, sealed before and sent by the benchmark.
pub(crate) fn packet<'lab>(lab: &'lab Lab, through: Through<'_>) -> Result<Direct<'lab>> {
    let mut ready = Ready::set(lab, |_| Ok(()))?;
    ready.gate.start_as_installed(through)?;
    by_hand(lab, ready)
}

/// The same at a gate that runs already.
pub(crate) fn by_hand<'lab>(lab: &'lab Lab, ready: Ready<'lab>) -> Result<Direct<'lab>> {
    let means = Means::Message(Box::new(Hand::of(&ready.profile)?));
    let title = "Knockgate: one packet, by the benchmark".to_owned();
    Direct::new(lab, "packet", title, means, Behind::Agent(ready.gate))
}

/// Static sequences; packet knocks are heard, too, as they are unless they are switched off.
pub(crate) fn static_sequence(lab: &Lab) -> Result<Direct<'_>> {
    let title = "Knockgate: static sequence of three SYNs, by the benchmark";
    knocked_by_sequence(lab, "static", title, with_sequences(lab)?)
}

/// The same of the agent that was built without the policy engine.
pub(crate) fn without_engine(lab: &Lab) -> Result<Direct<'_>> {
    let mut ready = with_sequences(lab)?;
    ready.gate.set_agent(programs::agent_without_engine()?);
    let title = "Knockgate without the policy engine: static sequence of three SYNs, by the benchmark";
    knocked_by_sequence(lab, "static-small", title, ready)
}

fn knocked_by_sequence<'lab>(
    lab: &'lab Lab,
    id: &'static str,
    title: &str,
    mut ready: Ready<'lab>,
) -> Result<Direct<'lab>> {
    ready.gate.start_as_installed(&[])?;
    Direct::new(lab, id, title.to_owned(), Means::Syns, Behind::Agent(ready.gate))
}

fn with_sequences(lab: &Lab) -> Result<Ready<'_>> {
    let configuration =
        [("first", SEQUENCE), ("second", OTHER)].into_iter().fold(configuration(lab), with_sequence);
    Ready::configured(lab, &configuration, |_| Ok(()))
}

fn configuration(lab: &Lab) -> Configuration {
    let address = lab.gate.ip(Family::V4).to_string();
    Configuration::for_packets(lab, &address).with_services()
}

fn with_sequence(configuration: Configuration, (name, ports): (&str, [u16; 3])) -> Configuration {
    configuration.with(&format!(
        "[[static-sequence]]\nname = \"{name}\"\nsequence = {ports:?}\nservice = \"ssh\"\nopen = \"1s\""
    ))
}
