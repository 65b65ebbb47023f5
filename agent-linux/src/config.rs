//! The agent's configuration: one TOML file, checked whole before any of it is used.
//!
//! A [`Config`] that exists is valid: every figure is within its limits, every name that is referred to is defined, and
//! nothing contradicts anything else. All problems of a file are reported at once, each as `FILE:LINE: what; remedy`.
//! What lies outside the file (keys, roster, policy modules) is checked by `knockgated check`.

mod acts;
mod audit;
mod capture;
mod changes;
mod check;
mod control;
mod document;
mod engine;
mod error;
mod for_core;
mod gateway;
mod guard;
mod metrics;
mod module;
mod packet;
mod policy;
mod process;
mod read;
mod service;
mod static_sequence;
#[cfg(test)]
mod tests;
mod text;
pub(crate) mod value;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, SocketAddrV4, SocketAddrV6};
use std::ops::RangeInclusive;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;
use knockgate_core::Name;
use knockgate_core::book::{Order, Shape};
use knockgate_core::limits::MAX_ADDRESS;
use knockgate_core::message::Mode;
use knockgate_core::profile::{PortRange, Protocol};
use knockgate_core::static_sequence::Step;
use knockgate_policy_abi::Capabilities;

pub use crate::audit::Rotation;
pub use crate::capture::watch::Via;
pub use acts::{Channel, Destination, Unit, Webhook, WebhookUrl};
pub use capture::Capture;
pub use changes::{Change, changes};
pub use control::Control;
pub(crate) use control::DEFAULT_DIRECTORY;
pub use error::{ConfigError, Problem};
pub use gateway::Gateway;
pub use guard::{Guard, OnChange};
use knockgate_policy_host::builtin::BuiltIn;
use knockgate_policy_host::signature::PublicKey;
use knockgate_policy_host::{Execution, Parameter, Wasi};
pub use metrics::Metrics;
pub use process::Separation;
pub use text::Text;

/// Where the configuration is unless somebody says otherwise.
pub const DEFAULT_PATH: &str = "/etc/knockgate/agent.toml";

/// With more, a lease would reach beyond a client's jump after silence, and a crash of the gate would keep clients out.
pub const LONGEST_LEASE: Duration = Duration::from_secs(60);

/// A file that says what is opened must not be for everybody to write.
pub(crate) const EVERYBODY_WRITES: u32 = 0o002;

/// The whole configuration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The file that it was read from.
    pub path: PathBuf,
    /// What stands there.
    pub text: Text,
    pub gate: Gate,
    /// There if the file is for a firmware in front of machines, and not for this host.
    pub gateway: Option<Gateway>,
    pub guard: Guard,
    pub audit: AuditLog,
    pub packet: Packet,
    pub capture: Capture,
    pub control: Control,
    pub metrics: Metrics,
    /// There if the agent is two processes: a worker, confined like this, and a broker.
    pub separation: Option<Separation>,
    /// The TCP central port, if there shall be one. Without it, clients knock with packets; one of the two there is.
    pub central: Option<Central>,
    pub sequence: Sequence,
    pub lockout: Lockout,
    /// In the order of their numbers. Never empty.
    pub services: Vec<Service>,
    pub statics: Statics,
    pub policy: Policy,
    /// What policies can start, in the order of their numbers.
    pub units: Vec<Unit>,
    /// Whom policies can notify, in the order of their numbers.
    pub channels: Vec<Channel>,
}

/// `[gate]`
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Gate {
    /// What clients dial: a host name or an address.
    pub address: heapless::String<MAX_ADDRESS>,
    /// Identity, roster and replay state.
    pub state_dir: PathBuf,
    /// Of every server, and of no gateway.
    pub audit_log: Option<PathBuf>,
    /// The interfaces that are guarded; empty means every one but loopback.
    pub interfaces: Vec<String>,
}

/// `[audit]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditLog {
    pub on_failure: OnFailure,
    pub rotation: Rotation,
}

/// What happens while the audit log cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// The gate goes on, and what is lost is counted.
    Count,
    /// Nothing opens.
    Refuse,
}

/// `[packet]`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packet {
    pub mode: PacketMode,
    pub ports: PacketPorts,
    /// Knocks that were made earlier than this are refused.
    pub max_age: Option<Duration>,
    /// How long a counter may count as admitted by memory alone; zero if each waits for the disk.
    pub lease: Duration,
}

/// How packet knocks come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketMode {
    /// The guard takes them out of the stream; no port is open.
    Watch,
    /// Through bound sockets.
    Socket,
    /// Not at all.
    Off,
}

