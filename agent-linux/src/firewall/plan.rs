//! What the firewall shall guard, as data. Nothing here knows nftables.

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Ports of one service: the rules of a grant go to the kernel in one message that must stay small.
pub const MAX_PORTS: usize = 16;
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

/// A guarded service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub id: u16,
    pub name: String,
    pub protocol: Protocol,
    pub ports: Vec<u16>,
    pub forward: Option<Forward>,
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
        self.check_decoys(&guarded)
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
        let ssh =
            Service { id: 1, name: "ssh".into(), protocol: Protocol::Tcp, ports: vec![22], forward: None };
        Plan {
            interfaces: vec![],
            services: vec![ssh],
            decoys: vec![10_001],
            mode: Mode::Connect { listener: 40_000, access: Access::Holder },
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
}
