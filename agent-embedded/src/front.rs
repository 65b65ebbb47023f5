//! The gateway's own address, where it is knocked at.
//!
//! A TCP stack answers everybody: a reset here, an unreachable there. So it does not get to see what it should not answer.
//! It sees ARP and neighbour discovery about its own addresses; at the central port everybody's SYN; at a decoy the
//! holder's; at the console's port that of somebody who has a grant; and what belongs to a connection that was made of them.
//! A datagram never reaches it.
//!
//! The gateway's own network has no VLAN tag.

use alloc::vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use knockgate_core::envelope::Message;
use knockgate_core::message::Mode;
use knockgate_core::{Instant, Peer, Probe, ProbeKind};
use smoltcp::iface::{Interface, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, RxToken, TxToken};
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr};

use crate::clock;
use crate::config::Config;
use crate::connections::{Heard, Pool};
use crate::filter::{Filter, Target};
use crate::frame::{Arp, Content, Ends, Frame, Kind, Packet, Segment, Step, Transport};
use crate::groups::Groups;
use crate::limits::{CENTRAL_SOCKETS, CONSOLE_BUFFER, DECOY_BUFFER, DECOY_SOCKETS, SOCKET_BUFFER};
use crate::packets::Packets;
use crate::watched::Watched;

/// Those that ask are numbered apart by their way in.
const CENTRAL_PEERS: u64 = 0;
const DECOY_PEERS: u64 = 1 << 61;
const CONSOLE_PEERS: u64 = 1 << 62;
const PACKET_PEERS: u64 = 1 << 63;

/// Whom a frame from outside is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Addressee {
    /// The gateway itself.
    Gateway,
    /// Somebody behind it, perhaps.
    Inside,
    /// Nobody: its addresses contradict each other or are somebody else's.
    Nobody,
}

/// Something that has come to the gateway and that the stack does not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caught<'a> {
    /// A probe of [`Mode::Closed`].
    Probe(Probe),
    /// A message in a datagram.
    Message(&'a Message, Ends),
}

/// The console's connection.
pub(crate) struct Console {
    pub(crate) pool: Pool<1>,
    port: u16,
}

pub(crate) struct Front {
    hardware: EthernetAddress,
    interface: Interface,
    capabilities: DeviceCapabilities,
    pub(crate) sockets: SocketSet<'static>,
    pub(crate) central: Pool<CENTRAL_SOCKETS>,
    pub(crate) knocks: Pool<DECOY_SOCKETS>,
    pub(crate) console: Option<Console>,
    pub(crate) packets: Packets,
    groups: Groups,
    central_port: Option<u16>,
    pub(crate) watched: Watched,
}

impl Front {
    /// `config` was checked. `seed` makes sequence numbers unpredictable.
    pub(crate) fn new(config: &Config, outer: &mut impl Device, seed: u64, now: Instant) -> Self {
        let mut settings = smoltcp::iface::Config::new(HardwareAddress::Ethernet(config.hardware));
        settings.random_seed = seed;
        let mut interface = Interface::new(settings, outer, clock::wire(now));
        set_addresses(&mut interface, config);
        let own = config.ipv6.map(|v6| [v6.address, link_local(config.hardware)]);
        let mut sockets = SocketSet::new(vec::Vec::with_capacity(CENTRAL_SOCKETS + DECOY_SOCKETS + 1));
        let console = config.console.map(|console| Console {
            pool: Pool::new(&mut sockets, CONSOLE_BUFFER, CONSOLE_PEERS),
            port: console.port,
        });
        Self {
            hardware: config.hardware,
            interface,
            capabilities: outer.capabilities(),
            central: Pool::new(&mut sockets, SOCKET_BUFFER, CENTRAL_PEERS),
            knocks: Pool::new(&mut sockets, DECOY_BUFFER, DECOY_PEERS),
            console,
            packets: Packets::new(config.packet_ports.clone(), config.hardware, PACKET_PEERS),
            groups: Groups::new(config.hardware, link_local(config.hardware), own.into_iter().flatten(), now),
            sockets,
            central_port: config.central_port,
            watched: Watched::new(),
        }
    }

