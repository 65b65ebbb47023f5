//! The headers of IPv4 and IPv6.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::transport::{self, Around};
use super::{Content, Packet, Piece, Rank, number, take};

/// Bytes of an IPv4 header without options, and of IPv6's.
const V4_HEADER: usize = 20;
const V6_HEADER: usize = 40;

/// Of the word with the offset in an IPv4 header: must be zero, more follow, the offset in units of eight bytes.
const V4_RESERVED: u16 = 0x8000;
const V4_MORE: u16 = 0x2000;
const V4_OFFSET: u16 = 0x1fff;
/// Of that in IPv6's fragment header. The offset counts units of eight bytes, so it is one of bytes as it stands.
const V6_MORE: u16 = 0x0001;
const V6_OFFSET: u16 = 0xfff8;

/// The options that IPv4 packets come in with: padding, and the mark on messages about groups. Others tell routers what to
/// do, which is nobody's business behind a gateway.
const END_OF_OPTIONS: u8 = 0;
const NO_OPTION: u8 = 1;
const ROUTER_ALERT: [u8; 4] = [148, 4, 0, 0];

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;
/// Extension headers of one packet. Each of those that are let in may stand there once, destination options twice. Source:
/// RFC 8200, section 4.1.
const MOST_EXTENSIONS: usize = 5;

/// A header, and what follows it: no further than it says, and no further than there is something.
pub(super) struct Head<'a> {
    pub(super) source: IpAddr,
    pub(super) target: IpAddr,
    pub(super) hops: u8,
    pub(super) protocol: u8,
    pub(super) piece: Option<Piece>,
    is_extended: bool,
    /// Bytes that the header says to follow.
    length: usize,
    pub(super) rest: &'a [u8],
}

pub(super) fn v4(bytes: &[u8]) -> Option<Packet<'_>> {
    let head = head_v4(bytes)?;
    if !is_sum_right(bytes) || head.rest.len() < head.length {
        return None;
    }
    packet(&head, options_v4(bytes)?)
}

/// Reads an IPv4 header, of a packet that may have been cut short behind it.
pub(super) fn head_v4(bytes: &[u8]) -> Option<Head<'_>> {
    let first = *bytes.first()?;
    let header = usize::from(first & 0x0f) * 4;
    let total = usize::from(number(bytes, 2)?);
    if first >> 4 != 4 || header < V4_HEADER || total < header {
        return None;
    }
    let (fragment, protocol) = (number(bytes, 6)?, *bytes.get(9)?);
    let length = total - header;
    let more = fragment & V4_MORE != 0;
    let offset = fragment & V4_OFFSET;
    if fragment & V4_RESERVED != 0 {
        return None;
    }
    let piece = match (offset, more) {
        (0, false) => None,
        _ => Some(piece(number(bytes, 4)?.into(), protocol, usize::from(offset) * 8, length, more)?),
    };
    Some(Head {
        source: Ipv4Addr::from(take::<4>(bytes, 12)?).into(),
        target: Ipv4Addr::from(take::<4>(bytes, 16)?).into(),
        hops: *bytes.get(8)?,
        protocol,
        piece,
        is_extended: false,
        length,
        rest: at_most(bytes.get(header..)?, length),
    })
}

/// RFC 1071: the sum of a header with its checksum is all ones.
fn is_sum_right(bytes: &[u8]) -> bool {
    let header = bytes.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
    let words = bytes.get(..header).unwrap_or_default().chunks_exact(2);
    let sum: u32 =
        words.map(|word| take(word, 0).map_or(0, |word| u32::from(u16::from_be_bytes(word)))).sum();
    // At most thirty words: one carry, and one from adding it.
    let sum = (sum & 0xffff) + (sum >> 16);
    (sum & 0xffff) + (sum >> 16) == 0xffff
}

/// What the options of an IPv4 packet are like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extras {
    Plain,
    /// Something that the gateway has no rule for.
    Odd,
}

fn options_v4(bytes: &[u8]) -> Option<Extras> {
    let header = usize::from(bytes.first()? & 0x0f) * 4;
    let mut options = bytes.get(V4_HEADER..header)?;
    while let Some(&option) = options.first() {
        let length = match option {
            END_OF_OPTIONS => break,
            NO_OPTION => 1,
            _ if take(options, 0) == Some(ROUTER_ALERT) => ROUTER_ALERT.len(),
            _ => return Some(Extras::Odd),
        };
        options = options.get(length..)?;
    }
    Some(Extras::Plain)
}

