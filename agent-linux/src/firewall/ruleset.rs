//! The plan as an nft script: one transaction, one table, pure text.
//!
//! What the rules promise:
//! - A packet for a guarded port passes only if its connection is established or its source is in the grant set. The
//!   guard stands behind conntrack (which also reassembles fragments) and before every destination NAT, so a port that
//!   a container engine publishes is guarded like one of the host.
//! - `related` is no ticket: a conntrack helper can be talked into expecting a connection to any port. ICMP errors need
//!   none either, because nothing but guarded TCP and UDP ports is ever looked at. Neighbour discovery never is.
//! - Whatever routing does not call `unicast` is meant for this host: its own addresses, and the broadcast, multicast
//!   and anycast addresses on which UDP sockets listen too. Transit traffic is left alone.
//! - The guard only drops. Strangers' packets to decoys are not even dropped: they meet the bare host.
//! - A packet knock is a datagram of [`KNOCK_BYTES`] to an address of this host. Like everything else it counts only on
//!   guarded interfaces: never from this host itself.
//! - On watched ports it is taken before conntrack is asked. The answer to a knock makes a flow of the client's port and
//!   ours, so `established` would let the next knocks of that client pass, to a closed port that says so. Everything else
//!   on these ports is dropped behind that question, since the host's resolver may send from any port and wants its
//!   answers. No service guards a watched port, so no grant is ever overruled.
//! - Where every port is watched, a knock is taken only if it begins a flow, and only behind all services: a guarded port
//!   knows but grants and silence, so a knock there is dropped unseen and a datagram that a grant lets through never is
//!   mistaken for one. It comes before the decoys of closed mode, so that a holder's knock is no wrong step of a sequence.
//! - A service has one length of prefix for each family, and its rule looks at its own ports alone: an element is never
//!   read with a length that it was not written for.
//! - Our NAT chains stand ten before the customary priorities, so a knock is not taken by somebody else's rule.
//! - The steps of static sequences are never dropped, and no step is a packet knock.
//! - A rule reports only where the agent does not hear the packets by itself. Reports that nobody fetches in time are the
//!   kernel's to drop: a flood fills the queue of its own kind, and no memory beyond it.
//!
//! What they leave out: the host's other tables have their say afterwards. A firewall that drops by default has to
//! accept the decoy listener's port and, for forwarded services, the way to the inner host.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt::{Display, Write};
use std::net::IpAddr;

use knockgate_core::limits::MESSAGE_LEN;

use super::elements::{KernelElement, Key, SetName};
use super::plan::{
    Access, Forward, Mode, Packets, Plan, PortRange, Prefixes, Protocol, Report, ReturnPath, Service,
};
use super::reach;
use super::sessions::Session;

/// The one table this program touches, family `inet`.
pub const TABLE: &str = "knockgate";

/// Bytes of a probe that NFLOG copies: IPv6 with a few extension headers and TCP with all its options.
pub(crate) const PROBE_BYTES: u32 = 256;

/// Bytes of a packet knock that NFLOG copies: IPv6 with 256 bytes of extension headers, and a datagram.
pub(crate) const PACKET_BYTES: u32 = 512;

/// The length in the UDP header of a packet knock.
const KNOCK_BYTES: usize = UDP_HEADER_BYTES + MESSAGE_LEN;
const UDP_HEADER_BYTES: usize = 8;

const SYN_ONLY: &str = "tcp flags & (fin | syn | rst | ack) == syn";

const SKELETON: &str = "\
table inet knockgate {
	set grants4 { type ipv4_addr . inet_proto . inet_service; size 65536; flags timeout; }
	set grants6 { type ipv6_addr . inet_proto . inet_service; size 65536; flags timeout; }
	set wide4 { type ipv4_addr . inet_proto . inet_service; size 65536; flags timeout; }
	set wide6 { type ipv6_addr . inet_proto . inet_service; size 65536; flags timeout; }
	set holders4 { type ipv4_addr; size 4096; flags timeout; }
	set holders6 { type ipv6_addr; size 4096; flags timeout; }
	chain guard { type filter hook prerouting priority -150; policy accept; }
	chain incoming { }
	chain service { }
	chain probe { }
	chain knock { }
";
const TRANSLATE: &str =
    "	chain translate { type nat hook prerouting priority -110; policy accept; }\n	chain arriving { }\n";
const RETURN_PATH: &str = "	chain return_path { type nat hook postrouting priority 90; policy accept; }\n";

