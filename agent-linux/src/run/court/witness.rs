//! Tells policies what has happened: events from what the gate asks and notes, with the time and the names that the gate's
//! core does not know.

use std::collections::HashMap;
use std::net::IpAddr;

use knockgate_core::address::SourcePrefix;
use knockgate_core::note::{CloseReason, KnockEnd, Locked, Note};
use knockgate_core::{self as core, ClientId, Consultation, GrantId, Name, Refusal, Standing, Subject};
use knockgate_policy_host::{self as host, Capabilities, Cause, Event, HostKind, text};

use crate::config::Config;

/// What the host adds to what the gate knows.
pub(in crate::run) struct Witness {
    services: HashMap<u16, String>,
    /// The zone in which office hours are meant.
    zone: jiff::tz::TimeZone,
}

/// Something that nobody waits for and of which policies may want to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::run) struct Happening {
    cause: Cause,
    /// Whom and what it is about, as far as a policy may hear of it.
    pub(in crate::run) about: Subject,
    /// Whether the address is certainly the client's. Only such a one is locked out.
    proven: bool,
    grant: Option<GrantId>,
    lockout_seconds: Option<u32>,
}

impl Happening {
    /// What a note is to policies. Nothing of what a policy has brought about in answer to an event comes this way: what it
    /// revokes says so, and its lockouts are not handed in here.
    pub(in crate::run) fn of(note: &Note) -> Option<Self> {
        match *note {
            Note::GrantClosed { grant, client, to, service, reason } => {
                let (source, service) = (Some(to.address()), Some(service));
                let about = Subject { client: Some(client), source, service };
                Some(Self { grant: Some(grant), ..Self::new(closed(reason)?, about) })
            }
            Note::LockedOut { who, lasts } => {
                let seconds = u32::try_from(lasts.as_secs()).unwrap_or(u32::MAX);
                Some(Self { lockout_seconds: Some(seconds), ..Self::new(Cause::Lockout, locked(who)) })
            }
            Note::Refused { client, source, refusal } if is_attempt(refusal) => {
                let about = Subject { client: Some(client), source: Some(source), service: None };
                Some(Self::new(Cause::FailedAttempt, about))
            }
            Note::KnockEnded { client, source, service, end: KnockEnd::Failed(refusal), .. }
                if is_attempt(refusal) =>
            {
                Some(Self::failed_sequence(client, source, service))
            }
            Note::Refused { .. }
            | Note::KnockEnded { .. }
            | Note::Offered { .. }
            | Note::Packet { .. }
            | Note::Console { .. }
            | Note::GrantOpened { .. } => None,
        }
    }

    /// A sequence that came to nothing. Its source has answered a handshake over TCP.
    pub(in crate::run) fn failed_sequence(client: ClientId, source: IpAddr, service: u16) -> Self {
        let about = Subject { client: Some(client), source: Some(source), service: Some(service) };
        Self { proven: true, ..Self::new(Cause::FailedAttempt, about) }
    }

    pub(in crate::run) fn start_up() -> Self {
        Self::new(Cause::StartUp, Subject::default())
    }

    fn new(cause: Cause, about: Subject) -> Self {
        Self { cause, about, proven: false, grant: None, lockout_seconds: None }
    }

    pub(in crate::run) fn cause(&self) -> Cause {
        self.cause
    }

    /// Whom a policy's answer may be carried out on.
    pub(in crate::run) fn answerable(&self) -> Subject {
        Subject { source: self.about.source.filter(|_| self.proven), ..self.about }
    }
}

/// The policy's own revocations are no news to it, and what never was open cannot end.
fn closed(reason: CloseReason) -> Option<Cause> {
    match reason {
        CloseReason::Expired => Some(Cause::Expiry),
        CloseReason::ByClient => Some(Cause::Close),
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
        | Refusal::Expired => false,
    }
}

impl Witness {
    pub(in crate::run) fn new(config: &Config) -> Self {
        let services = config.services.iter().map(|service| (service.id, service.name.to_string())).collect();
        let zone = config.policy.time_zone.clone().unwrap_or_else(jiff::tz::TimeZone::system);
        Self { services, zone }
    }

    /// A knock, as policies are told of it. `lacking` is what this host cannot do just now.
    pub(in crate::run) fn knock(&self, asked: &Consultation, lacking: Capabilities) -> Event {
        let standing = &asked.standing;
        let client = host::Client {
            second_factor: asked.second_factor,
            ..client(asked.client, &asked.name, standing)
        };
        Event {
            client: Some(client),
            source: Some(source(asked.source, standing)),
            request: Some(host::Request {
                seconds: asked.seconds,
                prefix: asked.prefix,
                ..self.request(asked.service, standing)
            }),
            book: asked.number.map(|number| host::Book { number, left: asked.book_left }),
            grant: asked.grant.map(|(grant, left)| host::Grant {
                id: grant.0.into(),
                left: u32::try_from(left.as_secs()).unwrap_or(u32::MAX),
            }),
            ..self.now(cause(asked.cause), standing, lacking)
        }
    }

