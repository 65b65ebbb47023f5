//! What a policy may want to hear of although nobody waits for its answer, and whom its answer may meet.
//!
//! An event can take something away and give nothing: see [`Gate::handle_reaction`](crate::Gate::handle_reaction). Nothing of
//! what a policy has brought about in answer to one comes this way again, or policies could chase each other.

use core::net::IpAddr;
use core::time::Duration;

use crate::action::{GrantId, Subject};
use crate::note::{CloseReason, KnockEnd, Locked, Note};
use crate::refusal::Refusal;
use crate::roster::ClientId;

/// What kind of thing has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// A client has closed its grant.
    Close,
    /// A grant has reached its end.
    Expiry,
    /// Somebody was locked out.
    Lockout,
    /// An attempt has failed.
    FailedAttempt,
    /// The gate has started.
    StartUp,
}

/// Something that nobody waits for and of which policies may want to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// What kind of thing it is.
    pub occasion: Occasion,
    /// Whom and what it is about, as far as a policy may hear of it.
    pub about: Subject,
    /// The grant that has ended.
    pub grant: Option<GrantId>,
    /// How long somebody is locked out.
    pub lockout: Option<Duration>,
    /// Whether the address is certainly the client's. Only such a one is locked out.
    proven: bool,
}

impl Happening {
    /// What a note is to policies. What a policy has revoked says so and is none; its lockouts in answer to an event are not to
    /// be handed in here.
    pub fn of(note: &Note) -> Option<Self> {
        match *note {
            Note::GrantClosed { grant, client, to, service, reason } => {
                let (source, service) = (Some(to.address()), Some(service));
                let about = Subject { client: Some(client), source, service };
                Some(Self { grant: Some(grant), ..Self::new(closed(reason)?, about) })
            }
            Note::LockedOut { who, lasts } => {
                Some(Self { lockout: Some(lasts), ..Self::new(Occasion::Lockout, locked(who)) })
            }
            Note::Refused { client, source, refusal, .. } if is_attempt(refusal) => {
                let about = Subject { client: Some(client), source: Some(source), service: None };
                Some(Self::new(Occasion::FailedAttempt, about))
            }
            Note::KnockEnded { client, source, service, end: KnockEnd::Failed(refusal), .. }
                if is_attempt(refusal) =>
            {
                Some(Self::failed_sequence(client, source, service))
            }
            Note::SequenceRefused { client, source, service, refusal } if is_attempt(refusal) => {
                Some(Self::failed_sequence(client, source, service))
            }
            Note::Refused { .. }
            | Note::SequenceRefused { .. }
            | Note::KnockEnded { .. }
            | Note::Offered { .. }
            | Note::Packet { .. }
            | Note::StaticKnock { .. }
            | Note::Console { .. }
            | Note::GrantOpened { .. } => None,
        }
    }

    /// A sequence that came to nothing. The source of one that is not static has answered a handshake over TCP.
    fn failed_sequence(client: ClientId, source: IpAddr, service: u16) -> Self {
        let about = Subject { client: Some(client), source: Some(source), service: Some(service) };
        Self { proven: !client.is_static(), ..Self::new(Occasion::FailedAttempt, about) }
    }

    /// The gate has started.
    pub fn start_up() -> Self {
        Self::new(Occasion::StartUp, Subject::default())
    }

    fn new(occasion: Occasion, about: Subject) -> Self {
        Self { occasion, about, grant: None, lockout: None, proven: false }
    }

    /// Whom a policy's answer may be carried out on.
    pub fn answerable(&self) -> Subject {
        Subject { source: self.about.source.filter(|_| self.proven), ..self.about }
    }
}

/// The policy's own revocations are no news to it, and what never was open cannot end.
fn closed(reason: CloseReason) -> Option<Occasion> {
    match reason {
        CloseReason::Expired => Some(Occasion::Expiry),
        CloseReason::ByClient => Some(Occasion::Close),
        CloseReason::Revoked | CloseReason::Failed => None,
    }
}

fn locked(who: Locked) -> Subject {
    match who {
        Locked::Source(prefix) => Subject { source: Some(prefix.address()), ..Subject::default() },
        Locked::Client(client) => Subject { client: Some(client), ..Subject::default() },
        Locked::Everybody => Subject::default(),
    }
}

