//! What the gate asks its host to do, and how the host reports back.
//!
//! Actions are data. Those with an effect in the world carry an identifier, and the host answers with the matching
//! `handle_*` method of [`Gate`](crate::Gate); until it does, the gate assumes that nothing has happened.

use core::net::IpAddr;
use core::time::Duration;

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::address::Network;
use crate::book::BookId;
use crate::channel::Channel;
use crate::envelope::Message;
use crate::limits::MAX_EFFECTS;
use crate::replay::Used;
use crate::roster::{ClientId, Name};

/// Names the host's way back to whoever sent a message: a connection, a datagram's origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer(pub u64);

/// How a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// Over a TCP connection: whoever wrote it can be reached at the source.
    Connection,
    /// As a datagram: the source may be forged.
    Datagram,
}

/// Where a message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The way back.
    pub peer: Peer,
    /// The address.
    pub source: IpAddr,
    /// How it came.
    pub way: Way,
}

/// Names an exchange: a question that has not been answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExchangeId(pub(crate) u32);

/// Names a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HoldId(pub(crate) u32);

/// Names a knock of a static sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StaticKnockId(pub(crate) u32);

/// Names a grant, also in the kernel and in later runs of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GrantId(pub u32);

/// Who waits for a decision and for what it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiter {
    /// A sequence knock.
    Hold(HoldId),
    /// A packet knock.
    Exchange(ExchangeId),
    /// A static sequence.
    Static(StaticKnockId),
}

/// The right to answer one question to the policy, once.
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket(pub(crate) Waiter);

/// Whether the host could do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, and in force now.
    Done,
    /// Not done.
    Failed,
}

/// What must survive a crash before the gate goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// A client has used this up.
    Counter {
        /// The client.
        client: ClientId,
        /// What it has used up.
        used: Used,
    },
    /// A client has used this up, and its book every number below `next`.
    Offer {
        /// The client.
        client: ClientId,
        /// What it has used up.
        used: Used,
        /// The book.
        book: BookId,
        /// The first number that was never offered.
        next: u32,
    },
}

/// The grant that an opening stands for: of those that share it, the one that ends last.
///
/// A later run finds openings, not grants, and takes each over as this one. Were it another one, that would then last
/// longer than was granted, and would outlive the client whose time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The grant.
    pub grant: GrantId,
    /// Its client.
    pub client: ClientId,
}

/// Something that the host shall do now.
pub enum Action {
    /// Make `record` durable, then call [`Gate::handle_stored`](crate::Gate::handle_stored).
    Remember {
        /// To be handed back.
        exchange: ExchangeId,
        /// What to store.
        record: Record,
    },
    /// Show the decoys to `source` for at most `lasts`, then call [`Gate::handle_watched`](crate::Gate::handle_watched).
    Watch {
        /// To be handed back.
        hold: HoldId,
        /// The holder's address.
        source: IpAddr,
        /// After this time the host shall hide them by itself.
        lasts: Duration,
    },
    /// Hide the decoys from `source` again. Nothing to report: the end of `lasts` does the same.
    Unwatch {
        /// The address.
        source: IpAddr,
    },
    /// Ask the policy, then call [`Gate::handle_decision`](crate::Gate::handle_decision).
    Consult(Consultation),
    /// Open a service to one address or one prefix, then call [`Gate::handle_opened`](crate::Gate::handle_opened).
    ///
    /// Also refreshes a grant that is open already: its time is then `lasts` from now.
    Open {
        /// To be handed back.
        grant: GrantId,
        /// Whose name the opening bears where the host keeps it.
        bearer: Bearer,
        /// To whom.
        to: Network,
        /// What.
        service: u16,
        /// After this time the host shall close it by itself, also when the agent is dead.
        lasts: Duration,
    },
    /// Close what was opened, then call [`Gate::handle_closed`](crate::Gate::handle_closed). Closing what is not open is
    /// success. Offered again until it succeeds.
    Close {
        /// To be handed back.
        grant: GrantId,
        /// To whom it was opened.
        to: Network,
        /// What was opened.
        service: u16,
    },
    /// Send `message` to `peer`; then nothing more is to be said to it.
    Answer {
        /// Where to.
        peer: Peer,
        /// The bytes.
        message: Message,
    },
    /// Send `message` to `peer`, which is a connection, and go on over it: what follows both ways is sealed by `channel`.
    /// Offered only where [`Config::console`](crate::Config::console) is set.
    Converse {
        /// Where to.
        peer: Peer,
        /// The bytes.
        message: Message,
        /// Who it is.
        client: ClientId,
        /// From where.
        source: IpAddr,
        /// Seals and opens what is said from now on.
        channel: Channel,
    },
}

