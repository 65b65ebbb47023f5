//! `[gateway]`: the file is for a firmware in front of machines instead of for this host.
//!
//! Most of the file means the same for both. What only a host with an operating system can do is refused here, each key at
//! its line, so that nobody believes in a guard that is not there.

#[cfg(test)]
mod tests;

use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use knockgate_core::Name;
use knockgate_core::limits::{MAX_GATEWAY_POLICIES, MAX_GATEWAY_SERVICES, MAX_PACKET_RANGES};
use knockgate_core::site::{Console, OuterAddress};
use knockgate_policy_abi::Capabilities;

use super::document::{At, Section};
use super::read::accept;
use super::service::{CONSOLE, ServiceDraft, console};
use super::value;
use super::{DecoyAudience, Packet, PacketMode, PacketPorts, Policy, Sequence};

/// `[gateway]`
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Gateway {
    /// What people call the site.
    pub name: Name,
    /// Where it is knocked at. There is one of the two at least.
    pub ipv4: Option<OuterAddress<Ipv4Addr>>,
    pub ipv6: Option<OuterAddress<Ipv6Addr>>,
    /// Where it can be administered from afar, if it can.
    pub console: Option<Console>,
}

/// For which kind of gate a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Server,
    Gateway,
}

impl Role {
    pub(super) fn of(root: &Section<'_>) -> Self {
        if root.has("gateway") { Self::Gateway } else { Self::Server }
    }
}

/// Keys that only a server understands, and what a gateway has instead; `*` is any name.
const SERVERS_ALONE: [(&[&str], &str); 23] = [
    (&["gate", "audit-log"], "its log is read with `knockgate log --remote`"),
    (&["audit"], "it keeps its records in memory, and never waits for a disk"),
    (&["guard"], "its filter is its own"),
    (&["gate", "interfaces"], "it guards what is behind its inner port"),
    (&["packet", "lease"], "each counter is stored before it counts"),
    (&["capture"], "every packet passes through it"),
    (&["control"], "it is looked into at its console"),
    (&["metrics"], "it counts for its console alone"),
    (&["process"], "it has one program and no processes"),
    (&["sequence", "listener"], "its decoys need no port"),
    (&["service", "*", "forward"], "it passes on what it admits; name the machines in hosts"),
    (&["service", "*", "masquerade"], "it changes no address"),
    (&["policy", "engine"], "it interprets always"),
    (&["policy", "shadow"], "try a policy on a server first"),
    (&["policy", "time-zone"], "its policies are told the time in UTC"),
    (&["policy", "services"], "it has one chain for all"),
    (&["policy", "clients"], "it has one chain for all"),
    (&["policy-module", "*", "units"], "it has no units to start"),
    (&["policy-module", "*", "channels"], "it has nobody to notify"),
    (&["policy-module", "*", "wasi"], "it has no operating system to pretend"),
    (&["unit", "*"], "it has no units to start"),
    (&["channel", "*"], "it has nobody to notify"),
    (&["static-sequence"], "it opens only to clients that have proved who they are"),
];

/// What `[gateway]` says.
pub(super) struct GatewayDraft {
    /// `None` only if a problem was noted; `Some(None)` if the file is for a server.
    pub(super) gateway: Option<Option<Gateway>>,
    /// The console as one of the services.
    pub(super) console: Option<ServiceDraft>,
}

pub(super) fn gateway(root: &Section<'_>) -> GatewayDraft {
    let section = &root.section("gateway");
    let console = console(&section.section("console"));
    let gateway = site(root, section, console.as_ref());
    GatewayDraft { gateway, console }
}

