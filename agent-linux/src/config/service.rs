//! `[service.NAME]`

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use knockgate_core::Name;
use knockgate_core::limits::{MAX_GRANT, MAX_SERVICE_HOSTS, MAX_SERVICE_PORTS};
use knockgate_core::profile::Protocol;

use super::Service;
use super::document::{At, Section};
use super::gateway::{Role, host};
use super::read::{accept, accept_name, or_default};
use super::value;

/// What the service is called that stands for a gateway's console.
pub(super) const CONSOLE: &str = "console";
/// Beside that of packet knocks.
const DEFAULT_CONSOLE_PORT: u16 = 62202;
const DEFAULT_OPEN: Duration = Duration::from_secs(60);
const DEFAULT_MAX_OPEN: Duration = Duration::from_secs(3600);
const GRANTS: RangeInclusive<Duration> = Duration::from_secs(1)..=MAX_GRANT;
/// Networks that can be opened to: at least two addresses, at most what one network administrator has.
const PREFIXES_V4: RangeInclusive<u8> = 8..=31;
/// See [`PREFIXES_V4`].
const PREFIXES_V6: RangeInclusive<u8> = 32..=127;

/// A service as far as it could be read, with the lines that later messages point at.
pub(super) struct ServiceDraft {
    pub(super) line: usize,
    pub(super) id: Option<At<u16>>,
    pub(super) name: Option<Name>,
    pub(super) protocol: Option<Protocol>,
    pub(super) ports: Vec<At<u16>>,
    /// None of what is at the gate's own address.
    pub(super) hosts: Vec<At<IpAddr>>,
    open: Option<Duration>,
    pub(super) max_open: Option<Duration>,
    forward_v4: Option<std::net::SocketAddrV4>,
    forward_v6: Option<std::net::SocketAddrV6>,
    masquerade: bool,
    pub(super) confirm: bool,
    pub(super) second_factor: bool,
    follow: bool,
    prefix_v4: Option<u8>,
    prefix_v6: Option<u8>,
}

