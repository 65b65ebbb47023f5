//! What a client asks and what the gate answers: the payloads of the two Noise messages.
//!
//! Both are postcard, filled up with zeros to a fixed size. A field that is added later stands at the end and reads as
//! zero or `None` from an older sender; fields are never removed or reordered. Rule: `docs/protocol.md`, section 5.

use core::net::IpAddr;

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::book::{BookId, Order};
use crate::limits::{ANSWER_LEN, MAX_ANSWER_GRANTS, REQUEST_LEN};
use crate::refusal::Refusal;

/// What a request is about. Numbers on the wire are never used again for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What has become of my knock, and what is open to me?
    Status,
    /// Which number of my book is next? Asks for the service and the time that the sequence shall open.
    NextNumber,
}

impl Kind {
    const STATUS: u8 = 1;
    const NEXT_NUMBER: u8 = 2;

    fn code(self) -> u8 {
        match self {
            Self::Status => Self::STATUS,
            Self::NextNumber => Self::NEXT_NUMBER,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        match code {
            Self::STATUS => Some(Self::Status),
            Self::NEXT_NUMBER => Some(Self::NextNumber),
            _ => None,
        }
    }
}

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
}

#[derive(Serialize, Deserialize)]
struct WireRequest {
    kind: u8,
    counter: u64,
    service: u16,
    seconds: u32,
    source: Option<IpAddr>,
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
    /// The payload of the first Noise message.
    pub fn encode(&self) -> [u8; REQUEST_LEN] {
        let Self { kind, counter, service, seconds, source } = *self;
        let mut payload = [0; REQUEST_LEN];
        postcard::to_slice(
            &WireRequest { kind: kind.code(), counter, service, seconds, source },
            &mut payload,
        )
        .expect("the longest request has 37 bytes, see the tests");
        payload
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// [`RequestError`] if it is not a request of this version.
    pub fn decode(payload: &[u8; REQUEST_LEN]) -> Result<Self, RequestError> {
        let (wire, _) =
            postcard::take_from_bytes::<WireRequest>(payload).map_err(|_| RequestError::Malformed)?;
        let WireRequest { kind, counter, service, seconds, source } = wire;
        let kind = Kind::from_code(kind).ok_or(RequestError::UnknownKind { counter })?;
        Ok(Self { kind, counter, service, seconds, source: source.map(|address| address.to_canonical()) })
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
}

/// The gate's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

impl Answer {
    /// The reason of a refusal; `None` for any other verdict and for a reason that this version does not know.
    pub fn refusal(&self) -> Option<Refusal> {
        match self.verdict {
            Verdict::Refused(code) => Refusal::from_code(code),
            Verdict::Nothing | Verdict::Offered | Verdict::Granted | Verdict::Pending => None,
        }
    }

    /// The payload of the second Noise message.
    pub fn encode(&self) -> [u8; ANSWER_LEN] {
        let mut payload = [0; ANSWER_LEN];
        postcard::to_slice(self, &mut payload).expect("the longest answer has 99 bytes, see the tests");
        payload
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// If it is not an answer of this version.
    pub fn decode(payload: &[u8; ANSWER_LEN]) -> Result<Self, AnswerError> {
        postcard::take_from_bytes(payload).map(|(answer, _)| answer).map_err(|_| AnswerError)
    }
}

/// The answer is authentic but cannot be read: the gate speaks a newer version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerError;

#[cfg(test)]
mod tests;
