//! What the kernel says over netlink. It is no enemy, but its words are lengths and offsets, and partly those of strangers.

use std::net::IpAddr;
use std::time::Duration;

use knockgate_agent::firewall::{Protocol, Reach, SetName};
use knockgate_agent::fuzzing::{self, Element};

use crate::tape::Tape;

const SETS: [SetName; 6] = [
    SetName::Grants4,
    SetName::Grants6,
    SetName::Wide4,
    SetName::Wide6,
    SetName::Holders4,
    SetName::Holders6,
];
const NEW_FLOW: u16 = 1 << 8;
const PAYLOAD: u16 = 9;
const INTERFACE: u16 = 4;
const NFLOG_PACKET: u16 = 4 << 8;
const NEW_LINK: u16 = 16;
const NEW_ROUTE: u16 = 24;

/// Messages and their attributes, read side by side with a plain reader that knows the layout only from the kernel's headers.
pub fn netlink(data: &[u8]) {
    let read: Vec<_> = fuzzing::messages(data).collect();
    assert_eq!(read, plain_messages(data));
    assert_eq!(fuzzing::attributes(data).collect::<Vec<_>>(), plain_attributes(data));

    let reports: Vec<_> = fuzzing::reports(data).collect();
    let packets = read.iter().filter(|(kind, _)| *kind == NFLOG_PACKET);
    let packets = packets.filter_map(|(_, attributes)| Some((find(attributes, PAYLOAD)?, attributes)));
    let expected: Vec<_> = packets.map(|(packet, attributes)| (packet, interface(attributes))).collect();
    assert_eq!(reports, expected, "every packet is reported once");
}

/// Flows of conntrack: any bytes, and flows as the kernel writes them.
pub fn flows(data: &[u8]) {
    let most = data.len() / 16;
    assert!(fuzzing::flows(data).count() <= most);

    let mut tape = Tape::new(data);
    let source = address(&mut tape);
    let (number, port) = (tape.one_of([6, 17, 1, 58]), tape.u16());
    let (state, status) = (tape.some(Tape::byte), tape.u32());
    let (protocol, alive) = match number {
        6 => (Some(Protocol::Tcp), state == Some(3)),
        17 => (Some(Protocol::Udp), status & 2 != 0),
        _ => (None, false),
    };
    let expected = protocol.filter(|_| alive).map(|protocol| (source, protocol, port));
    let datagram = flow(source, number, port, state, status);
    assert_eq!(fuzzing::flows(&datagram).next(), expected);
    assert_eq!(
        fuzzing::flows(&[datagram.clone(), datagram].concat()).count(),
        2 * usize::from(expected.is_some())
    );
}

/// Interfaces and routes to this host: any bytes, and both as the kernel writes them.
pub fn routes(data: &[u8]) {
    let most = data.len() / 28;
    let found: Vec<_> = fuzzing::local_routes(data).collect();
    assert!(found.len() <= most && fuzzing::interfaces(data).count() <= data.len() / 32);
    for &(network, bits, leads_here) in &found {
        let written = route(network, bits, leads_here);
        let again: Vec<_> = fuzzing::local_routes(&written).collect();
        assert_eq!(again, [(network, bits, leads_here)], "a network has no bits behind its prefix");
    }
    for (number, name) in fuzzing::interfaces(data) {
        if name.len() < 16 && !name.ends_with('\0') {
            assert_eq!(fuzzing::interfaces(&link(number, &name)).collect::<Vec<_>>(), [(number, name)]);
        }
    }

    let mut tape = Tape::new(data);
    let (network, bits, leads_here) = (address(&mut tape), tape.byte(), tape.flag());
    let most = if network.is_ipv4() { 32 } else { 128 };
    let written = route(network, bits, leads_here);
    let read = fuzzing::local_routes(&written).next();
    assert_eq!(read.map(|(_, bits, here)| (bits, here)), (bits <= most).then_some((bits, leads_here)));
    assert!(read.is_none_or(|(masked, ..)| bits < most || masked == network));
}

/// Elements of the guard's sets. Whatever is found there can be written again, and is then the same.
pub fn set_elements(data: &[u8]) {
    for set in SETS {
        for element in fuzzing::elements(set, data) {
            check_element(set, &element);
        }
    }
}

fn check_element(set: SetName, element: &Element) {
    let is_v4 = matches!(set, SetName::Grants4 | SetName::Wide4 | SetName::Holders4);
    let is_holder = matches!(set, SetName::Holders4 | SetName::Holders6);
    assert_eq!((element.address.is_ipv4(), element.door.is_none()), (is_v4, is_holder));
    if let Some((grant, client, service, reach)) = element.tag {
        let bits = match reach {
            Reach::Address => String::new(),
            Reach::Prefix(bits) => format!(":{bits}"),
        };
        assert_eq!(
            element.comment,
            Some(format!("kg1:{grant}:{client}:{service}{bits}")),
            "one text for a tag"
        );
        assert!(!is_holder && reach.network(element.address) == element.address.to_canonical());
    }
    let Some(timeout) = element.timeout else { return };
    let comment = element.comment.clone().filter(|_| element.tag.is_some());
    // To the kernel, no time at all means for ever.
    let timeout = Some(timeout.max(Duration::from_millis(1)));
    let expected = Element { comment, timeout, ..element.clone() };
    assert_eq!(fuzzing::elements(set, &element.write(set)), [expected]);
}