/// What happens to what the table already holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Before<'a> {
    /// Grants and holders stay as they are; only the rules are replaced.
    KeepSets,
    /// The table has another shape: it is replaced, and these elements are put into the new one.
    Replace(&'a [KernelElement]),
}

/// The whole script for `nft -f -`.
pub(crate) fn script(plan: &Plan, sessions: &[Session], before: Before<'_>) -> String {
    let mut out = String::from("# Knockgate's own table. One transaction: the guard never stands open.\n");
    if let Before::Replace(_) = before {
        out += "add table inet knockgate\ndelete table inet knockgate\n";
    }
    out += SKELETON;
    if translates(plan) {
        out += TRANSLATE;
    }
    if plan.services.iter().any(masquerades) {
        out += RETURN_PATH;
    }
    out += "}\n";
    match before {
        Before::KeepSets => out += "flush table inet knockgate\n",
        Before::Replace(elements) => elements.iter().for_each(|element| restore(&mut out, element)),
    }
    out += "table inet knockgate {\n";
    chain(&mut out, "guard", &entrances(plan, "incoming"));
    chain(&mut out, "incoming", &incoming(plan));
    chain(&mut out, "service", &service(sessions));
    if let Mode::Closed { report } = plan.mode {
        chain(&mut out, "probe", &probe(report));
    }
    if let Packets::Watched { report, .. } | Packets::WatchedAnywhere { report } = plan.packets {
        chain(&mut out, "knock", &knock(report));
    }
    if translates(plan) {
        chain(&mut out, "translate", &entrances(plan, "arriving"));
        chain(&mut out, "arriving", &arriving(plan));
    }
    if plan.services.iter().any(masquerades) {
        chain(&mut out, "return_path", &return_path(plan));
    }
    out += "}\n";
    out
}

fn translates(plan: &Plan) -> bool {
    let redirects = matches!(plan.mode, Mode::Connect { .. }) && !plan.decoys.is_empty();
    redirects || plan.services.iter().any(|service| service.forward.is_some())
}

fn masquerades(service: &Service) -> bool {
    service.forward.is_some_and(|forward| forward.return_path == ReturnPath::Masquerade)
}

fn chain(out: &mut String, name: &str, rules: &[String]) {
    let _ = writeln!(out, "\tchain {name} {{");
    for rule in rules {
        let _ = writeln!(out, "\t\t{rule}");
    }
    *out += "\t}\n";
}

fn entrances(plan: &Plan, target: &str) -> Vec<String> {
    if plan.interfaces.is_empty() {
        return vec![format!("iifname != \"lo\" goto {target}")];
    }
    plan.interfaces.iter().map(|name| format!("iifname \"{name}\" goto {target}")).collect()
}

fn incoming(plan: &Plan) -> Vec<String> {
    let knock = format!("udp length {KNOCK_BYTES} fib daddr type local goto knock");
    let mut rules = statics(plan);
    if let Packets::Watched { ports, .. } = &plan.packets {
        rules.push(format!("udp dport {} {knock}", ranges(ports)));
    }
    rules.push("ct state established return".to_owned());
    if let Packets::Watched { ports, .. } = &plan.packets {
        rules
            .push(format!("udp dport {} fib daddr type local drop comment \"packet knocks\"", ranges(ports)));
    }
    // Before the services: one of them may guard the same port of this host.
    rules.extend(plan.services.iter().flat_map(|service| {
        targets(service).map(|(family, inner, port)| {
            let Service { name, protocol, .. } = service;
            format!("{family} daddr {inner} {protocol} dport {port} drop comment \"{name} past the gate\"")
        })
    }));
    rules.extend(plan.services.iter().flat_map(doors));
    if let Packets::WatchedAnywhere { .. } = plan.packets {
        let beside = match static_ports(plan, Protocol::Udp) {
            Some(ports) => format!("udp dport != {ports} "),
            None => String::new(),
        };
        rules.push(format!("ct state new {beside}{knock}"));
    }
    if !plan.decoys.is_empty() {
        rules.extend(decoys(plan));
    }
    rules
}

/// Before any other rule, and without a verdict: a step counts also where a grant is in force, and takes nothing away.
fn statics(plan: &Plan) -> Vec<String> {
    let Some(report) = log(plan.statics.report, PROBE_BYTES) else { return Vec::new() };
    let rule = |protocol, which: &str| {
        let ports = static_ports(plan, protocol)?;
        Some(format!(
            "{protocol} dport {ports} {which}fib daddr type local {report} comment \"static sequences\""
        ))
    };
    let syn_only = format!("{SYN_ONLY} ");
    [rule(Protocol::Tcp, &syn_only), rule(Protocol::Udp, "")].into_iter().flatten().collect()
}

