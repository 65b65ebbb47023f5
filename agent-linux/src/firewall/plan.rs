//! What the firewall shall guard, as data. Nothing here knows nftables.

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Ports of one service: the rules of a grant go to the kernel in one message that must stay small.
pub const MAX_PORTS: usize = 16;
/// The longest prefixes; a grant for one of these is a grant for an address.
const ADDRESS_BITS: (u8, u8) = (32, 128);
/// `IFNAMSIZ` without its closing zero.
const MAX_INTERFACE_NAME: usize = 15;

/// Everything the rule set says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Interfaces that are guarded; a name may end in `*`. Empty: all but loopback.
    pub interfaces: Vec<String>,
    pub services: Vec<Service>,
    /// The ports of the sequences in force and those around them. Empty: no sequence knocks.
    pub decoys: Vec<u16>,
    pub mode: Mode,
    pub packets: Packets,
}

/// How decoys answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Connections to decoys are taken by one listener of ours on TCP port `listener`.
    Connect { listener: u16, access: Access },
    /// Probes of holders are dropped silently and reported to NFLOG group `group`; strangers meet the bare host.
    Closed { group: u16 },
}

/// For whom the decoys answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// For an address that is being watched, see [`Firewall::watch`](super::Firewall::watch).
    Holder,
    Always,
}

/// What becomes of packet knocks: UDP datagrams of one size, of which the guard looks at nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packets {
    /// There are none.
    Off,
    /// On these ports they are dropped and reported to NFLOG group `group`, and everything else is dropped: nobody gets
    /// an answer, and nothing listens.
    Watched { ports: Vec<PortRange>, group: u16 },
    /// On every UDP port that no service guards. Those that belong to no flow are dropped and reported; all other
    /// datagrams meet the bare host. To be heard twice, a client that was answered has to use another port. What it costs:
    /// an unguarded service that never answers, such as syslog, loses its datagrams of just that size.
    WatchedAnywhere { group: u16 },
    /// A socket of ours takes them on these ports; the guard leaves them alone.
    Bound { ports: Vec<PortRange> },
}

/// Ports from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    pub v4: Option<(Ipv4Addr, u16)>,
    pub v6: Option<(Ipv6Addr, u16)>,
    pub return_path: ReturnPath,
}

