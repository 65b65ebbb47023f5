//! A disk that is full or read-only when the agent starts, and one that becomes so while it runs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use knockgate_core::Refusal;
use knockgate_core::message::{Request, Verdict};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::packets::{Hand, KNOCK};
use knockgate_tests::scenes::{APART_TRACED, SSH, Scene, WEB};
use knockgate_tests::tracing::{Interference, Tracer};
use knockgate_tests::{Family, Lab, programs, waiting};

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story(
            "on a disk that becomes read-only nothing opens that would have to be stored, until it is well",
            |lab| failing(lab, ""),
        ),
        story(
            "two processes open nothing that would have to be stored on a disk that becomes read-only",
            |lab| failing(lab, APART_TRACED),
        ),
        story(
            "an agent does not start on a read-only state directory, and what was open stays so",
            read_only,
        ),
        story(
            "an agent that has crashed does not start on a full disk, and is not told to throw its state away",
            full,
        ),
    ]
}

/// Microseconds, further in the future than any lease.
const AHEAD: u64 = 600_000_000;
/// What a bad disk refuses: content, and more room.
const WRITING: &str = "pwrite64,ftruncate,fallocate,fsync,fdatasync";
const SOON: Duration = Duration::from_secs(10);

/// A folder as a file system of its own that nobody can write to. Until it is dropped.
struct ReadOnly(PathBuf);

impl ReadOnly {
    fn make(folder: &Path) -> Result<Self> {
        let name = folder.display().to_string();
        programs::run("mount", &["--bind", &name, &name])?;
        let made = Self(folder.to_path_buf());
        programs::run("mount", &["-o", "remount,bind,ro", &name])?;
        Ok(made)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        // What cannot be taken away now goes with the sandbox.
        let _ = programs::run("umount", &["--lazy", &self.0.display().to_string()]);
    }
}

fn failing(lab: &Lab, sections: &str) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, sections)?;
    let bob = Hand::of(&scene.gate.enrol("bob", &["ssh"], &[])?)?;
    let to = lab.gate.at(Family::V4, KNOCK);
    let ask_far_ahead = || {
        let request = bob.open_ssh(1);
        let request = Request { counter: request.counter + AHEAD, ..request };
        bob.ask(&lab.visitor, to, &request)?.context("silence")
    };

    // A file system is not made read-only while a file is written there, but a disk that fails makes it so: then the kernel
    // refuses the writes of whoever has a file open.
    let mounted = ReadOnly::make(&lab.path("state"))?;
    let error = Tracer::attach(scene.gate.pid()?, Interference::Fail { calls: WRITING, error: "EROFS" })?;
    ensure!(ask_far_ahead()?.refusal() == Some(Refusal::Unavailable), "with the old file");
    ensure!(!error.detach()?.is_empty(), "nothing was written");
    for _ in 0..2 {
        ensure!(ask_far_ahead()?.refusal() == Some(Refusal::Unavailable), "with nothing but the folder");
        scene.must_be_shut(&lab.visitor, SSH)?;
    }
    scene.gate.wait_for_log("remount the file system read-write", 0)?;
    // In the lease the disk is not needed.
    scene.alice.knock_for("web", 60)?.expect(0)?;
    scene.must_be_open(&lab.client, WEB)?;
    scene.gate.tell(&["client", "remove", "bob"])?.expect(1)?.complains_of(&["roster", "read-write"])?;

    let seen = scene.gate.log().len();
    drop(mounted);

    // Nobody need knock for the disk to be found well again.
    waiting::until_true("bob gets in", SOON, || {
        ask_far_ahead().is_ok_and(|answer| answer.verdict == Verdict::Granted)
    })?;
    scene.must_be_open(&lab.visitor, SSH)?;
    scene.gate.wait_for_log("can be stored again", seen)?;
    scene.gate.tell(&["client", "remove", "bob"])?.expect(0)?;
    scene.must_be_healthy()
}

fn read_only(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    scene.alice.knock_for("ssh", 60)?.expect(0)?;
    scene.gate.stop()?;
    let mounted = ReadOnly::make(&lab.path("state"))?;

    let refused = scene.gate.tell(&["run"])?.expect(1)?;

    refused.complains_of(&["state.redb", "remount the file system read-write"])?;
    stays_as_it_was(&scene)?;
    drop(mounted);
    scene.gate.start()?;
    scene.alice.knock("web")?.expect(0)?;
    scene.must_be_open(&lab.client, WEB)
}

fn full(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    scene.alice.knock_for("ssh", 60)?.expect(0)?;
    // What the crash has left has to be written down before anybody is heard.
    scene.gate.kill()?;
    let inject = format!("--inject={WRITING}:error=ENOSPC");
    let trace = format!("--trace={WRITING}");

    let refused =
        scene.gate.tell_through(&["strace", "--follow-forks", &trace, &inject], &["run"])?.expect(1)?;

    ensure!(!refused.err.contains("rebuild"), "a full disk is no reason to throw the state away: {refused}");
    refused.complains_of(&["state.redb", "make room on the disk"])?;
    stays_as_it_was(&scene)?;
    scene.gate.start()?;
    scene.alice.knock("web")?.expect(0)?;
    scene.must_be_open(&lab.client, WEB)
}

fn stays_as_it_was(scene: &Scene<'_>) -> Result<()> {
    scene.must_be_open(&scene.lab.client, SSH)?;
    scene.must_be_shut(&scene.lab.stranger, SSH)?;
    scene.must_be_shut(&scene.lab.client, WEB)
}
