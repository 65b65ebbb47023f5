//! Events and decisions as JSON, and back: what the audit log keeps and what a replay reads.
//!
//! An event is one object whose names are those of the attribute table in the ABI, so that a log line reads like the guide.
//! What follows from something else is left out (the halves of the address, its family, `max-seconds`, which belongs to the
//! policy), and two names are added: `address`, the source as people write it, and `lacking`, what the host could not do
//! just then. What is absent for the policy is absent here. An event that is read back is equal to the one that was written;
//! a name that this version does not know is refused, because a replay that overlooks it would answer wrongly and seem right.

mod fields;

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use knockgate_policy_abi::{Capabilities, Cause, HostKind, attr};
use serde_json::{Map, Value, json};

use crate::{Action, Book, Client, Decision, Event, Fact, Grant, LocalTime, LogLine, Request, Source, text};
use fields::Fields;

/// Why a record cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A name that is no attribute.
    #[error(
        "`{0}` is no attribute that this version knows; the names are in docs/policies.md#what-a-policy-sees, and a log of a \
         newer Knockgate wants that version's tools"
    )]
    Unknown(String),
    /// An attribute that is made from others.
    #[error("`{name}` is never given: it follows from {from}; leave it out")]
    Derived {
        /// Its name.
        name: String,
        /// From what it follows.
        from: &'static str,
    },
    /// A value that the name cannot have.
    #[error("`{name}` is {found}; write {expected}")]
    Wrong {
        /// The name.
        name: String,
        /// What stands there.
        found: String,
        /// What could stand there.
        expected: &'static str,
    },
    /// Something is there that makes sense only with something else.
    #[error("`{because}` is given and `{name}` is not; give both or neither")]
    Missing {
        /// What is not there.
        name: &'static str,
        /// What is there.
        because: &'static str,
    },
    /// Something that every record has is not there.
    #[error("no `{0}`; add it")]
    NotThere(&'static str),
}

/// The event under the names of the attribute table.
#[must_use]
pub fn event_to_json(event: &Event) -> Map<String, Value> {
    event.facts().map(|(name, fact)| (name.to_owned(), fact_to_json(fact))).collect()
}

fn fact_to_json(fact: Fact<'_>) -> Value {
    match fact {
        Fact::Number(number) | Fact::Count(number) => number.into(),
        Fact::Flag(flag) => flag.into(),
        Fact::Text(text) => text.into(),
        Fact::Address(address) => address.to_string().into(),
        Fact::Capabilities(set) => set.iter().map(|capability| capability.name()).collect(),
    }
}

/// The event that [`event_to_json`] wrote, or that somebody wrote by hand: counts that are left out are 0, names are empty,
/// the host is a Linux agent, and a source counts as a whole address.
///
/// # Errors
/// The first name that is unknown, wrong or missing.
pub fn event_from_json(record: &Map<String, Value>) -> Result<Event, RecordError> {
    for name in record.keys() {
        check_name(name)?;
    }
    let fields = Fields(record);
    let cause = fields.word("cause", CAUSES, Cause::from_name)?.ok_or(RecordError::NotThere("cause"))?;
    let host = fields.word("host-kind", "\"linux\" or \"gateway\"", host_kind)?.unwrap_or(HostKind::Linux);
    Ok(Event {
        time: fields.number("time", SECONDS)?,
        local: local_time(&fields)?,
        client: client(&fields)?,
        source: source(&fields)?,
        request: request(&fields)?,
        book: book(&fields)?,
        grant: grant(&fields)?,
        grants_open: fields.count("grants-open")?,
        lockout_seconds: fields.number("lockout-seconds", SECONDS)?,
        lacking: fields.capabilities("lacking")?,
        ..Event::new(cause, host)
    })
}

const CAUSES: &str =
    "one of sequence, packet, renew, close, expiry, lockout, failed-attempt and start-up in quotation marks";
const SECONDS: &str = "whole seconds, in digits and without quotation marks";

