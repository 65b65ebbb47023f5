//! From the document to a [`Config`]: one function for every table of the file.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use knockgate_core::Name;
use knockgate_core::book::{Order, Shape, ShapeError};
use knockgate_core::limits::{
    BOOK_COUNTS, DECOY_COUNTS, DEFAULT_BOOK_COUNT, DEFAULT_DECOYS, DEFAULT_HOLD, DEFAULT_LOCKOUT,
    DEFAULT_PORTS, DEFAULT_SEQUENCE, DEFAULT_STRAYS, HOLDS, MAX_LOCKOUT, MAX_SERVICES, MAX_STRAYS,
    SEQUENCE_LENGTHS,
};
use knockgate_core::message::Mode;
use toml::de::DeTable;

use super::acts::{channels, units};
use super::audit::audit;
use super::capture::capture;
use super::control::control;
use super::document::{At, Problems, Section};
use super::gateway::{GatewayDraft, Parts, Role, fit, gateway};
use super::guard::guard;
use super::metrics::metrics;
use super::module::Tables;
use super::packet::packet;
use super::policy::policy;
use super::process::process;
use super::service::{ServiceDraft, service};
use super::static_sequence::{Others, statics};
use super::{
    Central, Config, DecoyAudience, Gate, Lockout, LockoutScope, Problem, Sequence, Service, check, engine,
    value,
};

const DEFAULT_CENTRAL_PORT: u16 = 62201;
const LOCKOUTS: RangeInclusive<Duration> = Duration::from_secs(1)..=MAX_LOCKOUT;

pub(super) fn config(path: &Path, text: &str) -> Result<Config, Vec<Problem>> {
    let problems = Problems::new(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // What could be recovered from broken TOML would only give misleading problems.
        errors.iter().for_each(|error| problems.note_toml(error));
        return Err(problems.into_sorted());
    }
    let config = read(path, text, &Section::root(&problems, document.get_ref()));
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        Some(_) | None => Err(problems.into_sorted()),
    }
}

/// `None` only if a problem was noted.
fn read(path: &Path, text: &str, root: &Section<'_>) -> Option<Config> {
    let role = Role::of(root);
    let gate = gate(&root.section("gate"), role);
    let GatewayDraft { gateway, console } = gateway(root);
    let guard = guard(root);
    let audit = audit(root);
    let packet = packet(root);
    let capture = capture(root);
    let control = control(root);
    let metrics = metrics(root);
    let separation = process(root);
    let central = central(root);
    let sequence = sequence(&root.section("sequence"));
    let lockout = lockout(&root.section("lockout"));
    let named = root.named_sections("service");
    let named = named.iter().map(|(name, section)| service(name, section, role));
    let drafts: Vec<_> = named.chain(console).collect();
    check::services(root, &drafts);
    if let Some(central) = central.flatten() {
        drafts.iter().for_each(|service| check::beside_central(root, service, central));
    }
    if let Some(packet) = &packet {
        drafts.iter().for_each(|service| check::beside_packets(root, service, packet));
    }
    let others = Others {
        services: &drafts,
        central: central.flatten(),
        packet: packet.as_ref(),
        sequence: sequence.as_ref(),
    };
    let statics = statics(root, &others);
    let units = units(root);
    let channels = channels(root);
    let policy = policy(root, &Tables::new(&drafts, units.as_deref(), channels.as_deref()));
    engine::refuse_what_needs_it(root, policy.as_ref());
    root.refuse_unknown_keys();
    if let (Some(Some(gateway)), Some(packet), Some(sequence), Some(policy)) =
        (&gateway, &packet, &sequence, &policy)
    {
        fit(root, gateway, &Parts { packet, sequence, policy, services: &drafts });
    }

    let mut services: Vec<Service> = drafts.into_iter().map(ServiceDraft::finish).collect::<Option<_>>()?;
    services.sort_by_key(|service| service.id);
    Some(Config {
        path: path.to_owned(),
        text: text.into(),
        gate: gate?,
        gateway: gateway?,
        guard: guard?,
        audit: audit?,
        packet: packet?,
        capture: capture?,
        control: control?,
        metrics: metrics?,
        separation: separation?,
        central: central?,
        sequence: sequence?,
        lockout: lockout?,
        services,
        statics: statics?,
        policy: policy?,
        units: units?,
        channels: channels?,
    })
}

/// Notes a refused value at its line, with the name of its key in front.
pub(super) fn accept<T>(
    section: &Section<'_>,
    key: &str,
    line: usize,
    value: Result<T, String>,
) -> Option<T> {
    value.map_err(|what| section.note(line, format!("{}: {what}", section.path(key)))).ok()
}

/// The value of an optional key; `None` if it stands there and is wrong.
pub(super) fn or_default<T>(section: &Section<'_>, key: &str, value: Option<At<T>>, default: T) -> Option<T> {
    match value {
        Some(value) => Some(value.value),
        None => (!section.has(key)).then_some(default),
    }
}

fn gate(section: &Section<'_>, role: Role) -> Option<Gate> {
    let address = section.text("address");
    let address =
        section.require("address", address, r#"add the name or address that clients dial: address = "HOST""#);
    let address = address.and_then(|text| accept(section, "address", text.line, value::address(text.value)));
    let state_dir = path(section, "state-dir", r#"add state-dir = "/var/lib/knockgate""#);
    let audit_log = match role {
        Role::Server => {
            path(section, "audit-log", r#"add audit-log = "/var/log/knockgate/audit.jsonl""#).map(Some)
        }
        Role::Gateway => Some(None),
    };
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

pub(super) fn path(section: &Section<'_>, key: &'static str, remedy: &str) -> Option<PathBuf> {
    let text = section.require(key, section.text(key), remedy)?;
    accept(section, key, text.line, value::absolute_path(text.value))
}

/// `Some(None)` if there shall be no central port.
fn central(root: &Section<'_>) -> Option<Option<Central>> {
    let section = root.section("central");
    let port = section.number("port", &(1..=u16::MAX));
    let port = or_default(&section, "port", port, DEFAULT_CENTRAL_PORT);
    section.refuse_unknown_keys();
    let central = Central { port: port? };
    Some(root.has("central").then_some(central))
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

pub(super) fn accept_name(kind: &str, section: &Section<'_>, name: &At<&str>) -> Option<Name> {
    value::name(name.value).map_err(|what| section.note(name.line, format!("{kind} {what}"))).ok()
}

/// More services than a gate has room for.
pub(super) fn too_many(count: usize) -> Option<String> {
    (count > MAX_SERVICES)
        .then(|| format!("there are {count} services; a gate guards at most {MAX_SERVICES}, so join some with several ports"))
}
