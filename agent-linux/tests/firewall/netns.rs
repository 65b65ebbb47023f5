//! Network namespaces for the firewall's tests: a gate, a client, a stranger and an inner host, wired with veth pairs.
//!
//! The test program runs itself again inside fresh user, mount and network namespaces, so it needs no privilege beyond
//! user namespaces and cannot touch the machine's own network.

use std::io::Write;
use std::net::Ipv6Addr;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

const INSIDE: &str = "KNOCKGATE_TEST_INSIDE";
/// Nothing here needs more than milliseconds; this is for a machine that is busy otherwise.
const DEADLINE: Duration = Duration::from_secs(20);

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Goes on inside namespaces of our own; returns only there.
pub(crate) fn enter() {
    if std::env::var_os(INSIDE).is_some() {
        run("mount", &["-t", "tmpfs", "tmpfs", "/run"]);
        return;
    }
    let flags = if rustix::process::geteuid().is_root() { "-nm" } else { "-Urnm" };
    let program = std::env::current_exe().expect("the test program has a path");
    let error = Command::new("unshare")
        .arg(flags)
        .arg(program)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .exec();
    panic!("unshare cannot be run ({error}); install the package util-linux");
}

/// One gate between outer hosts and an inner one. The gate is `.1` and `::1` in every net.
pub(crate) struct Lab {
    pub(crate) gate: Host,
    pub(crate) client: Host,
    pub(crate) stranger: Host,
    pub(crate) inner: Host,
}

/// A namespace with one address per family.
pub(crate) struct Host {
    name: String,
    pub(crate) v4: &'static str,
    pub(crate) v6: &'static str,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let host = |role: &str, v4, v6| Host { name: format!("t{number}-{role}"), v4, v6 };
        let lab = Self {
            gate: host("gate", "10.1.0.1", "fd01::1"),
            client: host("client", "10.1.0.2", "fd01::2"),
            stranger: host("stranger", "10.2.0.2", "fd02::2"),
            inner: host("inner", "10.3.0.2", "fd03::2"),
        };
        for host in [&lab.gate, &lab.client, &lab.stranger, &lab.inner] {
            run("ip", &["netns", "add", &host.name]);
            host.on(skip_address_checks);
        }
        lab.gate.ip("link set lo up\n");
        for (net, host) in [(1, &lab.client), (2, &lab.stranger), (3, &lab.inner)] {
            lab.wire(net, host);
        }
        lab
    }

    fn wire(&self, net: u32, host: &Host) {
        self.wire_as(net, &format!("eth{net}"), host);
    }

    /// Wires a host to the gate, where the interface is called `there`.
    pub(crate) fn wire_as(&self, net: u32, there: &str, host: &Host) {
        let gate = &self.gate.name;
        self.gate.ip(&format!(
            "link add {there} netns {gate} type veth peer name eth0 netns {name}\n\
             address add 10.{net}.0.1/24 dev {there}\n\
             address add fd0{net}::1/64 dev {there} nodad\n\
             link set {there} up\n",
            name = host.name,
        ));
        host.ip(&format!(
            "link set lo up\n\
             address add {}/24 dev eth0\n\
             address add {}/64 dev eth0 nodad\n\
             link set eth0 up\n\
             route add default via 10.{net}.0.1\n\
             route add default via fd0{net}::1\n",
            host.v4, host.v6,
        ));
    }

    /// Lets the gate forward, as an administrator would.
    pub(crate) fn forward(&self) {
        self.gate.on(|| {
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("our own namespace");
            std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").expect("our own namespace");
        });
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for host in [&self.gate, &self.client, &self.stranger, &self.inner] {
            let _ = Command::new("ip").args(["netns", "delete", &host.name]).status();
        }
    }
}

impl Host {
    /// Runs `action` in a thread that lives in this namespace.
    pub(crate) fn on<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.enter();
                action()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Moves the calling thread here for good.
    pub(crate) fn enter(&self) {
        let path = format!("/run/netns/{}", self.name);
        let namespace = std::fs::File::open(path).expect("the namespace was added");
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .expect("the namespace is ours");
    }

    pub(crate) fn nft(&self, script: &str) {
        self.on(|| feed(Command::new("nft").args(["-f", "-"]), script));
    }

    pub(crate) fn nft_list(&self, what: &str) -> String {
        self.on(|| {
            let output = Command::new("nft").args(["-s", "list"]).args(what.split(' ')).output();
            let output = output.expect("nft is installed");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).expect("nft speaks UTF-8")
        })
    }

    /// An interface's link-local address and its number.
    pub(crate) fn link_local_on(&self, interface: &str) -> (Ipv6Addr, u32) {
        let ours = |line: &&str| line.starts_with("fe80") && line.ends_with(interface);
        let mut found = None;
        wait_until("a link-local address", || {
            let table = self.on(|| std::fs::read_to_string("/proc/thread-self/net/if_inet6"));
            found = table.expect("IPv6 is on").lines().find(ours).map(str::to_owned);
            found.is_some()
        });
        let line = found.expect("waited for");
        let words: Vec<_> = line.split_whitespace().collect();
        let address = u128::from_str_radix(words[0], 16).expect("an address");
        (address.into(), u32::from_str_radix(words[1], 16).expect("a number"))
    }

    pub(crate) fn ip(&self, batch: &str) {
        self.on(|| feed(Command::new("ip").args(["-batch", "-"]), batch));
    }
}

/// Waits for a condition, never for a time.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::yield_now();
    }
}

/// Looking for doubles of an address takes the kernel a second or two; there are none here.
fn skip_address_checks() {
    for interfaces in ["all", "default"] {
        let path = format!("/proc/sys/net/ipv6/conf/{interfaces}/accept_dad");
        std::fs::write(path, "0").expect("our own namespace");
    }
}

fn run(program: &str, arguments: &[&str]) {
    feed(Command::new(program).args(arguments), "");
}

fn feed(command: &mut Command, input: &str) {
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child =
        spawned.unwrap_or_else(|error| panic!("{command:?}: {error}; install iproute2 and nftables"));
    let written = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("a child can be waited for");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && written.is_ok(), "{command:?}: {words}\n{input}");
}
