//! Is the table in the kernel still ours, and has it the shape that this version writes?
//!
//! Every rule has a handle that the kernel never gives twice within a table, so the list of handles tells whether a
//! rule was removed, replaced or added. Rules refer to chains and sets, which cannot go while they do.
//!
//! The kernel counts the changes of all tables of a network namespace. As long as it has counted ours alone, nobody has changed
//! anything, and there is nothing else to be read.

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::elements::SetName;
use super::error::FirewallError;
use super::netlink::{Attributes, Message, Socket};
use super::ruleset::TABLE;

const NFT_SUBSYSTEM: u16 = 10 << 8;
const NEWTABLE: u16 = NFT_SUBSYSTEM;
const GETTABLE: u16 = NFT_SUBSYSTEM | 1;
const NEWRULE: u16 = NFT_SUBSYSTEM | 6;
const GETRULE: u16 = NFT_SUBSYSTEM | 7;
const NEWSET: u16 = NFT_SUBSYSTEM | 9;
const GETSET: u16 = NFT_SUBSYSTEM | 10;
const NEWGEN: u16 = NFT_SUBSYSTEM | 15;
const GETGEN: u16 = NFT_SUBSYSTEM | 16;

const TABLE_NAME: u16 = 1;
const TABLE_FLAGS: u16 = 2;
const TABLE_HANDLE: u16 = 4;
const RULE_TABLE: u16 = 1;
const RULE_HANDLE: u16 = 3;
const SET_TABLE: u16 = 1;
const SET_NAME: u16 = 2;
const SET_FLAGS: u16 = 3;
const SET_KEY_TYPE: u16 = 4;
const SET_KEY_LEN: u16 = 5;
const GEN_ID: u16 = 1;

const SET_HAS_TIMEOUT: u32 = 0x10;
/// nft's numbers for data types, six bits each in a concatenation.
const TYPE_IPV4: u32 = 7;
const TYPE_IPV6: u32 = 8;
const TYPE_PROTOCOL: u32 = 12;
const TYPE_SERVICE: u32 = 13;

/// What `verify` found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Integrity {
    /// Nobody else has changed anything since it was looked at last.
    Whole,
    /// The rules are as they were installed. Somebody has changed something, in another table or among what is open.
    Touched,
    /// The table is there but its rules are not as they were installed.
    Altered,
    Gone,
}

/// What tells an untouched table from a touched one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    table: TableState,
    rules: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TableState {
    handle: u64,
    /// A table can be switched off without being changed otherwise (`dormant`).
    flags: u32,
}

/// Where the kernel's count stood, and ours, when all was found in order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count {
    all: u32,
    ours: u32,
}

impl Count {
    pub(crate) fn now(socket: &mut Socket) -> Result<Self, Errno> {
        let all = socket.ask(GETGEN, read_generation)?.first().copied().ok_or(Errno::NODATA)?;
        Ok(Self { all, ours: socket.commits() })
    }

    /// Whether all changes since then were ours.
    pub(crate) fn is_ours_since(self, before: Self) -> bool {
        self.all.wrapping_sub(before.all) == self.ours.wrapping_sub(before.ours)
    }
}

fn read_generation(found: &mut Vec<u32>, message: Message<'_>) {
    if message.kind == NEWGEN {
        found.extend(message.attributes().u32(GEN_ID));
    }
}

/// `None`: there is no table.
pub(crate) fn fingerprint(socket: &mut Socket) -> Result<Option<Fingerprint>, Errno> {
    let tables = socket.dump(GETTABLE, |_| {}, read_table)?;
    let Some(&table) = tables.first() else { return Ok(None) };
    let rules = socket.dump(GETRULE, |query| query.text(RULE_TABLE, TABLE), read_rule)?;
    Ok(Some(Fingerprint { table, rules }))
}

fn read_table(found: &mut Vec<TableState>, message: Message<'_>) {
    let attributes = message.attributes();
    if message.kind == NEWTABLE && attributes.text(TABLE_NAME) == Some(TABLE) {
        let handle = attributes.u64(TABLE_HANDLE).unwrap_or_default();
        found.push(TableState { handle, flags: attributes.u32(TABLE_FLAGS).unwrap_or_default() });
    }
}

fn read_rule(found: &mut Vec<u64>, message: Message<'_>) {
    let attributes = message.attributes();
    if message.kind == NEWRULE && attributes.text(RULE_TABLE) == Some(TABLE) {
        found.extend(attributes.u64(RULE_HANDLE));
    }
}

/// What an earlier run has left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remains {
    None,
    /// Our sets, as this version makes them.
    SameShape,
    OtherShape,
}

pub(crate) fn remains(socket: &mut Socket) -> Result<Remains, FirewallError> {
    // The first message to nf_tables: a kernel without it knows no such subsystem.
    let tables = match socket.dump(GETTABLE, |_| {}, read_table) {
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Err(FirewallError::NoNfTables),
        other => other?,
    };
    if tables.is_empty() {
        return Ok(Remains::None);
    }
    let sets = socket.dump(GETSET, |query| query.text(SET_TABLE, TABLE), read_set)?;
    let fits = SetName::ALL.iter().all(|&name| sets.contains(&Some(name)));
    let tables_fit = tables.iter().all(|table| table.flags == 0);
    Ok(if fits && tables_fit { Remains::SameShape } else { Remains::OtherShape })
}

/// Gathers the sets that are shaped as this version makes them.
fn read_set(found: &mut Vec<Option<SetName>>, message: Message<'_>) {
    let attributes = message.attributes();
    if message.kind == NEWSET && attributes.text(SET_TABLE) == Some(TABLE) {
        found.push(SetName::ALL.into_iter().find(|&name| has_shape(name, attributes)));
    }
}

fn has_shape(name: SetName, set: Attributes<'_>) -> bool {
    let (key_type, key_length) = match name {
        SetName::Grants4 | SetName::Wide4 => (concatenation(TYPE_IPV4), 12),
        SetName::Grants6 | SetName::Wide6 => (concatenation(TYPE_IPV6), 24),
        SetName::Holders4 => (TYPE_IPV4, 4),
        SetName::Holders6 => (TYPE_IPV6, 16),
    };
    set.text(SET_NAME) == Some(name.as_str())
        && set.u32(SET_FLAGS) == Some(SET_HAS_TIMEOUT)
        && set.u32(SET_KEY_TYPE) == Some(key_type)
        && set.u32(SET_KEY_LEN) == Some(key_length)
}

fn concatenation(address: u32) -> u32 {
    (address << 12) | (TYPE_PROTOCOL << 6) | TYPE_SERVICE
}
