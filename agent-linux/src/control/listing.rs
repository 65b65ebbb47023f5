//! What is open, who is locked out, who is enrolled. Their JSON is that of the commands; names only grow.

use serde::{Deserialize, Serialize};

/// A grant that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenGrant {
    pub grant: u32,
    /// A client's name, a static sequence's, or `console`.
    pub client: String,
    /// An address, or a prefix as `192.0.2.0/24`.
    pub to: String,
    pub service: String,
    pub left_seconds: u64,
}

/// A lockout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedOut {
    /// An address or prefix, the name of a client, or `everybody`.
    pub who: String,
    /// `source`, `client` or `everybody`.
    pub kind: String,
    pub left_seconds: u64,
}

/// A client on the roster, and what is known of its knocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSeen {
    pub client: String,
    pub id: u32,
    pub services: Vec<String>,
    pub expired: bool,
    /// Numbers left in its book, and how many the book has.
    pub book_left: u32,
    pub book_of: u32,
    /// Failed attempts since the last one that succeeded.
    pub failures: u32,
    /// None if it has not knocked since the agent was started, or so long ago that this was forgotten.
    pub last: Option<LastKnock>,
    pub grants: Vec<OpenGrant>,
}

/// The last thing that a client has tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastKnock {
    /// RFC 3339 in UTC.
    pub at: String,
    pub source: String,
    /// As [`Attempt::outcome`](super::Attempt).
    pub outcome: String,
    pub reason: Option<String>,
}