    /// The gateway's own addresses.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.interface.ip_addrs().iter().map(|cidr| IpAddr::from(cidr.address()))
    }

    fn owns(&self, address: IpAddr) -> bool {
        self.addresses().any(|own| own == address)
    }

    /// Whom a frame from outside is for.
    pub(crate) fn addressee(&self, frame: &Frame<'_>) -> Addressee {
        if frame.from == self.hardware || !frame.from.is_unicast() || self.is_forged(&frame.kind) {
            return Addressee::Nobody;
        }
        let for_card = frame.to == self.hardware;
        let ours = match &frame.kind {
            // A question for everybody, or an answer for the card.
            Kind::Arp(arp) if frame.tag.is_none() && self.owns(arp.target.into()) => {
                return Addressee::Gateway;
            }
            Kind::Packet(packet) if frame.tag.is_none() => {
                let is_target = self.owns(packet.target);
                match packet.content {
                    Content::Neighbour { about, .. } if is_target || self.owns(about.into()) => {
                        return Addressee::Gateway;
                    }
                    Content::Neighbour { .. }
                    | Content::Router
                    | Content::GroupQuery
                    | Content::Segment(_)
                    | Content::Trouble(_)
                    | Content::Rest
                    | Content::Other => is_target,
                }
            }
            Kind::Packet(_) | Kind::Arp(_) | Kind::Other => false,
        };
        match (ours, for_card) {
            (true, true) => Addressee::Gateway,
            (false, false) => Addressee::Inside,
            (true, false) | (false, true) => Addressee::Nobody,
        }
    }

    /// Whether a frame from outside says to come from somebody whom it cannot come from.
    fn is_forged(&self, kind: &Kind<'_>) -> bool {
        match kind {
            Kind::Arp(Arp { hardware, sender, .. }) => {
                *hardware == self.hardware || !hardware.is_unicast() || self.owns((*sender).into())
            }
            Kind::Packet(Packet { source, content, .. }) => {
                let may_be_nobody =
                    matches!(content, Content::Neighbour { .. } | Content::Router | Content::GroupQuery);
                let is_nobody = source.is_unspecified() && !may_be_nobody;
                is_nobody || !is_single(*source) || self.owns(*source)
            }
            Kind::Other => false,
        }
    }

    /// Takes note of a frame that is for somebody behind the gateway, and perhaps for it as well.
    pub(crate) fn overhear(&mut self, now: Instant, frame: &Frame<'_>) {
        let Kind::Packet(packet) = &frame.kind else { return };
        if packet.content == Content::GroupQuery && packet.source.is_ipv6() && frame.tag.is_none() {
            self.groups.asked(now);
        }
    }

    /// Takes a frame that is for the gateway, which behaves like `gate`. What the stack answers at once goes out through `token`.
    pub(crate) fn receive<'f>(
        &mut self,
        now: Instant,
        bytes: &'f [u8],
        frame: &Frame<'f>,
        gate: &knockgate_core::Config,
        filter: &Filter,
        token: impl TxToken,
    ) -> Option<Caught<'f>> {
        let admitted = match &frame.kind {
            Kind::Arp(_) => true,
            // The stack complains of headers that it does not know, to whoever sends them.
            Kind::Packet(Packet { is_extended: true, .. }) => false,
            Kind::Packet(Packet { content: Content::Neighbour { .. } | Content::Router, .. }) => true,
            // Whoever has no more than 200 bytes to say needs no fragments.
            Kind::Packet(Packet { content: Content::Segment(segment), piece: None, .. }) => {
                if let Some(caught) = self.catch(now, segment, gate) {
                    return Some(caught);
                }
                self.admits(now, segment, gate, filter)
            }
            Kind::Packet(_) | Kind::Other => false,
        };
        if admitted {
            let mut device = OneFrame { exchange: Some((bytes, token)), capabilities: &self.capabilities };
            self.interface.poll_ingress_single(clock::wire(now), &mut device, &mut self.sockets);
        }
        None
    }

    /// A message comes first: at a decoy, too, where every port may be knocked at with one packet.
    fn catch<'f>(
        &self,
        now: Instant,
        segment: &Segment<'f>,
        gate: &knockgate_core::Config,
    ) -> Option<Caught<'f>> {
        if let Some(message) = self.packets.message(segment) {
            return Some(Caught::Message(message, segment.ends));
        }
        let may_probe = match (segment.ends.transport, segment.step) {
            (Transport::Tcp, Step::Begin) | (Transport::Udp, Step::Datagram) => true,
            (Transport::Tcp | Transport::Udp | Transport::Echo, _) => false,
        };
        let is_probe = gate.mode == Mode::Closed && may_probe && self.sees(now, &segment.ends, gate);
        (is_probe && segment.is_intact()).then(|| Caught::Probe(probe(&segment.ends)))
    }

    /// Whether the sender sees the decoys and knocks at one of them.
    fn sees(&self, now: Instant, ends: &Ends, gate: &knockgate_core::Config) -> bool {
        gate.decoys.contains(ends.target.1) && self.watched.sees(now, ends.source.0)
    }

    /// Whether the stack may see a segment; if it begins a connection, a socket listens for it.
    fn admits(
        &mut self,
        now: Instant,
        segment: &Segment<'_>,
        gate: &knockgate_core::Config,
        filter: &Filter,
    ) -> bool {
        let Ends { transport, source, target } = segment.ends;
        if transport != Transport::Tcp || !segment.is_intact() {
            return false;
        }
        let for_holder = gate.mode == Mode::Connect && self.sees(now, &segment.ends, gate);
        let sockets = &mut self.sockets;
        if Some(target.1) == self.central_port {
            return admit(&mut self.central, sockets, now, segment, || true);
        }
        if let Some(console) = self.console.as_mut().filter(|console| console.port == target.1) {
            let target = Target {
                protocol: knockgate_core::profile::Protocol::Tcp,
                address: target.0,
                port: target.1,
            };
            return admit(&mut console.pool, sockets, now, segment, || filter.allows(now, source.0, target));
        }
        admit(&mut self.knocks, sockets, now, segment, || for_holder)
    }

    /// The next message that has come in whole over a connection.
    pub(crate) fn next_message(&mut self, now: Instant) -> Option<Heard<Message>> {
        let Self { central, console, sockets, .. } = self;
        let of_console = |console: &mut Console| console.pool.next_message(sockets, now);
        let at_console = console.as_mut().and_then(of_console);
        at_console.or_else(|| central.next_message(sockets, now))
    }

    /// The gate will answer `peer`.
    pub(crate) fn recognise(&mut self, peer: Peer) {
        self.central.recognise(peer);
        self.console.iter_mut().for_each(|console| console.pool.recognise(peer));
    }

    /// Says `message` to `peer`, and nothing more, whichever way it came.
    pub(crate) fn answer(&mut self, now: Instant, peer: Peer, message: &Message) {
        let Self { central, console, packets, sockets, .. } = self;
        packets.answer(peer, message);
        console.iter_mut().for_each(|console| console.pool.answer(sockets, now, peer, message));
        central.answer(sockets, now, peer, message);
    }

    /// Says `message` to `peer`, and goes on, if it is still there and came to the console's port.
    pub(crate) fn converse(&mut self, now: Instant, peer: Peer, message: &Message) -> Option<Peer> {
        let Self { console, sockets, .. } = self;
        console.as_mut()?.pool.converse(sockets, now, peer, message)
    }

    /// Bytes of the console that its client has not acknowledged.
    pub(crate) fn console_backlog(&self) -> usize {
        self.console.as_ref().map_or(0, |console| console.pool.backlog(&self.sockets))
    }

    /// Sends what is ready, at most one frame for each socket.
    pub(crate) fn transmit(&mut self, now: Instant, outer: &mut impl Device) {
        self.packets.transmit(now, outer);
        self.groups.transmit(now, outer);
        self.interface.poll_egress(clock::wire(now), outer, &mut self.sockets);
    }

    /// Ends what has lasted long enough.
    pub(crate) fn expire(&mut self, now: Instant) {
        let Self { central, knocks, console, sockets, .. } = self;
        central.expire(sockets, now);
        knocks.expire(sockets, now);
        console.iter_mut().for_each(|console| console.pool.expire(sockets, now));
    }

    /// When something is due.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Instant> {
        let stack = self.interface.poll_at(clock::wire(now), &self.sockets).map(clock::core);
        let console = self.console.as_ref().and_then(|console| console.pool.next());
        let packets = self.packets.is_waiting().then_some(now);
        let pools = [self.central.next(), self.knocks.next(), console];
        let others = [stack, packets, self.groups.next()];
        pools.into_iter().chain(others).flatten().min()
    }
}