/// Kind and value.
type Attribute<'a> = (u16, &'a [u8]);

fn plain_messages(mut bytes: &[u8]) -> Vec<(u16, Vec<Attribute<'_>>)> {
    let mut messages = Vec::new();
    while bytes.len() >= 16 {
        let length = bytes.first_chunk().map_or(0, |length| u32::from_ne_bytes(*length));
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length < 16 || length > bytes.len() {
            break;
        }
        let kind = u16::from_ne_bytes([bytes[4], bytes[5]]);
        // Header 16, then family, version and resource.
        messages.push((kind, plain_attributes(if length < 20 { &[] } else { &bytes[20..length] })));
        bytes = &bytes[padded(length).min(bytes.len())..];
    }
    messages
}

fn plain_attributes(mut bytes: &[u8]) -> Vec<Attribute<'_>> {
    let mut attributes = Vec::new();
    while bytes.len() >= 4 {
        let length = usize::from(u16::from_ne_bytes([bytes[0], bytes[1]]));
        if length < 4 || length > bytes.len() {
            break;
        }
        let kind = u16::from_ne_bytes([bytes[2], bytes[3]]) & 0x3fff;
        attributes.push((kind, &bytes[4..length]));
        bytes = &bytes[padded(length).min(bytes.len())..];
    }
    attributes
}

fn padded(length: usize) -> usize {
    (length + 3) & !3
}

fn find<'a>(attributes: &[(u16, &'a [u8])], wanted: u16) -> Option<&'a [u8]> {
    attributes.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| *value)
}

fn interface(attributes: &[(u16, &[u8])]) -> Option<u32> {
    find(attributes, INTERFACE)?.first_chunk().map(|number| u32::from_be_bytes(*number))
}

fn address(tape: &mut Tape<'_>) -> IpAddr {
    if tape.flag() { IpAddr::from(tape.array::<16>()) } else { IpAddr::from(tape.array::<4>()) }
}

/// A flow as conntrack writes it.
pub(crate) fn flow(source: IpAddr, protocol: u8, port: u16, state: Option<u8>, status: u32) -> Vec<u8> {
    let (kind, octets) = match source {
        IpAddr::V4(v4) => (1, v4.octets().to_vec()),
        IpAddr::V6(v6) => (3, v6.octets().to_vec()),
    };
    let transport =
        [attribute(1, &[protocol]), attribute(2, &[0xc3, 0x50]), attribute(3, &port.to_be_bytes())].concat();
    let tuple = [attribute(1, &attribute(kind, &octets)), attribute(2, &transport)].concat();
    let info = state.map(|state| attribute(4, &attribute(1, &attribute(1, &[state])))).unwrap_or_default();
    message(NEW_FLOW, &[attribute(1, &tuple), attribute(3, &status.to_be_bytes()), info].concat())
}

/// A packet as NFLOG reports it.
pub(crate) fn report(packet: &[u8]) -> Vec<u8> {
    let content = [attribute(INTERFACE, &7_u32.to_be_bytes()), attribute(PAYLOAD, packet)].concat();
    message(NFLOG_PACKET, &content)
}

/// A route of the table of those to this host.
pub(crate) fn route(network: IpAddr, bits: u8, leads_here: bool) -> Vec<u8> {
    let (family, octets) = match network {
        IpAddr::V4(v4) => (2, v4.octets().to_vec()),
        IpAddr::V6(v6) => (10, v6.octets().to_vec()),
    };
    let kind = if leads_here { 2 } else { 3 };
    let head = [family, bits, 0, 0, 255, 2, 254, kind, 0, 0, 0, 0];
    headed(NEW_ROUTE, &[&head[..], &attribute(1, &octets)].concat())
}

/// An interface.
pub(crate) fn link(number: u32, name: &str) -> Vec<u8> {
    let head = [&[0, 0, 1, 0], &number.to_ne_bytes()[..], &[0; 8]].concat();
    headed(NEW_LINK, &[head, attribute(3, &[name.as_bytes(), &[0]].concat())].concat())
}

fn headed(kind: u16, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + content.len()).expect("a short message");
    [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], content].concat()
}

fn message(kind: u16, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(20 + content.len()).expect("a short message");
    let head = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], &[2, 0, 0, 0]].concat();
    [&head, content].concat()
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).expect("a short attribute");
    let mut attribute = [&length.to_ne_bytes(), &kind.to_ne_bytes(), value].concat();
    attribute.resize(padded(attribute.len()), 0);
    attribute
}
