//! What must fit together: services among each other, services and the ports of knocks; and what is worth a warning.

use std::path::Path;

use knockgate_core::book::Order;
use knockgate_core::message::Mode;
use knockgate_core::profile::Protocol;

use super::acts;
use super::document::Section;
use super::read::too_many;
use super::service::ServiceDraft;
use super::{Central, Config, DecoyAudience, LockoutScope, Packet};

/// The network interfaces of the namespace that the reader is in, two lines of headings first.
const INTERFACES: &str = "/proc/thread-self/net/dev";
/// Where Linux keeps the ports of its own outgoing connections.
const EPHEMERAL_PORTS: &str = "/proc/sys/net/ipv4/ip_local_port_range";

pub(super) fn services(root: &Section<'_>, services: &[ServiceDraft]) {
    if !root.has("service") {
        root.note(
            root.line,
            "no service is guarded; add one, such as [service.ssh] with id, protocol and ports",
        );
    }
    if let (Some(what), Some(last)) = (too_many(services.len()), services.last()) {
        root.note(last.line, what);
    }
    for (at, service) in services.iter().enumerate() {
        for other in services.iter().take(at) {
            pair(root, other, service);
        }
    }
}

fn pair(root: &Section<'_>, one: &ServiceDraft, two: &ServiceDraft) {
    let (Some(one_name), Some(two_name)) = (&one.name, &two.name) else { return };
    if let (Some(one_id), Some(two_id)) = (one.id, two.id)
        && one_id.value == two_id.value
    {
        let (id, line) = (two_id.value, two_id.line);
        root.note(
            line,
            format!("services {one_name} and {two_name} both have id {id}; give each a number of its own"),
        );
    }
    if one.protocol.is_none() || one.protocol != two.protocol || !share_an_address(one, two) {
        return;
    }
    for port in two.ports.iter().filter(|port| one.ports.iter().any(|other| other.value == port.value)) {
        let (protocol, number) = (one.protocol.map_or("", Protocol::word), port.value);
        root.note(
            port.line,
            format!("services {one_name} and {two_name} both guard {protocol} port {number}; leave it to one of them"),
        );
    }
}

/// What has no hosts is at the gate's own address.
fn share_an_address(one: &ServiceDraft, two: &ServiceDraft) -> bool {
    let is_shared = one.hosts.iter().any(|host| two.hosts.iter().any(|other| other.value == host.value));
    is_shared || (one.hosts.is_empty() && two.hosts.is_empty())
}

pub(super) fn beside_central(root: &Section<'_>, service: &ServiceDraft, central: Central) {
    if !service.hosts.is_empty() {
        return;
    }
    let Some(port) = service.ports.iter().find(|port| port.value == central.port) else { return };
    if let (Some(Protocol::Tcp), Some(name)) = (service.protocol, &service.name) {
        let number = port.value;
        root.note(
            port.line,
            format!("service {name} guards tcp port {number}, which is the central port; set [central] port to another one"),
        );
    }
}

/// A datagram to a guarded port is for the service; a knock would have to be told from what its clients send.
pub(super) fn beside_packets(root: &Section<'_>, service: &ServiceDraft, packet: &Packet) {
    let (Some(Protocol::Udp), Some(name)) = (service.protocol, &service.name) else { return };
    if !service.hosts.is_empty() {
        return;
    }
    let Some(port) = service.ports.iter().find(|port| packet.hears(port.value)) else { return };
    let number = port.value;
    root.note(
        port.line,
        format!(
            "service {name} guards udp port {number}, where packet knocks come in; take it out of [packet] ports,              62201 unless it says otherwise"
        ),
    );
}

pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    let sequence = &config.sequence;
    if config.lockout.scope == LockoutScope::Global {
        warnings.push(
            "lockout.scope is \"global\": any client's wrong knock shuts the gate to everybody, so whoever can make one \
             client fail keeps everybody out; \"source\" is safer"
                .into(),
        );
    }
    if sequence.order == Order::Any {
        let [any, strict] = [Order::Any, Order::Strict].map(|order| sequence.shape.keyspace(order).log2());
        warnings.push(format!(
            "sequence.order is \"any\": a sequence is worth {any:.1} bits instead of {strict:.1}; use it only where the \
             network reorders probes"
        ));
    }
    if sequence.mode == Mode::Closed {
        warnings.push(
            "sequence.mode is \"closed\": probes can be forged, so whoever can send with a client's address can spoil its \
             knocks; use it where no port may ever answer"
                .into(),
        );
    }
    if sequence.decoys == DecoyAudience::Always {
        warnings.push(
            "sequence.decoys is \"always\": every decoy answers a scan, so the host shows that it has a gate"
                .into(),
        );
    }
    warnings.extend(config.statics.warning());
    if config.gateway.is_none() {
        warnings.extend(interface_warning(config, Path::new(INTERFACES)));
        warnings.extend(ephemeral_warning(config, Path::new(EPHEMERAL_PORTS)));
    }
    warnings.extend(acts::warnings(&config.channels));
    let in_use = config.policy.in_use();
    let unused = config.policy.modules.iter().filter(|module| !in_use.contains(&&module.name));
    warnings.extend(unused.map(|module| format!("policy module {} is defined and in no chain", module.name)));
    warnings
}

/// An interface that is not there may come later, as that of a tunnel; or its name is wrong, and then nothing is guarded.
pub(super) fn interface_warning(config: &Config, interfaces_file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(interfaces_file).ok()?;
    let known: Vec<&str> =
        text.lines().skip(2).filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim()).collect();
    let wanted = config.gate.interfaces.iter().map(String::as_str);
    let missing: Vec<&str> = wanted.filter(|name| !known.contains(name)).collect();
    (!missing.is_empty()).then(|| {
        format!(
            "gate.interfaces names {}, which this host does not have now; what comes in elsewhere is not guarded; here are {}",
            missing.join(", "),
            known.join(", ")
        )
    })
}

/// Decoys among the ports that this host gives its own connections would swallow their answers now and then.
pub(super) fn ephemeral_warning(config: &Config, range_file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(range_file).ok()?;
    let mut numbers = text.split_ascii_whitespace().map_while(|number| number.parse::<u16>().ok());
    let (first, last) = (numbers.next()?, numbers.next()?);
    let ports = config.sequence.shape.ports();
    let overlap = *ports.start() <= last && first <= *ports.end();
    overlap.then(|| {
        let (low, high) = (ports.start(), ports.end());
        format!(
            "sequence.port-range {low} to {high} overlaps this host's ephemeral ports {first} to {last}: a local service or \
             connection may get a decoy's port; keep them apart"
        )
    })
}
