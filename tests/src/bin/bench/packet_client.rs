//! Knockgate's packet knock by its client: a new process for every knock.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use knockgate_tests::clients::Client;
use knockgate_tests::gates::Gate;
use knockgate_tests::packets::KNOCK;
use knockgate_tests::peers::{Reached, Service, reach};
use knockgate_tests::scenes::SSH;
use knockgate_tests::{Family, Lab, programs, waiting};

use crate::agent_log::AgentLog;
use crate::ours::Ready;
use crate::peer::{Knock, Observed, Peer, Rest};
use crate::process::Process;
use crate::segment::Segment;
use crate::wire::{Watching, Wire};

/// After a knock that went wrong: longer than a grant.
const RECOVERY: Duration = Duration::from_secs(10);

pub(crate) struct PacketClient<'lab> {
    lab: &'lab Lab,
    gate: Gate<'lab>,
    client: Client<'lab>,
    program: PathBuf,
    wire: Wire,
    log: AgentLog,
    is_open: bool,
    _service: Service,
}

impl<'lab> PacketClient<'lab> {
    pub(crate) fn set(lab: &'lab Lab) -> Result<Self> {
        let Ready { mut gate, profile } = Ready::set(lab, |_| Ok(()))?;
        gate.start_as_installed(&[])?;
        Ok(Self {
            client: Client::with_profile(lab, &lab.client, "alice", &profile)?,
            program: programs::ours("knockgate")?,
            wire: Wire::to(lab, SSH)?.with_answers_from(KNOCK),
            log: AgentLog::follow(lab.path("audit.jsonl"))?,
            is_open: false,
            _service: Service::start(&lab.gate, SSH, "ssh")?,
            lab,
            gate,
        })
    }

    fn knock_once(&mut self, watching: Watching) -> Result<Knock> {
        let mut command = Command::new(&self.program);
        command.env("KNOCKGATE_HOME", self.client.home());
        command.args(["knock", "alice", "ssh", "--seconds", "1", "--timeout", "5", "--quiet"]);
        let observed = Observed::by(&mut self.wire, &self.lab.client, watching, &mut command)?;
        self.log.up_to("grant-opened")?;
        self.is_open = true;
        let is_first = |segment: &Segment| segment.is_datagram_to(KNOCK);
        let begun = observed.seen.begun(is_first)?;
        let answered = observed.seen.first("the answer", |segment| segment.is_datagram_from(KNOCK))?;
        Ok(Knock { to_answer: Some(answered.since(begun)), ..observed.knock(is_first)? })
    }

    /// A failed knock may have left a grant; the next one begins without.
    fn recover(&mut self) -> Result<()> {
        let lab = self.lab;
        waiting::until_true("nothing is open", RECOVERY, || {
            reach(&lab.client, lab.gate.at(Family::V4, SSH)).is_ok_and(|reached| reached == Reached::Silence)
        })?;
        self.is_open = false;
        self.log.skip()
    }
}

impl Peer for PacketClient<'_> {
    fn id(&self) -> &'static str {
        "packet-client"
    }

    fn title(&self) -> &'static str {
        "Knockgate: one packet, by its client"
    }

    fn lab(&self) -> &Lab {
        self.lab
    }

    fn process(&self) -> Option<Process> {
        self.gate.pid().ok().map(Process)
    }

    fn written(&self) -> u64 {
        self.gate.log().len() as u64
    }

    fn rest(&self) -> Rest {
        Rest::UntilShut
    }

    fn knock(&mut self, watching: Watching) -> Result<Knock> {
        let knock = self.knock_once(watching);
        if knock.is_err() {
            self.recover()?;
        }
        knock
    }

    fn wait_until_shut(&mut self) -> Result<()> {
        if std::mem::take(&mut self.is_open) {
            self.log.up_to("grant-closed")?;
        }
        Ok(())
    }
}
