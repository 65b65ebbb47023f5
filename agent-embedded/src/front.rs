//! The gateway's own address, where it is knocked at.
//!
//! A TCP stack answers everybody: a reset here, an unreachable there. So it does not get to see what it should not answer.
//! It sees ARP and neighbour discovery about its own addresses; at the central port everybody's SYN; at a decoy the
//! holder's; and what belongs to a connection that was made of them.

use alloc::vec;
use core::net::{IpAddr, Ipv6Addr};

use knockgate_core::book::Decoys;
use knockgate_core::message::Mode;
use knockgate_core::profile::Protocol;
use knockgate_core::{Instant, Probe, ProbeKind};
use smoltcp::iface::{Interface, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, RxToken, TxToken};
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr};

use crate::clock;
use crate::config::Config;
use crate::connections::Pool;
use crate::frame::{Frame, Kind, Segment, Step};
use crate::limits::{CENTRAL_SOCKETS, DECOY_SOCKETS};
use crate::watched::Watched;

/// Whom a frame from outside is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Addressee {
    /// The gateway itself.
    Gateway,
    /// Somebody behind it, perhaps.
    Inside,
    /// Nobody: its two addresses contradict each other.
    Nobody,
}

pub(crate) struct Front {
    hardware: EthernetAddress,
    interface: Interface,
    capabilities: DeviceCapabilities,
    pub(crate) sockets: SocketSet<'static>,
    pub(crate) central: Pool<CENTRAL_SOCKETS>,
    pub(crate) knocks: Pool<DECOY_SOCKETS>,
    central_port: Option<u16>,
    decoys: Decoys,
    mode: Mode,
    pub(crate) watched: Watched,
}

impl Front {
    /// `config` was checked. `seed` makes sequence numbers unpredictable.
    pub(crate) fn new(config: &Config, outer: &mut impl Device, seed: u64, now: Instant) -> Self {
        let mut settings = smoltcp::iface::Config::new(HardwareAddress::Ethernet(config.hardware));
        settings.random_seed = seed;
        let mut interface = Interface::new(settings, outer, clock::wire(now));
        set_addresses(&mut interface, config);
        let mut sockets = SocketSet::new(vec![]);
        Self {
            hardware: config.hardware,
            interface,
            capabilities: outer.capabilities(),
            central: Pool::new(&mut sockets),
            knocks: Pool::new(&mut sockets),
            sockets,
            central_port: config.central_port,
            decoys: config.gate.decoys.clone(),
            mode: config.gate.mode,
            watched: Watched::new(),
        }
    }

    /// Whom `frame` is for.
    pub(crate) fn addressee(&self, frame: &Frame) -> Addressee {
        let ours = match &frame.kind {
            Kind::Arp { target } => return self.asked_about(self.owns((*target).into())),
            Kind::Neighbour { to, about } => {
                return self.asked_about(self.owns((*to).into()) || self.owns((*about).into()));
            }
            Kind::Segment(segment) => self.owns(segment.target.0),
            Kind::Other => false,
        };
        match (ours, frame.to == self.hardware) {
            (true, true) => Addressee::Gateway,
            (false, false) => Addressee::Inside,
            (true, false) | (false, true) => Addressee::Nobody,
        }
    }

    fn asked_about(&self, gateway: bool) -> Addressee {
        if gateway { Addressee::Gateway } else { Addressee::Inside }
    }

    fn owns(&self, address: IpAddr) -> bool {
        self.interface.ip_addrs().iter().any(|cidr| IpAddr::from(cidr.address()) == address)
    }

    /// Takes a frame that is for the gateway. What it answers at once goes out through `token`.
    ///
    /// Returns a probe of [`Mode::Closed`], which the stack never sees.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        bytes: &[u8],
        frame: &Frame,
        token: impl TxToken,
    ) -> Option<Probe> {
        let admitted = match &frame.kind {
            Kind::Arp { .. } | Kind::Neighbour { .. } => true,
            Kind::Segment(segment) if self.is_silent_probe(now, segment) => return Some(probe(segment)),
            Kind::Segment(segment) => self.admits(now, segment),
            Kind::Other => false,
        };
        if admitted {
            let mut device = OneFrame { exchange: Some((bytes, token)), capabilities: &self.capabilities };
            self.interface.poll_ingress_single(clock::wire(now), &mut device, &mut self.sockets);
        }
        None
    }

    fn is_silent_probe(&self, now: Instant, segment: &Segment) -> bool {
        self.mode == Mode::Closed
            && segment.step == Step::Begin
            && segment.intact
            && self.is_watched(now, segment)
    }

    fn is_watched(&self, now: Instant, segment: &Segment) -> bool {
        self.decoys.contains(segment.target.1) && self.watched.sees(now, segment.source.0)
    }

    /// Whether the stack may see a segment; if it begins a connection, a socket listens for it.
    fn admits(&mut self, now: Instant, segment: &Segment) -> bool {
        if segment.protocol != Protocol::Tcp || !segment.intact {
            return false;
        }
        let for_holder = self.mode == Mode::Connect && self.is_watched(now, segment);
        let sockets = &mut self.sockets;
        if Some(segment.target.1) == self.central_port {
            return admit(&mut self.central, sockets, now, segment, true);
        }
        admit(&mut self.knocks, sockets, now, segment, for_holder)
    }

    /// Sends what the stack has to send, at most one frame for each socket.
    pub(crate) fn transmit(&mut self, now: Instant, outer: &mut impl Device) {
        self.interface.poll_egress(clock::wire(now), outer, &mut self.sockets);
    }

    /// Ends what has lasted long enough.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.central.expire(&mut self.sockets, now);
        self.knocks.expire(&mut self.sockets, now);
    }

    /// When something is due.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Instant> {
        let stack = self.interface.poll_at(clock::wire(now), &self.sockets).map(clock::core);
        [stack, self.central.next(), self.knocks.next()].into_iter().flatten().min()
    }
}

/// Whether the stack may see a segment for a pool, in which newcomers are `welcome` or not.
fn admit<const N: usize>(
    pool: &mut Pool<N>,
    sockets: &mut SocketSet<'static>,
    now: Instant,
    segment: &Segment,
    welcome: bool,
) -> bool {
    if pool.has(sockets, segment) {
        return true;
    }
    segment.step == Step::Begin && welcome && pool.listen(sockets, now, segment)
}

fn probe(segment: &Segment) -> Probe {
    Probe { source: segment.source.0, port: segment.target.1, kind: ProbeKind::Attempted }
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
