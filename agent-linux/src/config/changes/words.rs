//! How the parts of a configuration are called when one of them changes.

use std::fmt::Display;
use std::path::PathBuf;

use humantime::format_duration;
use knockgate_core::Name;
use knockgate_core::book::Order;
use knockgate_core::message::Mode;

use crate::audit::Rotation;
use crate::config::{
    DecoyAudience, LockoutScope, ModuleSource, OnFailure, PacketMode, PacketPorts, PolicyModule, Separation,
    Service,
};
use crate::confine::{Forbidden, Sandbox};

/// `tcp/80,443`
pub(super) fn ports_of(service: &Service) -> String {
    let ports: Vec<_> = service.ports.iter().map(u16::to_string).collect();
    format!("{}/{}", service.protocol.word(), ports.join(","))
}

pub(super) fn packet_ports(ports: &PacketPorts) -> String {
    match ports {
        PacketPorts::Any => "any".to_owned(),
        PacketPorts::Listed(ranges) => {
            let words = ranges.iter().map(|range| match (range.start(), range.end()) {
                (first, last) if first == last => first.to_string(),
                (first, last) => format!("{first}-{last}"),
            });
            words.collect::<Vec<_>>().join(",")
        }
    }
}

pub(super) fn mode_word(mode: PacketMode) -> &'static str {
    match mode {
        PacketMode::Watch => "watched",
        PacketMode::Socket => "through sockets",
        PacketMode::Off => "off",
    }
}

pub(super) fn scope_word(scope: LockoutScope) -> &'static str {
    match scope {
        LockoutScope::Source => "for the source and the client",
        LockoutScope::Global => "for everybody",
    }
}

pub(super) fn failure_words(on_failure: OnFailure) -> &'static str {
    match on_failure {
        OnFailure::Count => "open all the same",
        OnFailure::Refuse => "open nothing",
    }
}

pub(super) fn module_text(module: &PolicyModule) -> String {
    let PolicyModule {
        name: _,
        source,
        services,
        capabilities,
        max_seconds,
        units,
        channels,
        wasi,
        parameters,
        line: _,
        parameters_line: _,
    } = module;
    let place = place_of(source);
    let given: Vec<_> =
        parameters.iter().map(|one| format!("{} = {}", one.name, one.given.join(" "))).collect();
    format!(
        "{place}; may {capabilities} services {services:?} for {max_seconds} s, units {units:?}, channels {channels:?}, \
         wasi {wasi:?}; {}",
        given.join(", ")
    )
}

fn place_of(source: &ModuleSource) -> String {
    match source {
        ModuleSource::BuiltIn(built_in) => format!("built-in {}", built_in.name),
        ModuleSource::File { path, sha256: None } => path.display().to_string(),
        ModuleSource::File { path, sha256: Some([first, second, third, fourth, ..]) } => {
            format!("{}, pinned to {first:02x}{second:02x}{third:02x}{fourth:02x}...", path.display())
        }
    }
}

pub(super) fn names(chain: &[Name]) -> String {
    if chain.is_empty() {
        return "none".to_owned();
    }
    chain.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")
}

pub(super) fn chains_of<'c>(chains: impl Iterator<Item = (impl Display, &'c Vec<Name>)>) -> String {
    let words: Vec<_> = chains.map(|(of, chain)| format!("{of} by {}", names(chain))).collect();
    if words.is_empty() { "none".to_owned() } else { words.join("; ") }
}

pub(super) fn or_none<T: Display>(value: &Option<T>) -> String {
    value.as_ref().map_or_else(|| "none".to_owned(), T::to_string)
}

pub(super) fn or_no_path(path: &Option<PathBuf>) -> String {
    path.as_ref().map_or_else(|| "none".to_owned(), |path| path.display().to_string())
}

pub(super) fn or_any(port: &Option<u16>) -> String {
    port.map_or_else(|| "any".to_owned(), |port| port.to_string())
}

pub(super) fn knock_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Connect => "connect",
        Mode::Closed => "closed",
    }
}

pub(super) fn audience_word(audience: DecoyAudience) -> &'static str {
    match audience {
        DecoyAudience::Holder => "only the holder of a number",
        DecoyAudience::Always => "everybody",
    }
}

pub(super) fn order_word(order: Order) -> &'static str {
    match order {
        Order::Strict => "in order",
        Order::Any => "in any order",
    }
}

pub(super) fn rotation_words(rotation: &Rotation) -> String {
    let Rotation { size, age, keep } = rotation;
    let age = age.map_or_else(String::new, |age| format!(" or after {}", format_duration(age)));
    format!("at {} MiB{age}, and {keep} files are kept", size >> 20)
}

pub(super) fn process_words(separation: &Option<Separation>) -> String {
    let Some(Separation { user, sandbox, forbidden }) = separation else { return "one".to_owned() };
    let user = user.as_ref().map_or_else(String::new, |user| format!("user {user}, "));
    let sandbox = match sandbox {
        Sandbox::Require => "required",
        Sandbox::BestEffort => "as far as it can be",
        Sandbox::Off => "off",
    };
    let forbidden = match forbidden {
        Forbidden::Refuse => "fails",
        Forbidden::Kill => "ends the agent",
    };
    format!("a worker and a broker, {user}sandbox {sandbox}, a forbidden system call {forbidden}")
}
