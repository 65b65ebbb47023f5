//! `[packet]`: knocks of one datagram.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::document::{At, Scalar, Section, WordOrList};
use super::read::{accept, or_default};
use super::{LONGEST_LEASE, Packet, PacketMode, PacketPorts, value};

/// Where clients knock unless the file says otherwise.
pub(super) const DEFAULT_PORT: u16 = 62201;
/// Where clients knock if every port will do: where nobody expects a service, and few networks filter.
pub(super) const ANY_IN_PROFILES: RangeInclusive<u16> = 20_000..=65_535;
/// Youngest and oldest age to which knocks can be limited. A packet takes up to a second; whoever is a day late has no clock.
const MAX_AGES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);
const LEASES: RangeInclusive<Duration> = Duration::ZERO..=LONGEST_LEASE;
const DEFAULT_LEASE: Duration = Duration::from_secs(60);
/// Sockets of one gate: each is a descriptor and a task.
const MAX_SOCKETS: usize = 16;

/// The word for every port.
const ANY: &str = "any";

pub(super) fn packet(root: &Section<'_>) -> Option<Packet> {
    let section = &root.section("packet");
    let modes = [("watch", PacketMode::Watch), ("socket", PacketMode::Socket), ("off", PacketMode::Off)];
    let mode = section.choice("mode", &modes);
    let ports = ports(section);
    match (&mode, &ports) {
        (Some(At { line, value: PacketMode::Off }), _) if !root.has("central") => section.note(
            *line,
            r#"packet.mode is "off" and there is no [central], so nobody could knock; add [central], or use mode = "watch""#,
        ),
        (Some(At { value: PacketMode::Socket, .. }), Some(ports)) => fit_for_sockets(section, ports),
        (Some(At { value: PacketMode::Watch | PacketMode::Socket | PacketMode::Off, .. }) | None, _) => {}
    }
    let mode = or_default(section, "mode", mode, PacketMode::Watch);
    let ports = or_default(section, "ports", ports, PacketPorts::default());
    let max_age = section.duration("max-age", &MAX_AGES);
    let max_age = or_default(section, "max-age", max_age.map(|age| age.with(Some(age.value))), None);
    let lease = section.duration("lease", &LEASES);
    let lease = or_default(section, "lease", lease, DEFAULT_LEASE);
    section.refuse_unknown_keys();
    Some(Packet { mode: mode?, ports: ports?, max_age: max_age?, lease: lease? })
}

fn ports(section: &Section<'_>) -> Option<At<PacketPorts>> {
    let found = section.word_or_list("ports", ANY)?;
    let line = found.line;
    let list = match found.value {
        WordOrList::Word => return Some(At { line, value: PacketPorts::Any }),
        WordOrList::List(list) => list,
    };
    if list.is_empty() {
        section.note(line, r#"packet.ports is empty; name a port, or switch this off with mode = "off""#);
        return None;
    }
    let mut ranges: Vec<RangeInclusive<u16>> = Vec::new();
    for item in list {
        let range = accept(section, "ports", item.line, range(&item.value))?;
        let twice = ranges.iter().find_map(|other| common_port(other, &range));
        if let Some(port) = twice {
            section.note(item.line, format!("packet.ports names port {port} twice; leave one out"));
            return None;
        }
        ranges.push(range);
    }
    Some(At { line, value: PacketPorts::Listed(ranges) })
}

fn range(item: &Scalar<'_>) -> Result<RangeInclusive<u16>, String> {
    match item {
        Scalar::Number(number) => value::port(*number).map(|port| port..=port),
        Scalar::Text(text) => value::port_range(text),
    }
}

/// The first port that is in both.
fn common_port(one: &RangeInclusive<u16>, two: &RangeInclusive<u16>) -> Option<u16> {
    let first = *one.start().max(two.start());
    (first <= *one.end().min(two.end())).then_some(first)
}

fn fit_for_sockets(section: &Section<'_>, ports: &At<PacketPorts>) {
    const REMEDY: &str = r#"list at most 16 ports, or use mode = "watch""#;
    let what: &dyn Display = match &ports.value {
        PacketPorts::Any => &"\"any\"",
        PacketPorts::Listed(ranges) => match ranges.iter().map(ExactSizeIterator::len).sum::<usize>() {
            ..=MAX_SOCKETS => return,
            many => &format!("{many} ports"),
        },
    };
    section.note(
        ports.line,
        format!(r#"packet.ports is {what}, but with mode = "socket" each port needs a socket; {REMEDY}"#),
    );
}
