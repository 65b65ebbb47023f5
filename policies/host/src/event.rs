//! One event as a policy sees it: what the attributes are answered from.
//!
//! The host fills in what it knows; what is `None` is absent for the policy. Nothing here is computed from a clock or from
//! chance while a policy runs, so a recorded event gives the same decision again.

use core::net::IpAddr;

use heapless::String;
use knockgate_policy_abi::attr::{self, bits};
use knockgate_policy_abi::limits::MAX_TEXT_BYTES;
use knockgate_policy_abi::{Capabilities, Cause, Head, HostKind};

/// A text attribute.
pub type Text = String<MAX_TEXT_BYTES>;

/// As much of `value` as a text attribute holds, cut at a character.
#[must_use]
pub fn text(value: &str) -> Text {
    let mut out = Text::new();
    for letter in value.chars() {
        if out.push(letter).is_err() {
            break;
        }
    }
    out
}

/// What happened, where and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Why the policy is asked.
    pub cause: Cause,
    /// Where it runs.
    pub host: HostKind,
    /// Unix time in seconds.
    pub time: Option<u64>,
    /// The same in the gate's time zone.
    pub local: Option<LocalTime>,
    /// Who has proved to be there.
    pub client: Option<Client>,
    /// From where.
    pub source: Option<Source>,
    /// What is asked for, or what the event is about.
    pub request: Option<Request>,
    /// Position in the knock book.
    pub book: Option<Book>,
    /// The grant that the event is about.
    pub grant: Option<Grant>,
    /// Grants open on the whole gate.
    pub grants_open: u32,
    /// Length of the lockout that is reported.
    pub lockout_seconds: Option<u32>,
    /// What this host can do in general and cannot do now, such as `start` where no service manager runs: such an act is
    /// answered "no such thing".
    pub lacking: Capabilities,
}

/// Day and minute in the gate's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// 1 Monday to 7 Sunday.
    pub weekday: u8,
    /// 0 to 1439.
    pub minute: u16,
}

/// The client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its number in the roster.
    pub id: u32,
    /// Its name there.
    pub name: Text,
    /// Failed attempts since its last grant.
    pub failures: u32,
    /// Its open grants.
    pub grants: u32,
    /// The oldest of them.
    pub oldest_grant: Option<u64>,
    /// Whether a second factor was seen.
    pub second_factor: bool,
}

/// The source address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The address.
    pub address: IpAddr,
    /// How many bits of it count as one source.
    pub prefix: u8,
    /// Failed attempts from there since its last grant.
    pub failures: u32,
    /// Its open grants.
    pub grants: u32,
}

/// The service in question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its number.
    pub service: u16,
    /// Its name.
    pub name: Text,
    /// For how long: what the client asked, else the service's default.
    pub seconds: u32,
    /// Its open grants.
    pub grants: u32,
    /// Bits of the prefix that the client wants it opened to; `None` for its address alone.
    pub prefix: Option<u8>,
}

/// Where in its knock book a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Book {
    /// Number of this knock.
    pub number: u32,
    /// Knocks left after it.
    pub left: u32,
}

/// A grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its number.
    pub id: u64,
    /// Seconds until it ends.
    pub left: u32,
}

impl Event {
    /// An event of which nothing more is known.
    #[must_use]
    pub const fn new(cause: Cause, host: HostKind) -> Self {
        Self {
            cause,
            host,
            time: None,
            local: None,
            client: None,
            source: None,
            request: None,
            book: None,
            grant: None,
            grants_open: 0,
            lockout_seconds: None,
            lacking: Capabilities::NONE,
        }
    }

