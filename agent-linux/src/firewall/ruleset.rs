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
//!
//! What they leave out: the host's other tables have their say afterwards. A firewall that drops by default has to
//! accept the decoy listener's port and, for forwarded services, the way to the inner host.

use std::collections::BTreeSet;
use std::fmt::{Display, Write};
use std::net::IpAddr;

use knockgate_core::limits::MESSAGE_LEN;

use super::elements::{KernelElement, Key, SetName};
use super::plan::{Access, Forward, Mode, Packets, Plan, PortRange, Prefixes, ReturnPath, Service};
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
    if let Mode::Closed { group } = plan.mode {
        chain(&mut out, "probe", &probe(group));
    }
    if let Packets::Watched { group, .. } | Packets::WatchedAnywhere { group } = plan.packets {
        chain(&mut out, "knock", &knock(group));
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
    let mut rules = Vec::new();
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
        rules.push(format!("ct state new {knock}"));
    }
    if !plan.decoys.is_empty() {
        rules.extend(decoys(plan));
    }
    rules
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

fn probe(group: u16) -> Vec<String> {
    let report = format!("log group {group} snaplen {PROBE_BYTES} queue-threshold 1");
    vec![format!("{SYN_ONLY} {report}"), format!("meta l4proto udp {report}"), "drop".to_owned()]
}

