//! Peers whose knocks the benchmark sends itself, without any client: SYNs, or a datagram that was made before.
//!
//! Each knock comes from another address of the client, so no knock waits until the port of the one before is shut.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use anyhow::{Context, Result};
use knockgate_tests::gates::Gate;
use knockgate_tests::packets::{Hand, KNOCK};
use knockgate_tests::peers::Service;
use knockgate_tests::scenes::SSH;
use knockgate_tests::{Family, Lab, waiting};

use crate::addresses::Addresses;
use crate::agent_log::AgentLog;
use crate::floor;
use crate::peer::{Knock, Peer};
use crate::phases::{self, PACKET};
use crate::process::Process;
use crate::segment::Segment;
use crate::three::{Fault, Step};
use crate::wire::{Seen, Watching, Wire};
use knockgate_tests::counted::Counted;

/// Who hears.
pub(crate) enum Behind<'lab> {
    Kernel,
    Daemon(Counted),
    Agent(Gate<'lab>),
}

/// How it is knocked.
pub(crate) enum Means {
    Syns,
    /// Sealed for our gate.
    Message(Box<Hand>),
    /// What the packet floor takes.
    Word,
}

pub(crate) struct Direct<'lab> {
    id: &'static str,
    title: String,
    lab: &'lab Lab,
    behind: Behind<'lab>,
    means: Means,
    wire: Wire,
    addresses: Addresses,
    /// Where it is read what a knock consisted of.
    log: Option<AgentLog>,
    _service: Service,
}

impl<'lab> Direct<'lab> {
    pub(crate) fn new(
        lab: &'lab Lab,
        id: &'static str,
        title: String,
        means: Means,
        behind: Behind<'lab>,
    ) -> Result<Self> {
        let wire = Wire::to(lab, SSH)?;
        let wire = match means {
            Means::Message(_) => wire.with_answers_from(KNOCK),
            Means::Syns | Means::Word => wire,
        };
        let (addresses, service) = (Addresses::of(lab)?, Service::start(&lab.gate, SSH, "ssh")?);
        Ok(Self { id, title, lab, behind, means, wire, addresses, log: None, _service: service })
    }

    /// Its knocks tell their phases.
    pub(crate) fn with_phases(mut self) -> Result<Self> {
        self.log = Some(AgentLog::follow(self.lab.path("audit.jsonl"))?);
        Ok(self)
    }

    /// A knock of which this arrives.
    pub(crate) fn knock_with(&mut self, watching: Watching, steps: &[Step]) -> Result<Knock> {
        self.wire.speak_as(self.addresses.fresh());
        let ((), seen) = self.lab.client.inside(|| {
            self.wire.observe(watching, |wire| {
                steps.iter().try_for_each(|step| match *step {
                    Step::Syn(port) => wire.send_syn(port),
                    Step::Pause(time) => {
                        waiting::let_pass(time);
                        Ok(())
                    }
                })
            })
        })?;
        Knock::of(seen?, Segment::is_attempt)
    }

    fn knock_with_datagram(&mut self, watching: Watching, datagram: &[u8]) -> Result<Knock> {
        if let Some(log) = &mut self.log {
            log.skip()?;
        }
        let source = self.addresses.fresh();
        self.wire.speak_as(source);
        let gate = self.lab.gate.at(Family::V4, KNOCK);
        let ((), seen) = self
            .lab
            .client
            .inside(|| self.wire.observe(watching, |_| send_datagram(source, gate, datagram)))?;
        self.conclude(seen?)
    }

    fn conclude(&mut self, seen: Seen) -> Result<Knock> {
        let is_first = |segment: &Segment| segment.is_datagram_to(KNOCK);
        let Means::Message(_) = self.means else { return Knock::of(seen, is_first) };
        let begun = seen.begun(is_first)?;
        // Under noise the answer may be late; the knock is none the worse for it.
        let answered = seen.first("the answer", |segment| segment.is_datagram_from(KNOCK)).ok();
        let phases = match &mut self.log {
            Some(log) => phases::of_packet(begun, &seen, &log.up_to("grant-opened")?)?,
            None => Vec::new(),
        };
        let to_answer = answered.map(|at| at.since(begun));
        Ok(Knock { to_answer, phases, ..Knock::of(seen, is_first)? })
    }
}

impl Peer for Direct<'_> {
    fn id(&self) -> &'static str {
        self.id
    }

    fn title(&self) -> &str {
        &self.title
    }

    fn phases(&self) -> &'static [&'static str] {
        if self.log.is_some() { &PACKET } else { &[] }
    }

    fn lab(&self) -> &Lab {
        self.lab
    }

    fn process(&self) -> Option<Process> {
        match &self.behind {
            Behind::Kernel => None,
            Behind::Daemon(daemon) => Some(Process(daemon.pid())),
            Behind::Agent(gate) => gate.pid().ok().map(Process),
        }
    }

    fn written(&self) -> u64 {
        match &self.behind {
            Behind::Kernel => 0,
            Behind::Daemon(daemon) => daemon.written(),
            Behind::Agent(gate) => {
                let audit = std::fs::metadata(self.lab.path("audit.jsonl")).map_or(0, |file| file.len());
                gate.log().len() as u64 + audit
            }
        }
    }

    fn knock(&mut self, watching: Watching) -> Result<Knock> {
        match &self.means {
            Means::Syns => self.knock_with(watching, &Fault::InOrder.steps()),
            Means::Word => self.knock_with_datagram(watching, &floor::knock()),
            Means::Message(hand) => {
                let message = hand.seal(&hand.open_ssh(1))?.message;
                self.knock_with_datagram(watching, &message)
            }
        }
    }
}

fn send_datagram(source: Ipv4Addr, gate: SocketAddr, datagram: &[u8]) -> Result<()> {
    let socket = UdpSocket::bind((source, 0))?;
    socket.send_to(datagram, gate).context("a knock cannot be sent")?;
    // The answer may come to a closed socket: the wire has seen it.
    Ok(())
}
