//! What a process of the agent gives up before it meets anybody, for good: capabilities, its user, files, system calls.
//!
//! All of it counts for the calling thread and those that it starts later, so it is done while there is no other thread, and
//! that is checked. What a process has open already it keeps: that is how a worker without any capability hears packets.
//! The order is the kernel's: a user cannot be changed without a capability, and a filter of system calls comes last because
//! it forbids the rest. Rules: `docs/running.md`, "What runs with which right".

mod calls;
mod capabilities;
mod files;
mod user;

use std::path::PathBuf;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

pub use calls::{Forbidden, MachineCode};
pub use capabilities::{has_capabilities_of_a_user, leave_none_to_the_next_program};
pub use files::is_of_the_system;
pub use user::User;

/// What to do where the kernel cannot confine a process to files and system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sandbox {
    /// End.
    Require,
    /// Say so and go on.
    BestEffort,
    /// Do not even try.
    Off,
}

/// How much of a restriction the kernel knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Whole,
    /// It is older than the rules that are wanted.
    Part,
}

/// What is left to the process.
#[derive(Clone, Debug)]
pub struct Confinement {
    /// Who it shall be; `None`: whoever it is.
    pub user: Option<User>,
    pub sandbox: Sandbox,
    pub forbidden: Forbidden,
    pub code: MachineCode,
    /// Folders in which it may do anything but run what is there.
    pub writes: Vec<PathBuf>,
    /// Files and folders that it may read, beside those of the system.
    pub reads: Vec<PathBuf>,
}

impl Confinement {
    /// Gives everything else up.
    ///
    /// # Errors
    /// It cannot be, and the configuration wants it so; or the process would not be able to do its work.
    pub fn enter(&self) -> anyhow::Result<()> {
        check_that_there_is_no_other_thread()?;
        capabilities::empty_the_bounding_set()?;
        if let Some(user) = &self.user {
            user.become_it()?;
        }
        capabilities::drop_all()?;
        for folder in &self.writes {
            user::check_that_it_can_write(folder)?;
        }
        self.sandbox.enter(
            || files::restrict(&self.writes, &self.reads),
            || calls::restrict(self.forbidden, self.code),
        )
    }
}

/// What is left to the broker: CAP_NET_ADMIN, netlink, its two sockets, and `nft`, which it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokersSandbox {
    pub sandbox: Sandbox,
    pub forbidden: Forbidden,
}

impl BrokersSandbox {
    /// Gives everything else up.
    ///
    /// # Errors
    /// It cannot be, and the configuration wants it so.
    pub fn enter(self) -> anyhow::Result<()> {
        check_that_there_is_no_other_thread()?;
        capabilities::keep_the_firewall_alone()?;
        self.sandbox.enter(files::restrict_broker, || calls::restrict_broker(self.forbidden))
    }
}

impl Sandbox {
    fn enter(
        self,
        files: impl FnOnce() -> anyhow::Result<Extent>,
        calls: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if self == Self::Off {
            return Ok(());
        }
        self.settle("Landlock, which keeps it to its own files", files())?;
        let calls = calls().map(|()| Extent::Whole);
        self.settle("seccomp, which keeps it to the system calls it needs", calls)
    }

    fn settle(self, what: &str, result: anyhow::Result<Extent>) -> anyhow::Result<()> {
        let lacking = match &result {
            Ok(Extent::Whole) => return Ok(()),
            Ok(Extent::Part) => "this kernel is too old for all of",
            Err(_) => "this kernel has no usable",
        };
        let reason = result.err().map_or_else(String::new, |error| format!(" ({error:#})"));
        match self {
            Sandbox::Require => bail!(
                "{lacking} {what}{reason}; boot one that has it, or set sandbox = \"best-effort\" in [process]"
            ),
            Sandbox::BestEffort | Sandbox::Off => {
                tracing::warn!("{lacking} {what}{reason}; going on with what there is");
                Ok(())
            }
        }
    }
}

fn check_that_there_is_no_other_thread() -> anyhow::Result<()> {
    const TASKS: &str = "/proc/self/task";
    let threads = std::fs::read_dir(TASKS).with_context(|| format!("{TASKS}; mount /proc"))?.count();
    if threads != 1 {
        bail!(
            "{threads} threads run already, and they would keep their rights; this is a mistake in knockgated"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn what_a_kernel_lacks_stops_only_who_requires_it() {
        let older = "this kernel is too old for all of Landlock; boot one that has it, or set sandbox = \"best-effort\"";
        let none = "this kernel has no usable Landlock (not there); boot one that has it, or set sandbox";
        #[rustfmt::skip]
        let cases = [
            (1, Sandbox::Require, Ok(Extent::Whole), None),
            (2, Sandbox::Require, Ok(Extent::Part), Some(older)),
            (3, Sandbox::Require, Err(anyhow!("not there")), Some(none)),
            (4, Sandbox::BestEffort, Ok(Extent::Whole), None),
            (5, Sandbox::BestEffort, Ok(Extent::Part), None),
            (6, Sandbox::BestEffort, Err(anyhow!("not there")), None),
        ];
        for (case, sandbox, result, expected) in cases {
            let refused = sandbox.settle("Landlock", result).err().map(|error| error.to_string());
            match (&refused, expected) {
                (None, None) => {}
                (Some(refused), Some(expected)) => {
                    assert!(refused.starts_with(expected), "case {case}: {refused}")
                }
                _ => panic!("case {case}: {refused:?}"),
            }
        }
    }
}
