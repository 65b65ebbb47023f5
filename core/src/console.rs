//! What is said with a gate's own console over a [`Channel`](crate::channel::Channel). Rule: `docs/protocol.md`, section 6.10.
//!
//! Each message of a channel holds one [`Ask`] or one [`Tell`], in postcard and nothing else. Alternatives are only added, at the
//! end, and their fields stay as they are.

use serde::{Deserialize, Serialize};

use crate::time::UnixTime;

/// What a client asks the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask<'a> {
    /// How are you? Answered by [`Tell::Status`].
    Status,
    /// The records of the audit ring whose numbers are above `after`. Answered by [`Tell::Record`]s and one [`Tell::End`].
    Log {
        /// The number of the last record that the client has; 0 if it has none.
        after: u64,
    },
    /// What time it is, for a gate that has no calendar of its own. Answered by [`Tell::Done`].
    Time {
        /// Now.
        now: UnixTime,
    },
    /// I have a new site image of so many bytes. Answered by [`Tell::Next`].
    Update {
        /// Bytes of the image with its signature.
        length: u32,
    },
    /// A piece of it, the next one, of at most [`MAX_PIECE`](crate::limits::MAX_PIECE) bytes. Answered by [`Tell::Next`].
    Piece {
        /// Where it begins.
        at: u32,
        /// Its bytes.
        #[serde(borrow)]
        bytes: &'a [u8],
    },
    /// That was all of it: check it, and use it after a restart. Answered by [`Tell::Done`] just before the restart.
    Finish,
}

impl<'a> Ask<'a> {
    /// Writes it, as a message of a channel holds it.
    ///
    /// # Errors
    /// `said` is too short for it.
    pub fn encode<'b>(&self, said: &'b mut [u8]) -> Result<&'b [u8], TooLong> {
        encode(self, said)
    }

    /// Reads a whole message.
    ///
    /// # Errors
    /// It is none of these.
    pub fn decode(said: &'a [u8]) -> Result<Self, NotUnderstood> {
        decode(said)
    }
}

/// What the console tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tell<'a> {
    /// How the gate is.
    Status(Status),
    /// A record of the audit ring.
    Record {
        /// Its number: the gate's records are numbered from 1 on, anew after each start.
        number: u64,
        /// One JSON object, as in the audit log of a server, of at most [`MAX_LINE`](crate::limits::MAX_LINE) bytes.
        #[serde(borrow)]
        line: &'a str,
    },
    /// There are no more records for now.
    End {
        /// Records that the client has missed, because the ring has no room for more.
        lost: u64,
    },
    /// Go on with the piece that begins here.
    Next {
        /// Its first byte.
        at: u32,
    },
    /// It is done.
    Done,
    /// It is not done, for this reason, which ends with what to do.
    Refused {
        /// For people.
        #[serde(borrow)]
        why: &'a str,
    },
}

impl<'a> Tell<'a> {
    /// Writes it, as a message of a channel holds it.
    ///
    /// # Errors
    /// `said` is too short for it.
    pub fn encode<'b>(&self, said: &'b mut [u8]) -> Result<&'b [u8], TooLong> {
        encode(self, said)
    }

    /// Reads a whole message.
    ///
    /// # Errors
    /// It is none of these.
    pub fn decode(said: &'a [u8]) -> Result<Self, NotUnderstood> {
        decode(said)
    }
}

/// There is no room for what shall be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// What was said means nothing to this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUnderstood;

fn encode<'b>(what: &impl Serialize, said: &'b mut [u8]) -> Result<&'b [u8], TooLong> {
    postcard::to_slice(what, said).map(|said| &*said).map_err(|_| TooLong)
}

fn decode<'a, T: Deserialize<'a>>(said: &'a [u8]) -> Result<T, NotUnderstood> {
    match postcard::take_from_bytes(said) {
        Ok((what, [])) => Ok(what),
        Ok(_) | Err(_) => Err(NotUnderstood),
    }
}

/// How a gate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Tells one start from another.
    pub boot: u64,
    /// Serial number of the site image in force.
    pub serial: u32,
    /// Seconds since the start.
    pub up: u64,
    /// Grants that are open.
    pub grants: u16,
    /// Connections that are remembered.
    pub flows: u16,
    /// Bytes of the heap that are in use, and the most that ever were.
    pub heap: (u32, u32),
    /// Bytes of the longest site image that fits.
    pub room: u32,
}
