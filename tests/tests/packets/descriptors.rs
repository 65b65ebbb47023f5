//! A process that may open nothing any more: packet knocks go on, the guard stays, and all is well once there are descriptors again.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use knockgate_tests::gates::CENTRAL;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::packets::{Hand, KNOCK, is_granted};
use knockgate_tests::scenes::{APART, SSH, Scene, WEB};
use knockgate_tests::{Family, Lab, programs, waiting};

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story(
            "without descriptors packet knocks go on, and what was missed is made up for when there are some",
            |lab| without(lab, ""),
        ),
        story(
            "two processes without descriptors hear packet knocks, and make up for what was missed",
            |lab| without(lab, APART),
        ),
        story("an agent that may open too little does not start, and says what to do", too_few),
    ]
}

const SOON: Duration = Duration::from_secs(5);
/// What strangers hold at once.
const CALLERS: usize = 30;

fn without(lab: &Lab, sections: &str) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, &format!("[central]\n{sections}"))?;
    let bob = Hand::of(&scene.gate.enrol("bob", &["ssh"], &[])?)?;
    let to = lab.gate.at(Family::V4, KNOCK);
    let pid = scene.gate.pid()?;
    let usual = limit(pid)?;
    let seen = scene.gate.log().len();

    set_limit(pid, lowest_free(pid)?)?;

    let central = lab.gate.at(Family::V4, CENTRAL);
    let call = || lab.stranger.inside(|| Ok(TcpStream::connect_timeout(&central, SOON)?));
    let callers: Vec<_> = (0..CALLERS).map(|_| call()).collect::<Result<_>>()?;
    scene.gate.wait_for_log("raise LimitNOFILE", seen)?;
    ensure!(is_granted(bob.ask(&lab.visitor, to, &bob.open_ssh(600))?.as_ref()), "bob is kept out");
    scene.must_be_open(&lab.visitor, SSH)?;
    scene.must_be_shut(&lab.stranger, SSH)?;
    scene.alice.knock("web")?.expect(0)?;
    scene.must_be_open(&lab.client, WEB)?;

    // What an administrator does meanwhile is not lost: bob is to go.
    let seen = scene.gate.log().len();
    scene.gate.tell(&["client", "remove", "bob"])?.expect(0)?;
    scene.gate.wait_for_log("the roster was changed and cannot be used", seen)?;
    set_limit(pid, usual)?;
    waiting::until_true("bob is out", SOON, || scene.must_be_shut(&lab.visitor, SSH).is_ok())?;

    ensure!(bob.ask(&lab.visitor, to, &bob.open_ssh(600))?.is_none(), "a removed client is answered");
    drop(callers);
    scene.alice.tell(&["knock", "alice", "ssh", "--via", "sequence"])?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_healthy()
}

fn too_few(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    scene.alice.knock_for("ssh", 600)?.expect(0)?;
    scene.gate.stop()?;
    for few in [4, 20, 40] {
        let refused = scene.gate.tell_through(&["prlimit", &format!("--nofile={few}")], &["run"])?;
        refused.expect(1)?.complains_of(&[&format!("only {few} files"), "raise LimitNOFILE"])?;
        scene.must_be_open(&lab.client, SSH)?;
        scene.must_be_shut(&lab.stranger, SSH)?;
    }
    // Whoever may have more takes it.
    scene.gate.start_through(&["prlimit", "--nofile=40:4096"])?;
    ensure!(limit(scene.gate.pid()?)? == 1024, "it has not taken what it may");
    scene.must_be_healthy()
}

fn set_limit(pid: u32, descriptors: u64) -> Result<()> {
    programs::run("prlimit", &["--pid", &pid.to_string(), &format!("--nofile={descriptors}:")])
}

/// How many it may have at once, while nobody lowers that.
fn limit(pid: u32) -> Result<u64> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let line =
        limits.lines().find_map(|line| line.strip_prefix("Max open files")).context("no such limit")?;
    Ok(line.split_whitespace().next().context("no number")?.parse()?)
}

/// The next one that the kernel would give it.
fn lowest_free(pid: u32) -> Result<u64> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd"))?;
    let taken: BTreeSet<u64> =
        open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    (0..).find(|number| !taken.contains(number)).context("all are taken")
}
