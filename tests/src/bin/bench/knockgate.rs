//! Knockgate as it is used: the agent, and a client process for every knock.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use knockgate_tests::gates::CENTRAL;
use knockgate_tests::scenes::{SSH, Scene};
use knockgate_tests::{Family, Lab, programs, waiting};

use crate::agent_log::AgentLog;
use crate::phases::Phases;
use crate::wire::{Moment, Seen, Wire};

/// After a knock that went wrong: longer than any lockout.
const RECOVERY: Duration = Duration::from_secs(90);

/// What one knock took, in milliseconds.
pub(crate) struct Knock {
    pub(crate) to_open: f64,
    pub(crate) start_to_open: f64,
    pub(crate) start_to_end: f64,
    pub(crate) phases: Phases,
    pub(crate) seen: Seen,
}

/// A gate with one client.
pub(crate) struct Knockgate<'lab> {
    scene: Scene<'lab>,
    wire: Wire,
    log: AgentLog,
    program: PathBuf,
    is_open: bool,
}

impl<'lab> Knockgate<'lab> {
    pub(crate) fn set(lab: &'lab Lab, knocks: u32) -> Result<Self> {
        // A few more numbers than knocks, so that no book ever runs low.
        let count = knocks.saturating_mul(2).clamp(1_000, 65_536);
        let scene = Scene::set_with(lab, Family::V4, &format!("[sequence]\ncount = {count}"))?;
        Ok(Self {
            wire: Wire::to(lab, SSH)?,
            log: AgentLog::follow(lab.path("audit.jsonl"))?,
            program: programs::ours("knockgate")?,
            is_open: false,
            scene,
        })
    }

    /// One knock for a second, from the start of the client's process to its end.
    pub(crate) fn knock(&mut self, repetition: u32) -> Result<Knock> {
        let knock = self.scene.lab.client.inside(|| self.knock_from_here(repetition));
        if knock.is_err() {
            self.recover()?;
        }
        knock
    }

    /// The grant of the last knock has ended.
    pub(crate) fn wait_until_shut(&mut self) -> Result<()> {
        if std::mem::take(&mut self.is_open) {
            self.log.up_to("grant-closed")?;
        }
        Ok(())
    }

    fn knock_from_here(&mut self, repetition: u32) -> Result<Knock> {
        let mut command = Command::new(&self.program);
        command.env("KNOCKGATE_HOME", self.scene.alice.home());
        command.args(["knock", "alice", "ssh", "--seconds", "1", "--timeout", "5", "--quiet"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let ((started, child), seen) = self.wire.observe(repetition, |_| {
            let started = Moment::now();
            Ok((started, command.spawn().context("cannot start the client")?))
        })?;
        let ended = end(child)?;
        let seen = seen?;
        let records = self.log.up_to("grant-opened")?;
        self.is_open = true;
        let begun = seen.begun(|segment| segment.is_attempt() && segment.to.port() == CENTRAL)?;
        Ok(Knock {
            to_open: seen.open.since(begun),
            start_to_open: seen.open.since(started),
            start_to_end: ended.since(started),
            phases: Phases::of(begun, &seen, &records, SSH)?,
            seen,
        })
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

/// When the client ended, which has to have been well.
fn end(client: Child) -> Result<Moment> {
    let Output { status, stderr, .. } = client.wait_with_output()?;
    let ended = Moment::now();
    if !status.success() {
        bail!("the client ended with {status}: {}", String::from_utf8_lossy(&stderr).trim());
    }
    Ok(ended)
}
