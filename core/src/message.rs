//! What a client asks and what the gate answers: the payloads of the two Noise messages.
//!
//! Both are postcard, filled up with zeros to a fixed size. A field that is added later stands at the end and reads as
//! zero or `None` from an older sender; fields are never removed or reordered. Rule: `docs/protocol.md`, section 5.

use core::net::IpAddr;

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::book::{BookId, Order};
use crate::key::DoorKey;
use crate::limits::{ANSWER_LEN, MAX_ANSWER_GRANTS, REQUEST_LEN, TOKEN_LEN};
use crate::refusal::Refusal;

/// What a request is about. Numbers on the wire are never used again for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What has become of my knock, and what is open to me?
    Status,
    /// Which number of my book is next? Asks for the service and the time that the sequence shall open.
    NextNumber,
    /// A knock in one packet: open this service to me.
    Open,
    /// Let what is open to me stay open.
    Renew,
    /// Close what is open to me.
    Close,
    /// Let me speak with the console of the gate over this very connection. Asks for the console's service, which must be open
    /// to me already.
    Console,
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Status, Self::NextNumber, Self::Open, Self::Renew, Self::Close, Self::Console];

    /// A word for logs; never changes.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::NextNumber => "next-number",
            Self::Open => "open",
            Self::Renew => "renew",
            Self::Close => "close",
            Self::Console => "console",
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Status => 1,
            Self::NextNumber => 2,
            Self::Open => 3,
            Self::Renew => 4,
            Self::Close => 5,
            Self::Console => 6,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// To whom a service shall be opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reach {
    /// To the address that the request comes from.
    #[default]
    Address,
    /// To the widest prefix of it that the gate allows, for somebody whose connections leave from other addresses than his
    /// knock: carrier NAT, IPv6 privacy addresses.
    Prefix,
}

/// What the gate wants to have back as a proof that the client can be reached at its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token(pub [u8; TOKEN_LEN]);

/// A client's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it is about.
    pub kind: Kind,
    /// Above every earlier counter of this client: microseconds of Unix time, or the last value plus one.
    pub counter: u64,
    /// The service that shall be opened; 0 where none is meant.
    pub service: u16,
    /// For how long, in seconds; 0 leaves it to the gate.
    pub seconds: u32,
    /// The address that the client believes to send from; `None` if it does not know (address translation).
    pub source: Option<IpAddr>,
    /// Which grant to renew or to close; 0 means what is open of `service` at this address.
    pub grant: u32,
    /// The code of the second factor.
    pub code: Option<u32>,
    /// What [`Verdict::Confirm`] wanted back.
    pub token: Option<Token>,
    /// To whom it shall be opened.
    pub reach: Reach,
}

#[derive(Serialize, Deserialize)]
struct WireRequest {
    kind: u8,
    counter: u64,
    service: u16,
    seconds: u32,
    source: Option<IpAddr>,
    grant: u32,
    code: Option<u32>,
    token: Option<Token>,
    reach: Reach,
}

/// Why a request could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// Not postcard of the expected shape.
    Malformed,
    /// A kind that this version does not know. Everything else was read, so the counter can be burnt.
    UnknownKind {
        /// The counter of the request.
        counter: u64,
    },
}

impl Request {
    /// A request that asks for nothing in particular.
    pub const fn new(kind: Kind, counter: u64) -> Self {
        Self {
            kind,
            counter,
            service: 0,
            seconds: 0,
            source: None,
            grant: 0,
            code: None,
            token: None,
            reach: Reach::Address,
        }
    }

    /// The payload of the first Noise message.
    pub fn encode(&self) -> [u8; REQUEST_LEN] {
        let Self { kind, counter, service, seconds, source, grant, code, token, reach } = *self;
        let kind = kind.code();
        let wire = WireRequest { kind, counter, service, seconds, source, grant, code, token, reach };
        let mut payload = [0; REQUEST_LEN];
        postcard::to_slice(&wire, &mut payload).expect("the longest request has 58 bytes, see the tests");
        payload
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// [`RequestError`] if it is not a request of this version.
    pub fn decode(payload: &[u8; REQUEST_LEN]) -> Result<Self, RequestError> {
        let (wire, _) =
            postcard::take_from_bytes::<WireRequest>(payload).map_err(|_| RequestError::Malformed)?;
        let WireRequest { kind, counter, service, seconds, source, grant, code, token, reach } = wire;
        let kind = Kind::from_code(kind).ok_or(RequestError::UnknownKind { counter })?;
        let source = source.map(|address| address.to_canonical());
        Ok(Self { kind, counter, service, seconds, source, grant, code, token, reach })
    }
}

/// How a sequence is knocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Every knock is a full TCP connection, which nobody can forge.
    Connect,
    /// Every port stays shut and silent; the gate sees the connection attempts.
    Closed,
}