fn check_name(name: &str) -> Result<(), RecordError> {
    let derived = |from| Err(RecordError::Derived { name: name.to_owned(), from });
    match name {
        "address" | "lacking" => Ok(()),
        "address-high" | "address-low" | "family" => derived("`address`"),
        "max-seconds" => derived("what the policy may do here"),
        known if attr::TABLE.iter().any(|row| row.name == known) => Ok(()),
        unknown => Err(RecordError::Unknown(unknown.to_owned())),
    }
}

fn local_time(fields: &Fields<'_>) -> Result<Option<LocalTime>, RecordError> {
    let weekday = fields.number_within("weekday", 1..=7, "a number from 1 (Monday) to 7 (Sunday)")?;
    let minute =
        fields.number_within("minute", 0..=1439, "the minute of the day, a number from 0 to 1439")?;
    Ok(fields
        .both(("weekday", weekday), ("minute", minute))?
        .map(|(weekday, minute)| LocalTime { weekday, minute }))
}

fn client(fields: &Fields<'_>) -> Result<Option<Client>, RecordError> {
    let parts = ["client-name", "client-failures", "client-grants", "oldest-grant", "second-factor"];
    let Some(id) = fields.head("client", "the client's number, in digits", &parts)? else { return Ok(None) };
    Ok(Some(Client {
        id,
        name: text(fields.text("client-name")?),
        failures: fields.count("client-failures")?,
        grants: fields.count("client-grants")?,
        oldest_grant: fields.number("oldest-grant", "the grant's number, in digits")?,
        second_factor: fields.flag("second-factor")?,
    }))
}

fn source(fields: &Fields<'_>) -> Result<Option<Source>, RecordError> {
    let parts = ["prefix", "source-failures", "source-grants"];
    let Some(address) = fields.address("address", &parts)? else { return Ok(None) };
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let expected = "the bits of the address that count as one source: 0 to 32, for IPv6 to 128";
    Ok(Some(Source {
        address,
        prefix: fields.number_within("prefix", 0..=longest, expected)?.unwrap_or(longest),
        failures: fields.count("source-failures")?,
        grants: fields.count("source-grants")?,
    }))
}

fn request(fields: &Fields<'_>) -> Result<Option<Request>, RecordError> {
    let parts = ["service-name", "seconds", "service-grants", "asked-prefix"];
    let Some(service) = fields.head("service", "the service's number, 1 to 65535", &parts)? else {
        return Ok(None);
    };
    Ok(Some(Request {
        service,
        name: text(fields.text("service-name")?),
        seconds: fields.number("seconds", SECONDS)?.unwrap_or(0),
        grants: fields.count("service-grants")?,
        prefix: fields.number_within("asked-prefix", 0..=128, "the bits of a prefix, 0 to 128")?,
    }))
}

fn book(fields: &Fields<'_>) -> Result<Option<Book>, RecordError> {
    let number = fields.number("book-number", "the knock's number, in digits")?;
    let left = fields.number("book-left", "how many knocks are left, in digits")?;
    Ok(fields.both(("book-number", number), ("book-left", left))?.map(|(number, left)| Book { number, left }))
}

fn grant(fields: &Fields<'_>) -> Result<Option<Grant>, RecordError> {
    let Some(id) = fields.head("grant", "the grant's number, in digits", &["grant-left"])? else {
        return Ok(None);
    };
    Ok(Some(Grant { id, left: fields.count("grant-left")? }))
}

fn host_kind(name: &str) -> Option<HostKind> {
    [HostKind::Linux, HostKind::Gateway].into_iter().find(|host| host.name() == name)
}

/// What was decided: `verdict` (the word of an [`Answer`](crate::Answer)), `actions`, `refused` (the acts), `fuel`, `failure` if
/// there was one, and `loaded`, the numbers kept that were read, as pairs of key and value.
#[must_use]
pub fn decision_to_json(decision: &Decision) -> Map<String, Value> {
    let refused: Vec<_> = decision.refused.iter().map(|refused| refused.act.name()).collect();
    let mut record = Map::new();
    let mut put = |name: &str, value: Value| record.insert(name.to_owned(), value);
    put("verdict", decision.answer().word().into());
    put("actions", actions_to_json(&decision.actions));
    put("refused", refused.into());
    put("fuel", decision.fuel.into());
    put("failure", decision.failure.as_ref().map(ToString::to_string).into());
    put("loaded", decision.loaded.iter().map(|(key, value)| json!([key, value])).collect());
    record
}

