//! What the firewall shall guard, as data. Nothing here knows nftables.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// Ports of one service: the rules of a grant go to the kernel in one message that must stay small.
pub const MAX_PORTS: usize = 16;
/// The longest prefixes; a grant for one of these is a grant for an address.
const ADDRESS_BITS: (u8, u8) = (32, 128);
/// `IFNAMSIZ` without its closing zero.
const MAX_INTERFACE_NAME: usize = 15;

/// Everything the rule set says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Interfaces that are guarded; a name may end in `*`. Empty: all but loopback.
    pub interfaces: Vec<String>,
    pub services: Vec<Service>,
    /// The ports of the sequences in force and those around them. Empty: no sequence knocks.
    pub decoys: Vec<u16>,
    pub mode: Mode,
    pub packets: Packets,
    pub statics: Statics,
}

/// How the agent hears of what the rules take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// It hears the packets before the rules do.
    Unneeded,
    /// The rules report each to an NFLOG group.
    Nflog { group: u16 },
}

/// The steps of static sequences. Nothing is dropped on these ports: whoever comes there meets the bare host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statics {
    pub ports: Vec<(Protocol, u16)>,
    pub report: Report,
}

impl Statics {
    #[must_use]
    pub fn none() -> Self {
        Self { ports: Vec::new(), report: Report::Unneeded }
    }
}

/// How decoys answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Connections to decoys are taken by one listener of ours on TCP port `listener`.
    Connect { listener: u16, access: Access },
    /// Probes of holders are dropped silently; strangers meet the bare host.
    Closed { report: Report },
}

/// For whom the decoys answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// For an address that is being watched, see [`Firewall::watch`](super::Firewall::watch).
    Holder,
    Always,
}

/// What becomes of packet knocks: UDP datagrams of one size, of which the guard looks at nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Packets {
    /// There are none.
    Off,
    /// On these ports they are dropped, and so is everything else: nobody gets an answer, and nothing listens.
    Watched { ports: Vec<PortRange>, report: Report },
    /// On every UDP port that no service guards and no static sequence uses. Those that belong to no flow are dropped; all
    /// other datagrams meet the bare host. To be heard twice, a client that was answered has to use another port. What it
    /// costs: an unguarded service that never answers, such as syslog, loses its datagrams of just that size.
    WatchedAnywhere { report: Report },
    /// A socket of ours takes them on these ports; the guard leaves them alone.
    Bound { ports: Vec<PortRange> },
}

/// Ports from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortRange {
    pub first: u16,
    pub last: u16,
}

impl PortRange {
    #[must_use]
    pub fn one(port: u16) -> Self {
        Self { first: port, last: port }
    }

    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { self.first.fmt(f) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

/// A guarded service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    pub id: u16,
    pub name: String,
    pub protocol: Protocol,
    pub ports: Vec<u16>,
    pub forward: Option<Forward>,
    /// How far a grant may reach that is for more than one address. `None`: there are no such grants.
    pub prefix: Option<Prefixes>,
}

/// The length of the prefixes that a service can be opened to: one for each family, since the kernel looks a source up by
/// its leading bits and has to know how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prefixes {
    pub v4: Option<u8>,
    pub v6: Option<u8>,
}

impl Prefixes {
    /// In the family of an address.
    #[must_use]
    pub fn of(&self, address: &IpAddr) -> Option<u8> {
        if address.is_ipv4() { self.v4 } else { self.v6 }
    }
}

/// An inner host that granted connections are sent to; then the service has exactly one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    pub v4: Option<(Ipv4Addr, u16)>,
    pub v6: Option<(Ipv6Addr, u16)>,
    pub return_path: ReturnPath,
}

