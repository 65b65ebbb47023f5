//! `kill -9` between a packet and its answer: nothing is admitted twice, nothing stays open for ever, and nobody is kept out.
//!
//! Two ways. Step by step: the agent is killed just before each of the system calls that it makes from the packet to the
//! answer, one after the other, so between any two of them once. By chance: a hundred times at some moment after the packet.
//! Each with a fresh gate, where the counter is in the lease, and with one that has crashed before, where it waits for the disk.
//!
//! What had an effect before the crash is not admitted after it. What had none may be admitted once: it was never used, like
//! a packet that is still under way. In the lease not even that.
//!
//! Bound: after any number of crashes a client's next command gets in with one retry at most (`docs/protocol.md`, section 6.1).

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use knockgate_core::message::Request;
use knockgate_tests::capture::Capture;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::packets::{self, Hand, KNOCK};
use knockgate_tests::scenes::{SSH, Scene, WEB};
use knockgate_tests::tracing::{Interference, Tracer};
use knockgate_tests::{Family, Host, Lab, programs, waiting};
use serde_json::Value;

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("kill -9 before any system call of a knock in the lease admits nothing twice", |lab| {
            step_by_step(lab, History::None)
        }),
        story(
            "kill -9 before any system call of a knock that waits for the disk admits nothing twice",
            |lab| step_by_step(lab, History::Crashes),
        ),
        story("kill -9 fifty times by chance with a fresh gate admits nothing twice", |lab| {
            by_chance(lab, History::None)
        }),
        story("kill -9 fifty times by chance with the same gate admits nothing twice", |lab| {
            by_chance(lab, History::Crashes)
        }),
    ]
}

/// What has happened to a gate before a round.
#[derive(Clone, Copy, PartialEq, Eq)]
enum History {
    /// Nothing: present counters are in the lease.
    None,
    /// Crashes: present counters are burnt, and a client is ahead of them.
    Crashes,
}

/// What a client may need to get in: a packet, and one more.
const TRIES: usize = 2;
/// Seconds for which alice opens after a crash. More than a round takes; the next one begins with nothing open.
const OPEN: u32 = 60;
/// How long after the packet a crash by chance comes at the latest.
const CHANCE: Duration = Duration::from_millis(5);
/// For what must come.
const PATIENCE: Duration = Duration::from_secs(20);
/// No thread makes one kind of call more often for one knock.
const MOST_CALLS: u32 = 40;

/// A scene in which the agent dies again and again. Whoever dies with it knocks for ssh; alice's knock after that is for web.
struct Crashing<'lab> {
    scene: Scene<'lab>,
    history: History,
    alices: Capture,
    bobs: Capture,
    /// Packets of earlier rounds.
    old: Vec<Vec<u8>>,
    /// Records in the audit log when the round began.
    records: usize,
}

impl<'lab> Crashing<'lab> {
    fn set(lab: &'lab Lab, history: History) -> Result<(Self, Hand)> {
        let mut scene = Scene::by_packet(lab, Family::V4, "")?;
        let bob = Hand::of(&scene.gate.enrol("bob", &["ssh"], &[])?)?;
        scene.gate.stop()?;
        copy(&lab.path("state"), &lab.path("pristine"))?;
        let (alices, bobs) = (Capture::on(&lab.client)?, Capture::on(&lab.visitor)?);
        Ok((Self { scene, history, alices, bobs, old: Vec::new(), records: 0 }, bob))
    }

    fn begin_round(&mut self) -> Result<()> {
        let lab = self.scene.lab;
        lab.gate.nft("flush set inet knockgate grants4")?;
        self.old.extend(self.captured()?);
        (self.alices, self.bobs) = (Capture::on(&lab.client)?, Capture::on(&lab.visitor)?);
        if self.history == History::None {
            copy(&lab.path("pristine"), &lab.path("state"))?;
            // At a gate that knows nothing of them, old packets would be new ones.
            self.old.clear();
            let _ = std::fs::remove_dir_all(self.scene.alice.home().join("state"));
        }
        self.records = self.scene.gate.audit()?.len();
        self.scene.gate.start()
    }

