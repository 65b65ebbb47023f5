//! A network of namespaces: four hosts around a router, and one behind the gate.

mod gateway_box;

use std::fs::File;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::programs::{self, Log};
use crate::waiting;

pub(crate) use gateway_box::{INNER, OUTER};

/// Links are usually ready within a second; a busy machine takes its time.
const LINKS_READY: Duration = Duration::from_secs(10);

/// Which internet protocol a story is played over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    V4,
    V6,
}

/// A network namespace with one address of each family.
#[derive(Debug, Clone)]
pub struct Host {
    namespace: String,
    v4: Ipv4Addr,
    v6: Ipv6Addr,
}

impl Host {
    pub fn ip(&self, family: Family) -> IpAddr {
        match family {
            Family::V4 => self.v4.into(),
            Family::V6 => self.v6.into(),
        }
    }

    /// The name of its namespace, for programs that ask for one.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    pub fn at(&self, family: Family, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip(family), port)
    }

    /// A program that will run in this namespace. It becomes the started process itself, so signals reach it.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display())).arg("--").arg(program);
        command
    }

    /// Does something on a thread of its own inside this namespace. Sockets made there stay there.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let joined = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.move_this_thread_in()?;
                work()
            });
            thread.join()
        });
        joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// From here on the calling thread is in this namespace.
    pub fn move_this_thread_in(&self) -> Result<()> {
        let namespace = File::open(self.path())?;
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .with_context(|| format!("cannot enter network namespace {}", self.namespace))
    }

    /// Runs lines of `ip` commands in this namespace.
    pub fn ip_batch(&self, lines: &str) -> Result<()> {
        ip_batch(&["-n", &self.namespace], lines)
    }

    /// A cable between two hosts, with a link of its own at either end. Both are down.
    pub fn join(&self, link: &str, other: &Self, peer: &str) -> Result<()> {
        let (here, there) = (&self.namespace, &other.namespace);
        programs::run(
            "ip",
            &["link", "add", link, "netns", here, "type", "veth", "peer", "name", peer, "netns", there],
        )
    }

    /// Loads nftables rules, as somebody other than Knockgate.
    pub fn nft(&self, rules: &str) -> Result<()> {
        feed(self.command("nft").args(["-f", "-"]), rules)
    }

    /// The whole rule set of this host as nft prints it.
    pub fn nft_ruleset(&self) -> Result<String> {
        programs::output(self.command("nft").args(["list", "ruleset"]))
    }

    /// Sets values under `/proc/sys/net` of this namespace.
    pub fn sysctl(&self, values: &[(&str, &str)]) -> Result<()> {
        self.inside(|| {
            for (name, value) in values {
                let file = Path::new("/proc/sys/net").join(name);
                std::fs::write(&file, value).with_context(|| format!("cannot set {}", file.display()))?;
            }
            Ok(())
        })
    }

    fn links_with_local_address(&self) -> Result<usize> {
        // Not /proc/net: that is the namespace of the process's first thread.
        let table = self.inside(|| Ok(std::fs::read_to_string("/proc/thread-self/net/if_inet6")?))?;
        Ok(table.lines().filter(|address| address.starts_with("fe80")).count())
    }

    /// The file that stands for this namespace.
    pub(crate) fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.namespace)
    }

    fn add(lab: u32, name: &str, v4: Ipv4Addr, v6: Ipv6Addr) -> Result<Self> {
        let namespace = format!("kg{lab}-{name}");
        programs::run("ip", &["netns", "add", &namespace])?;
        let host = Self { namespace, v4, v6 };
        // Addresses work from the first moment, not after a second of looking for duplicates.
        host.sysctl(&[("ipv6/conf/all/accept_dad", "0"), ("ipv6/conf/default/accept_dad", "0")])?;
        host.ip_batch("link set lo up")?;
        Ok(host)
    }
}

/// One test's network and folder. Everything in it goes away with it.
pub struct Lab {
    number: u32,
    folder: PathBuf,
    /// Whom clients ask. In the lab of a gateway, the box that QEMU runs in: the addresses are the gateway's, no link of the
    /// box has them.
    pub gate: Host,
    pub client: Host,
    /// A second honest client, elsewhere.
    pub visitor: Host,
    /// Nobody that the gate knows.
    pub stranger: Host,
    /// A machine behind the gate, reachable only through it.
    pub inner: Host,
    /// The router.
    pub net: Host,
    logs: Mutex<Vec<(String, Log)>>,
}

static NEXT_LAB: AtomicU32 = AtomicU32::new(1);

impl Lab {
    /// With a server as the gate: 10.77.1.2 outside, and the inner host in a network of its own.
    pub fn build() -> Result<Self> {
        let lab = Self::hosts(Ipv4Addr::new(10, 78, 0, 2), Ipv6Addr::new(0xfd78, 0, 0, 0, 0, 0, 0, 2))?;
        lab.connect_to_net(1, &lab.gate)?;
        lab.connect_inner_to_gate()?;
        allow_forwarding(&lab.gate)?;
        lab.wait_for_links(2)?;
        Ok(lab)
    }

    /// With a box for a gateway: the inner host is a machine of the gate's subnet that knows nothing of any gateway, and what
    /// joins it to the router is whatever QEMU runs between the box's two ports.
    pub fn build_for_gateway() -> Result<Self> {
        let lab = Self::hosts(Ipv4Addr::new(10, 77, 1, 10), Ipv6Addr::new(0xfd77, 1, 0, 0, 0, 0, 0, 0x10))?;
        gateway_box::connect(&lab.net, &lab.gate, &lab.inner)?;
        lab.wait_for_links(0)?;
        Ok(lab)
    }