/// The UDP ports of packet knocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PacketPorts {
    /// At least one, none twice; the first goes into profiles.
    Listed(Vec<RangeInclusive<u16>>),
    /// Whatever has no established flow. Only with [`PacketMode::Watch`].
    Any,
}

impl Default for PacketPorts {
    fn default() -> Self {
        Self::Listed(vec![packet::DEFAULT_PORT..=packet::DEFAULT_PORT])
    }
}

impl Packet {
    /// What profiles say. Of all ports, those that no network keeps for itself.
    pub fn profile_ports(&self) -> Option<PortRange> {
        let first = match (self.mode, &self.ports) {
            (PacketMode::Off, _) => None,
            (PacketMode::Watch | PacketMode::Socket, PacketPorts::Listed(ranges)) => ranges.first().cloned(),
            (PacketMode::Watch | PacketMode::Socket, PacketPorts::Any) => Some(packet::ANY_IN_PROFILES),
        };
        first.map(|range| PortRange { first: *range.start(), last: *range.end() })
    }

    /// Whether `port` is listed as one for packet knocks alone.
    pub fn hears(&self, port: u16) -> bool {
        self.listed().iter().any(|range| range.contains(&port))
    }

    /// The ports that are for packet knocks alone.
    pub fn listed(&self) -> &[RangeInclusive<u16>] {
        match (self.mode, &self.ports) {
            (PacketMode::Watch | PacketMode::Socket, PacketPorts::Listed(ranges)) => ranges,
            (PacketMode::Watch | PacketMode::Socket, PacketPorts::Any) | (PacketMode::Off, _) => &[],
        }
    }
}

/// `[central]`
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Central {
    /// TCP port of the secret handshake.
    pub port: u16,
}

/// `[sequence]`
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Sequence {
    pub mode: Mode,
    pub decoys: DecoyAudience,
    pub order: Order,
    /// The figures of books that are made from now on.
    pub shape: Shape,
    /// From the number to the last knock.
    pub hold: Duration,
    /// Wrong probes that [`Mode::Closed`] forgives; 0 in [`Mode::Connect`].
    pub strays: u8,
    /// TCP port behind the decoys of [`Mode::Connect`], for a host whose own firewall must let it in; else any free one.
    pub listener: Option<u16>,
}

/// To whom the decoys answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecoyAudience {
    /// Only to the holder of a number.
    Holder,
    /// To everybody, always.
    Always,
}

/// `[lockout]`
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Lockout {
    pub duration: Duration,
    pub scope: LockoutScope,
}

/// Who is ignored after a wrong knock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockoutScope {
    /// The source, and the client if it had proved who it is.
    Source,
    /// Everybody, as in the paper.
    Global,
}

/// `[service.NAME]`
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Service {
    pub id: u16,
    pub name: Name,
    pub protocol: Protocol,
    /// At least one; exactly one if the service is forwarded.
    pub ports: Vec<u16>,
    /// The machines behind a gateway that offer it; none of a server's services and of a gateway's console.
    pub hosts: Vec<IpAddr>,
    /// How long a grant lasts when the client does not say; whole seconds.
    pub open: Duration,
    /// The longest grant; whole seconds, never less than `open`.
    pub max_open: Duration,
    pub forward_v4: Option<SocketAddrV4>,
    pub forward_v6: Option<SocketAddrV6>,
    pub masquerade: bool,
    /// Opens only after the client has answered from its address.
    pub confirm: bool,
    /// Opens only with a one-time code.
    pub second_factor: bool,
    /// Stays open while a connection through it is established, up to `max_open`, and closes soon after the last one.
    pub follow: bool,
    /// The widest networks that a client may ask to open to, in bits.
    pub prefix_v4: Option<u8>,
    pub prefix_v6: Option<u8>,
}

/// `[[static-sequence]]`
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Statics {
    pub sequences: Vec<StaticSequence>,
    /// Ports that are watched beside those of the sequences, so that a scan is told from a knock. No step is one.
    pub traps: Vec<Step>,
}

/// One of them. Whoever knocks it opens a service.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StaticSequence {
    /// Nobody else is called so, no client either.
    pub name: Name,
    pub sequence: knockgate_core::static_sequence::StaticSequence,
    pub service: u16,
    /// How long the grant lasts, if not for the service's usual time; whole seconds.
    pub open: Option<Duration>,
    /// Where it is defined, for what is found wrong when the roster is there.
    pub(crate) line: usize,
}

