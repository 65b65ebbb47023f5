//! Machines: Debian's root in a folder, each with the network of one of the lab's hosts.
//!
//! A client's is a `chroot`. A server's is started as a machine is: its first process is systemd, which starts what is enabled.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use knockgate_tests::programs::{self, Running, Said};
use knockgate_tests::{Host, Lab, waiting};

use crate::cgroup::Cgroup;

/// What a login gives.
const ENVIRONMENT: [(&str, &str); 4] = [
    ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
    ("HOME", "/root"),
    ("TERM", "xterm"),
    ("DEBIAN_FRONTEND", "noninteractive"),
];
const BOOT: &str = include_str!("boot.sh");
/// Until everything that is enabled has been started, on a machine that is busy with other work.
const START: Duration = Duration::from_secs(120);

/// Debian as `mmdebstrap` has made it, for any number of machines.
pub(crate) struct Debian(PathBuf);

impl Debian {
    pub(crate) fn unpack(lab: &Lab, tar: &Path) -> Result<Self> {
        let root = lab.path("debian");
        fs::create_dir(&root)?;
        let mut unpack = Command::new("tar");
        unpack.arg("--extract").arg("--file").arg(tar).arg("--directory").arg(&root);
        programs::output(&mut unpack)?;
        Ok(Self(root))
    }
}

pub(crate) struct Machine<'lab> {
    lab: &'lab Lab,
    host: &'lab Host,
    root: PathBuf,
    power: Option<Power>,
}

/// A machine that runs. Ends at once, as in a power cut, when this is dropped: the first process before its place.
struct Power {
    first: String,
    _process: Running,
    _cgroup: Cgroup,
}

impl<'lab> Machine<'lab> {
    /// A machine that is off. `hosts` is its table of names.
    pub(crate) fn new(
        lab: &'lab Lab,
        host: &'lab Host,
        name: &str,
        debian: &Debian,
        hosts: &str,
    ) -> Result<Self> {
        let folder = lab.path(name);
        let [upper, work, root] = ["upper", "work", "root"].map(|part| folder.join(part));
        for part in [&upper, &work, &root] {
            fs::create_dir_all(part)?;
        }
        let layers = format!(
            "lowerdir={},upperdir={},workdir={}",
            debian.0.display(),
            upper.display(),
            work.display()
        );
        programs::run("mount", &["-t", "overlay", "overlay", "-o", &layers, &root.display().to_string()])?;
        fs::write(root.join("etc/hosts"), hosts)?;
        Ok(Self { lab, host, root, power: None })
    }

    /// What commands need that are run without a service manager.
    pub(crate) fn furnish(&self) -> Result<()> {
        for (kind, place) in [("proc", "proc"), ("tmpfs", "run"), ("tmpfs", "dev")] {
            programs::run("mount", &["-t", kind, kind, &self.path(place).display().to_string()])?;
        }
        for device in ["null", "zero", "urandom", "random", "tty"] {
            let place = self.path(&format!("dev/{device}"));
            fs::write(&place, "")?;
            programs::run("mount", &["--bind", &format!("/dev/{device}"), &place.display().to_string()])?;
        }
        Ok(())
    }

    /// Switches it on, and waits until everything that is enabled has been started.
    pub(crate) fn boot(&mut self) -> Result<()> {
        let cgroup = Cgroup::make(self.lab)?;
        let script = self.lab.path("boot.sh");
        fs::write(&script, BOOT)?;
        let mut start = self.host.command("sh");
        start.arg("-c").arg(
            "echo 0 >\"$0\" && exec unshare --pid --fork --kill-child --mount --cgroup --ipc --uts sh \"$@\"",
        );
        start.arg(cgroup.door()).arg(&script).arg(&self.root);
        let process = Running::start(&mut start, &self.lab.log("console of the machine"))?;
        let first = waiting::until("the machine has a first process", START, || only_child(process.pid()))?;
        self.power = Some(Power { first, _process: process, _cgroup: cgroup });
        waiting::until_true("the machine has started", START, || {
            let asked = Said::by(&mut self.command(&["systemctl", "is-system-running"]));
            // "degraded": something of Debian's own does not go with the host. Nothing of ours is there yet that could.
            asked.is_ok_and(|said| ["running", "degraded"].contains(&said.out.trim()))
        })
    }

    /// Switches it off without a warning. Its kernel's rules go, as they would.
    pub(crate) fn cut_power(&mut self) -> Result<()> {
        self.power = None;
        self.host.nft("flush ruleset")
    }

    /// Runs a command line in root's directory, as a login shell would; it must succeed. Returns what it said.
    pub(crate) fn type_in(&self, line: &str) -> Result<String> {
        let said = self.try_line(line)?.expect(0).with_context(|| line.to_owned())?;
        Ok(said.out)
    }

    /// The same, whatever comes of it.
    pub(crate) fn try_line(&self, line: &str) -> Result<Said> {
        self.told(line, "")
    }

    /// The same with something to read on its standard input.
    pub(crate) fn told(&self, line: &str, input: &str) -> Result<Said> {
        Said::told(&mut self.command(&["sh", "-c", &format!("cd /root\n{line}")]), input)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = match &self.power {
            Some(Power { first, .. }) => {
                let mut command = Command::new("nsenter");
                command.args(["--all", "--target", first, "--"]);
                command
            }
            None => {
                let mut command = self.host.command("chroot");
                command.arg(&self.root);
                command
            }
        };
        command.args(words).env_clear().envs(ENVIRONMENT);
        command
    }

    /// Copies a file from the host of all this into root's directory.
    pub(crate) fn put(&self, file: &Path) -> Result<()> {
        let name = file.file_name().context("a file has a name")?;
        let place = self.path("root").join(name);
        fs::copy(file, place).map(drop).with_context(|| format!("cannot copy {}", file.display()))
    }

    pub(crate) fn write(&self, file: &str, text: &[u8]) -> Result<()> {
        fs::write(self.path(file), text).with_context(|| format!("cannot write /{file}"))
    }

    pub(crate) fn has(&self, file: &str) -> bool {
        self.path(file).exists()
    }

    pub(crate) fn read(&self, file: &str) -> Result<Vec<u8>> {
        fs::read(self.path(file)).with_context(|| format!("no /{file}"))
    }

    pub(crate) fn mode(&self, file: &str) -> Result<u32> {
        let about = fs::metadata(self.path(file)).with_context(|| format!("no /{file}"))?;
        Ok(about.permissions().mode() & 0o7777)
    }

    /// A property of a unit, as its service manager knows it.
    pub(crate) fn unit(&self, unit: &str, property: &str) -> Result<String> {
        let told = self.type_in(&format!("systemctl show --value --property {property} {unit}"))?;
        Ok(told.trim().to_owned())
    }

    pub(crate) fn unit_must_be(&self, unit: &str, property: &str, wanted: &str) -> Result<()> {
        let found = self.unit(unit, property)?;
        ensure!(found == wanted, "{property} of {unit} is {found:?} instead of {wanted:?}");
        Ok(())
    }

    fn path(&self, file: &str) -> PathBuf {
        self.root.join(file)
    }
}

/// `unshare` has one child, which is the first process inside.
fn only_child(parent: u32) -> Option<String> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children.split_whitespace().next().map(str::to_owned)
}