    /// After a crash: the gate starts, every captured packet is sent again, and alice knocks as ever.
    fn end_round(&mut self) -> Result<()> {
        let lab = self.scene.lab;
        let to = lab.gate.at(Family::V4, KNOCK);
        let had_an_effect = self.had_an_effect()?;
        let (current, asked, answered) = (self.captured()?, self.asked()?, self.answered()?);
        let before = self.scene.gate.audit()?.len();
        self.scene.gate.start()?;

        packets::send_all(&lab.stranger, to, self.old.iter().map(Vec::as_slice))?;
        for _ in 0..2 {
            packets::send_all(&lab.inner, to, current.iter().map(Vec::as_slice))?;
        }
        self.scene.alice.knock_for("web", OPEN)?.expect(0)?;

        let tries = self.asked()? - asked;
        ensure!(tries <= TRIES, "alice needed {tries} packets to get in");
        let answers = self.answered()? - answered;
        ensure!((1..=tries).contains(&answers), "{answers} answers to {tries} packets of alice");
        // Packets are handled in the order in which they come, so those sent again were before hers.
        let records = waiting::until("alice's knock in the audit log", PATIENCE, || {
            let records: Vec<_> = self.scene.gate.audit().ok()?.into_iter().skip(before).collect();
            (admitted(&records, &lab.client) >= answers).then_some(records)
        })?;
        let admitted = |host| admitted(&records, host);
        ensure!(admitted(&lab.client) == answers, "alice's knock counts more than once");
        ensure!(admitted(&lab.stranger) == 0, "packets of earlier rounds were admitted");
        let most = usize::from(self.history == History::Crashes && !had_an_effect);
        let again = admitted(&lab.inner);
        ensure!(again <= most, "{again} packets were admitted again; an effect before: {had_an_effect}");
        self.scene.must_be_open(&lab.client, WEB)?;
        self.every_grant_ends()?;
        self.scene.gate.kill()
    }

    /// Whether anything has followed from the packets of this round so far.
    fn had_an_effect(&self) -> Result<bool> {
        let records = self.scene.gate.audit()?;
        let mut new = records.iter().skip(self.records);
        let followed = new.any(|record| record["event"] == "decision" || record["event"] == "grant-opened");
        Ok(followed || self.answered()? > 0 || !self.openings()?.is_empty())
    }

    /// What an attacker has heard on its way to the gate in this round.
    fn captured(&self) -> Result<Vec<Vec<u8>>> {
        let (lab, gate) = (self.scene.lab, self.scene.lab.gate.ip(Family::V4));
        let alices = self.alices.datagrams(lab.client.ip(Family::V4), gate)?;
        let bobs = self.bobs.datagrams(lab.visitor.ip(Family::V4), gate)?;
        Ok(alices.into_iter().chain(bobs).map(|packet| packet.payload).collect())
    }

    /// Packets of alice.
    fn asked(&self) -> Result<usize> {
        let (lab, gate) = (self.scene.lab, self.scene.lab.gate.ip(Family::V4));
        Ok(self.alices.datagrams(lab.client.ip(Family::V4), gate)?.len())
    }

    /// Answers to alice and to bob.
    fn answered(&self) -> Result<usize> {
        let (lab, gate) = (self.scene.lab, self.scene.lab.gate.ip(Family::V4));
        let to_alice = self.alices.datagrams(gate, lab.client.ip(Family::V4))?;
        Ok(to_alice.len() + self.bobs.datagrams(gate, lab.visitor.ip(Family::V4))?.len())
    }

    /// What is open in the kernel, as nft tells it.
    fn openings(&self) -> Result<Vec<Value>> {
        let mut list = self.scene.lab.gate.command("nft");
        let listed = programs::output(list.args(["--json", "list", "table", "inet", "knockgate"]))?;
        let listed: Value = serde_json::from_str(&listed)?;
        let objects = listed["nftables"].as_array().context("nft lists nothing")?;
        let sets = objects.iter().filter_map(|object| object["set"]["elem"].as_array());
        Ok(sets.flatten().cloned().collect())
    }

    fn every_grant_ends(&self) -> Result<()> {
        let openings = self.openings()?;
        ensure!(!openings.is_empty(), "alice has no element");
        let endless = openings.iter().find(|element| !element["elem"]["expires"].is_u64());
        ensure!(endless.is_none(), "an opening without an end: {endless:?}");
        Ok(())
    }

