//! The log in systemd's journal: a socket in the journal's place, and an agent that is told that its standard error leads there.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::scenes::{APART, SSH, Scene, WEB};
use knockgate_tests::{Family, Lab, waiting};

pub(crate) fn stories() -> Vec<Story> {
    vec![story(
        "a journal has every field, and one that is away or does not read keeps no knock waiting",
        told,
    )]
}

const SOCKET: &str = "/run/systemd/journal/socket";
/// As systemd starts a service: device and inode of its standard error.
const UNIT: [&str; 4] =
    ["sh", "-c", "JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec \"$@\"", "knockgated.service"];
const WITHIN: Duration = Duration::from_secs(10);

type Entry = BTreeMap<String, String>;

struct Journal(UnixDatagram);

impl Journal {
    /// In the place of the one before, if there was one.
    fn start() -> Result<Self> {
        fs::create_dir_all(Path::new(SOCKET).parent().context("a folder")?)?;
        let _ = fs::remove_file(SOCKET);
        let socket = UnixDatagram::bind(SOCKET)?;
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }

    fn wait_for(&self, what: &str, is_it: impl Fn(&Entry) -> bool) -> Result<Entry> {
        waiting::until(what, WITHIN, || {
            let mut buffer = [0; 65536];
            let next = || self.0.recv(&mut buffer).ok().map(|length| read(&buffer[..length]));
            std::iter::from_fn(next).find(&is_it)
        })
    }
}

/// Values here have one line each.
fn read(bytes: &[u8]) -> Entry {
    let text = String::from_utf8_lossy(bytes);
    let fields = text.lines().filter_map(|line| line.split_once('='));
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn told(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, APART)?;
    scene.gate.stop()?;
    drop(Journal::start()?);
    scene.gate.start_through(&UNIT)?;
    ensure!(
        scene.gate.log().contains("\n<6>gate up: guarding ssh, web"),
        "nobody hears it, so stderr has it"
    );

    let journal = Journal::start()?;
    scene.alice.knock_for("ssh", 600)?.expect(0)?;
    let opened = journal.wait_for("the opened port", |entry| {
        entry.get("MESSAGE").is_some_and(|message| message.starts_with("opened "))
    })?;
    let source = lab.client.ip(Family::V4).to_string();
    for (field, value) in [
        ("PRIORITY", "6"),
        ("SYSLOG_IDENTIFIER", "knockgated"),
        ("KNOCKGATE_CLIENT", "alice"),
        ("KNOCKGATE_SERVICE", "ssh"),
        ("KNOCKGATE_TO", &source),
        ("KNOCKGATE_SECONDS", "600"),
        ("MESSAGE", &format!("opened client=alice to={source} service=ssh seconds=600")),
    ] {
        ensure!(opened.get(field).is_some_and(|there| there == value), "{field}: {opened:?}");
    }

    // From here on nobody reads, until the queue is full and what does not fit is on stderr.
    let seen = scene.gate.log().len();
    waiting::until_true("the journal is full", WITHIN, || {
        let knocked = scene.alice.knock("web").is_ok_and(|said| said.code == Some(0));
        let log = scene.gate.log();
        knocked && log.get(seen..).is_some_and(|new| new.contains("\n<6>opened client=alice"))
    })?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_open(&lab.client, WEB)?;

    lab.gate.nft("flush ruleset")?;
    let restored = journal.wait_for("the restored guard", |entry| {
        entry.get("MESSAGE").is_some_and(|message| message.contains("somebody else has changed the guard"))
    })?;
    ensure!(restored.get("PRIORITY").is_some_and(|priority| priority == "3"), "{restored:?}");
    scene.must_be_healthy()?;
    // What is killed for a system call is no success.
    scene.gate.stop()
}
