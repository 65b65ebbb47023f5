//! This host's interfaces and its own addresses, as the kernel has them now.
//!
//! An address is the host's own if a `local` route covers it and no narrower one of another kind: that is how the kernel
//! decides it for itself, and the guard's `fib daddr type local` too. So an address on any interface counts, and a whole network
//! that is routed to `lo`; broadcast, multicast and anycast addresses do not. Everything is read at once and read again
//! when the kernel says that something has changed; reading it costs about as much as one `ip route`. A packet that comes in
//! between a change and its being read is judged by what was before.
//! Layout: `linux/rtnetlink.h`, `linux/if_link.h`.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::RecvFlags;
use socket2::{SockFilter, SockRef};

use super::sys;
use crate::firewall::netlink::{Attributes, Encoder, Message, ROUTING, Socket, array, listening, receive};

const NEWLINK: u16 = 16;
const GETLINK: u16 = 18;
const NEWROUTE: u16 = 24;
const DELROUTE: u16 = 25;
const GETROUTE: u16 = 26;

/// Notifications, a bit for each group.
const OF_INTERFACES: u32 = 0x001;
const OF_ROUTES: u32 = 0x040 | 0x400;

const FAMILY_UNSPECIFIED: u8 = 0;
const FAMILY_V4: u8 = 2;
const FAMILY_V6: u8 = 10;

/// `struct ifinfomsg`, and where it has the interface's number.
const LINK_HEAD: usize = 16;
const LINK_NUMBER: usize = 4;
const LINK_NAME: u16 = 3;
/// `struct rtmsg`.
const ROUTE_HEAD: usize = 12;
const ROUTE_DESTINATION: u16 = 1;
/// `RT_TABLE_LOCAL`, where the kernel keeps routes to this host itself.
const TABLE_LOCAL: u8 = 255;
/// `RTN_LOCAL`
const LOCAL: u8 = 2;

/// A notification needs no more; one that does is as good as none.
const INBOX_BYTES: usize = 8 * 1024;

/// What the kernel has told.
pub(super) struct Links {
    asks: Socket,
    notices: OwnedFd,
    inbox: Box<[u8]>,
    is_stale: bool,
    names: Vec<String>,
    numbers: Vec<u32>,
    routes: LocalRoutes,
}

/// One interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) number: u32,
    pub(crate) name: String,
}

impl Links {
    /// Reads everything, and is told of every change from then on. `names` are those of the interfaces that count; a name may
    /// end in `*`. Without any, a host's interfaces may come and go unnoticed.
    pub(super) fn open(names: &[String]) -> io::Result<Self> {
        let groups = if names.is_empty() { OF_ROUTES } else { OF_ROUTES | OF_INTERFACES };
        let notices = listening(ROUTING, groups)?;
        SockRef::from(&notices).attach_filter(&worth_reading())?;
        let asks = Socket::to(ROUTING)?;
        // Without it an old kernel tells all its routes, of which those are kept that were asked for.
        let _old_kernel = sys::ask_strictly(&asks);
        let inbox = vec![0; INBOX_BYTES].into_boxed_slice();
        let (names, numbers, routes) = (names.to_vec(), Vec::new(), LocalRoutes::default());
        let mut links = Self { asks, notices, inbox, is_stale: true, names, numbers, routes };
        links.read_again()?;
        Ok(links)
    }

    /// Takes what the kernel has said since, in one system call if that is nothing. Returns whether something is to be read anew.
    pub(super) fn are_stale(&mut self) -> bool {
        self.take_notices();
        self.is_stale
    }

    /// Reads everything anew.
    ///
    /// # Errors
    /// It could not be read: all of it stays stale, and what was known counts.
    pub(super) fn read_again(&mut self) -> io::Result<()> {
        let numbers = if self.names.is_empty() { Vec::new() } else { self.read_interfaces()? };
        let routes = self.read_routes()?;
        (self.numbers, self.routes, self.is_stale) = (numbers, routes, false);
        Ok(())
    }

    /// Whether packets to this address are for this host. For one of IPv6 that is link-local, on whichever interface.
    pub(super) fn is_own(&self, address: &IpAddr) -> bool {
        self.routes.lead_here(address)
    }

