//! Elements of the dynamic sets: their keys, deadlines and comments as the kernel keeps them.
//!
//! A grant element carries its own record as a comment, `kg1:<grant>:<client>:<service>`, and behind that `:<bits>` if it
//! is for a prefix: `nft list` shows whose door it is, and after a restart the set is its own journal. Every element has
//! a timeout, so doors close without us.
//! Layout: `linux/netfilter/nf_tables.h`; a concatenated key pads each field to four bytes.

#[cfg(test)]
mod tests;

use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::netlink::{
    Attributes, Encoder, Message, NFPROTO_INET, NLM_F_ACK, NLM_F_CREATE, NLM_F_REQUEST, array,
};
use super::plan::Protocol;
use super::reach::Reach;
use super::ruleset::TABLE;

const NFT_SUBSYSTEM: u16 = 10 << 8;
pub(crate) const NEWSETELEM: u16 = NFT_SUBSYSTEM | 12;
pub(crate) const GETSETELEM: u16 = NFT_SUBSYSTEM | 13;
pub(crate) const DELSETELEM: u16 = NFT_SUBSYSTEM | 14;

const LIST_TABLE: u16 = 1;
const LIST_SET: u16 = 2;
const LIST_ELEMENTS: u16 = 3;
const LIST_ELEM: u16 = 1;
const ELEM_KEY: u16 = 1;
const ELEM_TIMEOUT: u16 = 4;
const ELEM_EXPIRATION: u16 = 5;
const ELEM_USERDATA: u16 = 6;
const DATA_VALUE: u16 = 1;
/// `NFTNL_UDATA_SET_ELEM_COMMENT` of libnftnl.
const USERDATA_COMMENT: u8 = 0;
/// `NFTNL_UDATA_COMMENT_MAXLEN`, closing zero included.
const MAX_COMMENT_BYTES: usize = 128;

/// Address, protocol and port of a v6 grant, each padded to four bytes.
const MAX_KEY_BYTES: usize = 24;

/// The sets whose elements come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SetName {
    /// Grants for an address.
    Grants4,
    Grants6,
    /// Grants for a prefix, by its first address.
    Wide4,
    Wide6,
    Holders4,
    Holders6,
}

impl SetName {
    pub(crate) const ALL: [Self; 6] =
        [Self::Grants4, Self::Grants6, Self::Wide4, Self::Wide6, Self::Holders4, Self::Holders6];
    pub(crate) const GRANTS: [Self; 4] = [Self::Grants4, Self::Grants6, Self::Wide4, Self::Wide6];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Grants4 => "grants4",
            Self::Grants6 => "grants6",
            Self::Wide4 => "wide4",
            Self::Wide6 => "wide6",
            Self::Holders4 => "holders4",
            Self::Holders6 => "holders6",
        }
    }

    /// The grant set of an address's family.
    pub(crate) fn grants(address: &IpAddr) -> Self {
        if address.is_ipv4() { Self::Grants4 } else { Self::Grants6 }
    }

    /// The set of an address's family for grants that reach further than one address.
    pub(crate) fn wide(address: &IpAddr) -> Self {
        if address.is_ipv4() { Self::Wide4 } else { Self::Wide6 }
    }

    fn holders(address: &IpAddr) -> Self {
        if address.is_ipv4() { Self::Holders4 } else { Self::Holders6 }
    }
}

impl fmt::Display for SetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an element matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    Grant {
        source: IpAddr,
        protocol: Protocol,
        port: u16,
    },
    /// A grant for all addresses of a network; how long its prefix is, the rules say, and the comment.
    Wide {
        network: IpAddr,
        protocol: Protocol,
        port: u16,
    },
    Holder {
        source: IpAddr,
    },
}

impl Key {
    pub(crate) fn set(&self) -> SetName {
        match self {
            Self::Grant { source, .. } => SetName::grants(source),
            Self::Wide { network, .. } => SetName::wide(network),
            Self::Holder { source } => SetName::holders(source),
        }
    }

    pub(crate) fn address(&self) -> IpAddr {
        match self {
            Self::Grant { source, .. } | Self::Holder { source } => *source,
            Self::Wide { network, .. } => *network,
        }
    }

