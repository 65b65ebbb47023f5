//! What a knock has to get past, and at which of it a refusal happens.

use knockgate_core::Refusal;
use knockgate_core::message::Kind;

use crate::run::trails::Wish;

/// What a knock has to get past, in the order in which the gate looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    Heard,
    Seal,
    Budget,
    Handshake,
    Client,
    Replay,
    Request,
    Grant,
    Lockout,
    Service,
    Book,
    Confirmation,
    SecondFactor,
    Sequence,
    Policy,
    Firewall,
    Answer,
}

/// What every message has to get past, and nobody can tell what else if it does not.
const MESSAGE: [Check; 7] = [
    Check::Heard,
    Check::Seal,
    Check::Budget,
    Check::Handshake,
    Check::Client,
    Check::Replay,
    Check::Request,
];

impl Check {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Heard => "heard",
            Self::Seal => "door-key",
            Self::Budget => "budget",
            Self::Handshake => "handshake",
            Self::Client => "client",
            Self::Replay => "replay",
            Self::Request => "request",
            Self::Grant => "grant",
            Self::Lockout => "lockout",
            Self::Service => "service",
            Self::Book => "book",
            Self::Confirmation => "confirmation",
            Self::SecondFactor => "second-factor",
            Self::Sequence => "sequence",
            Self::Policy => "policy",
            Self::Firewall => "firewall",
            Self::Answer => "answer",
        }
    }

    /// What is said of it where nothing particular is known.
    pub(super) fn passed(self) -> &'static str {
        match self {
            Self::Heard => "it was heard",
            Self::Seal => "it is sealed under a door key of this gate",
            Self::Budget => "its address had some left",
            Self::Handshake => "it was written for this gate",
            Self::Client => "its key is on the roster",
            Self::Replay => "its counter was never used before",
            Self::Request => "it can be read and is not too old",
            Self::Grant => "there is such a grant",
            Self::Lockout => "neither client nor address is locked out, and the audit log can be written",
            Self::Service => "the client may use the service",
            Self::Book => "there was a number for it",
            Self::Confirmation => "not needed, or given",
            Self::SecondFactor => "not needed, or shown",
            Self::Sequence => "every port was knocked",
            Self::Policy => "it was let in",
            Self::Firewall => "done",
            Self::Answer => "sent",
        }
    }
}

/// What such a knock has to get past.
pub(super) fn checks(wish: Wish) -> Vec<Check> {
    use Check::{
        Answer, Book, Confirmation, Firewall, Grant, Lockout, Policy, SecondFactor, Sequence, Service,
    };
    let after: &[Check] = match wish {
        Wish::Packet(Kind::Open) => &[Lockout, Service, Confirmation, SecondFactor, Policy, Firewall, Answer],
        Wish::Packet(Kind::Renew) => &[Grant, Lockout, Service, SecondFactor, Policy, Firewall, Answer],
        Wish::Packet(Kind::Close) => &[Grant, Firewall, Answer],
        Wish::Sequence => &[Lockout, Service, Book, SecondFactor, Sequence, Policy, Firewall],
        Wish::Static => return vec![Sequence, Lockout, Service, Policy, Firewall],
        Wish::Unknown | Wish::Packet(Kind::Status | Kind::NextNumber | Kind::Console) => &[Answer],
    };
    [&MESSAGE, after].concat()
}

/// At which check a refusal happens.
pub(super) fn check_of(refusal: Refusal) -> Check {
    match refusal {
        Refusal::Unsealed => Check::Seal,
        Refusal::Unauthentic => Check::Handshake,
        Refusal::UnknownClient | Refusal::Expired => Check::Client,
        Refusal::Replayed => Check::Replay,
        Refusal::Malformed | Refusal::WrongSource | Refusal::Unsupported => Check::Request,
        Refusal::Overloaded | Refusal::Stale => Check::Request,
        Refusal::NoGrant => Check::Grant,
        Refusal::LockedOut | Refusal::Unrecorded => Check::Lockout,
        Refusal::NotAllowed => Check::Service,
        Refusal::Busy | Refusal::Exhausted => Check::Book,
        Refusal::CodeWanted | Refusal::WrongCode => Check::SecondFactor,
        Refusal::WrongPort | Refusal::TooManyStrays | Refusal::TooLate => Check::Sequence,
        Refusal::Superseded => Check::Sequence,
        Refusal::Denied | Refusal::PolicyFailed => Check::Policy,
        Refusal::Unavailable => Check::Firewall,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_happens_at_a_check_of_some_knock_and_every_check_is_named_once() {
        let wishes = [
            Wish::Packet(Kind::Open),
            Wish::Packet(Kind::Renew),
            Wish::Sequence,
            Wish::Static,
            Wish::Unknown,
        ];
        for refusal in Refusal::ALL {
            let check = check_of(refusal);
            assert!(wishes.iter().any(|wish| checks(*wish).contains(&check)), "{}", refusal.word());
        }
        for wish in wishes {
            let mut words: Vec<_> = checks(wish).iter().map(|check| check.word()).collect();
            words.sort_unstable();
            let all = words.len();
            words.dedup();
            assert_eq!(words.len(), all, "{wish:?}");
        }
    }
}
