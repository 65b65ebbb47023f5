//! The attributes of an event, by number.
//!
//! A key keeps its number and its meaning for ever. Keys are grouped by ten so that a group can grow. A host answers an
//! attribute that it does not know, or that this event does not have, with 0; `has` tells 0 from absent.

/// What `attr` answers for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Number,
    /// 1 for yes; 0 for no or unknown.
    Flag,
    /// A text: `attr` answers its length in bytes, `text` its bytes.
    Text,
}

impl Kind {
    /// The kind as the guide and the C header write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Number => "number",
            Kind::Flag => "flag",
            Kind::Text => "text",
        }
    }
}

/// One row of the attribute table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The number by which a policy asks.
    pub key: u32,
    /// The name in the guide, kebab-case.
    pub name: &'static str,
    /// What is answered.
    pub kind: Kind,
    /// Meaning and unit.
    pub meaning: &'static str,
}

macro_rules! attributes {
    ($($constant:ident = $key:literal, $name:literal, $kind:ident, $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $constant: u32 = $key;)*

        /// Every attribute of ABI 1.0, by rising key.
        pub const TABLE: &[Attribute] =
            &[$(Attribute { key: $key, name: $name, kind: Kind::$kind, meaning: $meaning }),*];
    };
}

attributes! {
    TIME = 1, "time", Number, "Unix time in seconds; absent on a host without a clock.";
    WEEKDAY = 2, "weekday", Number, "Day in the gate's time zone: 1 Monday to 7 Sunday; absent without a clock.";
    MINUTE = 3, "minute", Number, "Minute of the day in the gate's time zone: 0 to 1439; absent without a clock.";
    CAUSE = 4, "cause", Number, "What happened: a cause number.";
    HOST_KIND = 5, "host-kind", Number, "Where the policy runs: 1 Linux agent, 2 gateway.";

    CLIENT = 10, "client", Number, "The client's number in the roster; absent when nobody has proved who he is.";
    CLIENT_NAME = 11, "client-name", Text, "The client's name in the roster.";
    CLIENT_FAILURES = 12, "client-failures", Number, "Failed attempts of this client since its last grant.";
    CLIENT_GRANTS = 13, "client-grants", Number, "Grants of this client that are open now.";
    SECOND_FACTOR = 14, "second-factor", Flag, "A second factor was seen with this knock.";

    ADDRESS_HIGH = 20, "address-high", Number, "Upper half of the source address; IPv4 is ::ffff:a.b.c.d.";
    ADDRESS_LOW = 21, "address-low", Number, "Lower half of the source address; of IPv4 the low 32 bits are the address.";
    FAMILY = 22, "family", Number, "Address family: 4 or 6.";
    PREFIX = 23, "prefix", Number, "Bits of the source address that this gate counts as one source.";
    SOURCE_FAILURES = 24, "source-failures", Number, "Failed attempts from this source since its last grant.";
    SOURCE_GRANTS = 25, "source-grants", Number, "Grants of this source that are open now.";
    ASKED_PREFIX = 26, "asked-prefix", Number, "Bits of the prefix that the client wants it opened to; absent for its address alone.";

    SERVICE = 30, "service", Number, "The service's number in the configuration.";
    SERVICE_NAME = 31, "service-name", Text, "The service's name in the configuration.";
    SECONDS = 32, "seconds", Number, "How long it shall be open: what the client asked, else the service's default.";
    MAX_SECONDS = 33, "max-seconds", Number, "The longest time that `open` accepts from this policy here.";
    SERVICE_GRANTS = 34, "service-grants", Number, "Grants of this service that are open now.";

    BOOK_NUMBER = 40, "book-number", Number, "Number of the knock in its knock book; absent for a packet.";
    BOOK_LEFT = 41, "book-left", Number, "Knocks left in the client's book after this one.";

    GRANT = 50, "grant", Number, "The grant that is renewed, closed or expired.";
    GRANT_LEFT = 51, "grant-left", Number, "Seconds until that grant ends.";
    GRANTS_OPEN = 52, "grants-open", Number, "Grants open on the whole gate.";
    OLDEST_GRANT = 53, "oldest-grant", Number, "The oldest open grant of this client, for `extend` and `revoke`.";
    LOCKOUT_SECONDS = 60, "lockout-seconds", Number, "How long the lockout lasts that is reported.";
}

/// First key of the policy's own parameters, which the configuration gives: parameter `i` of the manifest's `parameters=`
/// has the [`PARAMETER_KEYS`] keys from `PARAMETERS + PARAMETER_KEYS * i`. The first answers how many values it has, 0 when it
/// is not given, and the next ones the values. Far above every attribute of an event, so that both can grow.
pub const PARAMETERS: u32 = 65_536;
/// Keys of one parameter: how many values, and the values.
pub const PARAMETER_KEYS: u32 = 256;

/// The row of `key`, if this version knows it.
#[must_use]
pub fn find(key: u32) -> Option<&'static Attribute> {
    TABLE.binary_search_by_key(&key, |row| row.key).ok().and_then(|at| TABLE.get(at))
}

/// Bits of the record's `bits` field.
pub mod bits {
    /// The source address is IPv6.
    pub const IPV6: u32 = 1;
    /// `time` is known.
    pub const TIME: u32 = 1 << 1;
    /// `weekday` and `minute` are known.
    pub const ZONE: u32 = 1 << 2;
    /// The client has proved who it is.
    pub const CLIENT: u32 = 1 << 3;
    /// A second factor was seen.
    pub const SECOND_FACTOR: u32 = 1 << 4;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_rise_and_names_are_unique() {
        for pair in TABLE.windows(2) {
            assert!(pair[0].key < pair[1].key, "{} before {}", pair[0].name, pair[1].name);
        }
        for (at, row) in TABLE.iter().enumerate() {
            assert!(TABLE[..at].iter().all(|other| other.name != row.name), "{} twice", row.name);
        }
    }

    #[test]
    fn parameters_and_attributes_do_not_meet() {
        assert!(TABLE.iter().all(|row| row.key < PARAMETERS));
        assert_eq!(PARAMETER_KEYS as usize, 1 + crate::limits::MAX_PARAMETER_VALUES);
    }

    #[test]
    fn every_row_is_found_by_its_key_and_zero_is_none() {
        for row in TABLE {
            assert_eq!(find(row.key), Some(row));
        }
        assert_eq!(find(0), None);
        assert_eq!(find(u32::MAX), None);
    }
}
