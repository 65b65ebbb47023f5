//! A running program under `strace`: which system calls it makes, and what happens to it at one of them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::programs::{Log, Running};

/// To stop every thread of a program once.
const ATTACHING: Duration = Duration::from_secs(10);

/// What the tracer does beside looking on.
#[derive(Debug, Clone, Copy)]
pub enum Interference<'a> {
    Nothing,
    /// Just before the call of this name that a thread makes for the `nth` time from now on, the program is killed. Calls
    /// are counted for every thread by itself.
    Kill {
        call: &'a str,
        nth: u32,
    },
    /// These calls fail with this error, if they are about this file.
    FailAt {
        calls: &'a str,
        error: &'a str,
        file: &'a Path,
    },
    /// These calls fail with this error.
    Fail {
        calls: &'a str,
        error: &'a str,
    },
    /// These calls begin so much later, or when the tracer lets go.
    Delay {
        calls: &'a str,
        seconds: u32,
    },
}

/// A tracer that has taken hold of all threads of a program. Lets go when dropped.
pub struct Tracer {
    running: Running,
    log: Log,
}

impl Tracer {
    pub fn attach(pid: u32, interference: Interference<'_>) -> Result<Self> {
        let mut command = Command::new("strace");
        command.args(["--follow-forks", "--attach", &pid.to_string()]);
        Self::start(command, interference)
    }

    /// Takes hold of the one thread that has this name, and of nothing that it starts.
    pub fn attach_to_thread(pid: u32, name: &str, interference: Interference<'_>) -> Result<Self> {
        let mut command = Command::new("strace");
        command.args(["--attach", &thread(pid, name)?]);
        Self::start(command, interference)
    }

    fn start(mut command: Command, interference: Interference<'_>) -> Result<Self> {
        let log = Log::default();
        match interference {
            Interference::Nothing => {}
            Interference::Kill { call, nth } => {
                command.arg(format!("--trace={call}"));
                command.arg(format!("--inject={call}:signal=KILL:when={nth}"));
            }
            Interference::FailAt { calls, error, file } => {
                command.arg(format!("--trace={calls}"));
                command.arg(format!("--inject={calls}:error={error}"));
                command.arg("--trace-path").arg(file);
            }
            Interference::Delay { calls, seconds } => {
                command.arg(format!("--trace={calls}"));
                command.arg(format!("--inject={calls}:delay_enter={seconds}s"));
            }
            Interference::Fail { calls, error } => {
                command.arg(format!("--trace={calls}"));
                command.arg(format!("--inject={calls}:error={error}"));
            }
        }
        let mut running = Running::start(&mut command, &log).context("run `cargo xtask setup`")?;
        running.wait_for_text("attached", 0, ATTACHING)?;
        Ok(Self { running, log })
    }

    /// Lets go. The names of all calls that were made meanwhile.
    pub fn detach(mut self) -> Result<BTreeSet<String>> {
        if self.running.is_alive() {
            self.running.interrupt()?;
        }
        Ok(calls(&self.log.text()))
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // A tracer that is killed may leave a thread stopped; one that is asked to end does not.
        if self.running.is_alive() {
            let _ = self.running.interrupt();
        }
    }
}

/// The number of a thread, as text.
fn thread(pid: u32, name: &str) -> Result<String> {
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?;
        // A thread that has ended meanwhile has no name.
        let comm = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if comm.trim_end() == name {
            return Ok(task.file_name().to_string_lossy().into_owned());
        }
    }
    bail!("process {pid} has no thread \"{name}\"")
}

/// `[pid 123] recvmsg(3, ...` or `recvmsg(3, ...`; a call that went on behind another one is `<... recvmsg resumed>`.
fn calls(log: &str) -> BTreeSet<String> {
    let name = |line: &str| {
        let call = line.split_once("] ").map_or(line, |(_, call)| call);
        let (name, _) = call.split_once('(')?;
        let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        plain.then(|| name.to_owned())
    };
    log.lines().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::calls;

    #[test]
    fn the_names_of_calls_are_read_from_what_strace_writes() {
        let log = "strace: Process 7 attached with 2 threads\n[pid     8] recvmsg(3,  <unfinished ...>\n\
                   [pid     7] futex(0x5, FUTEX_WAIT, 0, NULL <unfinished ...>\n\
                   [pid     8] <... recvmsg resumed>{...}, 0) = 5\nsendto(4, \"(\", 1) = 1\n+++ killed by SIGKILL +++\n";
        assert_eq!(calls(log).into_iter().collect::<Vec<_>>(), ["futex", "recvmsg", "sendto"]);
    }
}
