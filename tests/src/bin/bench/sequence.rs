//! Knockgate's sequence knock: a question at the central port, six connections, and a client process for every knock.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use knockgate_tests::gates::CENTRAL;
use knockgate_tests::scenes::{SSH, Scene};
use knockgate_tests::{Family, Lab, programs, waiting};

use crate::agent_log::AgentLog;
use crate::peer::{Knock, Observed, Peer, Rest};
use crate::phases;
use crate::process::Process;
use crate::segment::Segment;
use crate::wire::{Pace, Watching, Wire};

/// After a knock that went wrong: longer than any lockout.
const RECOVERY: Duration = Duration::from_secs(90);

/// A gate with one client.
pub(crate) struct Sequence<'lab> {
    scene: Scene<'lab>,
    wire: Wire,
    log: AgentLog,
    program: PathBuf,
    is_open: bool,
    network: Network,
}

/// Between client and gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    Near,
    /// Somebody has put a [`crate::delay::DelayLine`] into it.
    Far,
}

impl<'lab> Sequence<'lab> {
    pub(crate) fn set(lab: &'lab Lab, network: Network, knocks: u32) -> Result<Self> {
        // A few more numbers than knocks, so that no book ever runs low.
        let count = knocks.saturating_mul(2).clamp(1_000, 65_536);
        let scene = Scene::set_with(lab, Family::V4, &format!("[sequence]\ncount = {count}"))?;
        Ok(Self {
            wire: Wire::to(lab, SSH)?,
            log: AgentLog::follow(lab.path("audit.jsonl"))?,
            program: programs::ours("knockgate")?,
            is_open: false,
            network,
            scene,
        })
    }

    fn knock_once(&mut self, watching: Watching) -> Result<Knock> {
        let mut command = Command::new(&self.program);
        command.env("KNOCKGATE_HOME", self.scene.alice.home());
        command.args(["knock", "alice", "ssh", "--via", "sequence"]);
        command.args(["--seconds", "1", "--timeout", "5", "--quiet"]);
        let observed = Observed::by(&mut self.wire, &self.scene.lab.client, watching, &mut command)?;
        let records = self.log.up_to("grant-opened")?;
        self.is_open = true;
        let is_first = |segment: &Segment| segment.is_attempt() && segment.to.port() == CENTRAL;
        let begun = observed.seen.begun(is_first)?;
        let phases = phases::of_sequence(begun, &observed.seen, &records, SSH)?;
        Ok(Knock { phases, ..observed.knock(is_first)? })
    }

    /// A failed knock may have led to a lockout or have left a grant; the next one begins without.
    fn recover(&mut self) -> Result<()> {
        let alice = &self.scene.alice;
        waiting::until_true("the gate takes questions again and nothing is open", RECOVERY, || {
            alice.status().is_ok_and(|said| said.code == Some(0))
                && self.scene.must_be_shut(&self.scene.lab.client, SSH).is_ok()
        })?;
        self.is_open = false;
        self.log = AgentLog::follow(self.scene.lab.path("audit.jsonl"))?;
        Ok(())
    }
}

impl Peer for Sequence<'_> {
    fn id(&self) -> &'static str {
        match self.network {
            Network::Near => "sequence",
            Network::Far => "sequence-20ms",
        }
    }

    fn title(&self) -> &'static str {
        match self.network {
            Network::Near => "Knockgate: handshake and one-time sequence of six, by its client",
            Network::Far => "Knockgate: the same sequence over a round trip of 20 ms",
        }
    }

    fn lab(&self) -> &Lab {
        self.scene.lab
    }

    fn process(&self) -> Option<Process> {
        self.scene.gate.pid().ok().map(Process)
    }

    fn written(&self) -> u64 {
        self.scene.gate.log().len() as u64
    }

    fn phases(&self) -> &'static [&'static str] {
        &phases::SEQUENCE
    }

    /// On the long way every probe passes a program, too, so there are fewer of them.
    fn pace(&self) -> Pace {
        match self.network {
            Network::Near => Pace::Fine,
            Network::Far => Pace::Coarse,
        }
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