fn static_ports(plan: &Plan, protocol: Protocol) -> Option<String> {
    let ports = plan.statics.ports.iter().filter(|(of, _)| *of == protocol).map(|(_, port)| *port);
    ports.clone().next().map(|_| list(ports))
}

/// Who may come to a service: a neighbour of a grant for a prefix, else whom the service chain lets through.
fn doors(service: &Service) -> Vec<String> {
    let Service { id, name, protocol, ports, .. } = service;
    let comment = format!("comment \"service {id} {name}\"");
    let ports = list(ports);
    let wide = wide_sources(service);
    let wide = wide.iter().map(|(_, source)| format!("{protocol} dport {ports} {source} return {comment}"));
    wide.chain([format!("{protocol} dport {ports} goto service {comment}")]).collect()
}

/// Family keyword of each prefix of a service, and the match for a source within a grant of that length.
fn wide_sources(service: &Service) -> Vec<(&'static str, String)> {
    let prefix = service.prefix.unwrap_or(Prefixes { v4: None, v6: None });
    [("ip", IpAddr::from([0; 4]), prefix.v4), ("ip6", IpAddr::from([0; 16]), prefix.v6)]
        .into_iter()
        .filter_map(|(family, any, bits)| {
            let (mask, set) = (reach::mask(&any, bits?), SetName::wide(&any));
            Some((family, format!("{family} saddr & {mask} . meta l4proto . th dport @{set}")))
        })
        .collect()
}

fn decoys(plan: &Plan) -> Vec<String> {
    let mut rules = Vec::new();
    let decoys = list(&plan.decoys);
    match plan.mode {
        Mode::Connect { listener, access } => {
            if access == Access::Always {
                rules.push(format!(
                    "tcp dport {listener} fib daddr type != unicast drop comment \"decoy listener\""
                ));
                // A port that listens, as the central port does, ignores what is neither SYN, ACK nor RST; one that does
                // not listen resets it. Decoys for everybody must look like the former.
                let odd = "tcp flags & (fin | syn | rst | ack) != syn tcp flags & (rst | ack) == 0x0";
                rules.push(format!("tcp dport {decoys} {odd} fib daddr type local drop comment \"decoys\""));
            }
        }
        Mode::Closed { .. } => {
            for (family, set) in [("ip", SetName::Holders4), ("ip6", SetName::Holders6)] {
                rules.push(format!(
                    "{family} saddr @{set} meta l4proto {{ tcp, udp }} th dport {decoys} fib daddr type local goto probe"
                ));
            }
        }
    }
    rules
}

fn service(sessions: &[Session]) -> Vec<String> {
    let mut rules = vec!["fib daddr type unicast return comment \"transit\"".to_owned()];
    for (family, set) in [("ip", SetName::Grants4), ("ip6", SetName::Grants6)] {
        rules.push(format!("{family} saddr . meta l4proto . th dport @{set} return"));
    }
    for (family, is_v4) in [("ip", true), ("ip6", false)] {
        let quads: BTreeSet<_> = sessions
            .iter()
            .filter(|session| session.peer.is_ipv4() == is_v4)
            .map(|s| format!("{} . {} . {}", s.peer, s.peer_port, s.port))
            .collect();
        if !quads.is_empty() {
            let quads = list(quads);
            rules.push(format!(
                "tcp flags & syn == 0 {family} saddr . tcp sport . tcp dport {quads} return comment \"open before us\""
            ));
        }
    }
    rules.push("drop".to_owned());
    rules
}

fn probe(report: Report) -> Vec<String> {
    let report = log(report, PROBE_BYTES);
    let reports =
        report.iter().flat_map(|log| [format!("{SYN_ONLY} {log}"), format!("meta l4proto udp {log}")]);
    reports.chain(["drop".to_owned()]).collect()
}

fn knock(report: Report) -> Vec<String> {
    log(report, PACKET_BYTES).into_iter().chain(["drop".to_owned()]).collect()
}

fn log(report: Report, bytes: u32) -> Option<String> {
    match report {
        Report::Unneeded => None,
        Report::Nflog { group } => Some(format!("log group {group} snaplen {bytes} queue-threshold 1")),
    }
}