/// How the inner host's answers find their way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReturnPath {
    /// Its route to the client leads through this host.
    Routed,
    /// It sees this host as the client.
    Masquerade,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    /// The number in the IP header.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }

    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            6 => Some(Self::Tcp),
            17 => Some(Self::Udp),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// Why a plan cannot become a rule set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("interface \"{0}\" cannot exist; give the name that `ip link` shows, or a prefix and `*`")]
    Interface(String),
    #[error("loopback is never guarded; remove \"lo\" from the interfaces")]
    Loopback,
    #[error("service \"{0}\" has no usable name; use letters, digits, `-`, `_` and `.`, at most 64")]
    ServiceName(String),
    #[error("service \"{0}\" has {1} ports; give 1 to 16")]
    PortCount(String, usize),
    #[error("service \"{0}\" asks for port 0; ports are 1 to 65535")]
    PortZero(String),
    #[error("service \"{0}\" guards {1}/{2}, and so does another one; give every port to one service")]
    PortTwice(String, Protocol, u16),
    #[error(
        "service \"{0}\" forwards, so it needs exactly one port and one or two addresses of another host"
    )]
    Forward(String),
    #[error("two services have the id {0}; ids are unique")]
    ServiceId(u16),
    #[error("port {0} is a decoy and something else too; take it out of the port range of the decoys")]
    DecoyInUse(u16),
    #[error("port 0 cannot be a decoy; ports are 1 to 65535")]
    DecoyZero,
    #[error("the decoy listener needs a port; 0 is none")]
    ListenerZero,
    #[error("packet knocks have no port; give one, or switch them off")]
    NoPacketPorts,
    #[error(
        "packet knocks on port {0} cannot be; ports are 1 to 65535, and a range begins with the smaller one"
    )]
    PacketPorts(PortRange),
    #[error("service \"{0}\" guards udp/{1}, where packet knocks arrive; give one of them another port")]
    PacketPortGuarded(String, u16),
    #[error("port {0} is a decoy, and packet knocks arrive there; give them another port")]
    PacketPortIsDecoy(u16),
    #[error("two kinds of packets cannot share NFLOG group {0}; give each its own")]
    GroupTwice(u16),
    #[error("port 0 cannot be a step of a static sequence; ports are 1 to 65535")]
    StaticZero,
    #[error("udp/{0} is a step of a static sequence, and packet knocks arrive there; give them another port")]
    PacketPortIsStatic(u16),
    #[error("service \"{0}\" opens to prefixes of {1} bits; IPv4 has 1 to 32, IPv6 1 to 128")]
    PrefixBits(String, u8),
}

impl Plan {
    /// # Errors
    /// The first thing that cannot be turned into a rule set.
    pub fn check(&self) -> Result<(), PlanError> {
        self.interfaces.iter().try_for_each(|name| check_interface(name))?;
        let mut guarded = HashSet::new();
        let mut ids = HashSet::new();
        for service in &self.services {
            service.check()?;
            if !ids.insert(service.id) {
                return Err(PlanError::ServiceId(service.id));
            }
            for &port in &service.ports {
                if !guarded.insert((service.protocol, port)) {
                    return Err(PlanError::PortTwice(service.name.clone(), service.protocol, port));
                }
            }
        }
        self.check_decoys(&guarded)?;
        self.check_statics()?;
        self.check_packets()?;
        self.check_groups()
    }

    fn check_statics(&self) -> Result<(), PlanError> {
        match self.statics.ports.iter().any(|(_, port)| *port == 0) {
            true => Err(PlanError::StaticZero),
            false => Ok(()),
        }
    }

    /// A group has one reader, which reads one kind.
    fn check_groups(&self) -> Result<(), PlanError> {
        let probes = match self.mode {
            Mode::Closed { report } => report,
            Mode::Connect { .. } => Report::Unneeded,
        };
        let packets = match self.packets {
            Packets::Watched { report, .. } | Packets::WatchedAnywhere { report } => report,
            Packets::Off | Packets::Bound { .. } => Report::Unneeded,
        };
        let mut groups = HashSet::new();
        let mut reports = [probes, packets, self.statics.report].into_iter().filter_map(Report::group);
        match reports.find(|group| !groups.insert(*group)) {
            Some(group) => Err(PlanError::GroupTwice(group)),
            None => Ok(()),
        }
    }

    fn check_decoys(&self, guarded: &HashSet<(Protocol, u16)>) -> Result<(), PlanError> {
        let listener = match self.mode {
            Mode::Connect { listener: 0, .. } => return Err(PlanError::ListenerZero),
            Mode::Connect { listener, .. } => Some(listener),
            Mode::Closed { .. } => None,
        };
        for &decoy in &self.decoys {
            if decoy == 0 {
                return Err(PlanError::DecoyZero);
            }
            let in_use = [Protocol::Tcp, Protocol::Udp].iter().any(|&p| guarded.contains(&(p, decoy)));
            if in_use || listener == Some(decoy) {
                return Err(PlanError::DecoyInUse(decoy));
            }
        }
        Ok(())
    }

