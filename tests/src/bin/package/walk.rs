//! Where the walk is: two machines, the packages, and whether ssh can be reached.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use knockgate_tests::peers::{Reached, reach};
use knockgate_tests::scenes::SSH;
use knockgate_tests::{Family, Host, Lab, waiting};

use crate::machine::{Debian, Machine};

/// "A running agent notices within a second", and a machine that is busy with other work.
pub(crate) const NOTICE: Duration = Duration::from_secs(20);
/// Both machines' table of names; the quick start calls the server so.
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n10.77.1.2 gate.example\nfd77:1::2 gate.example\n";

pub(crate) struct Walk<'lab> {
    pub(crate) lab: &'lab Lab,
    pub(crate) server: Machine<'lab>,
    pub(crate) client: Machine<'lab>,
    packages: PathBuf,
}

impl<'lab> Walk<'lab> {
    /// A server with sshd, a client who has used it before, and the packages in root's directory at either.
    pub(crate) fn begin(lab: &'lab Lab, folder: &Path) -> Result<Self> {
        let debian = Debian::unpack(lab, &folder.join("root.tar"))?;
        let mut server = Machine::new(lab, &lab.gate, "server", &debian, HOSTS)?;
        let client = Machine::new(lab, &lab.client, "client", &debian, HOSTS)?;
        client.furnish()?;
        server.boot()?;
        let walk = Self { lab, server, client, packages: folder.to_owned() };
        for package in ["knockgated", "knockgate-policy"] {
            walk.server.put(&walk.package(package)?)?;
        }
        walk.client.put(&walk.package("knockgate")?)?;
        walk.introduce()?;
        Ok(walk)
    }

    /// Keys as people have them who log in at a server every day.
    fn introduce(&self) -> Result<()> {
        self.client.type_in("ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519")?;
        self.server.type_in("mkdir -m 700 -p .ssh")?;
        self.server.write("root/.ssh/authorized_keys", &self.client.read("root/.ssh/id_ed25519.pub")?)?;
        self.must_be_open("before anything is installed")?;
        self.client.type_in(
            "ssh-keyscan -t ed25519 gate.example 10.77.1.2 fd77:1::2 >.ssh/known_hosts 2>/dev/null",
        )?;
        self.client.type_in("ssh gate.example true").map(drop)
    }

    /// The file of a package.
    pub(crate) fn package(&self, name: &str) -> Result<PathBuf> {
        package_in(&self.packages, name)
    }

    /// The same of a higher version.
    pub(crate) fn next_package(&self, name: &str) -> Result<PathBuf> {
        package_in(&self.packages.join("next"), name)
    }

    /// What a stranger meets is what everybody meets who has no grant.
    pub(crate) fn must_be_open(&self, when: &str) -> Result<()> {
        self.must_greet(&self.lab.stranger, when)
    }

    pub(crate) fn must_be_shut(&self, when: &str) -> Result<()> {
        self.must_meet_silence(&self.lab.stranger, when)
    }

    pub(crate) fn must_greet(&self, whom: &Host, when: &str) -> Result<()> {
        let reached = self.reach(whom)?;
        let greeted = matches!(&reached, Reached::Greeting(line) if line.starts_with("SSH-2.0-OpenSSH"));
        ensure!(greeted, "{when}: sshd should greet, and there was {reached:?}");
        Ok(())
    }

    pub(crate) fn must_meet_silence(&self, whom: &Host, when: &str) -> Result<()> {
        let reached = self.reach(whom)?;
        ensure!(reached == Reached::Silence, "{when}: ssh should be silent, and there was {reached:?}");
        Ok(())
    }

    fn reach(&self, from: &Host) -> Result<Reached> {
        reach(from, self.lab.gate.at(Family::V4, SSH))
    }

    pub(crate) fn is_guarded(&self) -> Result<bool> {
        Ok(self.lab.gate.nft_ruleset()?.contains("table inet knockgate"))
    }

    /// The client knocks until it gets in: a running agent notices changes in its own time.
    pub(crate) fn client_gets_in(&self) -> Result<()> {
        let knock =
            || self.client.try_line("knockgate knock home ssh").is_ok_and(|said| said.code == Some(0));
        waiting::until_true("the client gets in", NOTICE, knock)?;
        self.must_greet(&self.lab.client, "after the knock")
    }

    /// What the server has to say for itself, for the report of a failure.
    pub(crate) fn journal(&self) -> String {
        let said = self.server.try_line("journalctl --no-pager --lines 60");
        said.map_or_else(|error| format!("no journal: {error:#}\n"), |said| said.out)
    }
}

fn package_in(folder: &Path, name: &str) -> Result<PathBuf> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("no packages in {}", folder.display()))?;
    let begin = format!("{name}_");
    let found = entries.flatten().map(|entry| entry.path()).find(|path| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        file.starts_with(&begin) && file.ends_with(".deb")
    });
    found.with_context(|| format!("{} has no package {name}", folder.display()))
}
