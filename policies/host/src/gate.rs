//! Between a gate and its policies: its questions and its news as they see them, and what they say as the gate takes it.
//!
//! Every host of policies speaks to them through here, so that a policy finds the same event and is taken at the same word on each.
//! What the core does not know stands in a [`Scene`] and is the host's to tell. What a policy wants beside the gate, units and
//! notices, is left to the host.

use core::net::IpAddr;

use knockgate_core::address::SourcePrefix;
use knockgate_core::limits::MAX_EFFECTS;
use knockgate_core::{ClientId, Consultation, Effect, GrantId, Happening, Name, Occasion, Standing, Subject};

use crate::{
    Action, Answer, Book, Capabilities, Cause, Client, Event, Grant, HostKind, LocalTime, Request, Source,
    text,
};

/// What a host adds to what its gate knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scene<'a> {
    /// Where policies run.
    pub host: HostKind,
    /// Unix time in seconds.
    pub time: Option<u64>,
    /// The same in the gate's time zone.
    pub local: Option<LocalTime>,
    /// What the host cannot do just now.
    pub lacking: Capabilities,
    /// What people call the service that it is about; empty if there is none.
    pub service: &'a str,
}

impl Scene<'_> {
    /// A knock, as policies are told of it. One by a static sequence is by nobody: whoever has seen it can knock it.
    #[must_use]
    pub fn knock(&self, asked: &Consultation) -> Event {
        let standing = &asked.standing;
        let client =
            Client { second_factor: asked.second_factor, ..client(asked.client, &asked.name, standing) };
        Event {
            client: (!asked.client.is_static()).then_some(client),
            source: Some(source(asked.source, standing)),
            request: Some(Request {
                seconds: asked.seconds,
                prefix: asked.prefix,
                ..self.request(asked.service, standing)
            }),
            book: asked.number.map(|number| Book { number, left: asked.book_left }),
            grant: asked.grant.map(|(grant, left)| Grant {
                id: grant.0.into(),
                left: u32::try_from(left.as_secs()).unwrap_or(u32::MAX),
            }),
            ..self.event(cause_of_knock(asked.cause), standing)
        }
    }

    /// What has happened, as policies are told of it. `name` is the client's.
    #[must_use]
    pub fn happening(&self, happening: &Happening, name: Option<&Name>, standing: &Standing) -> Event {
        let Subject { client: id, source: address, service } = happening.about;
        Event {
            client: id.zip(name).map(|(id, name)| client(id, name, standing)),
            source: address.map(|address| source(address, standing)),
            request: service.map(|service| self.request(service, standing)),
            grant: happening.grant.map(|grant| Grant { id: grant.0.into(), left: 0 }),
            lockout_seconds: happening
                .lockout
                .map(|lasts| u32::try_from(lasts.as_secs()).unwrap_or(u32::MAX)),
            ..self.event(cause(happening.occasion), standing)
        }
    }

    fn event(&self, cause: Cause, standing: &Standing) -> Event {
        Event {
            time: self.time,
            local: self.local,
            grants_open: standing.grants.all,
            lacking: self.lacking,
            ..Event::new(cause, self.host)
        }
    }

    fn request(&self, service: u16, standing: &Standing) -> Request {
        let (name, grants) = (text(self.service), standing.grants.service);
        Request { service, name, seconds: 0, grants, prefix: None }
    }
}

fn client(id: ClientId, name: &Name, standing: &Standing) -> Client {
    Client {
        id: id.0,
        name: text(name.as_str()),
        failures: standing.failures,
        grants: standing.grants.client,
        oldest_grant: standing.grants.oldest.map(|grant| grant.0.into()),
        second_factor: false,
    }
}

fn source(address: IpAddr, standing: &Standing) -> Source {
    Source {
        address,
        prefix: SourcePrefix::of(address).bits(),
        failures: standing.source_failures,
        grants: standing.grants.source,
    }
}

fn cause_of_knock(asked: knockgate_core::Cause) -> Cause {
    match asked {
        knockgate_core::Cause::Sequence => Cause::Sequence,
        knockgate_core::Cause::Packet => Cause::Packet,
        knockgate_core::Cause::Renew => Cause::Renew,
    }
}

/// The cause under which policies hear of something that nobody waits for.
#[must_use]
pub const fn cause(occasion: Occasion) -> Cause {
    match occasion {
        Occasion::Close => Cause::Close,
        Occasion::Expiry => Cause::Expiry,
        Occasion::Lockout => Cause::Lockout,
        Occasion::FailedAttempt => Cause::FailedAttempt,
        Occasion::StartUp => Cause::StartUp,
    }
}

/// What the gate shall do about a knock. Whoever abstains at the end of a chain has not allowed anything.
#[must_use]
pub fn decision(answer: Answer, actions: &[Action]) -> knockgate_core::Decision {
    let verdict = match answer {
        Answer::Commit => knockgate_core::Verdict::Commit,
        Answer::Deny | Answer::Abstain => knockgate_core::Verdict::Deny,
        Answer::Failed => knockgate_core::Verdict::Failed,
    };
    knockgate_core::Decision { verdict, effects: effects(actions).take(MAX_EFFECTS).collect() }
}

/// What the gate shall do of what policies want.
pub fn effects(actions: &[Action]) -> impl Iterator<Item = Effect> {
    actions.iter().filter_map(effect)
}

fn effect(action: &Action) -> Option<Effect> {
    match *action {
        Action::Open { service, seconds } => Some(Effect::Open { service, seconds }),
        Action::OpenPrefix { service, bits, seconds } => Some(Effect::OpenPrefix { service, bits, seconds }),
        Action::Extend { grant, seconds } => grant_id(grant).map(|grant| Effect::Extend { grant, seconds }),
        Action::Revoke { grant } => grant_id(grant).map(|grant| Effect::Revoke { grant }),
        Action::Lockout { seconds } => Some(Effect::Lockout { seconds }),
        Action::Start { .. } | Action::Notify { .. } => None,
    }
}

fn grant_id(number: u64) -> Option<GrantId> {
    u32::try_from(number).ok().map(GrantId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_effects_of_the_gate_but_for_those_that_are_the_hosts() {
        let actions = [
            Action::Open { service: 1, seconds: 2 },
            Action::Start { unit: 3 },
            Action::Revoke { grant: 4 },
            Action::Notify { channel: 5, code: 6 },
            Action::Revoke { grant: u64::MAX },
        ];
        let effects = decision(Answer::Commit, &actions).effects;
        assert_eq!(
            effects.as_slice(),
            [Effect::Open { service: 1, seconds: 2 }, Effect::Revoke { grant: GrantId(4) }]
        );
    }
}
