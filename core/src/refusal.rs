//! Why something was not accepted. Counted, told to the operator, and never to a stranger.

use serde::{Deserialize, Serialize};

/// The reason of a refusal. The numbers are part of the protocol: an authenticated client reads them in its answer.
///
/// Rule: `docs/protocol.md`, section 6.3. Numbers are never used again for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Refusal {
    /// Not sealed under a door key of this gate: noise.
    Unsealed = 1,
    /// Sealed, but not a Noise message for this gate's key.
    Unauthentic = 2,
    /// The client's key is not on the roster.
    UnknownClient = 3,
    /// The counter is not above the last one of this client.
    Replayed = 4,
    /// The request cannot be read.
    Malformed = 5,
    /// The address in the request is not the one it came from.
    WrongSource = 6,
    /// This gate does not do what was asked.
    Unsupported = 7,
    /// More authentic requests at once than the gate has room for.
    Overloaded = 8,
    /// The client may not use this service, or there is none of that number.
    NotAllowed = 9,
    /// The client or its address is locked out.
    LockedOut = 10,
    /// Somebody else holds a number of this book, or another client at this address holds one.
    Busy = 11,
    /// Every number of the book has been used.
    Exhausted = 12,
    /// A port out of turn, on a connection that cannot be forged.
    WrongPort = 13,
    /// More wrong probes than are forgiven.
    TooManyStrays = 14,
    /// The sequence was not finished in time.
    TooLate = 15,
    /// The client asked for a new number before it had finished with this one.
    Superseded = 16,
    /// The policy said no.
    Denied = 17,
    /// The policy failed or said nothing in time.
    PolicyFailed = 18,
    /// The gate could not store, watch or open: see its log.
    Unavailable = 19,
    /// Older than the gate accepts: the client's clock is behind, or the message was kept back on the way.
    Stale = 20,
    /// A code of the second factor is wanted.
    CodeWanted = 21,
    /// The code of the second factor is wrong, or was used before.
    WrongCode = 22,
    /// There is no such grant to renew or to close.
    NoGrant = 23,
    /// The client's enrolment has ended.
    Expired = 24,
    /// The gate cannot write down what happens, and is told to open nothing then.
    Unrecorded = 25,
}

impl Refusal {
    /// How many reasons there are, as a table size: the highest number and the unused zero.
    const TABLE: usize = 26;

    /// Every reason, in the order of their numbers.
    #[rustfmt::skip]
    pub const ALL: [Refusal; Self::TABLE - 1] = [
        Self::Unsealed, Self::Unauthentic, Self::UnknownClient, Self::Replayed, Self::Malformed, Self::WrongSource,
        Self::Unsupported, Self::Overloaded, Self::NotAllowed, Self::LockedOut, Self::Busy, Self::Exhausted,
        Self::WrongPort, Self::TooManyStrays, Self::TooLate, Self::Superseded, Self::Denied, Self::PolicyFailed,
        Self::Unavailable, Self::Stale, Self::CodeWanted, Self::WrongCode, Self::NoGrant, Self::Expired,
        Self::Unrecorded,
    ];

    /// The number of this reason on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The reason with this number; `None` for a number that this version does not know.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.code() == code)
    }

    /// A word for logs and metrics; never changes.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unsealed => "unsealed",
            Self::Unauthentic => "unauthentic",
            Self::UnknownClient => "unknown-client",
            Self::Replayed => "replayed",
            Self::Malformed => "malformed",
            Self::WrongSource => "wrong-source",
            Self::Unsupported => "unsupported",
            Self::Overloaded => "overloaded",
            Self::NotAllowed => "not-allowed",
            Self::LockedOut => "locked-out",
            Self::Busy => "busy",
            Self::Exhausted => "exhausted",
            Self::WrongPort => "wrong-port",
            Self::TooManyStrays => "too-many-strays",
            Self::TooLate => "too-late",
            Self::Superseded => "superseded",
            Self::Denied => "denied",
            Self::PolicyFailed => "policy-failed",
            Self::Unavailable => "unavailable",
            Self::Stale => "stale",
            Self::CodeWanted => "code-wanted",
            Self::WrongCode => "wrong-code",
            Self::NoGrant => "no-grant",
            Self::Expired => "expired",
            Self::Unrecorded => "unrecorded",
        }
    }
}

/// One counter for every reason.
#[derive(Clone, Debug, Default)]
pub struct Refusals([u64; Refusal::TABLE]);

impl Refusals {
    /// Nothing was refused yet.
    pub const fn new() -> Self {
        Self([0; Refusal::TABLE])
    }

    pub(crate) fn count(&mut self, refusal: Refusal) {
        self.add(refusal, 1);
    }

    /// `refusal` was the reason so many times more.
    pub fn add(&mut self, refusal: Refusal, times: u64) {
        if let Some(counter) = self.0.get_mut(usize::from(refusal.code())) {
            *counter = counter.saturating_add(times);
        }
    }

    /// How often `refusal` was the reason since the gate started.
    pub fn of(&self, refusal: Refusal) -> u64 {
        self.0.get(usize::from(refusal.code())).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_found_by_its_number_and_counted_apart() {
        let mut refusals = Refusals::new();
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::from_code(refusal.code()), Some(refusal));
            refusals.count(refusal);
            assert_eq!(refusals.of(refusal), 1, "{}", refusal.word());
        }
        assert_eq!(Refusal::from_code(0), None);
        assert_eq!(Refusal::from_code(26), None);
    }
}
