//! Rules of iptables and ip6tables, and of the scripts that come with knockd and write such.

use std::net::SocketAddr;

use knockgate_core::profile::Protocol;

use super::{Deed, Opening, Words, audience, port, ports, protocol};

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
            _ => {}
        }
    }
    rule.deed(words)
}

impl Rule {
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
            return Some(if opens { Deed::OpensAll } else { Deed::ClosesAll });
        };
        let ports = ports(&text)?;
        let forward = match self.destination {
            Some(to) => Some(inner_host(&to, &ports)?),
            None => None,
        };
        // iptables takes no port without a protocol, so a rule without one was written for another version or never worked.
        let protocol = self.protocol.unwrap_or(Protocol::Tcp);
        let opening = Opening { protocol, ports, forward, audience: audience(words), seconds: None };
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
    let mut rest = Words::of(words);
    while let Some(option) = rest.next() {
        match option {
            "-a" | "--append" | "-i" | "--insert" => opens = Some(true),
            "-x" | "--delete" => opens = Some(false),
            "-p" | "--proto" => protocol_word = rest.next()?,
            "-d" | "--dstport" => port_word = rest.next(),
            "-f" | "--srcaddr" | "-c" | "--chain" => {
                rest.next()?;
            }
            _ => {}
        }
    }
    let (protocol, ports) = (protocol(protocol_word)?, vec![port(port_word?)?]);
    let opening = Opening { protocol, ports, forward: None, audience: audience(words), seconds: None };
    Some(if opens? { Deed::Opens(opening) } else { Deed::Closes(opening) })
}