/// A number that a client may knock now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The book, so that a client with an old one notices.
    pub book: BookId,
    /// The number.
    pub number: u32,
    /// Milliseconds until the last port must have been knocked.
    pub hold_ms: u32,
    /// How to knock.
    pub mode: Mode,
    /// Whether the ports must come in order.
    pub order: Order,
    /// Milliseconds to wait between two probes of [`Mode::Closed`].
    pub gap_ms: u16,
}

/// Something that is open to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenService {
    /// The service.
    pub service: u16,
    /// Milliseconds until it closes.
    pub left_ms: u32,
    /// Names the grant in later requests.
    pub grant: u32,
}

/// The gist of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Nothing to report: no knock is under way and none has ended lately.
    Nothing,
    /// A number is offered.
    Offered,
    /// The last knock was granted.
    Granted,
    /// Still under way; ask again after `retry_ms`.
    Pending,
    /// Refused for this reason, as [`Refusal::code`]; where waiting helps, `retry_ms` says how long.
    Refused(u8),
    /// The gate wants to know that the client is where its packet came from: it shall ask again with this token.
    Confirm(Token),
    /// What the client wanted closed is being closed; see `open` for what is left.
    Closed,
}

/// The gate's answer.
#[derive(Clone, Serialize, Deserialize)]
pub struct Answer {
    /// The gist.
    pub verdict: Verdict,
    /// Milliseconds after which asking again makes sense; 0 where it does not.
    pub retry_ms: u32,
    /// The gate's calendar in microseconds of Unix time; 0 if it has none.
    pub time: u64,
    /// Numbers left in the client's book.
    pub book_left: u32,
    /// The number on offer.
    pub offer: Option<Offer>,
    /// What is open to this client at this address, the longest first.
    pub open: Vec<OpenService, MAX_ANSWER_GRANTS>,
    /// The address that the gate sees the client at.
    pub seen: Option<IpAddr>,
    /// The door key in force, for a client that still uses the one before.
    pub door_key: Option<DoorKey>,
}

impl Answer {
    /// The reason of a refusal; `None` for any other verdict and for a reason that this version does not know.
    pub fn refusal(&self) -> Option<Refusal> {
        match self.verdict {
            Verdict::Refused(code) => Refusal::from_code(code),
            Verdict::Nothing | Verdict::Offered | Verdict::Granted | Verdict::Pending => None,
            Verdict::Confirm(_) | Verdict::Closed => None,
        }
    }

    /// The payload of the second Noise message. Where not everything fits, the grants that end first are left out.
    pub fn encode(mut self) -> [u8; ANSWER_LEN] {
        loop {
            // Each try begins with zeros: what one that failed has left behind would be fields to a later version.
            let mut payload = [0; ANSWER_LEN];
            if postcard::to_slice(&self, &mut payload).is_ok() {
                return payload;
            }
            self.open.pop().expect("the longest answer without grants has 105 bytes, see the tests");
        }
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// If it is not an answer of this version.
    pub fn decode(payload: &[u8; ANSWER_LEN]) -> Result<Self, AnswerError> {
        postcard::take_from_bytes(payload).map(|(answer, _)| answer).map_err(|_| AnswerError)
    }
}

/// Without the door key: keys are not shown.
impl core::fmt::Debug for Answer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { verdict, retry_ms, time, book_left, offer, open, seen, door_key: _ } = self;
        f.debug_struct("Answer")
            .field("verdict", verdict)
            .field("retry_ms", retry_ms)
            .field("time", time)
            .field("book_left", book_left)
            .field("offer", offer)
            .field("open", open)
            .field("seen", seen)
            .finish_non_exhaustive()
    }
}

/// The answer is authentic but cannot be read: the gate speaks a newer version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerError;

#[cfg(test)]
mod tests;