/// `[policy]` and `[policy-module.*]`
///
/// A chain names policies in the order in which they are asked: modules below, or [`BUILT_IN`]. None is empty, and no name
/// stands in one twice.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Policy {
    /// How modules are run. A gateway always interprets.
    pub engine: Execution,
    /// For whoever and whatever has no chain of its own.
    pub chain: Vec<Name>,
    /// By the number of the service.
    pub services: BTreeMap<u16, Vec<Name>>,
    /// By the name of the client; goes before its service's.
    pub clients: BTreeMap<String, Vec<Name>>,
    /// Those that decide for comparison only.
    pub shadow: Vec<Name>,
    /// In which weekdays and minutes are meant; the host's if not given.
    pub time_zone: Option<TimeZone>,
    /// If there is one, every file must be signed by one of them.
    pub keys: Vec<PublicKey>,
    /// Every module that is defined, also one that is not in use.
    pub modules: Vec<PolicyModule>,
}

/// The policy that needs no definition: what the client may use is opened for the time that it asks for.
pub const BUILT_IN: &str = "default";

/// `[policy-module.NAME]`
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PolicyModule {
    pub name: Name,
    pub source: ModuleSource,
    /// Numbers of the services that it may open.
    pub services: Vec<u16>,
    pub capabilities: Capabilities,
    /// The longest grant that it may give, in seconds.
    pub max_seconds: u32,
    /// Numbers of the units that it may start.
    pub units: Vec<u16>,
    /// Numbers of the channels that it may send to.
    pub channels: Vec<u16>,
    pub wasi: Wasi,
    /// What it is told; whether it takes that is checked when it is loaded.
    pub parameters: Vec<Parameter>,
    /// Where it is defined, for what is found wrong when it is loaded.
    pub(crate) line: usize,
    /// Where `parameters` stands, likewise.
    pub(crate) parameters_line: usize,
}

/// Where a module comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModuleSource {
    File {
        path: PathBuf,
        /// The only content that is accepted, if pinned.
        sha256: Option<[u8; 32]>,
    },
    BuiltIn(&'static BuiltIn),
}

impl Policy {
    /// The module of that name; none for [`BUILT_IN`].
    pub fn module(&self, name: &Name) -> Option<&PolicyModule> {
        self.modules.iter().find(|module| module.name == *name)
    }

    /// Every chain, the general one first.
    pub fn chains(&self) -> impl Iterator<Item = &[Name]> {
        let own = self.services.values().chain(self.clients.values());
        std::iter::once(&self.chain).chain(own).map(Vec::as_slice)
    }

    /// Every policy of a chain and every shadow, each once.
    pub fn in_use(&self) -> Vec<&Name> {
        let mut names = Vec::new();
        for name in self.chains().flatten().chain(&self.shadow) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ConfigError`] lists everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |error| ConfigError::Unreadable { path: path.to_owned(), error };
        let mut file = File::open(path).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.mode();
        if mode & EVERYBODY_WRITES != 0 {
            return Err(ConfigError::Exposed { path: path.to_owned(), mode: mode & 0o7777 });
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(unreadable)?;
        Self::parse(path, &text)
    }

    /// Checks a text; `path` only names it in errors.
    ///
    /// # Errors
    /// [`ConfigError`] lists everything that is wrong with it.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        read::config(path, text).map_err(|problems| ConfigError::Wrong { path: path.to_owned(), problems })
    }

    /// The service of that name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name.as_str() == name)
    }

    /// The service of that number.
    pub fn service_by_id(&self, id: u16) -> Option<&Service> {
        self.services.iter().find(|service| service.id == id)
    }

    /// Whether a service is a gateway's console.
    pub fn is_console(&self, service: &Service) -> bool {
        let console = self.gateway.as_ref().and_then(|gateway| gateway.console);
        console.is_some_and(|console| console.service == service.id)
    }

    /// The audit log of a server.
    ///
    /// # Errors
    /// If the file is for a gateway.
    pub fn of_a_server(&self) -> Result<&Path, ConfigError> {
        self.gate.audit_log.as_deref().ok_or_else(|| ConfigError::NotAServer { path: self.path.clone() })
    }

    /// Every port that must not be a decoy: those of the services at the gate's own address, the central one, the one behind the decoys, those
    /// of packet knocks where decoys hear datagrams, too, and the steps of static sequences.
    pub fn taken_ports(&self) -> impl Iterator<Item = u16> {
        let here = self.services.iter().filter(|service| service.hosts.is_empty());
        let services = here.flat_map(|service| service.ports.iter().copied());
        let central = self.central.map(|central| central.port);
        let packets = match self.sequence.mode {
            Mode::Closed => self.packet.listed(),
            Mode::Connect => &[],
        };
        let steps = self.statics.sequences.iter().flat_map(|one| one.sequence.steps());
        let others =
            central.into_iter().chain(self.sequence.listener).chain(packets.iter().cloned().flatten());
        services.chain(others).chain(steps.map(|step| step.port))
    }

    /// What is allowed and yet should be thought over, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        check::warnings(self)
    }
}
