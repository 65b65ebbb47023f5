//! What a gateway is told when it is made: its own address, what it guards, and the core's configuration.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use heapless::Vec;
use knockgate_core::limits::{MAX_SERVICE_HOSTS, MAX_SERVICE_PORTS};
use knockgate_core::message::Mode;
use knockgate_core::profile::{PortRange, Protocol};
use knockgate_core::site::{Console, OuterAddress, PacketPorts};
use smoltcp::phy::{Device, Medium};
use smoltcp::wire::EthernetAddress;

use crate::filter::Target;

/// A service of hosts behind the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardedService {
    /// Names it in requests; the core's configuration has a service of the same number.
    pub id: u16,
    /// How it is reached.
    pub protocol: Protocol,
    /// Its ports.
    pub ports: Vec<u16, MAX_SERVICE_PORTS>,
    /// The hosts that offer it.
    pub hosts: Vec<IpAddr, MAX_SERVICE_HOSTS>,
}

impl GuardedService {
    pub(crate) fn is_at(&self, target: Target) -> bool {
        self.protocol == target.protocol
            && self.ports.contains(&target.port)
            && self.hosts.contains(&target.address)
    }
}

/// What a gateway is and how it behaves.
#[derive(Clone)]
pub struct Config {
    /// The core's part: keys, decoys, mode, times, services.
    pub gate: knockgate_core::Config,
    /// The hardware address of the outer port.
    pub hardware: EthernetAddress,
    /// The gateway's own IPv4 address, where it is knocked at.
    pub ipv4: Option<OuterAddress<Ipv4Addr>>,
    /// Its own IPv6 address. A link-local one is added to it.
    pub ipv6: Option<OuterAddress<Ipv6Addr>>,
    /// The TCP port of the secret handshake, if there is one.
    pub central_port: Option<u16>,
    /// Where packet knocks come in.
    pub packet_ports: PacketPorts,
    /// The console, if it can be spoken with from afar. Its port is open under a grant of its service alone.
    pub console: Option<Console>,
    /// What is guarded, beyond what the core must know of it.
    pub services: alloc::vec::Vec<GuardedService>,
}

/// Why a gateway cannot be made. It stays shut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// A port that does not carry Ethernet frames.
    NotEthernet,
    /// A hardware address that no single card has.
    Hardware,
    /// Neither an IPv4 nor an IPv6 address.
    NoAddress,
    /// An address that no single host has, or a prefix longer than an address.
    Address(IpAddr),
    /// The central port is 0 or one of the decoys.
    CentralPort(u16),
    /// The console's port is 0, one of the decoys or the central port.
    ConsolePort(u16),
    /// The console's service is not in the gate's list, or stands for something else.
    ConsoleService(u16),
    /// A range of ports for packet knocks that is empty or, in closed mode, holds a decoy.
    PacketPorts(PortRange),
    /// A service that only one of the two configurations knows, or that one of them knows twice.
    Service(u16),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotEthernet => f.write_str("both ports must carry Ethernet frames; use another driver"),
            Self::Hardware => {
                f.write_str("the outer port's hardware address is no unicast address; give it one")
            }
            Self::NoAddress => {
                f.write_str("the gateway has no address to knock at; give it an IPv4 or IPv6 one")
            }
            Self::Address(address) => {
                write!(
                    f,
                    "{address} cannot be the gateway's or its router's; give a unicast address and a prefix that fits it"
                )
            }
            Self::CentralPort(port) => {
                write!(f, "port {port} cannot be the central port; choose one that is not 0 and no decoy")
            }
            Self::ConsolePort(port) => {
                write!(
                    f,
                    "port {port} cannot be the console's; choose one that is not 0, no decoy and not the central port"
                )
            }
            Self::ConsoleService(id) => {
                write!(
                    f,
                    "service {id} cannot be the console; give it one that is in the gate's list and has no hosts"
                )
            }
            Self::PacketPorts(PortRange { first, last }) => {
                write!(
                    f,
                    "packet knocks cannot come in at ports {first} to {last}; choose ports that are no decoys"
                )
            }
            Self::Service(id) => write!(
                f,
                "service {id} must stand exactly once in the gate's list and once in the list of guarded services"
            ),
        }
    }
}

impl core::error::Error for ConfigError {}

impl Config {
    /// Whether a gateway with these ports can be made of it.
    pub(crate) fn check(&self, outer: &impl Device, inner: &impl Device) -> Result<(), ConfigError> {
        let ethernet = [outer.capabilities().medium, inner.capabilities().medium];
        if ethernet != [Medium::Ethernet, Medium::Ethernet] {
            return Err(ConfigError::NotEthernet);
        }
        self.check_itself()
    }

