//! Events and actions as named facts: what an audit log keeps of them, whoever writes it.

use core::net::IpAddr;

use heapless::Vec;
use knockgate_policy_abi::{Capabilities, Capability};

use crate::{Action, Event};

/// Something that is known, apart from its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact<'a> {
    /// A number.
    Number(u64),
    /// A number that whoever reads it takes to be 0 where it is not there.
    Count(u64),
    /// Yes or no; no where it is not there.
    Flag(bool),
    /// A text.
    Text(&'a str),
    /// An address.
    Address(IpAddr),
    /// Some of what a policy may do.
    Capabilities(Capabilities),
}

impl Event {
    /// What is known of it, under the names of the attribute table. What follows from something else is left out, and two names are
    /// added: `address`, and `lacking` where something is.
    pub fn facts(&self) -> impl Iterator<Item = (&'static str, Fact<'_>)> {
        let (client, source, request) = (self.client.as_ref(), self.source.as_ref(), self.request.as_ref());
        let all = [
            ("cause", Some(Fact::Text(self.cause.name()))),
            ("host-kind", Some(Fact::Text(self.host.name()))),
            ("time", self.time.map(Fact::Number)),
            ("weekday", self.local.map(|local| number(local.weekday))),
            ("minute", self.local.map(|local| number(local.minute))),
            ("client", client.map(|client| number(client.id))),
            ("client-name", client.map(|client| Fact::Text(&client.name))),
            ("client-failures", client.map(|client| count(client.failures))),
            ("client-grants", client.map(|client| count(client.grants))),
            ("oldest-grant", client.and_then(|client| client.oldest_grant).map(Fact::Number)),
            ("second-factor", client.map(|client| Fact::Flag(client.second_factor))),
            ("address", source.map(|source| Fact::Address(source.address))),
            ("prefix", source.map(|source| number(source.prefix))),
            ("source-failures", source.map(|source| count(source.failures))),
            ("source-grants", source.map(|source| count(source.grants))),
            ("asked-prefix", request.and_then(|request| request.prefix).map(number)),
            ("service", request.map(|request| number(request.service))),
            ("service-name", request.map(|request| Fact::Text(&request.name))),
            ("seconds", request.map(|request| count(request.seconds))),
            ("service-grants", request.map(|request| count(request.grants))),
            ("book-number", self.book.map(|book| number(book.number))),
            ("book-left", self.book.map(|book| number(book.left))),
            ("grant", self.grant.map(|grant| Fact::Number(grant.id))),
            ("grant-left", self.grant.map(|grant| count(grant.left))),
            ("grants-open", Some(count(self.grants_open))),
            ("lockout-seconds", self.lockout_seconds.map(number)),
            ("lacking", (!self.lacking.is_empty()).then_some(Fact::Capabilities(self.lacking))),
        ];
        all.into_iter().filter_map(|(name, fact)| fact.map(|fact| (name, fact)))
    }
}

fn number<'a>(number: impl Into<u64>) -> Fact<'a> {
    Fact::Number(number.into())
}

fn count<'a>(count: impl Into<u64>) -> Fact<'a> {
    Fact::Count(count.into())
}

impl Action {
    /// What was done.
    #[must_use]
    pub const fn act(&self) -> Capability {
        match self {
            Self::Open { .. } => Capability::Open,
            Self::OpenPrefix { .. } => Capability::OpenPrefix,
            Self::Extend { .. } => Capability::Extend,
            Self::Revoke { .. } => Capability::Revoke,
            Self::Lockout { .. } => Capability::Lockout,
            Self::Start { .. } => Capability::Start,
            Self::Notify { .. } => Capability::Notify,
        }
    }

    /// What belongs to it, each under its name.
    #[must_use]
    pub fn parts(&self) -> Vec<(&'static str, u64), 3> {
        let parts: &[(&str, u64)] = match *self {
            Self::Open { service, seconds } => &[("service", service.into()), ("seconds", seconds.into())],
            Self::OpenPrefix { service, bits, seconds } => {
                &[("service", service.into()), ("bits", bits.into()), ("seconds", seconds.into())]
            }
            Self::Extend { grant, seconds } => &[("grant", grant), ("seconds", seconds.into())],
            Self::Revoke { grant } => &[("grant", grant)],
            Self::Lockout { seconds } => &[("seconds", seconds.into())],
            Self::Start { unit } => &[("unit", unit.into())],
            Self::Notify { channel, code } => &[("channel", channel.into()), ("code", code.into())],
        };
        parts.iter().copied().collect()
    }
}