fn arriving(plan: &Plan) -> Vec<String> {
    let mut rules = vec!["fib daddr type != local return".to_owned()];
    for service in &plan.services {
        let Some(outer) = service.ports.first() else { continue };
        let Service { id, name, protocol, .. } = service;
        let wide = wide_sources(service);
        for (family, inner, port) in targets(service) {
            let set = SetName::grants(&inner);
            let inner = std::net::SocketAddr::new(inner, port);
            let address = format!("{family} saddr . meta l4proto . th dport @{set}");
            let prefix = wide.iter().filter(|(of, _)| *of == family).map(|(_, source)| source);
            rules.extend([&address].into_iter().chain(prefix).map(|source| {
                format!(
                    "{protocol} dport {outer} {source} dnat {family} to {inner} comment \"service {id} {name}\""
                )
            }));
        }
    }
    let Mode::Connect { listener, access } = plan.mode else { return rules };
    if plan.decoys.is_empty() {
        return rules;
    }
    let decoys = list(&plan.decoys);
    let whom: &[String] = match access {
        Access::Holder => {
            &[format!("ip saddr @{} ", SetName::Holders4), format!("ip6 saddr @{} ", SetName::Holders6)]
        }
        Access::Always => &[String::new()],
    };
    // A port that drops among ports that reset, or the other way round, would be found by a scan. Whoever dials the listener
    // itself meets what he would meet at a decoy: the bare host, or its own firewall.
    if let (Access::Holder, Some(decoy)) = (access, plan.decoys.iter().min()) {
        rules.push(format!("tcp dport {listener} redirect to :{decoy} comment \"decoy listener\""));
    }
    for whom in whom {
        rules.push(format!("{whom}tcp dport {decoys} {SYN_ONLY} redirect to :{listener}"));
    }
    rules
}

fn return_path(plan: &Plan) -> Vec<String> {
    let masquerading = plan.services.iter().filter(|service| masquerades(service));
    let rules = masquerading.flat_map(|service| {
        let Service { id, name, protocol, ports, .. } = service;
        let outer = ports.first().copied().unwrap_or_default();
        targets(service).map(move |(family, inner, port)| {
            format!(
                "{family} daddr {inner} {protocol} dport {port} ct status dnat ct original proto-dst {outer} \
                 masquerade comment \"service {id} {name}\""
            )
        })
    });
    rules.collect()
}

/// Family keyword, inner address and inner port of every target of a service.
fn targets(service: &Service) -> impl Iterator<Item = (&'static str, IpAddr, u16)> {
    let Forward { v4, v6, .. } =
        service.forward.unwrap_or(Forward { v4: None, v6: None, return_path: ReturnPath::Routed });
    let v4 = v4.map(|(address, port)| ("ip", IpAddr::V4(address), port));
    let v6 = v6.map(|(address, port)| ("ip6", IpAddr::V6(address), port));
    v4.into_iter().chain(v6)
}

/// `{ a, b }`, sorted and without repetition: nft refuses neither, but golden files and eyes do.
fn list<T: Display + Ord>(items: impl IntoIterator<Item = T>) -> String {
    let items: BTreeSet<T> = items.into_iter().collect();
    let mut out = String::from("{ ");
    for (index, item) in items.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let _ = write!(out, "{comma}{item}");
    }
    out + " }"
}

/// The set of all ports in some ranges. Those that overlap are one: nft takes them for a contradiction.
fn ranges(ports: &[PortRange]) -> String {
    let mut sorted = ports.to_vec();
    sorted.sort_unstable();
    let mut merged: Vec<PortRange> = Vec::new();
    for range in sorted {
        match merged.last_mut() {
            Some(last) if range.first <= last.last.saturating_add(1) => last.last = last.last.max(range.last),
            _ => merged.push(range),
        }
    }
    list(merged)
}

/// An element of the old table. What has no deadline or is not ours is not worth keeping.
fn restore(out: &mut String, element: &KernelElement) {
    let (Some(left), Some(timeout)) = (element.remaining, element.timeout) else { return };
    let (left, timeout) = (left.as_millis(), timeout.as_millis());
    if left == 0 || left > timeout {
        return;
    }
    let key = match element.key {
        Key::Grant { source: address, protocol, port } | Key::Wide { network: address, protocol, port } => {
            format!("{address} . {protocol} . {port}")
        }
        Key::Holder { source } => source.to_string(),
    };
    let comment = match (&element.key, element.tag()) {
        (Key::Grant { .. } | Key::Wide { .. }, None) => return,
        (Key::Grant { .. } | Key::Wide { .. }, Some(tag)) => format!(" comment \"{tag}\""),
        (Key::Holder { .. }, _) => String::new(),
    };
    let set = element.key.set();
    let _ = writeln!(
        out,
        "add element inet knockgate {set} {{ {key} timeout {timeout}ms expires {left}ms{comment} }}"
    );
}
