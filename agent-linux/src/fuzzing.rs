//! Parsers that nobody outside calls, shown to the fuzz targets. No part of the agent's interface.

use std::net::IpAddr;
use std::time::Duration;

use knockgate_core::file::FileError;

use crate::capture::links;
use crate::capture::subscription::{PACKET, report};
use crate::capture::{ProbeSeen, packet};
use crate::firewall::elements::{self, Answer, Change, KernelElement, Key, NewElement, Tag};
use crate::firewall::netlink::{Attributes, Encoder, Messages};
use crate::firewall::{Protocol, Reach, SetName, flows};
use crate::state::{GateIdentity, RosterFile};

/// An element of a dynamic set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// The address, or the first one of the network.
    pub address: IpAddr,
    /// Where a grant leads; none of a holder.
    pub door: Option<(Protocol, u16)>,
    pub timeout: Option<Duration>,
    /// Whose it is, if we have written that: grant, client, service, reach.
    pub tag: Option<(u32, u32, u16, Reach)>,
    pub comment: Option<String>,
}

/// The probe in a packet of closed mode.
pub fn probe(packet: &[u8]) -> Option<ProbeSeen> {
    packet::parse(packet)
}

/// The packet in a frame of which at most `cut` bytes were kept.
pub fn without_padding(frame: &[u8], cut: usize) -> Option<&[u8]> {
    packet::without_padding(frame, cut)
}

/// The routes to this host in a netlink datagram: network, bits of its prefix, and whether it is the host's own.
pub fn local_routes(datagram: &[u8]) -> impl Iterator<Item = (IpAddr, u8, bool)> {
    let routes = Messages(datagram).filter_map(links::local_route);
    routes.map(|route| (route.network, route.bits, route.leads_here))
}

/// The interfaces in a netlink datagram, by number and name.
pub fn interfaces(datagram: &[u8]) -> impl Iterator<Item = (u32, String)> {
    Messages(datagram).filter_map(links::interface).map(|interface| (interface.number, interface.name))
}

/// The kind and the attributes of every message of a netlink datagram.
pub fn messages(datagram: &[u8]) -> impl Iterator<Item = (u16, Vec<(u16, &[u8])>)> {
    Messages(datagram).map(|message| (message.kind, message.attributes().collect()))
}

/// The attributes in a nest.
pub fn attributes(nest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    Attributes(nest)
}

/// The packets that NFLOG reports in a netlink datagram, with the interface that they came in by.
pub fn reports(datagram: &[u8]) -> impl Iterator<Item = (&[u8], Option<u32>)> {
    let reported = Messages(datagram).filter(|message| message.kind == PACKET).filter_map(report);
    reported.map(|report| (report.packet, report.interface))
}

/// The flows of conntrack in a netlink datagram that are alive.
pub fn flows(datagram: &[u8]) -> impl Iterator<Item = (IpAddr, Protocol, u16)> {
    Messages(datagram).filter_map(flows::read).map(|flow| (flow.source, flow.protocol, flow.port))
}

/// The elements of `set` in a netlink datagram.
pub fn elements(set: SetName, datagram: &[u8]) -> Vec<Element> {
    let mut found = Vec::new();
    Messages(datagram).for_each(|message| elements::decode(set, &mut found, message));
    found.iter().map(Element::of).collect()
}

impl Element {
    fn of(element: &KernelElement) -> Self {
        Self {
            address: element.key.address(),
            door: element.key.door(),
            timeout: element.timeout,
            tag: element.tag().map(|tag| (tag.grant, tag.client, tag.service, tag.reach)),
            comment: element.comment.clone(),
        }
    }

    /// The netlink message that adds it to `set`; nothing if it has no timeout, for such a one is never written.
    pub fn write(&self, set: SetName) -> Vec<u8> {
        let Some(timeout) = self.timeout else { return Vec::new() };
        let tag = self.tag.map(|(grant, client, service, reach)| Tag { grant, client, service, reach });
        let mut out = Encoder::default();
        let element = NewElement { key: self.key(set), timeout, tag };
        elements::encode(&mut out, 1, Change::Add, Answer::Always, &[element]);
        out.as_bytes().to_vec()
    }

    fn key(&self, set: SetName) -> Key {
        match (set, self.door) {
            (SetName::Grants4 | SetName::Grants6, Some((protocol, port))) => {
                Key::Grant { source: self.address, protocol, port }
            }
            (SetName::Wide4 | SetName::Wide6, Some((protocol, port))) => {
                Key::Wide { network: self.address, protocol, port }
            }
            (SetName::Holders4 | SetName::Holders6, _) | (_, None) => Key::Holder { source: self.address },
        }
    }
}

/// A roster's file.
pub fn roster(file: &[u8]) -> Result<RosterFile, FileError> {
    RosterFile::decode(file)
}

/// A gate identity's file.
pub fn identity(file: &[u8]) -> Result<GateIdentity, FileError> {
    GateIdentity::decode(file)
}