fn knock(group: u16) -> Vec<String> {
    vec![format!("log group {group} snaplen {PACKET_BYTES} queue-threshold 1"), "drop".to_owned()]
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

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::time::Duration;

    use super::*;
    use crate::firewall::elements::Tag;
    use crate::firewall::plan::Protocol;
    use crate::firewall::reach::Reach;

    #[test]
    fn connect_mode_looks_like_this() {
        let plan = Plan { interfaces: vec!["eth0".into(), "wg*".into()], ..plan(connect(Access::Holder)) };
        golden("connect", include_str!("golden/connect.nft"), &script(&plan, &[], Before::KeepSets));
    }

    #[test]
    fn decoys_for_everybody_look_like_this() {
        let always = script(&plan(connect(Access::Always)), &[], Before::KeepSets);
        golden("always", include_str!("golden/always.nft"), &always);
    }

    #[test]
    fn closed_mode_looks_like_this() {
        let closed = script(&plan(Mode::Closed { group: 62 }), &[], Before::KeepSets);
        golden("closed", include_str!("golden/closed.nft"), &closed);
    }

    #[test]
    fn a_forwarded_service_looks_like_this() {
        let forward = Forward {
            v4: Some((Ipv4Addr::new(10, 0, 0, 5), 22)),
            v6: Some((Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 5), 22)),
            return_path: ReturnPath::Masquerade,
        };
        let plc = Service {
            id: 7,
            name: "plc".into(),
            protocol: Protocol::Tcp,
            ports: vec![8022],
            forward: Some(forward),
            prefix: Some(Prefixes { v4: Some(20), v6: None }),
        };
        let plan = Plan { services: vec![plc], decoys: vec![], ..plan(Mode::Closed { group: 62 }) };
        golden("forward", include_str!("golden/forward.nft"), &script(&plan, &[], Before::KeepSets));
    }

    #[test]
    fn watched_packet_knocks_look_like_this() {
        let range = |first, last| PortRange { first, last };
        let ports = vec![range(62_201, 62_201), range(40_000, 40_100), range(40_050, 40_200)];
        let plan =
            Plan { packets: Packets::Watched { ports, group: 63 }, ..plan(Mode::Closed { group: 62 }) };
        golden("packets", include_str!("golden/packets.nft"), &script(&plan, &[], Before::KeepSets));
    }

    #[test]
    fn packet_knocks_anywhere_and_prefixes_look_like_this() {
        let mut plan =
            Plan { packets: Packets::WatchedAnywhere { group: 63 }, ..plan(Mode::Closed { group: 62 }) };
        plan.services[0].prefix = Some(Prefixes { v4: Some(24), v6: Some(64) });
        plan.services[1].prefix = Some(Prefixes { v4: None, v6: Some(56) });
        golden("anywhere", include_str!("golden/anywhere.nft"), &script(&plan, &[], Before::KeepSets));
    }

    #[test]
    fn bound_ports_are_none_of_the_guards_business() {
        let bound = Packets::Bound { ports: vec![PortRange::one(62_201)] };
        let plan = plan(connect(Access::Holder));
        let with = Plan { packets: bound, ..plan.clone() };
        assert_eq!(script(&with, &[], Before::KeepSets), script(&plan, &[], Before::KeepSets));
    }

    #[test]
    fn ranges_that_touch_are_one() {
        let cases: [(&[(u16, u16)], &str); 5] = [
            (&[(9, 9)], "{ 9 }"),                                      // 1
            (&[(5, 9), (1, 3)], "{ 1-3, 5-9 }"),                       // 2
            (&[(5, 9), (1, 4)], "{ 1-9 }"),                            // 3
            (&[(1, 65_535), (7, 8), (65_535, 65_535)], "{ 1-65535 }"), // 4
            (&[(1, 9), (3, 4), (9, 12)], "{ 1-12 }"),                  // 5
        ];
        for (number, (ports, expected)) in cases.iter().enumerate() {
            let ports: Vec<_> = ports.iter().map(|&(first, last)| PortRange { first, last }).collect();
            assert_eq!(ranges(&ports), *expected, "{}", number + 1);
        }
    }

    #[test]
    fn a_table_of_another_shape_is_replaced_and_its_grants_are_not() {
        let peer = |last| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last));
        let grant = |source, remaining, comment: Option<String>| KernelElement {
            key: Key::Grant { source, protocol: Protocol::Tcp, port: 22 },
            timeout: Some(Duration::from_secs(60)),
            remaining,
            comment,
        };
        let tag = Tag { grant: 9, client: 4, service: 1, reach: Reach::Address }.to_string();
        let network = "2001:db8::".parse().expect("an address");
        let wide = KernelElement {
            key: Key::Wide { network, protocol: Protocol::Udp, port: 5004 },
            ..grant(peer(5), Some(Duration::from_secs(9)), Some("kg1:10:4:2:64".to_owned()))
        };
        let old = [
            wide,
            grant(peer(1), Some(Duration::from_millis(30_500)), Some(tag.clone())),
            grant(peer(2), None, Some(tag.clone())), // no deadline: not ours any more
            grant(peer(3), Some(Duration::from_secs(30)), None), // somebody else's
            grant(peer(4), Some(Duration::ZERO), Some(tag)), // over
        ];
        let sessions = [
            Session { peer: peer(8), peer_port: 50_000, port: 22 },
            Session { peer: "fd00::8".parse().expect("an address"), peer_port: 50_001, port: 22 },
        ];
        let replaced = script(&plan(connect(Access::Holder)), &sessions, Before::Replace(&old));
        golden("replace", include_str!("golden/replace.nft"), &replaced);
    }

    fn connect(access: Access) -> Mode {
        Mode::Connect { listener: 40_000, access }
    }

    fn plan(mode: Mode) -> Plan {
        let service = |id, name: &str, protocol, ports| Service {
            id,
            name: name.to_owned(),
            protocol,
            ports,
            forward: None,
            prefix: None,
        };
        Plan {
            interfaces: vec![],
            services: vec![
                service(1, "ssh", Protocol::Tcp, vec![22]),
                service(2, "media", Protocol::Udp, vec![5004, 5005]),
            ],
            decoys: vec![10_007, 10_001, 10_007],
            mode,
            packets: Packets::Off,
        }
    }

    /// `KNOCKGATE_BLESS=1 cargo test` writes the golden files anew; the diff is then for a person to judge.
    fn golden(name: &str, expected: &str, actual: &str) {
        if std::env::var_os("KNOCKGATE_BLESS").is_some() {
            let path = format!("{}/src/firewall/golden/{name}.nft", env!("CARGO_MANIFEST_DIR"));
            std::fs::write(path, actual).expect("the golden file is writable");
            return;
        }
        assert_eq!(actual, expected, "golden/{name}.nft");
    }
}