/// Why the policy is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A sequence was knocked, or a static one: the [client](ClientId::is_static) tells which.
    Sequence,
    /// A packet knock has come.
    Packet,
    /// A client wants to keep what it has.
    Renew,
}

/// What the policy is asked about.
#[derive(Debug)]
pub struct Consultation {
    /// To be handed back with the decision.
    pub ticket: Ticket,
    /// Why it is asked.
    pub cause: Cause,
    /// Who knocked; a static sequence stands for whoever knows it.
    pub client: ClientId,
    /// What people call him, or the sequence.
    pub name: Name,
    /// From where.
    pub source: IpAddr,
    /// What he asks for.
    pub service: u16,
    /// For how long: what he asked for or else the service's usual time, and never more than its most.
    pub seconds: u32,
    /// What is known about him, his address and the service.
    pub standing: Standing,
    /// Numbers left in his book.
    pub book_left: u32,
    /// The number that he knocked, if he knocked a sequence of his book.
    pub number: Option<u32>,
    /// Whether he has shown a second factor.
    pub second_factor: bool,
    /// Bits of the prefix that he wants it opened to; `None` for his address alone.
    pub prefix: Option<u8>,
    /// The grant that he wants to keep, and how long it still lasts.
    pub grant: Option<(GrantId, Duration)>,
}

/// Whom and what an event is about, as far as there is somebody or something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The client.
    pub client: Option<ClientId>,
    /// The address.
    pub source: Option<IpAddr>,
    /// The service.
    pub service: Option<u16>,
}

/// What the gate knows about a [`Subject`] now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The client's attempts that failed since its last one that succeeded.
    pub failures: u32,
    /// The same for everybody at the address.
    pub source_failures: u32,
    /// What is open.
    pub grants: Census,
}

/// How many grants are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Census {
    /// To the client, at any address.
    pub client: u32,
    /// To anybody at the client's address.
    pub source: u32,
    /// To anybody for the service that is asked for.
    pub service: u32,
    /// In all.
    pub all: u32,
    /// The client's oldest one.
    pub oldest: Option<GrantId>,
}

/// What the policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its effects shall happen.
    Commit,
    /// It refuses.
    Deny,
    /// It could not decide: it trapped, ran out of fuel or time, or could not be asked.
    Failed,
}

/// Something that the policy wants to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Open `service` to the knocker for `seconds`.
    Open {
        /// The service.
        service: u16,
        /// For how long.
        seconds: u32,
    },
    /// Open `service` to the knocker's prefix of `bits` bits for `seconds`.
    OpenPrefix {
        /// The service.
        service: u16,
        /// Bits of the prefix.
        bits: u8,
        /// For how long.
        seconds: u32,
    },
    /// Let a grant of this client last `seconds` from now.
    Extend {
        /// The grant.
        grant: GrantId,
        /// For how long.
        seconds: u32,
    },
    /// Close a grant of this client.
    Revoke {
        /// The grant.
        grant: GrantId,
    },
    /// Lock the client and its address out, as far as they are proved to be his: nobody for a static sequence.
    Lockout {
        /// For how long.
        seconds: u32,
    },
}

/// The policy's answer to a [`Consultation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What it says.
    pub verdict: Verdict,
    /// What shall happen; nothing does unless the verdict is [`Verdict::Commit`].
    pub effects: Vec<Effect, MAX_EFFECTS>,
}

impl Decision {
    /// A decision without effects.
    pub const fn without_effects(verdict: Verdict) -> Self {
        Self { verdict, effects: Vec::new() }
    }
}
