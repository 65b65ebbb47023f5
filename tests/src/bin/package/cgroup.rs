//! A place in the kernel's tree of processes for a machine, so that its service manager finds nothing there but itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use knockgate_tests::{Lab, programs, sandbox, waiting};

/// From the end of a machine's first process to that of its last one.
const END: Duration = Duration::from_secs(10);

pub(crate) struct Cgroup(PathBuf);

impl Cgroup {
    pub(crate) fn make(lab: &Lab) -> Result<Self> {
        let tree = tree(lab)?;
        let place = tree.join(format!("knockgate-machine-{}", sandbox::outside()?));
        // The machine's own tree begins one step lower, where nobody has set a limit.
        fs::create_dir_all(place.join("machine"))
            .with_context(|| format!("cannot make {}", place.display()))?;
        Ok(Self(place))
    }

    /// Whoever writes 0 there is in it.
    pub(crate) fn door(&self) -> PathBuf {
        self.0.join("machine/cgroup.procs")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let left = waiting::until_true("a machine's last process ends", END, || remove(&self.0).is_ok());
        if let Err(error) = left {
            eprintln!("{} stays: {error:#}", self.0.display());
        }
    }
}

/// Only empty ones can be removed, the innermost first.
fn remove(place: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(place)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(place)
}

/// Whether this user and this kernel can have a machine at all; if not, why.
pub(crate) fn available(lab: &Lab) -> Result<()> {
    anyhow::ensure!(
        rustix::process::geteuid().is_root(),
        "only root can start a machine with a service manager"
    );
    sandbox::outside()?;
    Cgroup::make(lab).map(drop)
}

/// The kernel's own view, wherever the host has mounted it.
fn tree(lab: &Lab) -> Result<PathBuf> {
    let tree = lab.path("cgroup");
    if !tree.exists() {
        fs::create_dir(&tree)?;
        programs::run("mount", &["-t", "cgroup2", "cgroup2", &tree.display().to_string()])?;
    }
    Ok(tree)
}