/// Whether the stack may see a segment for a pool, in which newcomers are `welcome` or not.
fn admit<const N: usize>(
    pool: &mut Pool<N>,
    sockets: &mut SocketSet<'static>,
    now: Instant,
    segment: &Segment<'_>,
    welcome: impl FnOnce() -> bool,
) -> bool {
    if pool.has(sockets, segment) {
        return true;
    }
    segment.step == Step::Begin && welcome() && pool.listen(sockets, now, segment)
}

fn probe(ends: &Ends) -> Probe {
    Probe { source: ends.source.0, port: ends.target.1, kind: ProbeKind::Attempted }
}

/// Whether one host alone can have an address.
fn is_single(address: IpAddr) -> bool {
    !address.is_multicast() && !address.is_loopback() && address != IpAddr::V4(Ipv4Addr::BROADCAST)
}

fn set_addresses(interface: &mut Interface, config: &Config) {
    let link_local = config.ipv6.map(|_| IpCidr::new(link_local(config.hardware).into(), 64));
    let v4 = config.ipv4.map(|v4| IpCidr::new(v4.address.into(), v4.prefix));
    let v6 = config.ipv6.map(|v6| IpCidr::new(v6.address.into(), v6.prefix));
    interface.update_ip_addrs(|addresses| addresses.extend([v4, v6, link_local].into_iter().flatten()));
    // There is room for one default route of each family.
    if let Some(router) = config.ipv4.and_then(|v4| v4.router) {
        let _ = interface.routes_mut().add_default_ipv4_route(router);
    }
    if let Some(router) = config.ipv6.and_then(|v6| v6.router) {
        let _ = interface.routes_mut().add_default_ipv6_route(router);
    }
}

/// The link-local address that RFC 4291, appendix A, makes of a hardware address.
fn link_local(hardware: EthernetAddress) -> Ipv6Addr {
    let [a, b, c, d, e, f] = hardware.0;
    let pair = |high, low| u16::from_be_bytes([high, low]);
    Ipv6Addr::new(0xfe80, 0, 0, 0, pair(a ^ 2, b), pair(c, 0xff), pair(0xfe, d), pair(e, f))
}

/// A device with one frame to receive and the means to answer it.
struct OneFrame<'f, T> {
    exchange: Option<(&'f [u8], T)>,
    capabilities: &'f DeviceCapabilities,
}

impl<'f, T: TxToken> Device for OneFrame<'f, T> {
    type RxToken<'a>
        = Received<'f>
    where
        Self: 'a;
    type TxToken<'a>
        = T
    where
        Self: 'a;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Received<'f>, T)> {
        self.exchange.take().map(|(bytes, token)| (Received(bytes), token))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<T> {
        None
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.capabilities.clone()
    }
}

struct Received<'f>(&'f [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}
