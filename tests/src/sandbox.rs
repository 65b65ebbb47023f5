//! Namespaces around the whole test program: network, mounts and processes of its own.
//!
//! As root this needs nothing more; an ordinary user gets a user namespace around it, in which he is root. The program
//! starts itself again under `unshare`, as the first process of a process namespace: when it ends, however it ends,
//! the kernel ends every process in there and takes the network namespaces away.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};

use crate::{Host, programs};

/// Set inside, to the number outside of the process that has the sandbox as its only child.
const MARK: &str = "KNOCKGATE_SANDBOX";

/// What the names in tests resolve to. All labs use one address plan, so one table serves them all.
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n10.77.1.2 gate.test\nfd77:1::2 gate.test\n";

/// Returns inside the sandbox. Called outside it, this program is replaced by itself inside one.
pub fn enter() -> Result<()> {
    if std::env::var_os(MARK).is_some() {
        return furnish();
    }
    let mut unshare = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        check_user_namespaces()?;
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare.args(["--net", "--mount", "--pid", "--kill-child", "--mount-proc", "--"]);
    unshare.arg(std::env::current_exe()?).args(std::env::args_os().skip(1));
    // It stays the same process.
    let outside = std::process::id().to_string();
    let error = unshare.env(MARK, outside).env("PATH", path_with_sbin()).exec();
    Err(error).context("cannot start `unshare`; install the package util-linux")
}

/// What somebody outside the sandbox types, as root, in front of a command that shall run at a host inside.
pub fn command_into(host: &Host) -> Result<String> {
    let outside = outside()?;
    let namespace = host.path();
    Ok(format!("nsenter --all --target $(pgrep -P {outside}) nsenter --net={}", namespace.display()))
}

/// The number outside of the process that this sandbox belongs to, which no other sandbox has at the same time.
pub fn outside() -> Result<String> {
    std::env::var(MARK).context("this program is in no sandbox")
}

fn check_user_namespaces() -> Result<()> {
    let probe = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "--mount", "true"])
        .stdin(Stdio::null())
        .output()
        .context("cannot start `unshare`; install the package util-linux")?;
    if !probe.status.success() {
        bail!(
            "this user may not make user namespaces ({}); run as root, or allow them: \
             sysctl kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0",
            String::from_utf8_lossy(&probe.stderr).trim()
        );
    }
    Ok(())
}

/// An ordinary user's PATH on Debian leaves out the folder of `ip` and `nft`.
fn path_with_sbin() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

/// An empty `/run` for the names of network namespaces, a name table, and an ear for Ctrl-C, which the first process
/// of a process namespace would otherwise not hear.
fn furnish() -> Result<()> {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let at_once = Arc::new(AtomicBool::new(true));
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, at_once)?;
    }
    programs::run("mount", &["-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"])?;
    // `faketime` shares memory under a process's number, and every sandbox begins to count processes at 1.
    programs::run("mount", &["-t", "tmpfs", "tmpfs", "/dev/shm"])?;
    std::fs::create_dir("/run/netns")?;
    std::fs::write("/run/hosts", HOSTS)?;
    programs::run("mount", &["--bind", "/run/hosts", "/etc/hosts"])?;
    programs::run("ip", &["link", "set", "lo", "up"])
}
