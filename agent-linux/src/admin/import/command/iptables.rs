//! Rules of iptables and ip6tables, and of the scripts that come with knockd and write such.

use std::net::SocketAddr;

use knockgate_core::profile::Protocol;

use super::{Condition, Deed, Opening, Words, audience, is_knocker, port, ports, protocol};

/// What is done with a rule.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Add,
    Remove,
}

/// A rule, as far as it matters.
#[derive(Default)]
struct Rule {
    change: Option<Change>,
    chain: String,
    protocol: Option<Protocol>,
    ports: Option<String>,
    target: Option<String>,
    destination: Option<String>,
    is_negated: bool,
    conditions: Vec<Condition>,
    /// A module of iptables whose options are not looked at one by one.
    has_module: bool,
}

pub(super) fn deed(words: &[String]) -> Option<Deed> {
    let mut rule = Rule::default();
    let mut rest = Words::of(words);
    while let Some(word) = rest.next() {
        // Between an option and its value there may be an equals sign instead of a blank.
        let (option, value) =
            word.split_once('=').map_or((word, None), |(option, value)| (option, Some(value)));
        let mut value = || value.or_else(|| rest.next()).map(str::to_owned);
        match option {
            "-A" | "--append" | "-I" | "--insert" => {
                (rule.change, rule.chain) = (Some(Change::Add), value()?);
            }
            "-D" | "--delete" => (rule.change, rule.chain) = (Some(Change::Remove), value()?),
            "-p" | "--protocol" | "--proto" => rule.protocol = Some(protocol(&value()?)?),
            "--dport" | "--destination-port" | "--dports" | "--destination-ports" => rule.ports = value(),
            "-j" | "--jump" => rule.target = value(),
            "--to-destination" => rule.destination = value(),
            "!" => rule.is_negated = true,
            "-s" | "--source" | "--src" => rule.from(&value()?),
            "-d" | "--destination" | "--dst" => rule.conditions.push(Condition::to(&value()?)),
            "-i" | "--in-interface" => rule.conditions.push(Condition::at(&value()?)),
            "-m" | "--match" => rule.module(&value()?),
            "--state" | "--ctstate" => rule.states(&value()?),
            "-t" | "--table" | "--comment" | "--reject-with" => drop(value()?),
            _ => rule.asks_for(option),
        }
    }
    rule.deed(words)
}

impl Rule {
    fn from(&mut self, source: &str) {
        let others = source.split(',').filter(|source| !is_knocker(source));
        self.conditions.extend(others.map(Condition::from));
    }

    /// The usual ones ask for nothing that a rule without them would not.
    fn module(&mut self, name: &str) {
        if !matches!(name, "tcp" | "udp" | "multiport" | "state" | "conntrack" | "comment") {
            self.has_module = true;
            self.conditions.push(Condition::other(name));
        }
    }

    /// What begins a connection is new to conntrack.
    fn states(&mut self, states: &str) {
        if !states.split(',').any(|state| state.eq_ignore_ascii_case("NEW")) {
            self.conditions.push(Condition::other("state"));
        }
    }

    /// A word that is not known. Options of a module go with it, and their values begin with no dash.
    fn asks_for(&mut self, option: &str) {
        let is_harmless = matches!(
            option,
            "-w" | "--wait"
                | "-W"
                | "--wait-interval"
                | "-v"
                | "--verbose"
                | "-n"
                | "--numeric"
                | "-4"
                | "--ipv4"
                | "-6"
                | "--ipv6"
                | "--syn"
        );
        if is_harmless || !option.starts_with('-') || (self.has_module && option.starts_with("--")) {
            return;
        }
        // The value may stick to a short option.
        let name = if option.starts_with("--") { option } else { option.get(..2).unwrap_or(option) };
        self.conditions.push(Condition::other(name));
    }

    fn deed(self, words: &[String]) -> Option<Deed> {
        let change = self.change?;
        // Who adds a rule that drops closes, and who removes it opens.
        let opens = match self.target.as_deref()? {
            "ACCEPT" | "DNAT" | "RETURN" => change == Change::Add,
            "DROP" | "REJECT" => change == Change::Remove,
            _ => return None,
        };
        // What this host sends or passes on is no service of its own.
        if self.is_negated || matches!(self.chain.as_str(), "OUTPUT" | "FORWARD" | "POSTROUTING") {
            return None;
        }
        let Some(text) = self.ports else {
            return Some(if opens { Deed::OpensAll(self.conditions) } else { Deed::ClosesAll });
        };
        let ports = ports(&text)?;
        let forward = match self.destination {
            Some(to) => Some(inner_host(&to, &ports)?),
            None => None,
        };
        // iptables takes no port without a protocol, so a rule without one was written for another version or never worked.
        let protocol = self.protocol.unwrap_or(Protocol::Tcp);
        let audience = audience(words, &self.conditions);
        let opening =
            Opening { protocol, ports, forward, audience, seconds: None, conditions: self.conditions };
        Some(if opens { Deed::Opens(opening) } else { Deed::Closes(opening) })
    }
}

/// Of `--to-destination`. Without a port it is the one that was dialled.
fn inner_host(to: &str, ports: &[u16]) -> Option<SocketAddr> {
    let with_port = to.parse().ok();
    with_port.or_else(|| {
        let [port] = ports else { return None };
        Some(SocketAddr::new(to.trim_matches(['[', ']']).parse().ok()?, *port))
    })
}

/// `knock_add` and `knock_helper_ipt.sh`: `-a` appends, `-i` inserts and `-x` takes away a rule that accepts.
pub(super) fn helper(words: &[String]) -> Option<Deed> {
    let (mut opens, mut protocol_word, mut port_word) = (None, "tcp", None);
    let mut conditions = Vec::new();
    let mut rest = Words::of(words);
    while let Some(option) = rest.next() {
        match option {
            "-a" | "--append" | "-i" | "--insert" => opens = Some(true),
            "-x" | "--delete" => opens = Some(false),
            "-p" | "--proto" => protocol_word = rest.next()?,
            "-d" | "--dstport" => port_word = rest.next(),
            "-f" | "--srcaddr" => {
                conditions.extend(rest.next().filter(|source| !is_knocker(source)).map(Condition::from));
            }
            "-c" | "--chain" => {
                rest.next()?;
            }
            _ => {}
        }
    }
    let (protocol, ports) = (protocol(protocol_word)?, vec![port(port_word?)?]);
    let audience = audience(words, &conditions);
    let opening = Opening { protocol, ports, forward: None, audience, seconds: None, conditions };
    Some(if opens? { Deed::Opens(opening) } else { Deed::Closes(opening) })
}