fn site(
    root: &Section<'_>,
    section: &Section<'_>,
    console: Option<&ServiceDraft>,
) -> Option<Option<Gateway>> {
    let name = section.text("name");
    let ipv4 = outer::<Ipv4Addr>(section, "ipv4", "router-v4");
    let ipv6 = outer::<Ipv6Addr>(section, "ipv6", "router-v6");
    section.refuse_unknown_keys();
    if Role::of(root) == Role::Server {
        return Some(None);
    }
    let name = section.require("name", name, r#"say what the site is called: name = "lab""#);
    let name = name.and_then(|text| accept(section, "name", text.line, value::name(text.value)));
    if !section.has("ipv4") && !section.has("ipv6") {
        section.note(
            section.line,
            r#"gateway has no address to knock at; add ipv4 = "192.0.2.1/24" or ipv6 = "2001:db8::1/64""#,
        );
    }
    refuse_what_servers_have(root, console);
    let console = console
        .and_then(|draft| Some(Console { service: draft.id?.value, port: draft.ports.first()?.value }));
    Some(Some(Gateway { name: name?, ipv4: ipv4?, ipv6: ipv6?, console }))
}

fn refuse_what_servers_have(root: &Section<'_>, console: Option<&ServiceDraft>) {
    if console.is_some() {
        for At { line, value: path } in root.places(&["service", CONSOLE]) {
            root.note(line, format!("{path} has the name of the gateway's own console; choose another one"));
        }
    }
    for (keys, instead) in SERVERS_ALONE {
        for At { line, value: path } in root.places(keys) {
            root.note(line, format!("{path} is for servers and not for gateways: {instead}; leave it out"));
        }
    }
}

/// An address that can be the gateway's.
trait Own: Copy + PartialEq + Display + Into<IpAddr> + std::str::FromStr {
    const BITS: u8;
    const EXAMPLE: &str;

    /// Whether one host alone has it, and no other name for itself.
    fn is_one_host(self) -> bool;
    /// Whether a router may have it that is no neighbour by its prefix.
    fn is_on_any_link(self) -> bool;
    fn bits(self) -> u128;
    /// Whether it names the whole network of that prefix, or everybody there.
    fn is_of_all(self, prefix: u8) -> bool;
}

impl Own for Ipv4Addr {
    const BITS: u8 = 32;
    const EXAMPLE: &str = "192.0.2.1/24";

    fn is_one_host(self) -> bool {
        let nobody = self.is_unspecified() || self.is_multicast() || self.is_loopback();
        !nobody && self != Self::BROADCAST && !self.is_link_local()
    }

    fn is_on_any_link(self) -> bool {
        false
    }

    fn bits(self) -> u128 {
        self.to_bits().into()
    }

    /// Networks of one or two hosts have no such addresses: RFC 3021.
    fn is_of_all(self, prefix: u8) -> bool {
        let hosts = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
        let own = self.to_bits() & hosts;
        prefix < 31 && (own == 0 || own == hosts)
    }
}

impl Own for Ipv6Addr {
    const BITS: u8 = 128;
    const EXAMPLE: &str = "2001:db8::1/64";

    fn is_one_host(self) -> bool {
        let nobody = self.is_unspecified() || self.is_multicast() || self.is_loopback();
        !nobody && self.to_ipv4_mapped().is_none() && !self.is_unicast_link_local()
    }

    fn is_on_any_link(self) -> bool {
        self.is_unicast_link_local()
    }

    fn bits(self) -> u128 {
        self.to_bits()
    }

    /// The first one is every router's: RFC 4291, section 2.6.1.
    fn is_of_all(self, prefix: u8) -> bool {
        let hosts = u128::MAX.checked_shr(prefix.into()).unwrap_or(0);
        prefix < 127 && self.to_bits() & hosts == 0
    }
}

/// The address in one family. `Some(None)` if there is none there, `None` if a problem was noted.
fn outer<A: Own>(
    section: &Section<'_>,
    key: &'static str,
    router_key: &'static str,
) -> Option<Option<OuterAddress<A>>> {
    let (text, router) = (section.text(key), section.text(router_key));
    let read_router =
        |text: At<&str>| Some(text.with(accept(section, router_key, text.line, address::<A>(text.value))?));
    let Some(text) = text else {
        if let Some(router) = router {
            section.note(router.line, format!("gateway.{router_key} needs {key}; add it or leave this out"));
        }
        return (!section.has(key)).then_some(None);
    };
    let (address, prefix) = accept(section, key, text.line, with_prefix::<A>(text.value))?;
    let Some(router) = router else {
        return (!section.has(router_key)).then_some(Some(OuterAddress { address, prefix, router: None }));
    };
    let router = read_router(router)?;
    let shared = u32::from(A::BITS - prefix);
    let is_neighbour = !router.value.is_of_all(prefix)
        && (address.bits() ^ router.value.bits()).checked_shr(shared).unwrap_or(0) == 0;
    if router.value == address || !(is_neighbour || router.value.is_on_any_link()) {
        let what = router.value;
        section.note(
            router.line,
            format!("gateway.{router_key} is {what}, which is no neighbour of {address}/{prefix}; name a router on its own network"),
        );
        return None;
    }
    Some(Some(OuterAddress { address, prefix, router: Some(router.value) }))
}

fn address<A: Own>(text: &str) -> Result<A, String> {
    let address = text.parse::<A>().ok().filter(|address| address.is_one_host() || address.is_on_any_link());
    address.ok_or_else(|| {
        format!("{text:?} is not the address of one host of that family; write the router's own address")
    })
}

/// `192.0.2.1/24`
fn with_prefix<A: Own>(text: &str) -> Result<(A, u8), String> {
    let parts = text
        .split_once('/')
        .and_then(|(address, prefix)| Some((address.parse::<A>().ok()?, prefix.parse::<u8>().ok()?)));
    let Some((address, prefix)) = parts.filter(|(_, prefix)| (1..=A::BITS).contains(prefix)) else {
        return Err(format!("{text:?} is no address with a prefix; write one such as {:?}", A::EXAMPLE));
    };
    if !address.is_one_host() || address.is_of_all(prefix) {
        return Err(format!(
            "{address} cannot be a gateway's own address; write the one that clients reach it at"
        ));
    }
    Ok((address, prefix))
}

/// A host behind the gateway.
pub(super) fn host(text: &str) -> Result<IpAddr, String> {
    let is_host = |address: &IpAddr| match address {
        IpAddr::V4(address) => address.is_one_host(),
        IpAddr::V6(address) => address.is_one_host(),
    };
    text.parse()
        .ok()
        .filter(is_host)
        .ok_or_else(|| format!("{text:?} is not the address of one host; write the machine's own IPv4 or IPv6 address, without a port"))
}

/// Refuses what is understood and yet more than a gateway can do.
pub(super) fn fit(root: &Section<'_>, gateway: &Gateway, parts: &Parts<'_>) {
    fit_knocks(root, parts.packet, parts.sequence);
    fit_services(root, parts.services.len());
    fit_policies(root, parts.policy);
    for service in parts.services {
        let name = service.name.as_ref().map_or("?", Name::as_str);
        for host in &service.hosts {
            let address = host.value;
            let Some(who) = gateway.whose(address) else { continue };
            root.note(
                host.line,
                format!("service.{name}.hosts names {address}, which is {who}; name the machines behind it"),
            );
        }
    }
}

fn fit_knocks(root: &Section<'_>, packet: &Packet, sequence: &Sequence) {
    if packet.mode == PacketMode::Socket {
        let what =
            r#"packet.mode is "socket", and a gateway has no sockets to bind; leave it out, or use "watch""#;
        note_at(root, &["packet", "mode"], what);
    }
    if let PacketPorts::Listed(ranges) = &packet.ports
        && ranges.len() > MAX_PACKET_RANGES
    {
        let count = ranges.len();
        note_at(
            root,
            &["packet", "ports"],
            &format!(
                r#"packet.ports has {count} entries; a gateway takes at most {MAX_PACKET_RANGES}, so join some to ranges, or use "any""#
            ),
        );
    }
    if sequence.decoys == DecoyAudience::Always {
        let what = r#"sequence.decoys is "always", and a gateway's decoys answer only the holder of a number; leave it out"#;
        note_at(root, &["sequence", "decoys"], what);
    }
}

/// `[gateway]` is where the line points to: too many of something are in no one place.
fn fit_services(root: &Section<'_>, count: usize) {
    if count > MAX_GATEWAY_SERVICES {
        let what = format!(
            "there are {count} services, with the console; a gateway guards at most {MAX_GATEWAY_SERVICES}, so join some with \
             several ports"
        );
        note_at(root, &["gateway"], &what);
    }
}

fn fit_policies(root: &Section<'_>, policy: &Policy) {
    if policy.chain.len() > MAX_GATEWAY_POLICIES {
        let count = policy.chain.len();
        let what = format!(
            "policy.chain has {count} policies; a gateway asks at most {MAX_GATEWAY_POLICIES}, so join some"
        );
        note_at(root, &["policy", "chain"], &what);
    }
    for module in &policy.modules {
        let (name, beyond) = (&module.name, module.capabilities.without(Capabilities::GATEWAY));
        if !beyond.is_empty() {
            // A built-in policy that is given no list has no such line: it may do whatever the host can.
            note_at(
                root,
                &["policy-module", name.as_str(), "capabilities"],
                &format!(
                    "policy-module.{name}.capabilities has {beyond}, which a gateway cannot do; leave it out"
                ),
            );
        }
    }
}

/// Notes it where the key stands, if it does.
fn note_at(root: &Section<'_>, keys: &[&str], what: &str) {
    root.places(keys).into_iter().for_each(|place| root.note(place.line, what));
}

/// What [`fit`] looks at.
pub(super) struct Parts<'a> {
    pub(super) packet: &'a Packet,
    pub(super) sequence: &'a Sequence,
    pub(super) policy: &'a Policy,
    pub(super) services: &'a [ServiceDraft],
}

impl Gateway {
    /// Who has this address in front of the inner port, if the configuration tells.
    fn whose(&self, address: IpAddr) -> Option<&'static str> {
        if self.addresses().any(|own| own == address) {
            return Some("the gateway itself");
        }
        let v4 = self.ipv4.and_then(|own| own.router).map(IpAddr::from);
        let v6 = self.ipv6.and_then(|own| own.router).map(IpAddr::from);
        [v4, v6].contains(&Some(address)).then_some("its router")
    }

    /// Its own addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let v4 = self.ipv4.map(|own| own.address.into());
        let v6 = self.ipv6.map(|own| own.address.into());
        v4.into_iter().chain(v6)
    }
}

/// The gateway in a few words: its addresses and the way to everybody else.
impl Display for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(own) = &self.ipv4 {
            show(f, own)?;
        }
        if let Some(own) = &self.ipv6 {
            show(f, own)?;
        }
        Ok(())
    }
}

fn show<A: Display>(f: &mut fmt::Formatter<'_>, own: &OuterAddress<A>) -> fmt::Result {
    write!(f, ", {}/{}", own.address, own.prefix)?;
    own.router.as_ref().map_or(Ok(()), |router| write!(f, " by {router}"))
}