    fn hosts(inner_v4: Ipv4Addr, inner_v6: Ipv6Addr) -> Result<Self> {
        let number = NEXT_LAB.fetch_add(1, Ordering::Relaxed);
        let net = Host::add(number, "net", Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED)?;
        let lab = Self {
            number,
            folder: new_folder(number)?,
            gate: outer_host(number, "gate", 1)?,
            client: outer_host(number, "client", 2)?,
            visitor: outer_host(number, "visitor", 3)?,
            stranger: outer_host(number, "stranger", 4)?,
            inner: Host::add(number, "inner", inner_v4, inner_v6)?,
            net,
            logs: Mutex::default(),
        };
        for (subnet, host) in [(2, &lab.client), (3, &lab.visitor), (4, &lab.stranger)] {
            lab.connect_to_net(subnet, host)?;
        }
        allow_forwarding(&lab.net)?;
        Ok(lab)
    }

    /// A path in this lab's own folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where the gate looks for its system bus. There is none unless a test starts one.
    pub fn bus_address(&self) -> String {
        format!("unix:path={}", self.path("bus").display())
    }

    /// A new log that a failing test will show.
    pub fn log(&self, name: &str) -> Log {
        let log = Log::default();
        self.logs.lock().unwrap_or_else(PoisonError::into_inner).push((name.to_owned(), log.clone()));
        log
    }

    /// Everything logged in this lab, for the report of a failing test.
    pub fn all_logs(&self) -> String {
        let logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.iter().map(|(name, log)| format!("--- log of {name}\n{}", log.text())).collect()
    }

    /// Each host has a subnet of its own, for a lockout covers a whole IPv6 /64.
    fn connect_to_net(&self, subnet: u8, host: &Host) -> Result<()> {
        let link = format!("to{subnet}");
        self.net.join(&link, host, "eth0")?;
        self.net.ip_batch(&format!(
            "addr add 10.77.{subnet}.1/24 dev {link}\n\
             addr add fd77:{subnet}::1/64 dev {link}\n\
             link set {link} up"
        ))?;
        host.ip_batch(&format!(
            "addr add {}/24 dev eth0\n\
             addr add {}/64 dev eth0\n\
             link set eth0 up\n\
             route add default via 10.77.{subnet}.1\n\
             route add ::/0 via fd77:{subnet}::1",
            host.v4, host.v6
        ))
    }

    /// A new link hears IPv6 neighbours only from the moment it gives itself a link-local address, within a second.
    fn wait_for_links(&self, of_the_gate: usize) -> Result<()> {
        let hosts = [
            (&self.net, 4),
            (&self.gate, of_the_gate),
            (&self.client, 1),
            (&self.visitor, 1),
            (&self.stranger, 1),
        ];
        for (host, links) in hosts.into_iter().chain([(&self.inner, 1)]) {
            let what = format!("{links} links of {} are ready for IPv6", host.namespace);
            waiting::until_true(&what, LINKS_READY, || {
                host.links_with_local_address().is_ok_and(|n| n == links)
            })?;
        }
        Ok(())
    }

    fn connect_inner_to_gate(&self) -> Result<()> {
        self.gate.join("eth1", &self.inner, "eth0")?;
        self.gate
            .ip_batch("addr add 10.78.0.1/24 dev eth1\naddr add fd78::1/64 dev eth1\nlink set eth1 up")?;
        self.inner.ip_batch(
            "addr add 10.78.0.2/24 dev eth0\naddr add fd78::2/64 dev eth0\nlink set eth0 up\n\
             route add default via 10.78.0.1\nroute add ::/0 via fd78::1",
        )
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for host in [&self.gate, &self.client, &self.visitor, &self.stranger, &self.inner, &self.net] {
            // What cannot be removed now goes with the sandbox.
            let _ = programs::run("ip", &["netns", "delete", &host.namespace]);
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl std::fmt::Debug for Lab {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lab {}", self.number)
    }
}

/// In the sandbox's own `/run`, so that it cannot outlive the sandbox.
fn new_folder(lab: u32) -> Result<PathBuf> {
    let folder = PathBuf::from(format!("/run/lab{lab}"));
    std::fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

fn outer_host(lab: u32, name: &str, subnet: u8) -> Result<Host> {
    let v6 = Ipv6Addr::new(0xfd77, subnet.into(), 0, 0, 0, 0, 0, 2);
    Host::add(lab, name, Ipv4Addr::new(10, 77, subnet, 2), v6)
}

fn allow_forwarding(host: &Host) -> Result<()> {
    host.sysctl(&[("ipv4/ip_forward", "1"), ("ipv6/conf/all/forwarding", "1")])
}

fn ip_batch(options: &[&str], lines: &str) -> Result<()> {
    feed(Command::new("ip").args(options).args(["-batch", "-"]), lines)
}

/// Runs a program with text on its standard input.
fn feed(command: &mut Command, text: &str) -> Result<()> {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes())?;
        stdin.write_all(b"\n")?;
    }
    let done = child.wait_with_output()?;
    if !done.status.success() {
        bail!("{command:?} refused:\n{text}\n{}", String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(())
}