    /// What has happened, as policies are told of it. `name` is the client's.
    pub(in crate::run) fn event(
        &self,
        happening: &Happening,
        name: Option<&Name>,
        standing: &Standing,
        lacking: Capabilities,
    ) -> Event {
        let Subject { client: id, source: address, service } = happening.about;
        Event {
            client: id.zip(name).map(|(id, name)| client(id, name, standing)),
            source: address.map(|address| source(address, standing)),
            request: service.map(|service| self.request(service, standing)),
            grant: happening.grant.map(|grant| host::Grant { id: grant.0.into(), left: 0 }),
            lockout_seconds: happening.lockout_seconds,
            ..self.now(happening.cause, standing, lacking)
        }
    }

    fn now(&self, cause: Cause, standing: &Standing, lacking: Capabilities) -> Event {
        let time = jiff::Timestamp::now();
        let local = time.to_zoned(self.zone.clone());
        let minute = u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        Event {
            time: u64::try_from(time.as_second()).ok(),
            local: Some(host::LocalTime {
                weekday: local.weekday().to_monday_one_offset().unsigned_abs(),
                minute,
            }),
            grants_open: standing.grants.all,
            lacking,
            ..Event::new(cause, HostKind::Linux)
        }
    }

    fn request(&self, service: u16, standing: &Standing) -> host::Request {
        host::Request {
            service,
            name: text(self.services.get(&service).map_or("", String::as_str)),
            seconds: 0,
            grants: standing.grants.service,
            prefix: None,
        }
    }
}

fn cause(asked: core::Cause) -> Cause {
    match asked {
        core::Cause::Sequence => Cause::Sequence,
        core::Cause::Packet => Cause::Packet,
        core::Cause::Renew => Cause::Renew,
    }
}

fn client(id: ClientId, name: &Name, standing: &Standing) -> host::Client {
    host::Client {
        id: id.0,
        name: text(name.as_str()),
        failures: standing.failures,
        grants: standing.grants.client,
        oldest_grant: standing.grants.oldest.map(|grant| grant.0.into()),
        second_factor: false,
    }
}

fn source(address: IpAddr, standing: &Standing) -> host::Source {
    host::Source {
        address,
        prefix: SourcePrefix::of(address).bits(),
        failures: standing.source_failures,
        grants: standing.grants.source,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn closed_for(reason: CloseReason) -> Option<Cause> {
        let (grant, client, to) =
            (GrantId(1), ClientId(2), core::Network::host(IpAddr::from([192, 0, 2, 1])));
        let note = Note::GrantClosed { grant, client, to, service: 3, reason };
        Happening::of(&note).map(|happening| happening.cause())
    }

    #[test]
    fn what_a_policy_has_revoked_is_no_event_and_what_ends_by_itself_is() {
        assert_eq!(closed_for(CloseReason::Expired), Some(Cause::Expiry));
        assert_eq!(closed_for(CloseReason::ByClient), Some(Cause::Close));
        assert_eq!(closed_for(CloseReason::Revoked), None);
        assert_eq!(closed_for(CloseReason::Failed), None);
    }

    #[test]
    fn an_attempt_that_was_not_heard_or_could_do_nothing_for_it_is_no_failed_attempt() {
        let source = IpAddr::from([192, 0, 2, 1]);
        let cause = |refusal| {
            let note = Note::Refused { client: ClientId(2), source, refusal };
            Happening::of(&note).map(|happening| happening.cause())
        };
        for failed in [Refusal::Denied, Refusal::WrongCode, Refusal::NotAllowed, Refusal::PolicyFailed] {
            assert_eq!(cause(failed), Some(Cause::FailedAttempt), "{failed:?}");
        }
        for other in [Refusal::LockedOut, Refusal::CodeWanted, Refusal::Unavailable, Refusal::Overloaded] {
            assert_eq!(cause(other), None, "{other:?}");
        }
    }

    #[test]
    fn an_address_is_answered_for_only_where_it_is_certainly_the_clients() {
        let source = IpAddr::from([192, 0, 2, 1]);
        let sequence = Happening::failed_sequence(ClientId(2), source, 1);
        assert_eq!(sequence.answerable().source, Some(source));
        let note = Note::Refused { client: ClientId(2), source, refusal: Refusal::Denied };
        let packet = Happening::of(&note).expect("a failed attempt");
        assert_eq!((packet.about.source, packet.answerable().source), (Some(source), None));
        assert_eq!(packet.answerable().client, Some(ClientId(2)));
    }

    #[test]
    fn a_lockout_tells_whom_it_meets_and_for_how_long() {
        let happening =
            |who| Happening::of(&Note::LockedOut { who, lasts: Duration::from_secs(60) }).expect("an event");
        let client = happening(Locked::Client(ClientId(2)));
        assert_eq!((client.cause, client.lockout_seconds), (Cause::Lockout, Some(60)));
        assert_eq!(client.about.client, Some(ClientId(2)));
        assert_eq!(happening(Locked::Everybody).about, Subject::default());
    }
}