    /// Whether it makes sense, whatever the ports are.
    pub(crate) fn check_itself(&self) -> Result<(), ConfigError> {
        if !self.hardware.is_unicast() {
            return Err(ConfigError::Hardware);
        }
        self.check_addresses()?;
        let taken = |port: &u16| *port == 0 || self.gate.decoys.contains(*port);
        if let Some(port) = self.central_port.filter(taken) {
            return Err(ConfigError::CentralPort(port));
        }
        self.check_packet_ports()?;
        self.check_console()?;
        self.check_services()
    }

    /// In closed mode a datagram to a decoy is a probe.
    fn check_packet_ports(&self) -> Result<(), ConfigError> {
        let PacketPorts::Listed(ranges) = &self.packet_ports else { return Ok(()) };
        let holds_decoy = |range: &PortRange| {
            self.gate.decoys.ports().iter().any(|decoy| (range.first..=range.last).contains(decoy))
        };
        let odd =
            |range: &&PortRange| !range.is_valid() || (self.gate.mode == Mode::Closed && holds_decoy(range));
        ranges.iter().find(odd).map_or(Ok(()), |range| Err(ConfigError::PacketPorts(*range)))
    }

    fn check_console(&self) -> Result<(), ConfigError> {
        let Some(Console { service, port }) = self.console else { return Ok(()) };
        if port == 0 || self.gate.decoys.contains(port) || self.central_port == Some(port) {
            return Err(ConfigError::ConsolePort(port));
        }
        let has_hosts = |known: &GuardedService| known.id == service && !known.hosts.is_empty();
        let is_sole = self.gate.services.iter().filter(|known| known.id == service).count() == 1;
        if !is_sole || self.gate.console != Some(service) || self.services.iter().any(has_hosts) {
            return Err(ConfigError::ConsoleService(service));
        }
        Ok(())
    }

    /// What the filter guards: the services and, at the gateway's own addresses `own`, the console.
    pub(crate) fn guarded(&self, own: impl Iterator<Item = IpAddr>) -> alloc::vec::Vec<GuardedService> {
        let console = self.console.map(|Console { service, port }| GuardedService {
            id: service,
            protocol: Protocol::Tcp,
            ports: Vec::from_iter([port]),
            hosts: own.take(MAX_SERVICE_HOSTS).collect(),
        });
        let others = self.services.iter().filter(|service| !self.is_console(service.id)).cloned();
        // Exactly as long as it needs to be, and not what growing leaves.
        let mut guarded = alloc::vec::Vec::with_capacity(self.services.len() + 1);
        guarded.extend(others.chain(console));
        guarded
    }

    fn is_console(&self, service: u16) -> bool {
        self.console.is_some_and(|console| console.service == service)
    }

    fn check_addresses(&self) -> Result<(), ConfigError> {
        if self.ipv4.is_none() && self.ipv6.is_none() {
            return Err(ConfigError::NoAddress);
        }
        let v4 = self.ipv4.map(|v4| (v4.address.into(), v4.router.map(IpAddr::from), v4.prefix <= 32));
        let v6 = self.ipv6.map(|v6| (v6.address.into(), v6.router.map(IpAddr::from), v6.prefix <= 128));
        for (address, router, prefix_fits) in [v4, v6].into_iter().flatten() {
            if !prefix_fits {
                return Err(ConfigError::Address(address));
            }
            for address in [Some(address), router].into_iter().flatten() {
                is_unicast(address).then_some(()).ok_or(ConfigError::Address(address))?;
            }
        }
        Ok(())
    }

    fn check_services(&self) -> Result<(), ConfigError> {
        // The console is the gateway itself: whoever guards it need not be told.
        let of_gate = self.gate.services.iter().map(|service| service.id).filter(|&id| !self.is_console(id));
        let guarded = self.services.iter().map(|service| service.id).filter(|&id| !self.is_console(id));
        for id in of_gate.clone().chain(guarded.clone()) {
            let counts = (
                of_gate.clone().filter(|&other| other == id).count(),
                guarded.clone().filter(|&other| other == id).count(),
            );
            if counts != (1, 1) {
                return Err(ConfigError::Service(id));
            }
        }
        Ok(())
    }
}

fn is_unicast(address: IpAddr) -> bool {
    let broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    !address.is_unspecified() && !address.is_multicast() && !address.is_loopback() && !broadcast
}