    fn check_packets(&self) -> Result<(), PlanError> {
        let ports = match &self.packets {
            Packets::Off | Packets::WatchedAnywhere { .. } => return Ok(()),
            Packets::Watched { ports, .. } | Packets::Bound { ports } => ports,
        };
        if ports.is_empty() {
            return Err(PlanError::NoPacketPorts);
        }
        if let Some(&odd) = ports.iter().find(|range| range.first == 0 || range.first > range.last) {
            return Err(PlanError::PacketPorts(odd));
        }
        let taken = |port: u16| ports.iter().any(|range| range.contains(port));
        for service in self.services.iter().filter(|service| service.protocol == Protocol::Udp) {
            if let Some(&port) = service.ports.iter().find(|&&port| taken(port)) {
                return Err(PlanError::PacketPortGuarded(service.name.clone(), port));
            }
        }
        // Decoys in connect mode are TCP alone.
        if let (Mode::Closed { .. }, Some(&decoy)) =
            (self.mode, self.decoys.iter().find(|&&decoy| taken(decoy)))
        {
            return Err(PlanError::PacketPortIsDecoy(decoy));
        }
        let mut datagrams = self.statics.ports.iter().filter(|(protocol, _)| *protocol == Protocol::Udp);
        match datagrams.find(|(_, port)| taken(*port)) {
            Some((_, port)) => Err(PlanError::PacketPortIsStatic(*port)),
            None => Ok(()),
        }
    }
}

impl Report {
    fn group(self) -> Option<u16> {
        match self {
            Self::Unneeded => None,
            Self::Nflog { group } => Some(group),
        }
    }
}

impl Service {
    fn check(&self) -> Result<(), PlanError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(fits) {
            return Err(PlanError::ServiceName(self.name.clone()));
        }
        if self.ports.is_empty() || self.ports.len() > MAX_PORTS {
            return Err(PlanError::PortCount(self.name.clone(), self.ports.len()));
        }
        if self.ports.contains(&0) {
            return Err(PlanError::PortZero(self.name.clone()));
        }
        self.check_prefixes()?;
        let Some(forward) = &self.forward else { return Ok(()) };
        let v4 = forward.v4.map(|(address, port)| (IpAddr::V4(address), port));
        let v6 = forward.v6.map(|(address, port)| (IpAddr::V6(address), port));
        let another_host =
            |address: IpAddr| !(address.is_loopback() || address.is_unspecified() || address.is_multicast());
        let targets = [v4, v6];
        let mut targets = targets.iter().flatten();
        let usable = targets.clone().next().is_some()
            && targets.all(|&(address, port)| another_host(address) && port != 0);
        if self.ports.len() == 1 && usable { Ok(()) } else { Err(PlanError::Forward(self.name.clone())) }
    }

    /// A prefix of no bits is everybody, and no knock opens to everybody.
    fn check_prefixes(&self) -> Result<(), PlanError> {
        let Some(Prefixes { v4, v6 }) = self.prefix else { return Ok(()) };
        let odd = |bits: Option<u8>, most: u8| bits.filter(|bits| !(1..=most).contains(bits));
        match odd(v4, ADDRESS_BITS.0).or(odd(v6, ADDRESS_BITS.1)) {
            Some(bits) => Err(PlanError::PrefixBits(self.name.clone(), bits)),
            None => Ok(()),
        }
    }
}

/// Names go into the rule set between quotes: nothing that could end the quotes may be in them.
fn check_interface(name: &str) -> Result<(), PlanError> {
    if name == "lo" {
        return Err(PlanError::Loopback);
    }
    let stem = name.strip_suffix('*').unwrap_or(name);
    let fits = |c: char| c.is_ascii_graphic() && !"\"*/\\:".contains(c);
    if stem.is_empty() || stem.len() > MAX_INTERFACE_NAME || !stem.chars().all(fits) {
        return Err(PlanError::Interface(name.to_owned()));
    }
    Ok(())
}