    /// The numbers of the interfaces that count, ascending; `None` if none was named, and all count.
    pub(super) fn interfaces(&self) -> Option<&[u32]> {
        (!self.names.is_empty()).then_some(&self.numbers)
    }

    fn take_notices(&mut self) {
        loop {
            match receive(&self.notices, &mut self.inbox, RecvFlags::DONTWAIT) {
                Err(Errno::AGAIN) => return,
                // Also one that did not fit, and that some were lost: something has changed.
                Ok(_) | Err(Errno::MSGSIZE | Errno::NOBUFS) => self.is_stale = true,
                Err(_) => {
                    self.is_stale = true;
                    return;
                }
            }
        }
    }

    fn read_routes(&mut self) -> io::Result<LocalRoutes> {
        let mut routes = LocalRoutes::default();
        for family in [FAMILY_V4, FAMILY_V6] {
            let route_head = |out: &mut Encoder| out.head(&[TABLE_LOCAL, 0, 0, 0, 0, 0, 0, 0]);
            let found = self.asks.gather(GETROUTE, family, route_head, Vec::new, |found, message| {
                found.extend(local_route(message));
            });
            match found {
                // There is no such table: the host has no IPv6.
                Err(Errno::NOENT | Errno::OPNOTSUPP | Errno::AFNOSUPPORT) => {}
                other => routes.add(other?),
            }
        }
        Ok(routes)
    }

    fn read_interfaces(&mut self) -> io::Result<Vec<u32>> {
        let head = |out: &mut Encoder| out.head(&[0; LINK_HEAD - 4]);
        let found = self.asks.gather(GETLINK, FAMILY_UNSPECIFIED, head, Vec::new, |found, message| {
            found.extend(interface(message));
        })?;
        let is_named = |found: &&Interface| self.names.iter().any(|name| matches(name, &found.name));
        let mut numbers: Vec<_> = found.iter().filter(is_named).map(|interface| interface.number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}

impl AsFd for Links {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.notices.as_fd()
    }
}

/// A host with many routes tells of them all the time; the filter lets pass what is about interfaces, or about the one table.
/// Numbers are in the host's byte order, in which a filter cannot read, so it reads the byte that matters.
fn worth_reading() -> [SockFilter; 7] {
    const LOAD_BYTE: u16 = 0x30;
    const IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let kind = if cfg!(target_endian = "little") { 4 } else { 5 };
    let [new_route, old_route] = [NEWROUTE, DELROUTE].map(u32::from);
    // Behind the message's header, a route begins with family, two lengths, service and table.
    let table = 16 + 4;
    [
        SockFilter::new(LOAD_BYTE, 0, 0, kind),
        SockFilter::new(IF_EQUAL, 1, 0, new_route),
        SockFilter::new(IF_EQUAL, 0, 2, old_route),
        SockFilter::new(LOAD_BYTE, 0, 0, table),
        SockFilter::new(IF_EQUAL, 0, 1, TABLE_LOCAL.into()),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

fn matches(wanted: &str, name: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(stem) => name.starts_with(stem),
        None => name == wanted,
    }
}

/// The interface of one message of a dump.
pub(crate) fn interface(message: Message<'_>) -> Option<Interface> {
    let (head, attributes) = message.headed::<LINK_HEAD>()?;
    let number = u32::from_ne_bytes(array(&head, LINK_NUMBER)?);
    let name = attributes.text(LINK_NAME)?;
    (message.kind == NEWLINK).then(|| Interface { number, name: name.to_owned() })
}

/// A route of the table of those to this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LocalRoute {
    pub(crate) network: IpAddr,
    pub(crate) bits: u8,
    /// Not to a broadcast address, and not otherwise special.
    pub(crate) leads_here: bool,
}

/// The route of one message of a dump, if it is of that table.
pub(crate) fn local_route(message: Message<'_>) -> Option<LocalRoute> {
    let ([family, bits, _, _, table, _, _, kind, ..], attributes) = message.headed::<ROUTE_HEAD>()?;
    if message.kind != NEWROUTE || table != TABLE_LOCAL {
        return None;
    }
    let (network, most) = destination(family, attributes)?;
    (bits <= most).then(|| LocalRoute { network: masked(network, bits), bits, leads_here: kind == LOCAL })
}

/// Where a route leads, and how long its prefix can be. One to everywhere has no destination.
fn destination(family: u8, attributes: Attributes<'_>) -> Option<(IpAddr, u8)> {
    let found = attributes.find(ROUTE_DESTINATION);
    match family {
        FAMILY_V4 => {
            let bytes = found.map_or(Some([0; 4]), |bytes| bytes.try_into().ok())?;
            Some((Ipv4Addr::from(bytes).into(), 32))
        }
        FAMILY_V6 => {
            let bytes = found.map_or(Some([0; 16]), |bytes| bytes.try_into().ok())?;
            Some((Ipv6Addr::from(bytes).into(), 128))
        }
        _ => None,
    }
}

/// The network of an address.
fn masked(address: IpAddr, bits: u8) -> IpAddr {
    let bits = u32::from(bits);
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or_default();
            Ipv4Addr::from(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits)).unwrap_or_default();
            Ipv6Addr::from(v6.to_bits() & mask).into()
        }
    }
}