    /// Answers a number attribute; `None` when it is absent, unknown or a text. `max_seconds` belongs to the policy, not to
    /// the event.
    pub(crate) fn number(&self, key: u32, max_seconds: u32) -> Option<u64> {
        let (client, source, request) = (self.client.as_ref(), self.source.as_ref(), self.request.as_ref());
        Some(match key {
            attr::TIME => self.time?,
            attr::WEEKDAY => self.local?.weekday.into(),
            attr::MINUTE => self.local?.minute.into(),
            attr::CAUSE => self.cause.number().into(),
            attr::HOST_KIND => (self.host as u8).into(),
            attr::CLIENT => client?.id.into(),
            attr::CLIENT_FAILURES => client?.failures.into(),
            attr::CLIENT_GRANTS => client?.grants.into(),
            attr::OLDEST_GRANT => client?.oldest_grant?,
            attr::SECOND_FACTOR => client?.second_factor.into(),
            attr::ADDRESS_HIGH => source?.halves().0,
            attr::ADDRESS_LOW => source?.halves().1,
            attr::FAMILY => source?.family(),
            attr::PREFIX => source?.prefix.into(),
            attr::SOURCE_FAILURES => source?.failures.into(),
            attr::SOURCE_GRANTS => source?.grants.into(),
            attr::ASKED_PREFIX => request?.prefix?.into(),
            attr::SERVICE => request?.service.into(),
            attr::SECONDS => request?.seconds.into(),
            attr::SERVICE_GRANTS => request?.grants.into(),
            attr::MAX_SECONDS => max_seconds.into(),
            attr::BOOK_NUMBER => self.book?.number.into(),
            attr::BOOK_LEFT => self.book?.left.into(),
            attr::GRANT => self.grant?.id,
            attr::GRANT_LEFT => self.grant?.left.into(),
            attr::GRANTS_OPEN => self.grants_open.into(),
            attr::LOCKOUT_SECONDS => self.lockout_seconds?.into(),
            // Keys of a newer ABI and texts.
            _ => return None,
        })
    }

    /// Answers a text attribute.
    pub(crate) fn text(&self, key: u32) -> Option<&str> {
        match key {
            attr::CLIENT_NAME => self.client.as_ref().map(|client| client.name.as_str()),
            attr::SERVICE_NAME => self.request.as_ref().map(|request| request.name.as_str()),
            _ => None,
        }
    }

    /// The record of `read-head`.
    pub(crate) fn head(&self) -> Head {
        let (client, request) = (self.client.as_ref(), self.request.as_ref());
        let (address_high, address_low) = self.source.map_or((0, 0), |source| source.halves());
        Head {
            time: self.time.unwrap_or(0),
            client: client.map_or(0, |client| client.id.into()),
            address_high,
            address_low,
            cause: self.cause.number(),
            service: request.map_or(0, |request| request.service.into()),
            seconds: request.map_or(0, |request| request.seconds),
            failures: client.map_or(0, |client| client.failures),
            grants: client.map_or(0, |client| client.grants),
            bits: self.flags(),
        }
    }

    fn flags(&self) -> u32 {
        let flag = |set: bool, bit: u32| if set { bit } else { 0 };
        flag(self.source.is_some_and(|source| source.address.is_ipv6()), bits::IPV6)
            | flag(self.time.is_some(), bits::TIME)
            | flag(self.local.is_some(), bits::ZONE)
            | flag(self.client.is_some(), bits::CLIENT)
            | flag(self.client.as_ref().is_some_and(|client| client.second_factor), bits::SECOND_FACTOR)
    }

    /// Whether a client waits for the answer: only then something can be given to him.
    pub(crate) fn has_asker(&self) -> bool {
        match self.cause {
            Cause::Sequence | Cause::Packet | Cause::Renew => true,
            Cause::Close | Cause::Expiry | Cause::Lockout | Cause::FailedAttempt | Cause::StartUp => false,
        }
    }

    /// Whether the policy may name this grant: that of the event, or the client's oldest.
    pub(crate) fn knows_grant(&self, grant: u64) -> bool {
        self.grant.is_some_and(|known| known.id == grant)
            || self.client.as_ref().is_some_and(|client| client.oldest_grant == Some(grant))
    }
}

