//! The configuration in the firewall's words.

use knockgate_core::book::Decoys;
use knockgate_core::message;
use knockgate_core::profile::Protocol;

use crate::config::{Config, DecoyAudience, Service};
use crate::firewall::{self, Access, FirewallError, Forward, Mode, Plan, ReturnPath, forwarding};

/// NFLOG group of the probes of closed mode. Any number will do that nobody else on the host uses; this is "KG".
pub(super) const NFLOG_GROUP: u16 = 0x4b47;

/// What shall be guarded. `listener` is the port behind the decoys, which only connect mode has.
pub(super) fn of(config: &Config, decoys: &Decoys, listener: u16) -> Plan {
    Plan {
        interfaces: config.gate.interfaces.clone(),
        services: config.services.iter().map(service).collect(),
        decoys: decoys.ports().to_vec(),
        mode: match config.sequence.mode {
            message::Mode::Connect => Mode::Connect { listener, access: access(config.sequence.decoys) },
            message::Mode::Closed => Mode::Closed { group: NFLOG_GROUP },
        },
    }
}

/// The guard alone: everything is shut, and nobody can change that by knocking.
pub fn bare_plan(config: &Config) -> Plan {
    let shut = |known: &Service| firewall::Service { forward: None, ..service(known) };
    Plan {
        interfaces: config.gate.interfaces.clone(),
        services: config.services.iter().map(shut).collect(),
        decoys: Vec::new(),
        mode: Mode::Closed { group: NFLOG_GROUP },
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
    }
}

fn forward(service: &Service) -> Option<Forward> {
    let v4 = service.forward_v4.map(|inner| (*inner.ip(), inner.port()));
    let v6 = service.forward_v6.map(|inner| (*inner.ip(), inner.port()));
    let return_path = if service.masquerade { ReturnPath::Masquerade } else { ReturnPath::Routed };
    (v4.is_some() || v6.is_some()).then_some(Forward { v4, v6, return_path })
}
