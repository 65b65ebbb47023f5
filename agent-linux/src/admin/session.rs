//! The ssh session that a command runs in, if any: guarding its port is the usual way to lock oneself out.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Ancestors that are looked at: a shell in a multiplexer in `sudo` in a shell in sshd has fewer than ten.
const GENERATIONS: usize = 64;
/// Set by sshd: client address, client port, server address, server port.
const VARIABLE: &str = "SSH_CONNECTION";
/// `TCP_ESTABLISHED` as `/proc/net/tcp` writes it.
const ESTABLISHED: &str = "01";

/// The port at which the ssh session of this process came in.
pub(super) fn ssh_port() -> Option<u16> {
    let own = std::env::var_os(VARIABLE).and_then(|value| server_port(value.as_bytes()));
    own.or_else(|| port_of_ancestors(Path::new("/proc"), std::process::id()))
}

/// `sudo` and `su` clear the variable, but the shell before them still has it, and sshd has the connection itself.
fn port_of_ancestors(proc: &Path, process: u32) -> Option<u16> {
    let line = std::iter::successors(Some(process), |process| parent(&proc.join(process.to_string())));
    line.take(GENERATIONS).take_while(|process| *process != 0).find_map(|process| {
        let process = proc.join(process.to_string());
        port_in_environment(&process).or_else(|| port_of_sshd(&process))
    })
}

fn parent(process: &Path) -> Option<u32> {
    let status = std::fs::read_to_string(process.join("status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:")).and_then(|number| number.trim().parse().ok())
}

fn port_in_environment(process: &Path) -> Option<u16> {
    let environment = std::fs::read(process.join("environ")).ok()?;
    let prefix = format!("{VARIABLE}=");
    environment
        .split(|byte| *byte == 0)
        .find_map(|entry| entry.strip_prefix(prefix.as_bytes()))
        .and_then(server_port)
}

fn server_port(connection: &[u8]) -> Option<u16> {
    let text = str::from_utf8(connection).ok()?;
    text.split_ascii_whitespace().nth(3)?.parse().ok()
}

/// The local port of a connection that this process holds, if it is a session of sshd.
fn port_of_sshd(process: &Path) -> Option<u16> {
    let name = std::fs::read(process.join("comm")).ok()?;
    if !OsStr::from_bytes(&name).as_bytes().starts_with(b"sshd") {
        return None;
    }
    let sockets: HashSet<String> = std::fs::read_dir(process.join("fd"))
        .ok()?
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|target| Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    ["net/tcp", "net/tcp6"].iter().find_map(|table| {
        let table = std::fs::read_to_string(process.join(table)).ok()?;
        table.lines().skip(1).find_map(|line| established_port(line, &sockets))
    })
}

fn established_port(line: &str, sockets: &HashSet<String>) -> Option<u16> {
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    let &[_, local, _, state, _, _, _, _, _, inode, ..] = fields.as_slice() else { return None };
    let (_, port) = local.rsplit_once(':')?;
    (state == ESTABLISHED && sockets.contains(inode)).then(|| u16::from_str_radix(port, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A process in a made-up `/proc`.
    fn process(proc: &Path, number: u32, parent: u32, name: &str, environment: &[u8]) {
        let dir = proc.join(number.to_string());
        fs::create_dir_all(dir.join("fd")).unwrap();
        fs::create_dir_all(dir.join("net")).unwrap();
        fs::write(dir.join("status"), format!("Name:\t{name}\nPPid:\t{parent}\n")).unwrap();
        fs::write(dir.join("comm"), format!("{name}\n")).unwrap();
        fs::write(dir.join("environ"), environment).unwrap();
    }

    #[test]
    fn the_port_is_found_in_the_shell_before_sudo() {
        let proc = tempfile::tempdir().unwrap();
        let proc = proc.path();
        process(proc, 10, 9, "knockgated", b"HOME=/root\0");
        process(proc, 9, 8, "sudo", b"HOME=/root\0");
        process(proc, 8, 1, "bash", b"A=1\0SSH_CONNECTION=192.0.2.1 50000 192.0.2.2 2222\0B=2\0");
        assert_eq!(port_of_ancestors(proc, 10), Some(2222));
    }

    #[test]
    fn the_port_is_found_in_the_connection_of_sshd_where_no_environment_tells() {
        let proc = tempfile::tempdir().unwrap();
        let proc = proc.path();
        process(proc, 10, 9, "knockgated", b"");
        process(proc, 9, 1, "sshd-session", b"");
        symlink("socket:[777]", proc.join("9/fd/4")).unwrap();
        symlink("/dev/null", proc.join("9/fd/0")).unwrap();
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
        let line = |port: &str, state: &str, inode: u32| {
            format!(
                "   0: 020200C0:{port} 010200C0:C350 {state} 00000000:00000000 00:00000000 00000000 0 0 {inode} 1 x\n"
            )
        };
        let (other, listening, ours) =
            (line("0050", "01", 5), line("0016", "0A", 777), line("08AE", "01", 777));
        fs::write(proc.join("9/net/tcp"), format!("{head}{other}{listening}{ours}")).unwrap();
        assert_eq!(port_of_ancestors(proc, 10), Some(2222));
    }

    #[test]
    fn a_console_has_no_ssh_port() {
        let proc = tempfile::tempdir().unwrap();
        let proc = proc.path();
        process(proc, 10, 9, "knockgated", b"HOME=/root\0");
        process(proc, 9, 1, "bash", b"SSH_CONNECTION=garbage\0");
        process(proc, 1, 0, "systemd", b"");
        assert_eq!(port_of_ancestors(proc, 10), None);
    }
}
