//! Knockgate's packet knock as it is by default: no open port, one datagram, one answer.

use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use knockgate_tests::clients::Client;
use knockgate_tests::gates::{Configuration, Gate};
use knockgate_tests::packets::{Hand, KNOCK};
use knockgate_tests::peers::{Reached, Service, reach};
use knockgate_tests::scenes::SSH;
use knockgate_tests::{Family, Lab, programs, waiting};

use crate::agent_log::AgentLog;
use crate::peer::{Knock, Observed, Peer};
use crate::phases::{self, PACKET};
use crate::wire::{Seen, Wire};

/// After a knock that went wrong: longer than a grant.
const RECOVERY: Duration = Duration::from_secs(10);

/// A gate that hears packet knocks, and the profile of a client who may use ssh.
pub(crate) struct PacketGate<'lab> {
    pub(crate) lab: &'lab Lab,
    pub(crate) gate: Gate<'lab>,
    pub(crate) profile: PathBuf,
    _service: Service,
}

impl<'lab> PacketGate<'lab> {
    /// Not running yet.
    pub(crate) fn set(lab: &'lab Lab, before_enrolment: impl FnOnce(&Lab) -> Result<()>) -> Result<Self> {
        let address = lab.gate.ip(Family::V4).to_string();
        let gate = Gate::configured(lab, &Configuration::for_packets(lab, &address).with_services())?;
        before_enrolment(lab)?;
        let profile = gate.enrol("alice", &["ssh"], &[])?;
        Ok(Self { lab, gate, profile, _service: Service::start(&lab.gate, SSH, "ssh")? })
    }
}

/// Knocks in turn at one gate.
struct Door<'lab> {
    scene: PacketGate<'lab>,
    wire: Wire,
    log: AgentLog,
    is_open: bool,
}

impl<'lab> Door<'lab> {
    fn of(scene: PacketGate<'lab>) -> Result<Self> {
        let log = AgentLog::follow(scene.lab.path("audit.jsonl"))?;
        let wire = Wire::to(scene.lab, SSH)?.with_answers_from(KNOCK);
        Ok(Self { scene, wire, log, is_open: false })
    }

    fn conclude(&mut self, seen: Seen) -> Result<Knock> {
        let records = self.log.up_to("grant-opened")?;
        self.is_open = true;
        let begun = seen.begun(|segment| segment.is_datagram_to(KNOCK))?;
        let answered = seen.first("the answer", |segment| segment.is_datagram_from(KNOCK))?;
        Ok(Knock {
            to_open: seen.open.since(begun),
            to_answer: Some(answered.since(begun)),
            client: None,
            phases: phases::of_packet(begun, &seen, &records)?,
            seen,
        })
    }

    fn wait_until_shut(&mut self) -> Result<()> {
        if std::mem::take(&mut self.is_open) {
            self.log.up_to("grant-closed")?;
        }
        Ok(())
    }

    /// A failed knock may have left a grant; the next one begins without.
    fn recover(&mut self) -> Result<()> {
        let lab = self.scene.lab;
        waiting::until_true("nothing is open", RECOVERY, || {
            reach(&lab.client, lab.gate.at(Family::V4, SSH)).is_ok_and(|reached| reached == Reached::Silence)
        })?;
        self.is_open = false;
        self.log = AgentLog::follow(lab.path("audit.jsonl"))?;
        Ok(())
    }
}

/// The message is sealed before and sent by the benchmark, so no client program counts.
pub(crate) struct ByHand<'lab> {
    door: Door<'lab>,
    hand: Hand,
    socket: UdpSocket,
}

impl<'lab> ByHand<'lab> {
    pub(crate) fn set(scene: PacketGate<'lab>) -> Result<Self> {
        let hand = Hand::of(&scene.profile)?;
        let socket = scene.lab.client.inside(|| {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.connect(scene.lab.gate.at(Family::V4, KNOCK))?;
            Ok(socket)
        })?;
        Ok(Self { door: Door::of(scene)?, hand, socket })
    }

    fn knock_once(&mut self, repetition: u32) -> Result<Knock> {
        let message = self.hand.seal(&self.hand.open_ssh(1))?.message;
        let Self { door, socket, .. } = self;
        let (_, seen) = door.scene.lab.client.inside(|| {
            door.wire.observe(repetition, |_| socket.send(&message).context("a knock cannot be sent"))
        })?;
        door.conclude(seen?)
    }
}

impl Peer for ByHand<'_> {
    fn title(&self) -> &'static str {
        "Knockgate: one packet, by the benchmark"
    }

    fn phases(&self) -> &'static [&'static str] {
        &PACKET
    }

    fn knock(&mut self, repetition: u32) -> Result<Knock> {
        let knock = self.knock_once(repetition);
        if knock.is_err() {
            self.door.recover()?;
        }
        knock
    }

    fn wait_until_shut(&mut self) -> Result<()> {
        self.door.wait_until_shut()
    }
}

/// A new process of the client for every knock.
pub(crate) struct ByClient<'lab> {
    door: Door<'lab>,
    client: Client<'lab>,
    program: PathBuf,
}

impl<'lab> ByClient<'lab> {
    pub(crate) fn set(scene: PacketGate<'lab>) -> Result<Self> {
        let lab = scene.lab;
        let client = Client::with_profile(lab, &lab.client, "alice", &scene.profile)?;
        Ok(Self { door: Door::of(scene)?, client, program: programs::ours("knockgate")? })
    }

    fn knock_once(&mut self, repetition: u32) -> Result<Knock> {
        let mut command = Command::new(&self.program);
        command.env("KNOCKGATE_HOME", self.client.home());
        command.args(["knock", "alice", "ssh", "--seconds", "1", "--timeout", "5", "--quiet"]);
        let observed =
            Observed::by(&mut self.door.wire, &self.door.scene.lab.client, repetition, &mut command)?;
        let client = Some(observed.client());
        Ok(Knock { client, ..self.door.conclude(observed.seen)? })
    }
}

impl Peer for ByClient<'_> {
    fn title(&self) -> &'static str {
        "Knockgate: one packet, by its client"
    }

    fn knock(&mut self, repetition: u32) -> Result<Knock> {
        let knock = self.knock_once(repetition);
        if knock.is_err() {
            self.door.recover()?;
        }
        knock
    }

    fn wait_until_shut(&mut self) -> Result<()> {
        self.door.wait_until_shut()
    }
}