    /// Where a grant leads.
    pub(crate) fn door(&self) -> Option<(Protocol, u16)> {
        match self {
            Self::Grant { protocol, port, .. } | Self::Wide { protocol, port, .. } => {
                Some((*protocol, *port))
            }
            Self::Holder { .. } => None,
        }
    }

    /// The key's bytes and how many of them count.
    fn bytes(&self) -> ([u8; MAX_KEY_BYTES], usize) {
        let mut bytes = [0; MAX_KEY_BYTES];
        let address = match self.address() {
            IpAddr::V4(v4) => {
                bytes[..4].copy_from_slice(&v4.octets());
                4
            }
            IpAddr::V6(v6) => {
                bytes[..16].copy_from_slice(&v6.octets());
                16
            }
        };
        let Some((protocol, port)) = self.door() else { return (bytes, address) };
        bytes[address] = protocol.number();
        bytes[address + 4..address + 6].copy_from_slice(&port.to_be_bytes());
        (bytes, address + 8)
    }

    fn decode(set: SetName, bytes: &[u8]) -> Option<Self> {
        let (source, rest) = match set {
            SetName::Grants4 | SetName::Wide4 | SetName::Holders4 => {
                (IpAddr::V4(Ipv4Addr::from(array::<4>(bytes, 0)?)), bytes.get(4..)?)
            }
            SetName::Grants6 | SetName::Wide6 | SetName::Holders6 => {
                (IpAddr::V6(Ipv6Addr::from(array::<16>(bytes, 0)?)), bytes.get(16..)?)
            }
        };
        let door = || {
            let protocol = Protocol::from_number(*rest.first()?)?;
            let port = u16::from_be_bytes(array(rest, 4)?);
            (rest.len() == 8).then_some((protocol, port))
        };
        match set {
            SetName::Holders4 | SetName::Holders6 => rest.is_empty().then_some(Self::Holder { source }),
            SetName::Grants4 | SetName::Grants6 => {
                door().map(|(protocol, port)| Self::Grant { source, protocol, port })
            }
            SetName::Wide4 | SetName::Wide6 => {
                door().map(|(protocol, port)| Self::Wide { network: source, protocol, port })
            }
        }
    }
}

/// The comment of our own grant elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tag {
    pub(crate) grant: u32,
    pub(crate) client: u32,
    pub(crate) service: u16,
    pub(crate) reach: Reach,
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kg1:{}:{}:{}", self.grant, self.client, self.service)?;
        match self.reach {
            Reach::Address => Ok(()),
            Reach::Prefix(bits) => write!(f, ":{bits}"),
        }
    }
}

impl FromStr for Tag {
    type Err = NotOurs;

    fn from_str(comment: &str) -> Result<Self, NotOurs> {
        let mut numbers = comment.strip_prefix("kg1:").ok_or(NotOurs)?.split(':');
        let tag = Self {
            grant: number(numbers.next())?,
            client: number(numbers.next())?,
            service: number(numbers.next())?,
            reach: match numbers.next() {
                None => Reach::Address,
                bits => Reach::Prefix(number(bits)?),
            },
        };
        // Only what we would have written ourselves: no signs, no leading zeros, nothing behind.
        if tag.to_string() == comment { Ok(tag) } else { Err(NotOurs) }
    }
}

fn number<T: FromStr>(text: Option<&str>) -> Result<T, NotOurs> {
    text.ok_or(NotOurs)?.parse().map_err(|_| NotOurs)
}

/// The comment is not one that this program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotOurs;

/// An element to be written. The timeout is never absent: an element without one would be a door for ever.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewElement {
    pub(crate) key: Key,
    pub(crate) timeout: Duration,
    pub(crate) tag: Option<Tag>,
}

/// An element as found in the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KernelElement {
    pub(crate) key: Key,
    pub(crate) timeout: Option<Duration>,
    pub(crate) remaining: Option<Duration>,
    pub(crate) comment: Option<String>,
}

impl KernelElement {
    /// What its comment says, if this program has written it into this very set.
    pub(crate) fn tag(&self) -> Option<Tag> {
        let tag: Tag = self.comment.as_deref()?.parse().ok()?;
        let fits = match (self.key, tag.reach) {
            (Key::Grant { .. }, Reach::Address) => true,
            (Key::Wide { network, .. }, reach @ Reach::Prefix(_)) => reach.network(network) == network,
            (Key::Grant { .. }, Reach::Prefix(_))
            | (Key::Wide { .. }, Reach::Address)
            | (Key::Holder { .. }, _) => false,
        };
        fits.then_some(tag)
    }
}