pub(super) fn service(name: &At<&str>, section: &Section<'_>, role: Role) -> ServiceDraft {
    let id =
        section.require("id", section.number("id", &(1..=u16::MAX)), "give it a number of its own: id = 1");
    let protocol = section.choice("protocol", &[("tcp", Protocol::Tcp), ("udp", Protocol::Udp)]);
    let protocol = section.require("protocol", protocol, r#"add protocol = "tcp" or "udp""#);
    let ports = ports(section);
    let hosts = hosts(section, role);
    let (open, max_open) = grant_times(section);
    let (forward_v4, forward_v6) = forward(section, &ports);
    let masquerade = section.flag("masquerade");
    if let Some(At { line, value: true }) = masquerade
        && !section.has("forward")
    {
        section.note(
            line,
            format!("{} needs forward; add it or leave masquerade out", section.path("masquerade")),
        );
    }
    let [confirm, second_factor, follow] =
        ["confirm", "second-factor", "follow"].map(|key| flag(section, key));
    let prefix_v4 = section.number("prefix-v4", &PREFIXES_V4);
    let prefix_v6 = section.number("prefix-v6", &PREFIXES_V6);
    section.refuse_unknown_keys();
    ServiceDraft {
        line: section.line,
        id,
        name: accept_name("service", section, name),
        protocol: protocol.map(|protocol| protocol.value),
        ports,
        hosts,
        open,
        max_open,
        forward_v4,
        forward_v6,
        masquerade: masquerade.is_some_and(|masquerade| masquerade.value),
        confirm,
        second_factor,
        follow,
        prefix_v4: prefix_v4.map(|bits| bits.value),
        prefix_v6: prefix_v6.map(|bits| bits.value),
    }
}

/// The console of a gateway, which clients are enrolled for and knock for like any other service.
pub(super) fn console(section: &Section<'_>) -> Option<ServiceDraft> {
    let id = section.number("id", &(1..=u16::MAX));
    let port = section.number("port", &(1..=u16::MAX));
    let line = port.map_or(section.line, |port| port.line);
    let port = or_default(section, "port", port, DEFAULT_CONSOLE_PORT);
    let (open, max_open) = grant_times(section);
    let [confirm, second_factor, follow] =
        ["confirm", "second-factor", "follow"].map(|key| flag(section, key));
    section.refuse_unknown_keys();
    if !section.is_there() {
        return None;
    }
    Some(ServiceDraft {
        line: section.line,
        id: section.require("id", id, "give it a number like a service's: id = 100"),
        name: CONSOLE.parse().ok(),
        protocol: Some(Protocol::Tcp),
        ports: port.map(|value| At { line, value }).into_iter().collect(),
        hosts: Vec::new(),
        open,
        max_open,
        forward_v4: None,
        forward_v6: None,
        masquerade: false,
        confirm,
        second_factor,
        follow,
        prefix_v4: None,
        prefix_v6: None,
    })
}

/// False also if what stands there is wrong; that was noted.
fn flag(section: &Section<'_>, key: &'static str) -> bool {
    section.flag(key).is_some_and(|flag| flag.value)
}

fn ports(section: &Section<'_>) -> Vec<At<u16>> {
    let list = section.integers("ports");
    let Some(list) = section.require("ports", list, "name the ports that it guards: ports = [22]") else {
        return Vec::new();
    };
    let path = section.path("ports");
    if list.value.is_empty() {
        section.note(list.line, format!("{path} is empty; name at least one port"));
    }
    if list.value.len() > MAX_SERVICE_PORTS {
        let count = list.value.len();
        section.note(
            list.line,
            format!("{path} has {count} ports; a service has at most {MAX_SERVICE_PORTS}, so make it two"),
        );
    }
    let mut ports: Vec<At<u16>> = Vec::new();
    for number in list.value {
        let Some(port) = accept(section, "ports", number.line, value::port(number.value)) else { continue };
        if ports.iter().any(|other| other.value == port) {
            section.note(number.line, format!("{path} names port {port} twice; leave one out"));
        } else {
            ports.push(number.with(port));
        }
    }
    ports
}

fn hosts(section: &Section<'_>, role: Role) -> Vec<At<IpAddr>> {
    let list = section.texts("hosts");
    let path = section.path("hosts");
    let list = match (role, list) {
        (Role::Server, None) => return Vec::new(),
        (Role::Server, Some(list)) => {
            section.note(
                list.line,
                format!(
                    "{path} is for gateways, and this file has no [gateway]; leave it out, or use forward"
                ),
            );
            return Vec::new();
        }
        (Role::Gateway, list) => {
            section.require("hosts", list, r#"name the machines that offer it: hosts = ["192.0.2.100"]"#)
        }
    };
    let Some(list) = list else { return Vec::new() };
    if list.value.is_empty() {
        section.note(list.line, format!("{path} is empty; name the machines that offer it"));
    }
    if list.value.len() > MAX_SERVICE_HOSTS {
        let count = list.value.len();
        section.note(
            list.line,
            format!("{path} has {count} hosts; a service has at most {MAX_SERVICE_HOSTS}, so make it two"),
        );
    }
    let mut hosts: Vec<At<IpAddr>> = Vec::new();
    for text in list.value {
        let Some(address) = accept(section, "hosts", text.line, host(text.value)) else { continue };
        if hosts.iter().any(|other| other.value == address) {
            section.note(text.line, format!("{path} names {address} twice; leave one out"));
        }
        hosts.push(text.with(address));
    }
    hosts
}

/// How long a grant lasts, and at most.
fn grant_times(section: &Section<'_>) -> (Option<Duration>, Option<Duration>) {
    let [open, max_open] = ["open", "max-open"].map(|key| {
        let time = section.duration(key, &GRANTS);
        if let Some(time) = time.filter(|time| time.value.subsec_nanos() != 0) {
            section.note(
                time.line,
                format!("{} has a fraction of a second; use whole seconds", section.path(key)),
            );
        }
        time
    });
    let longest = max_open.map_or(DEFAULT_MAX_OPEN, |max_open| max_open.value);
    if let Some(open) = open.filter(|open| open.value > longest) {
        let (path, max_path) = (section.path("open"), section.path("max-open"));
        let [value, longest] = [open.value, longest].map(humantime::format_duration);
        section.note(
            open.line,
            format!("{path} is {value}, above {max_path}, which is {longest}; raise that or lower this"),
        );
    }
    // A service that is never open for a minute opens for as long as it may.
    let default = DEFAULT_OPEN.min(longest);
    (or_default(section, "open", open, default), or_default(section, "max-open", max_open, DEFAULT_MAX_OPEN))
}

type Forward = (Option<std::net::SocketAddrV4>, Option<std::net::SocketAddrV6>);

fn forward(section: &Section<'_>, ports: &[At<u16>]) -> Forward {
    let (mut v4, mut v6) = (None, None);
    let Some(list) = section.texts("forward") else { return (None, None) };
    let path = section.path("forward");
    if list.value.is_empty() {
        section
            .note(list.line, format!(r#"{path} is empty; write forward = ["10.0.0.5:22"] or leave it out"#));
    }
    if ports.len() > 1 {
        section.note(list.line, format!("{path} needs a service of one port; make a service for every port"));
    }
    for text in list.value {
        let Some(address) = accept(section, "forward", text.line, value::inner_host(text.value)) else {
            continue;
        };
        let taken = match address {
            SocketAddr::V4(address) => v4.replace(address).is_some(),
            SocketAddr::V6(address) => v6.replace(address).is_some(),
        };
        if taken {
            section.note(
                text.line,
                format!("{path} has two addresses of one family; keep one IPv4 and one IPv6 at most"),
            );
        }
    }
    (v4, v6)
}

impl ServiceDraft {
    pub(super) fn finish(self) -> Option<Service> {
        Some(Service {
            id: self.id?.value,
            name: self.name?,
            protocol: self.protocol?,
            ports: self.ports.iter().map(|port| port.value).collect(),
            hosts: self.hosts.iter().map(|host| host.value).collect(),
            open: self.open?,
            max_open: self.max_open?,
            forward_v4: self.forward_v4,
            forward_v6: self.forward_v6,
            masquerade: self.masquerade,
            confirm: self.confirm,
            second_factor: self.second_factor,
            follow: self.follow,
            prefix_v4: self.prefix_v4,
            prefix_v6: self.prefix_v6,
        })
    }
}
