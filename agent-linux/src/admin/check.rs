//! `knockgated check`: would the agent start, and what would it do?

mod reload;

use std::fmt::Write;
use std::ops::RangeInclusive;
use std::path::Path;

use anyhow::bail;
use humantime::format_duration;
use knockgate_core::Client;
use knockgate_core::book::Order;
use knockgate_core::message::Mode;

use super::book::keyspace;
use super::policies;
use super::{SetUp, counted};
use crate::config::{
    Config, DecoyAudience, LockoutScope, Packet, PacketMode, PacketPorts, Separation, Service, StaticSequence,
};
use crate::confine::User;
use crate::state::{RosterFile, Store};

/// Checks everything that a start would, without touching the firewall.
pub fn run(config: &Path) -> anyhow::Result<String> {
    let SetUp { config, dir, identity } = SetUp::load(config)?;
    let roster = RosterFile::load(&dir)?;
    config.check_names(roster.clients().iter().map(|client| &client.name))?;
    Store::check(&dir, identity.id, &roster)?;
    let mut warnings = config.warnings();
    let policies = policies::check(&config, &roster)?;
    crate::run::check_forwarding(&config)?;
    crate::acts::check(&config)?;
    let mut text = format!("{}: good\n", config.path.display());
    text += &describe(&config);
    text += &process(&config)?;
    let statics: Vec<_> = config.statics.sequences.iter().map(|one| static_line(&config, one)).collect();
    if !statics.is_empty() {
        writeln!(text, "statics   {}", statics.join("\n          "))?;
    }
    writeln!(text, "policy    {}", policies.lines.join("\n          "))?;
    let (clients, books) = (counted(roster.clients().len(), "client"), counted(roster.books().len(), "book"));
    writeln!(text, "roster    {clients}, {books}")?;
    let running = reload::lines(&config, &identity.decoys());
    if !running.is_empty() {
        writeln!(text, "running   {}", running.join("\n          "))?;
    }
    warnings.extend(policies.warnings);
    warnings.extend(roster_warnings(&config, &roster));
    let foreign = roster.books().iter().filter(|enrolled| !identity.fits(&enrolled.book));
    warnings
        .extend(foreign.map(|enrolled| {
            format!("book {} is for other decoys and cannot be knocked", enrolled.book.id())
        }));
    for warning in warnings {
        writeln!(text, "warning: {warning}")?;
    }
    Ok(text)
}

/// With which rights it runs.
fn process(config: &Config) -> anyhow::Result<String> {
    if config.gateway.is_some() {
        return Ok(String::new());
    }
    let Some(Separation { user, .. }) = &config.separation else {
        return Ok("process   one, with the rights that it is started with\n".to_owned());
    };
    let worker = match user.as_deref().map(User::named).transpose()? {
        None => "a worker without rights".to_owned(),
        Some(user) => {
            must_read(&user, &config.path)?;
            format!("a worker without rights, user {}", user.name)
        }
    };
    Ok(format!("process   {worker}, and a broker\n"))
}

/// Started as that user, as the packaged units are, the agent reads the configuration; and at every reload.
fn must_read(user: &User, file: &Path) -> anyhow::Result<()> {
    if user.can_read(file)? {
        return Ok(());
    }
    let (file, user) = (file.display(), &user.name);
    bail!(
        "{file}: [process] user: \"{user}\" cannot read this file, so no start as that user and no reload works; \
         `chgrp {user} {file}` and `chmod g+r {file}`, and look after the folders that lead there"
    )
}

fn describe(config: &Config) -> String {
    let (gate, sequence, lockout) = (&config.gate, &config.sequence, &config.lockout);
    let shape = &sequence.shape;
    let place = place(config);
    let services: Vec<_> = config.services.iter().map(service_line).collect();
    let how = match sequence.mode {
        Mode::Connect => "connect mode".into(),
        Mode::Closed => format!("closed mode, {} strays forgiven", sequence.strays),
    };
    let audience = match (sequence.mode, sequence.decoys) {
        (Mode::Closed, _) => "that never answer",
        (Mode::Connect, DecoyAudience::Holder) => "that answer only the holder of a number",
        (Mode::Connect, DecoyAudience::Always) => "that answer everybody",
    };
    let in_order = match sequence.order {
        Order::Strict => "in order",
        Order::Any => "in any order",
    };
    let central = config.central.map_or("none".into(), |central| format!("tcp/{}", central.port));
    let scope = match lockout.scope {
        LockoutScope::Source => "for the source and the client",
        LockoutScope::Global => "for everybody",
    };
    format!(
        "gate      {}, {place}\nguards    {}\npackets   {}\ncentral   {central}\n\
         decoys    {} in {} to {}, {audience}\n\
         knock     {} ports {in_order} within {}, {how}\nkeyspace  {}\nlockout   {} {scope}\n",
        gate.address,
        services.join("\n          "),
        packets(config),
        shape.decoys(),
        shape.ports().start(),
        shape.ports().end(),
        shape.length(),
        format_duration(sequence.hold),
        keyspace(shape, sequence.order),
        format_duration(lockout.duration),
    )
}