/// The actions in order, each an object with `act` and what belongs to it.
#[must_use]
pub fn actions_to_json(actions: &[Action]) -> Value {
    actions.iter().map(action_to_json).collect()
}

fn action_to_json(action: &Action) -> Value {
    let mut record = Map::new();
    record.insert("act".to_owned(), action.act().name().into());
    record.extend(action.parts().iter().map(|(name, number)| ((*name).to_owned(), Value::from(*number))));
    record.into()
}

/// The actions that [`actions_to_json`] wrote.
///
/// # Errors
/// The first that is no action.
pub fn actions_from_json(actions: &Value) -> Result<Vec<Action>, RecordError> {
    let Value::Array(actions) = actions else {
        return Err(fields::wrong("actions", actions, "a list of actions"));
    };
    actions.iter().map(action_from_json).collect()
}

fn action_from_json(action: &Value) -> Result<Action, RecordError> {
    const ACTS: &str =
        "one of open, open-prefix, extend, revoke, lockout, start and notify in quotation marks";
    let Value::Object(record) = action else {
        return Err(fields::wrong(
            "actions",
            action,
            "objects such as { act = \"open\", service = 1, seconds = 60 }",
        ));
    };
    let fields = Fields(record);
    let act = fields.text("act")?;
    let (made, names): (_, &[&str]) = match act {
        "open" => (
            Action::Open { service: fields.part("service")?, seconds: fields.part("seconds")? },
            &["service", "seconds"],
        ),
        "open-prefix" => (
            Action::OpenPrefix {
                service: fields.part("service")?,
                bits: fields.part("bits")?,
                seconds: fields.part("seconds")?,
            },
            &["service", "bits", "seconds"],
        ),
        "extend" => (
            Action::Extend { grant: fields.part("grant")?, seconds: fields.part("seconds")? },
            &["grant", "seconds"],
        ),
        "revoke" => (Action::Revoke { grant: fields.part("grant")? }, &["grant"]),
        "lockout" => (Action::Lockout { seconds: fields.part("seconds")? }, &["seconds"]),
        "start" => (Action::Start { unit: fields.part("unit")? }, &["unit"]),
        "notify" => (
            Action::Notify { channel: fields.part("channel")?, code: fields.part("code")? },
            &["channel", "code"],
        ),
        _ => return Err(fields::wrong("act", record.get("act").unwrap_or(&Value::Null), ACTS)),
    };
    match record.keys().find(|name| *name != "act" && !names.contains(&name.as_str())) {
        Some(name) => Err(fields::wrong(name, &record[name], "nothing: this act has no such part")),
        None => Ok(made),
    }
}

/// The numbers that a recorded decision had read: pairs of key and value, as [`decision_to_json`] writes them.
///
/// # Errors
/// Something else than a list of pairs of numbers.
pub fn loaded_from_json(loaded: &Value) -> Result<Vec<(u32, u64)>, RecordError> {
    let wrong = || fields::wrong("loaded", loaded, "a list of pairs of key and value, such as [[1, 60]]");
    let pair = |pair: &Value| {
        let [key, value] = pair.as_array()?.as_slice() else { return None };
        Some((key.as_u64()?.try_into().ok()?, value.as_u64()?))
    };
    loaded.as_array().ok_or_else(wrong)?.iter().map(|one| pair(one).ok_or_else(wrong)).collect()
}

/// Lines for the operator, each an object with `level` (`error`, `warning`, `information` or `debug`) and `text`.
#[must_use]
pub fn log_to_json(lines: &[LogLine]) -> Value {
    lines.iter().map(|line| json!({ "level": line.level.name(), "text": line.text.as_str() })).collect()
}

#[cfg(test)]
mod tests;
