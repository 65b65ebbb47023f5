//! What is wrong with a knock that came to nothing, and what to do about it: a sentence each.

use knockgate_core::Refusal;

/// What is wrong, and what to do about it.
pub(super) fn remedy_of(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Unsealed => {
            "sealed under no door key of this gate: noise, or a client with an old profile; give it a new one with \
             `knockgated client rotate NAME`"
        }
        Refusal::Unauthentic => {
            "the door key fits and the gate's own key does not: the profile is for another gate, or for this one before \
             it was set up anew; enrol the client again"
        }
        Refusal::UnknownClient => {
            "its key is on no roster: the client was removed, or its key has been changed; look with `knockgated client \
             list`, and give it a new profile with `client add` or `client rotate`"
        }
        Refusal::Replayed => {
            "its counter was used before: a copy of an earlier message, a profile that is used in two places, or a crash of \
             the gate a moment ago; a client's second try reaches further and gets in, so let it knock again, and give each \
             place a client of its own"
        }
        Refusal::Malformed => "the request cannot be read; update client and gate to the same release",
        Refusal::WrongSource => {
            "the client has named an address that is not the one its message came from; an address translator lies \
             between: let it knock without naming one"
        }
        Refusal::Unsupported => "this gate does not know what was asked for; update `knockgated`",
        Refusal::Overloaded => "more questions at once than there is room for; let the client ask again",
        Refusal::NotAllowed => {
            "the client may not use this service, or its profile names one that is gone; `knockgated client list` \
             shows what it may use, and `client add` enrols it with `--service`"
        }
        Refusal::LockedOut => "`knockgated lockouts` tells for how long; `knockgated unlock` ends it at once",
        Refusal::Busy => {
            "somebody else holds a number of the same book, or at the same address; let the client try again in a moment"
        }
        Refusal::Exhausted => "its book is used up; `knockgated client rotate NAME --now` gives it a new one",
        Refusal::WrongPort | Refusal::TooManyStrays => {
            "it touched a port that is not in its sequence: something else at its address connects there, or the book is \
             another one; after the lockout let it knock again, and if it stays so give it a new profile"
        }
        Refusal::TooLate => "the ports did not come in time; a slow link may need a longer `sequence.hold`",
        Refusal::Superseded => {
            "the client has asked for another number before it was through with this one; let it knock once at a time"
        }
        Refusal::Unrecorded => {
            "the audit log cannot be written, and `on-failure` in [audit] wants knocks refused then; make room, or `knockgated rescue`"
        }
        Refusal::Denied => {
            "the policy has said no; the audit log's record `decision` has all that it saw, and `knockgate-policy replay` asks it again"
        }
        Refusal::PolicyFailed => {
            "the policy failed or said nothing in time; the log says why, and `knockgated rescue` opens without it"
        }
        Refusal::Unavailable => "the gate could not store or open it; its log says why",
        Refusal::Stale => {
            "the message was made longer ago than `packet.max-age`: the client's clock is behind, or the message was kept back; \
             set the clock"
        }
        Refusal::CodeWanted => {
            "it needs a one-time code; let the client knock with `--code`, and `knockgated client totp NAME` gives it a secret"
        }
        Refusal::WrongCode => {
            "the one-time code is wrong or was used before; check the clocks, and let the client take the next one"
        }
        Refusal::NoGrant => "there is nothing open to renew or to close; let the client knock again",
        Refusal::Expired => {
            "its enrolment has ended; `knockgated client expire NAME --never`, or `--in 30d`, prolongs it"
        }
    }
}

pub(super) const OVER_BUDGET: &str = "its address sends too much: 32 at once and 16 a second are looked at; wait some seconds, and if it stays so find out \
                           who sends there, or change the door key";
pub(super) const CONFIRM: &str = "the client was asked to answer from its address and has not; its answers do not reach the gate, or the gate's do not \
                       reach it";
pub(super) const UNHEARD: &str = "the gate has not heard it; does it leave the client, and does no firewall on the way drop it? `knockgate doctor` at the \
                       client tells, `tcpdump` here shows what arrives";
