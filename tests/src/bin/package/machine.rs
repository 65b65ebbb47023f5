//! A machine of its own: Debian's root in a folder, with the network of one of the lab's hosts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use knockgate_tests::programs::{self, Said};
use knockgate_tests::{Host, Lab};

/// What a service manager or a login would give.
const ENVIRONMENT: [(&str, &str); 3] =
    [("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", "/root"), ("DEBIAN_FRONTEND", "noninteractive")];

pub(crate) struct Machine<'lab> {
    lab: &'lab Lab,
    root: PathBuf,
}

/// The three packages of one version.
pub(crate) struct Packages(Vec<PathBuf>);

impl Packages {
    pub(crate) fn in_folder(folder: &Path) -> Result<Self> {
        let entries = fs::read_dir(folder).with_context(|| format!("no packages in {}", folder.display()))?;
        let is_package = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "deb");
        let packages: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(is_package).collect();
        ensure!(packages.len() == 3, "{} has {} packages instead of 3", folder.display(), packages.len());
        Ok(Self(packages))
    }
}

impl<'lab> Machine<'lab> {
    pub(crate) fn unpack(lab: &'lab Lab, tar: &Path) -> Result<Self> {
        let root = lab.path("machine");
        fs::create_dir_all(&root)?;
        let mut unpack = Command::new("tar");
        unpack.arg("--extract").arg("--file").arg(tar).arg("--directory").arg(&root);
        programs::output(&mut unpack)?;
        let machine = Self { lab, root };
        for (kind, place) in [("proc", "proc"), ("tmpfs", "run"), ("tmpfs", "dev")] {
            let place = machine.path(place).display().to_string();
            programs::run("mount", &["-t", kind, kind, &place])?;
        }
        // A root has its devices from the host; an ordinary user may not make them, but may have them mounted.
        for device in ["null", "zero", "urandom", "random"] {
            let place = machine.path(&format!("dev/{device}"));
            fs::write(&place, "")?;
            programs::run("mount", &["--bind", &format!("/dev/{device}"), &place.display().to_string()])?;
        }
        Ok(machine)
    }

    /// Installs packages, or upgrades to them, and returns what was said.
    pub(crate) fn install(&self, packages: &Packages) -> Result<String> {
        let folder = self.path("root/packages");
        fs::create_dir_all(&folder)?;
        let mut words = vec!["dpkg".to_owned(), "--install".to_owned()];
        for package in &packages.0 {
            let name = package.file_name().context("a package has a name")?;
            fs::copy(package, folder.join(name))?;
            words.push(format!("/root/packages/{}", name.to_string_lossy()));
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let said = self.run(&words)?;
        fs::remove_dir_all(folder)?;
        Ok(said)
    }

    /// Runs a command at the gate; it must succeed.
    pub(crate) fn run(&self, words: &[&str]) -> Result<String> {
        self.run_at(&self.lab.gate, words)
    }

    /// The same with the network of another host.
    pub(crate) fn run_at(&self, host: &Host, words: &[&str]) -> Result<String> {
        let said = Said::by(&mut self.command(host, words))?.expect(0).with_context(|| words.join(" "))?;
        Ok(said.out)
    }

    pub(crate) fn command(&self, host: &Host, words: &[&str]) -> Command {
        let mut command = host.command("chroot");
        command.arg(&self.root).args(words).env_clear().envs(ENVIRONMENT);
        command
    }

    pub(crate) fn has(&self, file: &str) -> bool {
        self.path(file).exists()
    }

    pub(crate) fn read(&self, file: &str) -> Option<Vec<u8>> {
        fs::read(self.path(file)).ok()
    }

    pub(crate) fn mode(&self, file: &str) -> Result<u32> {
        let about = fs::metadata(self.path(file)).with_context(|| format!("no /{file}"))?;
        Ok(about.permissions().mode() & 0o7777)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.root.join(file)
    }
}