/// Routes by network: of those that cover an address, the one with the longest prefix counts.
#[derive(Default)]
struct LocalRoutes {
    by_network: HashMap<(IpAddr, u8), Whither>,
    /// The lengths that there are, the longest first.
    lengths_v4: Vec<u8>,
    lengths_v6: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Whither {
    Here,
    Elsewhere,
}

impl LocalRoutes {
    fn add(&mut self, routes: Vec<LocalRoute>) {
        for LocalRoute { network, bits, leads_here } in routes {
            let whither = self.by_network.entry((network, bits)).or_insert(Whither::Elsewhere);
            if leads_here {
                *whither = Whither::Here;
            }
            let lengths = if network.is_ipv4() { &mut self.lengths_v4 } else { &mut self.lengths_v6 };
            if let Err(place) = lengths.binary_search_by(|known| bits.cmp(known)) {
                lengths.insert(place, bits);
            }
        }
    }

    fn lead_here(&self, address: &IpAddr) -> bool {
        let lengths = if address.is_ipv4() { &self.lengths_v4 } else { &self.lengths_v6 };
        let mut routes =
            lengths.iter().filter_map(|&bits| self.by_network.get(&(masked(*address, bits), bits)));
        routes.next() == Some(&Whither::Here)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::netlink::Messages;

    #[test]
    fn the_longest_prefix_says_whether_an_address_is_the_hosts_own() {
        let route = |network: &str, bits, leads_here| {
            let network = network.parse().expect("an address");
            LocalRoute { network, bits, leads_here }
        };
        let mut routes = LocalRoutes::default();
        routes.add(vec![
            route("127.0.0.0", 8, true),
            route("10.1.0.1", 32, true),
            route("10.1.0.255", 32, false),
            route("10.9.0.0", 16, true),
            route("10.9.0.255", 32, false),
            route("fd01::1", 128, true),
            route("fd01::", 128, false),
            route("ff00::", 8, false),
            route("fe80::1", 128, false), // an anycast address on one interface,
            route("fe80::1", 128, true),  // and the host's own on another
        ]);
        let cases = [
            ("10.1.0.1", true),         // 1
            ("10.1.0.2", false),        // 2
            ("10.1.0.255", false),      // 3
            ("10.9.7.7", true),         // 4
            ("10.9.0.255", false),      // 5
            ("127.1.2.3", true),        // 6
            ("224.0.0.1", false),       // 7
            ("fd01::1", true),          // 8
            ("fd01::", false),          // 9
            ("fd01::2", false),         // 10
            ("ff02::1", false),         // 11
            ("fe80::1", true),          // 12
            ("::ffff:10.1.0.1", false), // 13
        ];
        for (number, (address, expected)) in cases.iter().enumerate() {
            assert_eq!(routes.lead_here(&address.parse().expect("an address")), *expected, "{}", number + 1);
        }
        assert!(!LocalRoutes::default().lead_here(&[10, 1, 0, 1].into()));
    }

    #[test]
    fn a_network_is_its_leading_bits() {
        let cases = [
            ("10.1.2.3", 32, "10.1.2.3"),        // 1
            ("10.1.2.3", 12, "10.0.0.0"),        // 2
            ("10.1.2.3", 0, "0.0.0.0"),          // 3
            ("fd01:2:3::9", 128, "fd01:2:3::9"), // 4
            ("fd01:2:3::9", 20, "fd01::"),       // 5
            ("fd01:2:3::9", 0, "::"),            // 6
        ];
        for (number, (address, bits, network)) in cases.iter().enumerate() {
            let address = address.parse().expect("an address");
            assert_eq!(masked(address, *bits).to_string(), *network, "{}", number + 1);
        }
    }

    #[test]
    fn names_may_end_in_a_star() {
        let cases = [
            ("eth0", "eth0", true),   // 1
            ("eth0", "eth00", false), // 2
            ("wg*", "wg0", true),     // 3
            ("wg*", "wg", true),      // 4
            ("wg*", "xwg0", false),   // 5
            ("wg*", "w", false),      // 6
        ];
        for (number, (wanted, name, expected)) in cases.iter().enumerate() {
            assert_eq!(matches(wanted, name), *expected, "{}", number + 1);
        }
    }

    #[test]
    fn links_and_routes_are_read_as_the_kernel_writes_them() {
        let link = link(7, "eth0");
        let expected = Interface { number: 7, name: "eth0".to_owned() };
        assert_eq!(Messages(&link).next().and_then(interface), Some(expected));

        let own = route([FAMILY_V4, 32, 0, 0, 255, 2, 254, 2], &[10, 1, 0, 1]);
        let expected = LocalRoute { network: [10, 1, 0, 1].into(), bits: 32, leads_here: true };
        assert_eq!(Messages(&own).next().and_then(local_route), Some(expected));

        let cases = [
            ("1 broadcast", route([FAMILY_V4, 32, 0, 0, 255, 2, 253, 3], &[10, 1, 0, 255]), Some(false)),
            ("2 v6", route([FAMILY_V6, 128, 0, 0, 255, 2, 0, 2], &[1; 16]), Some(true)),
            ("3 everywhere", route([FAMILY_V4, 0, 0, 0, 255, 3, 0, 2], &[]), Some(true)),
            ("4 another table", route([FAMILY_V4, 32, 0, 0, 254, 2, 254, 2], &[10, 1, 0, 1]), None),
            ("5 too long a prefix", route([FAMILY_V4, 33, 0, 0, 255, 2, 254, 2], &[10, 1, 0, 1]), None),
            ("6 half an address", route([FAMILY_V4, 32, 0, 0, 255, 2, 254, 2], &[10, 1]), None),
            ("7 another family", route([7, 32, 0, 0, 255, 2, 254, 2], &[10, 1, 0, 1]), None),
            ("8 a link", link.clone(), None),
        ];
        for (name, bytes, expected) in cases {
            let found = Messages(&bytes).next().and_then(local_route);
            assert_eq!(found.map(|route| route.leads_here), expected, "{name}");
        }
        for whole in [&link, &own] {
            for length in 0..whole.len() {
                let message = Messages(&whole[..length]).next();
                assert!(
                    message.is_none_or(|m| interface(m).is_none() && local_route(m).is_none()),
                    "{length}"
                );
            }
        }
    }

    fn link(number: u32, name: &str) -> Vec<u8> {
        let mut out = Encoder::default();
        out.begin(NEWLINK, 0, 1, FAMILY_UNSPECIFIED, 1);
        out.head(&number.to_ne_bytes());
        out.head(&[0; 8]);
        out.text(LINK_NAME, name);
        out.end();
        out.as_bytes().to_vec()
    }

    fn route(head: [u8; 8], destination: &[u8]) -> Vec<u8> {
        let mut out = Encoder::default();
        let [family, bits, source_bits, service, rest @ ..] = head;
        out.begin(NEWROUTE, 0, 1, family, u16::from_be_bytes([source_bits, service]));
        // `begin` writes the second byte as zero.
        out.head(&rest);
        out.head(&[0; 4]);
        if !destination.is_empty() {
            out.attribute(ROUTE_DESTINATION, destination);
        }
        out.end();
        let mut bytes = out.as_bytes().to_vec();
        bytes[17] = bits;
        bytes
    }
}
