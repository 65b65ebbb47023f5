//! Where there is no journal: a standard error that nobody reads.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::scenes::{APART, SSH, Scene, WEB};
use knockgate_tests::{Family, Lab, programs, waiting};
use rustix::fs::OFlags;

pub(crate) fn stories() -> Vec<Story> {
    vec![story("a standard error that nobody reads keeps no knock waiting, and says what it lost", unread)]
}

const WITHIN: Duration = Duration::from_secs(10);

/// A program that copies a pipe and can be stopped. Goes on when dropped: nobody could wait for it otherwise.
struct Reader(String);

impl Reader {
    fn stop(pid: String) -> Result<Self> {
        programs::run("kill", &["-STOP", &pid])?;
        let state = format!("/proc/{pid}/stat");
        waiting::until_true("the reader is stopped", WITHIN, || {
            fs::read_to_string(&state).is_ok_and(|stat| stat.contains(") T "))
        })?;
        Ok(Self(pid))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // It may have ended.
        let _ = programs::run("kill", &["-CONT", &self.0]);
    }
}

fn unread(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, APART)?;
    scene.gate.stop()?;
    let (pipe, pid) = (lab.path("stderr"), lab.path("reader.pid"));
    let through = format!(
        "mkfifo {pipe}; cat {pipe} & echo $! > {pid}; exec \"$@\" 2> {pipe}",
        pipe = pipe.display(),
        pid = pid.display()
    );
    scene.gate.start_through(&["sh", "-c", &through, "knockgated"])?;
    let reader = Reader::stop(fs::read_to_string(pid)?.trim().to_owned())?;
    fill(&pipe)?;

    scene.alice.knock_for("ssh", 600)?.expect(0)?;
    scene.alice.knock_for("web", 600)?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_open(&lab.client, WEB)?;
    scene.must_be_shut(&lab.stranger, SSH)?;
    ensure!(!scene.gate.log().contains("opened client=alice"), "the pipe was not full");

    drop(reader);
    waiting::until_true("the pipe is read", WITHIN, || {
        // Whoever knocks makes the line that says it.
        let knocked = scene.alice.knock("ssh").is_ok_and(|said| said.code == Some(0));
        let log = scene.gate.log();
        let told = log.lines().find(|line| line.starts_with("standard error did not take "));
        knocked && told.is_some_and(|line| line.ends_with(" lines before this one"))
    })?;
    scene.must_be_healthy()?;
    // What is killed for a system call is no success.
    scene.gate.stop()
}

fn fill(pipe: &std::path::Path) -> Result<()> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits())?;
    let mut pipe = OpenOptions::new().write(true).custom_flags(flags).open(pipe).context("nobody reads")?;
    // A page each, until there is no room even for a line.
    while pipe.write(&[b'\n'; 4096]).is_ok() {}
    while pipe.write(b"\n").is_ok() {}
    Ok(())
}