/// How the inner host's answers find their way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReturnPath {
    /// Its route to the client leads through this host.
    Routed,
    /// It sees this host as the client.
    Masquerade,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
    #[error("probes and packet knocks cannot share NFLOG group {0}; give each its own")]
    GroupTwice(u16),
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
        self.check_packets()
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
        let (ports, group) = match &self.packets {
            Packets::Off => return Ok(()),
            Packets::Watched { ports, group } => (ports.as_slice(), Some(*group)),
            Packets::WatchedAnywhere { group } => return self.check_group(*group),
            Packets::Bound { ports } => (ports.as_slice(), None),
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
        group.map_or(Ok(()), |group| self.check_group(group))
    }

    fn check_group(&self, packets: u16) -> Result<(), PlanError> {
        match self.mode {
            Mode::Closed { group } if group == packets => Err(PlanError::GroupTwice(group)),
            Mode::Closed { .. } | Mode::Connect { .. } => Ok(()),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let ssh = Service {
            id: 1,
            name: "ssh".into(),
            protocol: Protocol::Tcp,
            ports: vec![22],
            forward: None,
            prefix: None,
        };
        Plan {
            interfaces: vec![],
            services: vec![ssh],
            decoys: vec![10_001],
            mode: Mode::Connect { listener: 40_000, access: Access::Holder },
            packets: Packets::Off,
        }
    }

    #[test]
    fn a_plain_plan_passes() {
        assert_eq!(plan().check(), Ok(()));
    }

    #[test]
    fn interface_names_that_could_leave_their_quotes_are_refused() {
        for name in ["", "*", "a\"b", "a b", "a/b", "sixteen-letters-", "eth*0", "a\\", "ä", "a\n", "lo"] {
            assert!(Plan { interfaces: vec![name.into()], ..plan() }.check().is_err(), "{name:?}");
        }
        for name in ["eth0", "wg*", "br-0a1b2c3d4e5f", "eth0.100", "lan@x"] {
            assert!(Plan { interfaces: vec![name.into()], ..plan() }.check().is_ok(), "{name:?}");
        }
    }

    #[test]
    fn every_port_has_one_owner() {
        let mut twice = plan();
        twice.services.push(Service { id: 2, ..twice.services[0].clone() });
        assert_eq!(twice.check(), Err(PlanError::PortTwice("ssh".into(), Protocol::Tcp, 22)));
        assert_eq!(Plan { decoys: vec![22], ..plan() }.check(), Err(PlanError::DecoyInUse(22)));
        assert_eq!(Plan { decoys: vec![40_000], ..plan() }.check(), Err(PlanError::DecoyInUse(40_000)));
        assert_eq!(Plan { decoys: vec![0], ..plan() }.check(), Err(PlanError::DecoyZero));
    }

    #[test]
    fn a_forwarded_service_has_one_port_and_a_target() {
        let forward = |v4| Some(Forward { v4, v6: None, return_path: ReturnPath::Routed });
        let inner = Some((Ipv4Addr::new(10, 0, 0, 5), 22));
        let with = |ports: Vec<u16>, forward| {
            let mut plan = plan();
            plan.services[0] = Service { ports, forward, ..plan.services[0].clone() };
            plan.check()
        };
        assert_eq!(with(vec![22], forward(inner)), Ok(()));
        assert!(with(vec![22, 23], forward(inner)).is_err());
        assert!(with(vec![22], forward(None)).is_err());
        assert!(with(vec![22], forward(Some((Ipv4Addr::new(10, 0, 0, 5), 0)))).is_err());
        for nowhere in [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED, Ipv4Addr::new(224, 0, 0, 1)] {
            assert!(with(vec![22], forward(Some((nowhere, 22)))).is_err(), "{nowhere}");
        }
    }

    #[test]
    fn port_counts_stay_in_their_limits() {
        for (number, ports) in [vec![], vec![0], (1..=17).collect()].into_iter().enumerate() {
            let mut plan = plan();
            plan.services[0].ports = ports;
            assert!(plan.check().is_err(), "{}", number + 1);
        }
    }

    #[test]
    fn packet_knocks_have_ports_of_their_own() {
        let on = |first, last| vec![PortRange { first, last }];
        let media = Service { protocol: Protocol::Udp, ports: vec![5004], ..plan().services[0].clone() };
        let plan = Plan { services: vec![media], mode: Mode::Closed { group: 1 }, ..plan() };
        let guarded = |port| Err(PlanError::PacketPortGuarded("ssh".into(), port));
        let cases = [
            (on(62_201, 62_201), 2, Ok(())),                                    // 1
            (on(1, 65_535), 2, guarded(5004)),                                  // 2
            (on(5000, 5004), 2, guarded(5004)),                                 // 3
            (on(5005, 5005), 2, Ok(())),                                        // 4
            (vec![], 2, Err(PlanError::NoPacketPorts)),                         // 5
            (on(0, 9), 2, Err(PlanError::PacketPorts(on(0, 9)[0]))),            // 6
            (on(9, 8), 2, Err(PlanError::PacketPorts(on(9, 8)[0]))),            // 7
            (on(10_000, 10_002), 2, Err(PlanError::PacketPortIsDecoy(10_001))), // 8
            (on(9, 9), 1, Err(PlanError::GroupTwice(1))),                       // 9
        ];
        for (number, (ports, group, expected)) in cases.into_iter().enumerate() {
            let bound = Plan { packets: Packets::Bound { ports: ports.clone() }, ..plan.clone() };
            let watched = Plan { packets: Packets::Watched { ports, group }, ..plan.clone() };
            assert_eq!(watched.check(), expected, "{}", number + 1);
            let no_group = matches!(expected, Err(PlanError::GroupTwice(_)));
            assert_eq!(bound.check(), if no_group { Ok(()) } else { expected }, "{}", number + 1);
        }
        for (group, fine) in [(1, false), (2, true)] {
            let anywhere = Plan { packets: Packets::WatchedAnywhere { group }, ..plan.clone() };
            assert_eq!(anywhere.check().is_ok(), fine, "{group}");
        }
    }

    #[test]
    fn prefixes_are_neither_everybody_nor_longer_than_an_address() {
        let with = |v4, v6| {
            let mut plan = plan();
            plan.services[0].prefix = Some(Prefixes { v4, v6 });
            plan.check()
        };
        for (v4, v6) in [(Some(1), Some(1)), (Some(32), Some(128)), (None, Some(64)), (None, None)] {
            assert_eq!(with(v4, v6), Ok(()), "{v4:?} {v6:?}");
        }
        for (v4, v6) in [(Some(0), None), (Some(33), None), (None, Some(0)), (Some(24), Some(129))] {
            assert!(with(v4, v6).is_err(), "{v4:?} {v6:?}");
        }
    }
}