/// Whether a client has tried something and failed at it. Not what it can do nothing for, what it was told to do first, and
/// what was not heard at all.
fn is_attempt(refusal: Refusal) -> bool {
    match refusal {
        Refusal::NotAllowed
        | Refusal::WrongPort
        | Refusal::TooManyStrays
        | Refusal::TooLate
        | Refusal::Superseded
        | Refusal::Denied
        | Refusal::PolicyFailed
        | Refusal::WrongCode => true,
        Refusal::Unsealed
        | Refusal::Unauthentic
        | Refusal::UnknownClient
        | Refusal::Replayed
        | Refusal::Malformed
        | Refusal::WrongSource
        | Refusal::Unsupported
        | Refusal::Overloaded
        | Refusal::LockedOut
        | Refusal::Busy
        | Refusal::Exhausted
        | Refusal::Unavailable
        | Refusal::Stale
        | Refusal::CodeWanted
        | Refusal::NoGrant
        | Refusal::Expired
        | Refusal::Unrecorded => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Network;

    const SOURCE: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 1));

    fn closed_for(reason: CloseReason) -> Option<Occasion> {
        let (grant, client, to) = (GrantId(1), ClientId(2), Network::host(SOURCE));
        let note = Note::GrantClosed { grant, client, to, service: 3, reason };
        Happening::of(&note).map(|happening| happening.occasion)
    }

    #[test]
    fn what_a_policy_has_revoked_is_no_event_and_what_ends_by_itself_is() {
        assert_eq!(closed_for(CloseReason::Expired), Some(Occasion::Expiry));
        assert_eq!(closed_for(CloseReason::ByClient), Some(Occasion::Close));
        assert_eq!(closed_for(CloseReason::Revoked), None);
        assert_eq!(closed_for(CloseReason::Failed), None);
    }

    #[test]
    fn an_attempt_that_was_not_heard_or_could_do_nothing_for_it_is_no_failed_attempt() {
        let occasion = |refusal| {
            let note = Note::Refused { client: ClientId(2), source: SOURCE, service: Some(1), refusal };
            Happening::of(&note).map(|happening| happening.occasion)
        };
        for failed in [Refusal::Denied, Refusal::WrongCode, Refusal::NotAllowed, Refusal::PolicyFailed] {
            assert_eq!(occasion(failed), Some(Occasion::FailedAttempt), "{failed:?}");
        }
        for other in [Refusal::LockedOut, Refusal::CodeWanted, Refusal::Unavailable, Refusal::Overloaded] {
            assert_eq!(occasion(other), None, "{other:?}");
        }
    }

    #[test]
    fn an_address_is_answered_for_only_where_it_is_certainly_the_clients() {
        let (source, refusal) = (SOURCE, Refusal::Denied);
        let happening = |note| Happening::of(&note).expect("a failed attempt");
        let sequence = |client| happening(Note::SequenceRefused { client, source, service: 1, refusal });
        assert_eq!(sequence(ClientId(2)).answerable().source, Some(SOURCE));
        let phone = ClientId::of_static(&"phone".parse().expect("a name"));
        assert_eq!((sequence(phone).about.source, sequence(phone).answerable().source), (Some(SOURCE), None));
        let packet = happening(Note::Refused { client: ClientId(2), source, service: Some(1), refusal });
        assert_eq!((packet.about.source, packet.answerable().source), (Some(SOURCE), None));
        assert_eq!(packet.answerable().client, Some(ClientId(2)));
    }

    #[test]
    fn a_lockout_tells_whom_it_meets_and_for_how_long() {
        let minute = Duration::from_secs(60);
        let happening = |who| Happening::of(&Note::LockedOut { who, lasts: minute }).expect("an event");
        let client = happening(Locked::Client(ClientId(2)));
        assert_eq!((client.occasion, client.lockout), (Occasion::Lockout, Some(minute)));
        assert_eq!(client.about.client, Some(ClientId(2)));
        assert_eq!(happening(Locked::Everybody).about, Subject::default());
    }
}
