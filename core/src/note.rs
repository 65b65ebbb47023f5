//! What the operator's audit log shall say. Notes cost nothing but the host's will to write them down.

use core::net::IpAddr;
use core::time::Duration;

use heapless::Vec;

use crate::action::GrantId;
use crate::address::{Network, SourcePrefix};
use crate::book::BookId;
use crate::limits::MAX_SEEN;
use crate::message::Kind;
use crate::refusal::Refusal;
use crate::roster::ClientId;

/// Something worth a record. Only what an enrolled client has caused, or somebody who knows a static sequence: a stranger cannot
/// make a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A client was offered a number.
    Offered {
        /// Who.
        client: ClientId,
        /// Where.
        source: IpAddr,
        /// From which book.
        book: BookId,
        /// The number.
        number: u32,
        /// Numbers left in the book.
        left: u32,
    },
    /// An authentic request was refused.
    Refused {
        /// Who.
        client: ClientId,
        /// Where.
        source: IpAddr,
        /// What was asked for, if it was something in particular.
        service: Option<u16>,
        /// Why.
        refusal: Refusal,
    },
    /// A sequence that was complete opened nothing: the policy, the firewall or the host did not let it. At most one for each
    /// [`KnockEnd::Complete`] and each [`Note::StaticKnock`].
    SequenceRefused {
        /// Who, or which static sequence.
        client: ClientId,
        /// Where.
        source: IpAddr,
        /// What was asked for.
        service: u16,
        /// Why.
        refusal: Refusal,
    },
    /// A packet knock came, and what follows is about it.
    Packet {
        /// Who.
        client: ClientId,
        /// Where.
        source: IpAddr,
        /// What he wants.
        kind: Kind,
        /// Of which service.
        service: u16,
    },
    /// A static sequence was knocked: the policy is asked.
    StaticKnock {
        /// The sequence.
        client: ClientId,
        /// Where, as far as can be known.
        source: IpAddr,
        /// What it opens.
        service: u16,
    },
    /// A client has come to the gate's console.
    Console {
        /// Who.
        client: ClientId,
        /// Where.
        source: IpAddr,
    },
    /// The attempt of a holder has ended, and its number is used up.
    KnockEnded {
        /// Who.
        client: ClientId,
        /// Where.
        source: IpAddr,
        /// From which book.
        book: BookId,
        /// The number.
        number: u32,
        /// What was asked for.
        service: u16,
        /// How it ended.
        end: KnockEnd,
        /// The ports that were probed, in the order in which they came.
        seen: Vec<u16, MAX_SEEN>,
    },
    /// Somebody was locked out.
    LockedOut {
        /// Who.
        who: Locked,
        /// For how long.
        lasts: Duration,
    },
    /// A service was opened, or its time was changed.
    GrantOpened {
        /// The grant.
        grant: GrantId,
        /// For whom.
        client: ClientId,
        /// To which address or prefix.
        to: Network,
        /// What.
        service: u16,
        /// For how long.
        lasts: Duration,
    },
    /// A service was closed.
    GrantClosed {
        /// The grant.
        grant: GrantId,
        /// For whom.
        client: ClientId,
        /// To which address or prefix.
        to: Network,
        /// What.
        service: u16,
        /// Why.
        reason: CloseReason,
    },
}

impl Note {
    /// The client that it is about, if it is about one.
    pub fn client(&self) -> Option<ClientId> {
        match *self {
            Self::Offered { client, .. }
            | Self::Refused { client, .. }
            | Self::SequenceRefused { client, .. }
            | Self::Packet { client, .. }
            | Self::StaticKnock { client, .. }
            | Self::Console { client, .. }
            | Self::KnockEnded { client, .. }
            | Self::GrantOpened { client, .. }
            | Self::GrantClosed { client, .. }
            | Self::LockedOut { who: Locked::Client(client), .. } => Some(client),
            Self::LockedOut { who: Locked::Source(_) | Locked::Everybody, .. } => None,
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnockEnd {
    /// Every port was knocked: the policy is asked.
    Complete,
    /// It failed.
    Failed(Refusal),
}

impl KnockEnd {
    /// A word for logs; never changes.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Failed(refusal) => refusal.word(),
        }
    }
}

/// Who is locked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locked {
    /// Every address of a prefix.
    Source(SourcePrefix),
    /// A client, wherever it is.
    Client(ClientId),
    /// Everybody, as in the paper.
    Everybody,
}

/// Why a grant was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Its time was over.
    Expired,
    /// The policy or the operator took it back.
    Revoked,
    /// Its client wanted it closed.
    ByClient,
    /// It could not be opened.
    Failed,
}

impl CloseReason {
    /// A word for logs; never changes.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::ByClient => "by-client",
            Self::Failed => "failed",
        }
    }
}
