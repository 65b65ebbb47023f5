//! From the document to a [`Config`]: one function for every table of the file.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use knockgate_core::Name;
use knockgate_core::book::{Order, Shape, ShapeError};
use knockgate_core::limits::{
    BOOK_COUNTS, DECOY_COUNTS, DEFAULT_BOOK_COUNT, DEFAULT_DECOYS, DEFAULT_HOLD, DEFAULT_LOCKOUT,
    DEFAULT_PORTS, DEFAULT_SEQUENCE, DEFAULT_STRAYS, HOLDS, MAX_GRANT, MAX_LOCKOUT, MAX_SERVICE_PORTS,
    MAX_SERVICES, MAX_STRAYS, SEQUENCE_LENGTHS,
};
use knockgate_core::message::Mode;
use knockgate_core::profile::Protocol;
use knockgate_policy_abi::{Capabilities, Capability};
use toml::de::DeTable;

use super::document::{At, Problems, Section};
use super::{
    Central, Config, DecoyAudience, Gate, Lockout, LockoutScope, Policy, PolicyChoice, PolicyModule, Problem,
    Sequence, Service, check, value,
};

const DEFAULT_CENTRAL_PORT: u16 = 62201;
const DEFAULT_OPEN: Duration = Duration::from_secs(60);
const DEFAULT_MAX_OPEN: Duration = Duration::from_secs(3600);
const GRANTS: RangeInclusive<Duration> = Duration::from_secs(1)..=MAX_GRANT;
const LOCKOUTS: RangeInclusive<Duration> = Duration::from_secs(1)..=MAX_LOCKOUT;
const DEFAULT_MAX_SECONDS: u32 = 3600;
/// The name of the built-in policy in a chain.
const BUILT_IN: &str = "default";

/// A service as far as it could be read, with the lines that later messages point at.
pub(super) struct ServiceDraft {
    pub(super) line: usize,
    pub(super) id: Option<At<u16>>,
    pub(super) name: Option<Name>,
    pub(super) protocol: Option<Protocol>,
    pub(super) ports: Vec<At<u16>>,
    open: Option<Duration>,
    max_open: Option<Duration>,
    forward_v4: Option<std::net::SocketAddrV4>,
    forward_v6: Option<std::net::SocketAddrV6>,
    masquerade: bool,
}

pub(super) fn config(path: &Path, text: &str) -> Result<Config, Vec<Problem>> {
    let problems = Problems::new(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // What could be recovered from broken TOML would only give misleading problems.
        errors.iter().for_each(|error| problems.note_toml(error));
        return Err(problems.into_sorted());
    }
    let config = read(path, &Section::root(&problems, document.get_ref()));
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        Some(_) | None => Err(problems.into_sorted()),
    }
}

/// `None` only if a problem was noted.
fn read(path: &Path, root: &Section<'_>) -> Option<Config> {
    let gate = gate(&root.section("gate"));
    let central = central(&root.section("central"));
    let sequence = sequence(&root.section("sequence"));
    let lockout = lockout(&root.section("lockout"));
    let drafts: Vec<_> =
        root.named_sections("service").iter().map(|(name, section)| service(name, section)).collect();
    check::services(root, &drafts, central);
    let policy = policy(root, &drafts);
    root.refuse_unknown_keys();

    let mut services: Vec<Service> = drafts.into_iter().map(ServiceDraft::finish).collect::<Option<_>>()?;
    services.sort_by_key(|service| service.id);
    Some(Config {
        path: path.to_owned(),
        gate: gate?,
        central: central?,
        sequence: sequence?,
        lockout: lockout?,
        services,
        policy: policy?,
    })
}

/// Notes a refused value at its line, with the name of its key in front.
fn accept<T>(section: &Section<'_>, key: &str, line: usize, value: Result<T, String>) -> Option<T> {
    value.map_err(|what| section.note(line, format!("{}: {what}", section.path(key)))).ok()
}

