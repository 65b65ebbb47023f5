//! What a command of the old configuration does to the firewall, as far as it can be told from its words.
//!
//! Nothing is run and nothing is guessed: a command counts as one that opens ports only if it names them. Of any other only its
//! program is told.

mod condition;
mod family;
mod firewalld;
mod iptables;
mod nft;
mod ufw;
mod words;

use std::net::SocketAddr;

use knockgate_core::limits::MAX_SERVICE_PORTS;
use knockgate_core::profile::Protocol;

pub(super) use self::condition::Condition;
pub(super) use self::family::{Family, only_family};
use self::words::{Words, commands};

/// Ports that a command opens or closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) protocol: Protocol,
    /// At least one, ascending.
    pub(super) ports: Vec<u16>,
    /// Where connections go instead.
    pub(super) forward: Option<SocketAddr>,
    pub(super) audience: Audience,
    /// For how long, if the firewall itself ends it.
    pub(super) seconds: Option<u64>,
    /// What the command asks of a packet beside all this, and no grant does.
    pub(super) conditions: Vec<Condition>,
}

/// To whom a command opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Whoever has knocked.
    Knocker,
    /// Sources that stand in the command, see [`Condition::From`].
    Named,
    Everybody,
}

/// What one command does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Opens(Opening),
    Closes(Opening),
    /// Lets somebody through to every port.
    OpensAll(Vec<Condition>),
    ClosesAll,
    /// Changes a set of addresses; what that opens stands in the rules.
    ChangesSet,
    Errand(Errand),
}

/// What has nothing to do with the firewall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// Starts this unit of the service manager.
    Starts(String),
    /// Wakes a machine by a magic packet.
    WakesMachine,
    /// Tells somebody.
    Tells,
    /// Anything else, by this program.
    Runs(String),
}

/// What a line that was meant for a shell does, one command after the other.
pub(super) fn deeds(line: &str) -> Vec<Deed> {
    commands(line).iter().map(|words| deed(words)).collect()
}

fn deed(words: &[String]) -> Deed {
    let Some((program, rest)) = words.split_first() else { return runs("nothing") };
    let program = program.rsplit('/').next().unwrap_or(program);
    let known = match program {
        "iptables" | "iptables-nft" | "iptables-legacy" | "ip6tables" | "ip6tables-nft"
        | "ip6tables-legacy" => iptables::deed(rest),
        "knock_add" | "knock_helper_ipt.sh" => iptables::helper(rest),
        "nft" => nft::deed(rest),
        "ufw" => ufw::deed(rest),
        "firewall-cmd" => firewalld::deed(rest),
        "ipset" => Some(Deed::ChangesSet),
        "systemctl" => started_unit(rest),
        "service" => started_service(rest),
        "etherwake" | "ether-wake" | "wakeonlan" | "wol" => Some(Deed::Errand(Errand::WakesMachine)),
        "mail" | "mailx" | "sendmail" | "curl" | "wget" | "logger" | "wall" | "notify-send" => {
            Some(Deed::Errand(Errand::Tells))
        }
        _ => None,
    };
    known.unwrap_or_else(|| runs(program))
}

/// An unknown command. Its program's name is all that is ever shown of it.
fn runs(program: &str) -> Deed {
    const SHOWN: usize = 40;
    let is_plain = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-' | '+');
    Deed::Errand(Errand::Runs(program.chars().filter(is_plain).take(SHOWN).collect()))
}

fn started_unit(words: &[String]) -> Option<Deed> {
    let mut words = words.iter().map(String::as_str).filter(|word| !word.starts_with('-'));
    let (verb, unit) = (words.next()?, words.next()?);
    matches!(verb, "start" | "restart" | "reload-or-restart").then(|| starts(unit))
}

fn started_service(words: &[String]) -> Option<Deed> {
    match words {
        [name, verb] if matches!(verb.as_str(), "start" | "restart") => Some(starts(name)),
        _ => None,
    }
}

fn starts(unit: &str) -> Deed {
    let is_plain = |letter: &char| letter.is_ascii_alphanumeric() || "@._-:".contains(*letter);
    let unit: String = unit.chars().filter(is_plain).collect();
    Deed::Errand(Errand::Starts(if unit.contains('.') { unit } else { format!("{unit}.service") }))
}

/// Whether a word stands for the address of whoever has knocked: knockd writes `%IP%`, fwknop `$IP`, `$SRC` and `$PKT_SRC`.
fn is_knocker(word: &str) -> bool {
    ["%IP%", "$IP", "$SRC", "$PKT_SRC"].iter().any(|mark| word.contains(mark))
}

/// Of the whole command.
fn audience(words: &[String], conditions: &[Condition]) -> Audience {
    let names_source = conditions.iter().any(|condition| matches!(condition, Condition::From(_)));
    if words.iter().any(|word| is_knocker(word)) {
        return Audience::Knocker;
    }
    if names_source { Audience::Named } else { Audience::Everybody }
}

fn protocol(word: &str) -> Option<Protocol> {
    match word.to_ascii_lowercase().as_str() {
        "tcp" | "6" => Some(Protocol::Tcp),
        "udp" | "17" => Some(Protocol::Udp),
        _ => None,
    }
}

/// A list of ports and ranges, such as `22`, `ssh`, `80,443` or `6000:6003`; `None` if a service could not have them.
fn ports(text: &str) -> Option<Vec<u16>> {
    let mut ports = Vec::new();
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        match item.split_once([':', '-']) {
            Some((first, last)) if port(first).is_some() => ports.extend(port(first)?..=port(last)?),
            Some(_) | None => ports.push(port(item)?),
        }
        // A line has room for thousands of ranges, and memory has not.
        if ports.len() > usize::from(u16::MAX) {
            return None;
        }
    }
    ports.sort_unstable();
    ports.dedup();
    (1..=MAX_SERVICE_PORTS).contains(&ports.len()).then_some(ports)
}

fn port(word: &str) -> Option<u16> {
    let number = word.trim().parse().ok().filter(|port| *port != 0);
    number.or_else(|| super::names::by_name(word.trim()).map(|(_, port)| port))
}

/// A time as nft writes it: `30s`, `1h30m`, or a bare number of seconds.
fn seconds(text: &str) -> Option<u64> {
    let span = text.parse().ok().or_else(|| humantime::parse_duration(text).ok().map(|span| span.as_secs()));
    span.filter(|seconds| *seconds != 0)
}

#[cfg(test)]
mod tests;