    fn end(mut self) -> Result<()> {
        self.scene.gate.start()?;
        for host in [&self.scene.lab.stranger, &self.scene.lab.inner, &self.scene.lab.visitor] {
            self.scene.wait_until_shut(host, SSH)?;
        }
        self.scene.alice.knock("ssh")?.expect(0)?;
        self.scene.must_be_open(&self.scene.lab.client, SSH)
    }
}

/// Packet knocks of a host among the records.
fn admitted(records: &[Value], host: &Host) -> usize {
    let source = host.ip(Family::V4).to_string();
    let is_it = |record: &&Value| record["event"] == "packet-knock" && record["source"] == source;
    records.iter().filter(is_it).count()
}

fn step_by_step(lab: &Lab, history: History) -> Result<()> {
    let (mut crashing, _) = Crashing::set(lab, history)?;
    // After one crash alice's counter is ahead of the lease; with a fresh gate it is in it.
    for _ in 0..2 {
        crashing.begin_round()?;
        crashing.scene.gate.kill()?;
        crashing.end_round()?;
    }
    crashing.begin_round()?;
    let calls = calls_of_a_knock(&crashing.scene)?;
    let stores = calls.contains("pwrite64");
    ensure!(stores == (history == History::Crashes), "the knock went another way: {calls:?}");
    ensure!(calls.contains("sendto") || calls.contains("sendmsg"), "no answer among {calls:?}");
    crashing.scene.gate.kill()?;
    crashing.end_round()?;

    let mut crashes = 0;
    for call in &calls {
        for nth in 1..=MOST_CALLS {
            crashing.begin_round()?;
            let end = knock_and_kill(&mut crashing.scene, call, nth)?;
            crashing.end_round().with_context(|| format!("after kill -9 before {call} number {nth}"))?;
            match end {
                End::Crashed => crashes += 1,
                End::Answered => break,
            }
        }
    }
    ensure!(crashes > calls.len(), "only {crashes} crashes at {calls:?}");
    crashing.end()
}

/// What the agent does for one knock, and whatever else it does meanwhile.
fn calls_of_a_knock(scene: &Scene<'_>) -> Result<BTreeSet<String>> {
    let tracer = Tracer::attach(scene.gate.pid()?, Interference::Nothing)?;
    scene.alice.knock_for("ssh", 1)?.expect(0)?;
    tracer.detach()
}

/// How a knock ended at which the agent was to be killed.
enum End {
    Crashed,
    /// The agent lived to give the answer.
    Answered,
}

fn knock_and_kill(scene: &mut Scene<'_>, call: &str, nth: u32) -> Result<End> {
    let tracer = Tracer::attach(scene.gate.pid()?, Interference::Kill { call, nth })?;
    let (mut knocking, _) = scene.alice.begin(&["knock", "alice", "ssh", "--seconds", "1"])?;
    let mut end = None;
    waiting::until_true("the end of the agent or of the knock", PATIENCE, || {
        end = match (scene.gate.is_alive(), knocking.is_alive()) {
            (false, _) => Some(End::Crashed),
            (true, false) => Some(End::Answered),
            (true, true) => None,
        };
        end.is_some()
    })?;
    // Alice gives up. What she did not hear of, her next command shall not have to care about.
    drop(knocking);
    drop(tracer);
    scene.gate.kill()?;
    end.context("neither ended")
}

fn by_chance(lab: &Lab, history: History) -> Result<()> {
    const CRASHES: u32 = 50;
    let (mut crashing, bob) = Crashing::set(lab, history)?;
    let to = lab.gate.at(Family::V4, KNOCK);
    let moments = packets::noise(usize::try_from(CRASHES)?)?;
    for (round, moment) in (1_u64..).zip(moments) {
        crashing.begin_round()?;
        let request = bob.open_ssh(1);
        let counter = match history {
            History::None => request.counter,
            // Beyond all that was burnt, as a client does that has met with silence.
            History::Crashes => request.counter + round * 130_000_000,
        };
        let knock = bob.seal(&Request { counter, ..request })?;
        packets::send_all(&lab.visitor, to, [knock.message.as_slice()])?;
        waiting::let_pass(CHANCE * u32::from(moment) / 255);
        crashing.scene.gate.kill()?;
        crashing.end_round().with_context(|| format!("round {round}"))?;
    }
    crashing.end()
}

/// A copy of a folder in the place of whatever is there.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let _ = std::fs::remove_dir_all(to);
    programs::run("cp", &["-a", &from.display().to_string(), &to.display().to_string()])
}
