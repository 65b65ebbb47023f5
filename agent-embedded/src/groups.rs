//! The multicast groups at which the gateway is asked for its IPv6 addresses.
//!
//! A switch that watches who listens to which group keeps a question for the gateway's address to itself if nobody has said to
//! listen. So the gateway says it, when it starts and when it is asked. That is the only thing which it says to a whole network: as
//! much as neighbour discovery tells everybody on the link, and no router passes it on. Source: RFC 3810.

use core::net::Ipv6Addr;
use core::time::Duration;

use heapless::Vec;
use knockgate_core::Instant;
use smoltcp::phy::{Device, TxToken};
use smoltcp::wire::{EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv6Packet, IpProtocol, Ipv6Packet};

use crate::clock;
use crate::frame;

/// The gateway's own addresses: one, and the link-local one.
const MOST: usize = 2;
/// Reports come no closer together, however often somebody asks.
const PAUSE: Duration = Duration::from_secs(1);

/// Who hears reports: `ff02::16`, and its card.
const LISTENERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
const LISTENERS_CARD: EthernetAddress = EthernetAddress([0x33, 0x33, 0, 0, 0, 0x16]);
/// A hop-by-hop header with nothing but the mark by which routers look into it. Source: RFC 2711.
const ROUTER_ALERT: [u8; 8] = [58, 0, 5, 2, 0, 0, 1, 0];
const V6_HEADER: usize = 40;
const REPORT: u8 = 143;
const REPORT_HEADER: usize = 8;
/// "I hear everybody who speaks to this group", and bytes of a record.
const EVERYBODY: u8 = 4;
const RECORD: usize = 20;

/// What is to be reported, and when.
pub(crate) struct Groups {
    hardware: EthernetAddress,
    source: Ipv6Addr,
    groups: Vec<Ipv6Addr, MOST>,
    due: Option<Instant>,
    earliest: Instant,
}

impl Groups {
    /// For a gateway with these addresses, of which `source` is the link-local one.
    pub(crate) fn new(
        hardware: EthernetAddress,
        source: Ipv6Addr,
        own: impl Iterator<Item = Ipv6Addr>,
        now: Instant,
    ) -> Self {
        let groups: Vec<Ipv6Addr, MOST> = own.take(MOST).map(asked_at).collect();
        let due = (!groups.is_empty()).then_some(now);
        Self { hardware, source, groups, due, earliest: now }
    }

    /// Somebody has asked who listens.
    pub(crate) fn asked(&mut self, now: Instant) {
        if !self.groups.is_empty() {
            self.due = Some(self.due.unwrap_or(now).max(self.earliest));
        }
    }

    /// When a report is due.
    pub(crate) const fn next(&self) -> Option<Instant> {
        self.due
    }

    /// Sends a report if it is due.
    pub(crate) fn transmit(&mut self, now: Instant, outer: &mut impl Device) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        let Some(token) = outer.transmit(clock::wire(now)) else { return };
        (self.due, self.earliest) = (None, now.after(PAUSE));
        let length = frame::HEADER + V6_HEADER + ROUTER_ALERT.len() + self.report();
        token.consume(length, |bytes| self.write(bytes));
    }

    /// Bytes of a report.
    fn report(&self) -> usize {
        REPORT_HEADER + self.groups.len() * RECORD
    }

    fn write(&self, bytes: &mut [u8]) {
        // A buffer may hold what was sent before.
        bytes.fill(0);
        let mut frame = EthernetFrame::new_unchecked(bytes);
        frame.set_src_addr(self.hardware);
        frame.set_dst_addr(LISTENERS_CARD);
        frame.set_ethertype(EthernetProtocol::Ipv6);
        let (head, rest) = frame.payload_mut().split_at_mut(V6_HEADER);
        let mut packet = Ipv6Packet::new_unchecked(head);
        packet.set_version(6);
        packet.set_payload_len(u16::try_from(rest.len()).unwrap_or(u16::MAX));
        packet.set_next_header(IpProtocol::HopByHop);
        packet.set_hop_limit(1);
        packet.set_src_addr(self.source);
        packet.set_dst_addr(LISTENERS);
        let (alert, report) = rest.split_at_mut(ROUTER_ALERT.len());
        alert.copy_from_slice(&ROUTER_ALERT);
        self.write_report(report);
        Icmpv6Packet::new_unchecked(report).fill_checksum(&self.source, &LISTENERS);
    }

    fn write_report(&self, bytes: &mut [u8]) {
        let (head, records) = bytes.split_at_mut(REPORT_HEADER);
        let count = u16::try_from(self.groups.len()).unwrap_or(u16::MAX).to_be_bytes();
        head.copy_from_slice(&[REPORT, 0, 0, 0, 0, 0, count[0], count[1]]);
        for (record, group) in records.chunks_exact_mut(RECORD).zip(&self.groups) {
            let (kind, address) = record.split_at_mut(4);
            kind.copy_from_slice(&[EVERYBODY, 0, 0, 0]);
            address.copy_from_slice(&group.octets());
        }
    }
}

/// The group at which neighbours ask for an address. Source: RFC 4291, section 2.7.1.
fn asked_at(address: Ipv6Addr) -> Ipv6Addr {
    let [.., high, low] = address.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | high & 0xff, low)
}
