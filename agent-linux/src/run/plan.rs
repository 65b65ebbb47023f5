//! The configuration in the firewall's words.

use std::ops::RangeInclusive;

use knockgate_core::book::Decoys;
use knockgate_core::message;
use knockgate_core::profile::Protocol;

use crate::capture::watch::{Groups, Means, Wanted, WantedPackets};
use crate::config::{Config, DecoyAudience, PacketMode, PacketPorts, Service};
use crate::firewall::{
    self, Access, FirewallError, Forward, Mode, Packets, Plan, PortRange, Prefixes, Report, ReturnPath,
    Statics, forwarding,
};
use crate::state::{StateDir, last_guard};

use super::statics;

/// What shall be guarded. `listener` is the port behind the decoys, which only connect mode has; by `means` packets are heard.
pub(super) fn of(config: &Config, decoys: &Decoys, listener: u16, means: &Means) -> Plan {
    Plan {
        interfaces: config.gate.interfaces.clone(),
        services: config.services.iter().map(service).collect(),
        decoys: decoys.ports().to_vec(),
        mode: match config.sequence.mode {
            message::Mode::Connect => Mode::Connect { listener, access: access(config.sequence.decoys) },
            message::Mode::Closed => Mode::Closed { report: means.probes() },
        },
        packets: packets(config, means.packets()),
        statics: Statics { ports: statics::watched(config, decoys), report: means.statics() },
    }
}

/// What shall be heard without a socket that is bound to a port.
pub(super) fn wanted(config: &Config, decoys: &Decoys) -> Wanted {
    Wanted {
        interfaces: config.gate.interfaces.clone(),
        packets: match (config.packet.mode, &config.packet.ports) {
            (PacketMode::Off | PacketMode::Socket, _) => WantedPackets::None,
            (PacketMode::Watch, PacketPorts::Any) => WantedPackets::Anywhere { except: except(config) },
            (PacketMode::Watch, PacketPorts::Listed(ranges)) => WantedPackets::Ports(ranges.clone()),
        },
        probes: match config.sequence.mode {
            message::Mode::Connect => Vec::new(),
            message::Mode::Closed => decoys.ports().to_vec(),
        },
        statics: statics::watched(config, decoys),
        via: config.capture.via,
        groups: Groups::First,
    }
}

/// Guarded UDP ports: what comes there is for the service.
fn except(config: &Config) -> Vec<u16> {
    let udp = config.services.iter().filter(|service| service.protocol == Protocol::Udp);
    udp.flat_map(|service| service.ports.iter().copied()).collect()
}

fn packets(config: &Config, report: Report) -> Packets {
    let ports = |ranges: &[RangeInclusive<u16>]| {
        ranges.iter().map(|range| PortRange { first: *range.start(), last: *range.end() }).collect()
    };
    match (config.packet.mode, &config.packet.ports) {
        (PacketMode::Off, _) => Packets::Off,
        (PacketMode::Watch, PacketPorts::Any) => Packets::WatchedAnywhere { report },
        (PacketMode::Watch, PacketPorts::Listed(ranges)) => Packets::Watched { ports: ports(ranges), report },
        (PacketMode::Socket, _) => Packets::Bound { ports: ports(config.packet.listed()) },
    }
}

/// The guard alone: everything is shut, and nobody can change that by knocking.
pub fn bare_plan(config: &Config) -> Plan {
    let shut = |known: &Service| firewall::Service { forward: None, ..service(known) };
    Plan {
        interfaces: config.gate.interfaces.clone(),
        services: config.services.iter().map(shut).collect(),
        decoys: Vec::new(),
        mode: Mode::Closed { report: Report::Unneeded },
        // An agent that is not there yet must not be missed: the ports of packet knocks stay as silent as they will be.
        packets: packets(config, Report::Unneeded),
        statics: Statics::none(),
    }
}

/// Keeps that for a start of the machine at which the configuration cannot be read. Without it the gate is as good today.
pub(super) fn keep(dir: &StateDir, config: &Config) {
    if let Err(error) = last_guard::keep(dir, &bare_plan(config)) {
        tracing::warn!(
            "should the configuration be broken at the next boot, nothing will be guarded: {error}"
        );
    }
}

pub(super) fn protocol(protocol: Protocol) -> firewall::Protocol {
    match protocol {
        Protocol::Tcp => firewall::Protocol::Tcp,
        Protocol::Udp => firewall::Protocol::Udp,
    }
}

/// Whether the kernel forwards what the configuration wants forwarded.
///
/// # Errors
/// If it does not; the start would fail.
pub fn check_forwarding(config: &Config) -> Result<(), FirewallError> {
    forwarding::check(&config.services.iter().map(service).collect::<Vec<_>>())
}

/// What the start cannot know about it, a line each.
pub(super) fn unknown_forwarding(config: &Config) -> Vec<String> {
    forwarding::unknown(&config.services.iter().map(service).collect::<Vec<_>>())
}

fn access(audience: DecoyAudience) -> Access {
    match audience {
        DecoyAudience::Holder => Access::Holder,
        DecoyAudience::Always => Access::Always,
    }
}

fn service(service: &Service) -> firewall::Service {
    firewall::Service {
        id: service.id,
        name: service.name.to_string(),
        protocol: protocol(service.protocol),
        ports: service.ports.clone(),
        forward: forward(service),
        prefix: prefix(service),
    }
}

fn prefix(service: &Service) -> Option<Prefixes> {
    let (v4, v6) = (service.prefix_v4, service.prefix_v6);
    (v4.is_some() || v6.is_some()).then_some(Prefixes { v4, v6 })
}

fn forward(service: &Service) -> Option<Forward> {
    let v4 = service.forward_v4.map(|inner| (*inner.ip(), inner.port()));
    let v6 = service.forward_v6.map(|inner| (*inner.ip(), inner.port()));
    let return_path = if service.masquerade { ReturnPath::Masquerade } else { ReturnPath::Routed };
    (v4.is_some() || v6.is_some()).then_some(Forward { v4, v6, return_path })
}