/// What one message does to its elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Add,
    Delete,
}

/// Whether the kernel is to answer a message that it accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    IfRefused,
    Always,
}

/// One message about elements of one set. An empty list is no message: a deletion without elements empties the set.
pub(crate) fn encode(
    out: &mut Encoder,
    sequence: u32,
    change: Change,
    answer: Answer,
    elements: &[NewElement],
) {
    let Some(first) = elements.first() else { return };
    let (kind, flags) = match change {
        Change::Add => (NEWSETELEM, NLM_F_REQUEST | NLM_F_CREATE),
        Change::Delete => (DELSETELEM, NLM_F_REQUEST),
    };
    let flags = if answer == Answer::Always { flags | NLM_F_ACK } else { flags };
    out.begin(kind, flags, sequence, NFPROTO_INET, 0);
    out.text(LIST_TABLE, TABLE);
    out.text(LIST_SET, first.key.set().as_str());
    let list = out.nest(LIST_ELEMENTS);
    for element in elements {
        let nest = out.nest(LIST_ELEM);
        encode_element(out, change, element);
        out.end_nest(nest);
    }
    out.end_nest(list);
    out.end();
}

fn encode_element(out: &mut Encoder, change: Change, element: &NewElement) {
    let (bytes, length) = element.key.bytes();
    let key = out.nest(ELEM_KEY);
    out.attribute(DATA_VALUE, &bytes[..length]);
    out.end_nest(key);
    if change == Change::Delete {
        return;
    }
    out.attribute(ELEM_TIMEOUT, &milliseconds(element.timeout).to_be_bytes());
    if let Some(tag) = element.tag {
        out.attribute(ELEM_USERDATA, &comment(tag));
    }
}

/// Kind, length, text, zero.
fn comment(tag: Tag) -> heapless::Vec<u8, MAX_COMMENT_BYTES> {
    const FITS: &str = "a tag has at most 31 characters: its four numbers have 10, 10, 5 and 3 digits";
    let mut userdata = heapless::Vec::from([USERDATA_COMMENT, 0]);
    write!(userdata, "{tag}\0").expect(FITS);
    userdata[1] = u8::try_from(userdata.len() - 2).expect(FITS);
    userdata
}

/// Never zero, which to the kernel means for ever.
fn milliseconds(timeout: Duration) -> u64 {
    u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// The query for all elements of one set.
pub(crate) fn encode_query(out: &mut Encoder, set: SetName) {
    out.text(LIST_TABLE, TABLE);
    out.text(LIST_SET, set.as_str());
}

/// Gathers the elements of one dump message. A key that this program cannot read is none it has written; it is skipped.
pub(crate) fn decode(set: SetName, found: &mut Vec<KernelElement>, message: Message<'_>) {
    if message.kind != NEWSETELEM {
        return;
    }
    let Some(list) = message.attributes().nested(LIST_ELEMENTS) else { return };
    found.extend(list.filter_map(|(_, element)| decode_element(set, Attributes(element))));
}

fn decode_element(set: SetName, element: Attributes<'_>) -> Option<KernelElement> {
    let key = element.nested(ELEM_KEY)?.find(DATA_VALUE)?;
    Some(KernelElement {
        key: Key::decode(set, key)?,
        timeout: element.u64(ELEM_TIMEOUT).map(Duration::from_millis),
        remaining: element.u64(ELEM_EXPIRATION).map(Duration::from_millis),
        comment: element.find(ELEM_USERDATA).and_then(decode_comment),
    })
}

/// Userdata is a list of (kind, length, value) with one byte each for the first two.
fn decode_comment(mut userdata: &[u8]) -> Option<String> {
    while let [kind, length, rest @ ..] = userdata {
        let value = rest.get(..usize::from(*length))?;
        if *kind == USERDATA_COMMENT {
            let text = value.strip_suffix(&[0]).unwrap_or(value);
            return (text.len() < MAX_COMMENT_BYTES).then(|| String::from_utf8_lossy(text).into_owned());
        }
        userdata = rest.get(usize::from(*length)..)?;
    }
    None
}