pub(super) fn v6(bytes: &[u8]) -> Option<Packet<'_>> {
    let head = head_v6(bytes)?;
    if head.rest.len() < head.length || is_mapped(head.source) || is_mapped(head.target) {
        return None;
    }
    match extensions(head)? {
        Walked::To(head) => packet(&head, Extras::Plain),
        Walked::Astray(head) => packet(&head, Extras::Odd),
    }
}

/// Reads the first header of an IPv6 packet, which may have been cut short behind it.
pub(super) fn head_v6(bytes: &[u8]) -> Option<Head<'_>> {
    if bytes.first()? >> 4 != 6 {
        return None;
    }
    let length = usize::from(number(bytes, 4)?);
    Some(Head {
        source: Ipv6Addr::from(take::<16>(bytes, 8)?).into(),
        target: Ipv6Addr::from(take::<16>(bytes, 24)?).into(),
        hops: *bytes.get(7)?,
        protocol: *bytes.get(6)?,
        piece: None,
        is_extended: false,
        length,
        rest: at_most(bytes.get(V6_HEADER..)?, length),
    })
}

/// An IPv4 address as programs write it in IPv6. In a packet it could pass for the end of an IPv4 flow. Source: RFC 4291,
/// section 2.5.5.2.
fn is_mapped(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => v6.to_ipv4_mapped().is_some(),
    }
}

/// How a walk over extension headers has ended.
pub(super) enum Walked<'a> {
    /// At what the packet carries.
    To(Head<'a>),
    /// At a header that is not let in.
    Astray(Head<'a>),
}

/// Walks over the extension headers. `None` if they are cut short.
pub(super) fn extensions(mut head: Head<'_>) -> Option<Walked<'_>> {
    for walked in 0..MOST_EXTENSIONS {
        let length = match head.protocol {
            // It stands first or nowhere. Source: RFC 8200, section 4.1.
            HOP_BY_HOP if walked > 0 => return Some(Walked::Astray(head)),
            // With a stop on the way still to come the packet is not for whom its header says.
            ROUTING if *head.rest.get(3)? != 0 => return Some(Walked::Astray(head)),
            HOP_BY_HOP | ROUTING | DESTINATION => usize::from(*head.rest.get(1)?) * 8 + 8,
            FRAGMENT if head.piece.is_some() => return Some(Walked::Astray(head)),
            FRAGMENT => {
                head.piece = fragment_v6(head.rest)?;
                8
            }
            _ => return Some(Walked::To(head)),
        };
        head.is_extended = true;
        head.protocol = *head.rest.first()?;
        head.rest = head.rest.get(length..)?;
        // The headers behind that of a later fragment are in the first one.
        if head.piece.is_some_and(|piece| piece.rank != Rank::First) {
            return Some(Walked::To(head));
        }
    }
    Some(Walked::Astray(head))
}

/// A packet that is its own only fragment is whole. Source: RFC 6946.
fn fragment_v6(bytes: &[u8]) -> Option<Option<Piece>> {
    let (protocol, word, id) = (*bytes.first()?, number(bytes, 2)?, u32::from_be_bytes(take(bytes, 4)?));
    let (offset, more) = (usize::from(word & V6_OFFSET), word & V6_MORE != 0);
    if offset == 0 && !more {
        return Some(None);
    }
    piece(id, protocol, offset, bytes.len().checked_sub(8)?, more).map(Some)
}

/// `None` if there is no such fragment: the last byte of a packet has a number of 16 bits, and only the last fragment's length
/// is no multiple of eight.
fn piece(id: u32, protocol: u8, offset: usize, length: usize, more: bool) -> Option<Piece> {
    let from = u16::try_from(offset).ok()?;
    let to = u16::try_from(offset + length).ok().filter(|to| *to > from)?;
    if more && !length.is_multiple_of(8) {
        return None;
    }
    let rank = match (offset, more) {
        (0, _) => Rank::First,
        (_, true) => Rank::Middle,
        (_, false) => Rank::Last,
    };
    Some(Piece { id, protocol, from, to, rank })
}

fn packet<'a>(head: &Head<'a>, extras: Extras) -> Option<Packet<'a>> {
    let &Head { source, target, hops, protocol, piece, is_extended, rest, .. } = head;
    let is_later = piece.is_some_and(|piece| piece.rank != Rank::First);
    let content = match extras {
        Extras::Odd => Content::Other,
        Extras::Plain if is_later => Content::Rest,
        Extras::Plain => {
            let around = Around { source, target, hops, is_whole: piece.is_none() };
            transport::content(around, protocol, rest)?
        }
    };
    Some(Packet { source, target, piece, is_extended, content })
}

fn at_most(bytes: &[u8], length: usize) -> &[u8] {
    bytes.get(..length).unwrap_or(bytes)
}