impl Source {
    /// The address as two halves; IPv4 as `::ffff:a.b.c.d`, so that no two addresses are alike.
    fn halves(&self) -> (u64, u64) {
        halves(match self.address {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        })
    }

    fn family(&self) -> u64 {
        if self.address.is_ipv4() { 4 } else { 6 }
    }
}

/// An address as two numbers of a policy.
pub(crate) fn halves(address: u128) -> (u64, u64) {
    let [high, low] = [address >> 64, address & u128::from(u64::MAX)];
    (u64::try_from(high).unwrap_or(u64::MAX), u64::try_from(low).unwrap_or(u64::MAX))
}

impl LocalTime {
    /// Day and minute at a Unix time, in a zone that is `offset` seconds ahead of UTC.
    #[must_use]
    pub fn at(unix: u64, offset: i32) -> Self {
        const DAY: u64 = 86_400;
        let local = unix.saturating_add_signed(offset.into());
        // 1 January 1970 was a Thursday.
        let weekday = (local / DAY + 3) % 7 + 1;
        let minute = local % DAY / 60;
        Self { weekday: u8::try_from(weekday).unwrap_or(7), minute: u16::try_from(minute).unwrap_or(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weekday_and_minute_follow_the_calendar() {
        let cases = [
            (0, 0, 4, 0),                    // Thursday 1970-01-01 00:00 UTC
            (1_782_000_000, 0, 7, 0),        // Sunday 2026-06-21 00:00 UTC
            (1_767_225_599, 0, 3, 1439),     // Wednesday 2025-12-31 23:59:59 UTC
            (1_767_225_599, 3600, 4, 59),    // the same in Berlin: Thursday 00:59
            (1_767_225_600, -3600, 3, 1380), // Thursday 00:00 UTC is Wednesday 23:00 in the Azores
        ];
        for (number, (unix, offset, weekday, minute)) in cases.into_iter().enumerate() {
            assert_eq!(LocalTime::at(unix, offset), LocalTime { weekday, minute }, "case {number}");
        }
    }

    #[test]
    fn every_attribute_of_the_table_is_answered() {
        let event = full_event();
        for row in attr::TABLE {
            let answered = event.number(row.key, 60).is_some() || event.text(row.key).is_some();
            assert!(answered, "{} has no answer", row.name);
            assert_eq!(row.kind == attr::Kind::Text, event.text(row.key).is_some(), "{}", row.name);
        }
    }

    #[test]
    fn unknown_attributes_are_absent() {
        for key in [0, 7, 999, u32::MAX] {
            assert_eq!(full_event().number(key, 60), None);
        }
    }

    #[test]
    fn texts_are_cut_at_a_character() {
        let long: alloc::string::String = core::iter::repeat_n('\u{fc}', 40).collect();
        assert_eq!(text(&long).len(), 64);
        let odd = alloc::format!("x{long}");
        assert_eq!(text(&odd).len(), 63);
    }

    fn full_event() -> Event {
        Event {
            time: Some(1),
            local: Some(LocalTime { weekday: 1, minute: 0 }),
            client: Some(Client {
                id: 1,
                name: text("anna"),
                failures: 0,
                grants: 1,
                oldest_grant: Some(9),
                second_factor: true,
            }),
            source: Some(Source {
                address: IpAddr::from([192, 0, 2, 1]),
                prefix: 32,
                failures: 0,
                grants: 0,
            }),
            request: Some(Request {
                service: 1,
                name: text("ssh"),
                seconds: 60,
                grants: 0,
                prefix: Some(24),
            }),
            book: Some(Book { number: 5, left: 995 }),
            grant: Some(Grant { id: 9, left: 30 }),
            lockout_seconds: Some(60),
            ..Event::new(Cause::Sequence, HostKind::Linux)
        }
    }
}