/// Where the gate is.
fn place(config: &Config) -> String {
    match &config.gateway {
        Some(gateway) => format!("a gateway of its own: {gateway}"),
        None if config.gate.interfaces.is_empty() => "on every interface but loopback".into(),
        None => format!("on {}", config.gate.interfaces.join(", ")),
    }
}

/// How packet knocks come in.
fn packets(config: &Config) -> String {
    let Packet { mode, ports, max_age, lease, .. } = &config.packet;
    let ports = match ports {
        PacketPorts::Any => "any port without an established flow".into(),
        PacketPorts::Listed(ranges) => {
            format!("udp/{}", ranges.iter().map(port_range).collect::<Vec<_>>().join(","))
        }
    };
    let how = match mode {
        PacketMode::Watch if config.gateway.is_some() => "which the gateway watches; no port is open",
        PacketMode::Watch => "which the guard watches; no port is open",
        PacketMode::Socket => "each a socket",
        PacketMode::Off => return "none".into(),
    };
    let age = max_age.map_or("of any age".into(), |age| format!("at most {} old", format_duration(age)));
    let stored = if lease.is_zero() || config.gateway.is_some() {
        "each stored before it counts".into()
    } else {
        format!("stored ahead for {}", format_duration(*lease))
    };
    format!("{ports}, {how}; {age}, {stored}")
}

fn port_range(range: &RangeInclusive<u16>) -> String {
    match (range.start(), range.end()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}-{last}"),
    }
}

/// A static sequence in one line, with what it opens and for how long.
fn static_line(config: &Config, one: &StaticSequence) -> String {
    let service = config.service_by_id(one.service);
    let (name, usual) =
        service.map_or(("?", one.open), |service| (service.name.as_str(), Some(service.open)));
    let open = one.open.or(usual).map_or_else(String::new, |open| format!(" for {}", format_duration(open)));
    format!("{}: {one} open {name}{open}", one.name)
}

/// A service in one line.
pub(super) fn service_line(service: &Service) -> String {
    let ports: Vec<_> = service.ports.iter().map(u16::to_string).collect();
    let (v4, v6) = (service.forward_v4.map(|to| to.to_string()), service.forward_v6.map(|to| to.to_string()));
    let forward: Vec<_> = v4.into_iter().chain(v6).collect();
    let forward = if forward.is_empty() { String::new() } else { format!(" to {}", forward.join(" and ")) };
    let hosts: Vec<_> = service.hosts.iter().map(ToString::to_string).collect();
    let at = if hosts.is_empty() { String::new() } else { format!(" at {}", hosts.join(" and ")) };
    format!(
        "{} ({}): {}/{}{forward}{at}, open for {}, at most {}{}",
        service.name,
        service.id,
        service.protocol.word(),
        ports.join(","),
        format_duration(service.open),
        format_duration(service.max_open),
        conditions(service),
    )
}

/// What else it takes to open a service, and for whom and how long it opens then.
fn conditions(service: &Service) -> String {
    let widest = [service.prefix_v4, service.prefix_v6].map(|bits| bits.map(|bits| format!("/{bits}")));
    let widest: Vec<_> = widest.into_iter().flatten().collect();
    let said = [
        service.confirm.then(|| "after a confirmation".to_owned()),
        service.second_factor.then(|| "with a one-time code".to_owned()),
        service.follow.then(|| "while it is in use".to_owned()),
        (!widest.is_empty()).then(|| format!("to networks of up to {} on demand", widest.join(" and "))),
    ];
    said.into_iter().flatten().map(|said| format!(", {said}")).collect()
}

fn roster_warnings(config: &Config, roster: &RosterFile) -> Vec<String> {
    let (index, now) = (roster.index(), super::moment::now());
    let mut warnings: Vec<_> =
        roster.clients().iter().filter_map(|client| unknown_services(config, client)).collect();
    let guarded = |id: &u16| config.service_by_id(*id).is_some_and(|service| service.second_factor);
    let lacks_factor =
        |client: &&Client| client.services.iter().any(guarded) && !index.has_second_factor(client.id);
    let lacking = roster.clients().iter().filter(lacks_factor);
    warnings.extend(names(lacking).map(|names| {
        format!("without a second factor, which a service of theirs needs: {names}; `knockgated client totp NAME` gives one")
    }));
    let expired = roster.clients().iter().filter(|client| client.has_expired(now));
    warnings.extend(names(expired).map(|names| format!("the enrolment has ended of {names}")));
    warnings
}

fn unknown_services(config: &Config, client: &Client) -> Option<String> {
    let unknown: Vec<_> = client.services.iter().filter(|id| config.service_by_id(**id).is_none()).collect();
    (!unknown.is_empty()).then(|| {
        format!("client {} may use services {unknown:?}, which are not configured any more", client.name)
    })
}

/// The first few names, and how many more there are; `None` if there is none.
fn names<'c>(clients: impl Iterator<Item = &'c Client>) -> Option<String> {
    const SHOWN: usize = 5;
    let names: Vec<_> = clients.map(|client| client.name.as_str()).collect();
    let (first, more) = names.split_at(names.len().min(SHOWN));
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    (!names.is_empty()).then(|| format!("{}{more}", first.join(", ")))
}