/// The value of an optional key; `None` if it stands there and is wrong.
fn or_default<T>(section: &Section<'_>, key: &str, value: Option<At<T>>, default: T) -> Option<T> {
    match value {
        Some(value) => Some(value.value),
        None => (!section.has(key)).then_some(default),
    }
}

fn gate(section: &Section<'_>) -> Option<Gate> {
    let address = section.text("address");
    let address =
        section.require("address", address, r#"add the name or address that clients dial: address = "HOST""#);
    let address = address.and_then(|text| accept(section, "address", text.line, value::address(text.value)));
    let state_dir = path(section, "state-dir", r#"add state-dir = "/var/lib/knockgate""#);
    let audit_log = path(section, "audit-log", r#"add audit-log = "/var/log/knockgate/audit.jsonl""#);
    let interfaces = section.texts("interfaces");
    let interfaces = interfaces.map(|list| {
        if list.value.is_empty() {
            section.note(
                list.line,
                "gate.interfaces is empty; name one, or leave the key out to guard all of them",
            );
        }
        let read = |text: At<&str>| accept(section, "interfaces", text.line, value::interface(text.value));
        At { line: list.line, value: list.value.into_iter().filter_map(read).collect() }
    });
    let interfaces = or_default(section, "interfaces", interfaces, Vec::new());
    section.refuse_unknown_keys();
    Some(Gate { address: address?, state_dir: state_dir?, audit_log: audit_log?, interfaces: interfaces? })
}

fn path(section: &Section<'_>, key: &'static str, remedy: &str) -> Option<PathBuf> {
    let text = section.require(key, section.text(key), remedy)?;
    accept(section, key, text.line, value::absolute_path(text.value))
}

fn central(section: &Section<'_>) -> Option<Central> {
    let port = section.number("port", &(1..=u16::MAX));
    let port = or_default(section, "port", port, DEFAULT_CENTRAL_PORT);
    section.refuse_unknown_keys();
    Some(Central { port: port? })
}

fn sequence(section: &Section<'_>) -> Option<Sequence> {
    let mode = section.choice("mode", &[("connect", Mode::Connect), ("closed", Mode::Closed)]);
    let mode = or_default(section, "mode", mode, Mode::Connect);
    let decoys =
        section.choice("decoys", &[("holder", DecoyAudience::Holder), ("always", DecoyAudience::Always)]);
    if let (Some(Mode::Closed), Some(At { line, value: DecoyAudience::Always })) = (mode, decoys) {
        section.note(
            line,
            r#"sequence.decoys is "always", but in closed mode no port ever answers; use mode = "connect" or leave decoys out"#,
        );
    }
    let decoys = or_default(section, "decoys", decoys, DecoyAudience::Holder);
    let order = section.choice("order", &[("strict", Order::Strict), ("any", Order::Any)]);
    let order = or_default(section, "order", order, Order::Strict);
    let shape = shape(section);
    let hold = section.duration("hold", &HOLDS);
    let hold = or_default(section, "hold", hold, DEFAULT_HOLD);
    let strays = section.number("strays", &(0..=MAX_STRAYS));
    let strays = or_default(section, "strays", strays, DEFAULT_STRAYS);
    let listener = section.number("listener", &(1..=u16::MAX));
    let listener = listener.map(|port| port.value);
    section.refuse_unknown_keys();

    let mode = mode?;
    let strays = match mode {
        Mode::Closed => strays?,
        Mode::Connect => strays.map(|_| 0)?,
    };
    Some(Sequence { mode, decoys: decoys?, order: order?, shape: shape?, hold: hold?, strays, listener })
}

fn shape(section: &Section<'_>) -> Option<Shape> {
    let length = section.number("length", &SEQUENCE_LENGTHS);
    let length_line = length.map_or(section.line, |length| length.line);
    let length = or_default(section, "length", length, DEFAULT_SEQUENCE);
    let decoys = section.number("decoy-count", &DECOY_COUNTS);
    let decoys_line = decoys.map_or(section.line, |decoys| decoys.line);
    let decoys = or_default(section, "decoy-count", decoys, DEFAULT_DECOYS);
    let count = section.number("count", &BOOK_COUNTS);
    let count_line = count.map_or(section.line, |count| count.line);
    let count = or_default(section, "count", count, DEFAULT_BOOK_COUNT);
    let range = port_range(section);
    let range_line = range.as_ref().map_or(decoys_line, |range| range.line);
    let range = or_default(section, "port-range", range, DEFAULT_PORTS);

    let shape = Shape::new(count?, length?, decoys?, range?);
    let refused = |error: ShapeError| {
        let (line, remedy) = match error {
            ShapeError::Count => (count_line, "change sequence.count"),
            ShapeError::Length => (length_line, "change sequence.length"),
            ShapeError::LengthAboveDecoys => (length_line, "lower sequence.length"),
            ShapeError::Decoys => (decoys_line, "change sequence.decoy-count"),
            ShapeError::Ports => (range_line, "write port-range = [FIRST, LAST]"),
            ShapeError::TooFewPorts => {
                (range_line, "widen sequence.port-range or lower sequence.decoy-count")
            }
        };
        section.note(line, format!("{error}; {remedy}"));
    };
    shape.map_err(refused).ok()
}

fn port_range(section: &Section<'_>) -> Option<At<RangeInclusive<u16>>> {
    let list = section.integers("port-range")?;
    let [first, last] = list.value.as_slice() else {
        section.note(list.line, "sequence.port-range is not two numbers; write port-range = [FIRST, LAST]");
        return None;
    };
    let first = accept(section, "port-range", first.line, value::port(first.value));
    let last = accept(section, "port-range", last.line, value::port(last.value));
    Some(list.with(first?..=last?))
}

fn lockout(section: &Section<'_>) -> Option<Lockout> {
    let duration = section.duration("duration", &LOCKOUTS);
    let duration = or_default(section, "duration", duration, DEFAULT_LOCKOUT);
    let scope =
        section.choice("scope", &[("source", LockoutScope::Source), ("global", LockoutScope::Global)]);
    let scope = or_default(section, "scope", scope, LockoutScope::Source);
    section.refuse_unknown_keys();
    Some(Lockout { duration: duration?, scope: scope? })
}

fn service(name: &At<&str>, section: &Section<'_>) -> ServiceDraft {
    let id =
        section.require("id", section.number("id", &(1..=u16::MAX)), "give it a number of its own: id = 1");
    let protocol = section.choice("protocol", &[("tcp", Protocol::Tcp), ("udp", Protocol::Udp)]);
    let protocol = section.require("protocol", protocol, r#"add protocol = "tcp" or "udp""#);
    let ports = ports(section);
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
    section.refuse_unknown_keys();
    ServiceDraft {
        line: section.line,
        id,
        name: accept_name("service", section, name),
        protocol: protocol.map(|protocol| protocol.value),
        ports,
        open,
        max_open,
        forward_v4,
        forward_v6,
        masquerade: masquerade.is_some_and(|masquerade| masquerade.value),
    }
}

fn accept_name(kind: &str, section: &Section<'_>, name: &At<&str>) -> Option<Name> {
    value::name(name.value).map_err(|what| section.note(name.line, format!("{kind} {what}"))).ok()
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
    fn finish(self) -> Option<Service> {
        Some(Service {
            id: self.id?.value,
            name: self.name?,
            protocol: self.protocol?,
            ports: self.ports.iter().map(|port| port.value).collect(),
            open: self.open?,
            max_open: self.max_open?,
            forward_v4: self.forward_v4,
            forward_v6: self.forward_v6,
            masquerade: self.masquerade,
        })
    }
}

fn policy(root: &Section<'_>, services: &[ServiceDraft]) -> Option<Policy> {
    let section = root.section("policy");
    let modules: Vec<_> = root.named_sections("policy-module");
    let chain = chain(&section, &modules.iter().map(|(name, _)| name.value).collect::<Vec<_>>());
    section.refuse_unknown_keys();
    let modules: Vec<_> = modules.iter().map(|(name, section)| module(name, section, services)).collect();
    Some(Policy { chain: chain?, modules: modules.into_iter().collect::<Option<_>>()? })
}

fn chain(section: &Section<'_>, modules: &[&str]) -> Option<PolicyChoice> {
    let Some(list) = section.texts("chain") else {
        return (!section.has("chain")).then_some(PolicyChoice::BuiltIn);
    };
    let [entry] = list.value.as_slice() else {
        let count = list.value.len();
        section.note(
            list.line,
            format!(r#"policy.chain has {count} entries; it must have one, such as "{BUILT_IN}""#),
        );
        return None;
    };
    if entry.value == BUILT_IN {
        return Some(PolicyChoice::BuiltIn);
    }
    if !modules.contains(&entry.value) {
        let name = entry.value;
        section.note(
            entry.line,
            format!(r#"policy.chain names {name:?}, which is not defined; add [policy-module.{name}] or use "{BUILT_IN}""#),
        );
        return None;
    }
    accept(section, "chain", entry.line, value::name(entry.value)).map(PolicyChoice::Module)
}

fn module(name: &At<&str>, section: &Section<'_>, services: &[ServiceDraft]) -> Option<PolicyModule> {
    if name.value == BUILT_IN {
        section.note(
            name.line,
            format!("policy-module.{BUILT_IN} has the name of the built-in policy; choose another one"),
        );
    }
    let name = accept_name("policy module", section, name);
    let file = path(section, "file", r#"add file = "/etc/knockgate/policies/NAME.wasm""#);
    let sha256 = section.text("sha256");
    let sha256 = sha256.map(|text| accept(section, "sha256", text.line, value::sha256(text.value)));
    let max_seconds = section.number("max-seconds", &(1..=longest_grant()));
    let max_seconds = or_default(section, "max-seconds", max_seconds, DEFAULT_MAX_SECONDS);
    let module_services = module_services(section, services);
    let capabilities = capabilities(section);
    section.refuse_unknown_keys();
    Some(PolicyModule {
        name: name?,
        file: file?,
        sha256: match sha256 {
            Some(pin) => Some(pin?),
            None => None,
        },
        services: module_services?,
        capabilities: capabilities?,
        max_seconds: max_seconds?,
    })
}

fn longest_grant() -> u32 {
    u32::try_from(MAX_GRANT.as_secs()).unwrap_or(u32::MAX)
}

fn module_services(section: &Section<'_>, services: &[ServiceDraft]) -> Option<Vec<u16>> {
    let list = section.texts("services");
    let list =
        section.require("services", list, r#"name the services that it may open: services = ["ssh"]"#)?;
    let number = |text: At<&str>| {
        let service = services
            .iter()
            .find(|service| service.name.as_ref().is_some_and(|name| name.as_str() == text.value));
        if service.is_none() {
            let (path, name) = (section.path("services"), text.value);
            section.note(
                text.line,
                format!("{path} names {name:?}, which is not defined; add [service.{name}]"),
            );
        }
        service.and_then(|service| service.id).map(|id| id.value)
    };
    list.value.into_iter().map(number).collect()
}

fn capabilities(section: &Section<'_>) -> Option<Capabilities> {
    let list = section.texts("capabilities");
    let list =
        section.require("capabilities", list, r#"say what it may do: capabilities = ["open", "log"]"#)?;
    let mut capabilities = Capabilities::NONE;
    if list.value.is_empty() {
        section.note(list.line, format!("{} is empty; name at least \"open\"", section.path("capabilities")));
    }
    for text in list.value {
        match Capability::from_name(text.value) {
            Some(capability) => capabilities = capabilities.with(capability),
            None => section.note(
                text.line,
                format!(
                    "{} names {:?}; known are {}",
                    section.path("capabilities"),
                    text.value,
                    Capabilities::ALL
                ),
            ),
        }
    }
    Some(capabilities)
}

/// More services than a gate has room for.
pub(super) fn too_many(count: usize) -> Option<String> {
    (count > MAX_SERVICES)
        .then(|| format!("there are {count} services; a gate guards at most {MAX_SERVICES}, so join some with several ports"))
}
