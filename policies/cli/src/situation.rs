//! Makes an event from what somebody says about it: what is not said is that of an ordinary knock.

use knockgate_policy_abi::attr;
use knockgate_policy_host::record::{self, RecordError};
use knockgate_policy_host::{Cause, Event, LocalTime};
use serde_json::{Map, Value, json};

/// Monday, 5 January 2026, 0 o'clock UTC.
const MONDAY: u64 = 1_767_571_200;
const DAY: u64 = 86_400;

/// Attributes that go when another one is taken away, because they make no sense alone.
const TOGETHER: [(&str, &[&str]); 9] = [
    ("time", &["weekday", "minute"]),
    ("weekday", &["minute"]),
    ("minute", &["weekday"]),
    ("client", &["client-name", "client-failures", "client-grants", "oldest-grant", "second-factor"]),
    ("address", &["prefix", "source-failures", "source-grants"]),
    ("service", &["service-name", "seconds", "service-grants", "asked-prefix"]),
    ("book-number", &["book-left"]),
    ("book-left", &["book-number"]),
    ("grant", &["grant-left"]),
];

/// The event that has what `said` says, and not what is in `without`.
///
/// # Errors
/// A name that no event has, or a value that the name cannot have.
pub(crate) fn event(said: &Map<String, Value>, without: &[String]) -> Result<Event, RecordError> {
    let cause =
        said.get("cause").and_then(Value::as_str).and_then(Cause::from_name).unwrap_or(Cause::Sequence);
    let mut whole = ordinary(cause);
    tell_the_time(&mut whole, said);
    whole.extend(said.clone());
    for name in without {
        check_name(name)?;
        whole.remove(name);
        for (_, parts) in TOGETHER.iter().filter(|(head, _)| head == name) {
            whole.retain(|name, _| !parts.contains(&name.as_str()));
        }
    }
    record::event_from_json(&whole)
}

/// What events of this cause usually have.
fn ordinary(cause: Cause) -> Map<String, Value> {
    let mut whole = object(json!({
        "cause": cause.name(), "time": MONDAY + 10 * 3600, "weekday": 1, "minute": 600
    }));
    let somebody = object(json!({
        "client": 1, "client-name": "anna", "address": "192.0.2.7", "service": 1, "service-name": "ssh", "seconds": 60
    }));
    let grant = object(json!({
        "grant": 1, "grant-left": 30, "oldest-grant": 1, "client-grants": 1, "source-grants": 1, "service-grants": 1,
        "grants-open": 1
    }));
    match cause {
        Cause::StartUp => {}
        Cause::Packet | Cause::FailedAttempt => whole.extend(somebody),
        Cause::Sequence => {
            whole.extend(somebody);
            whole.extend(object(json!({ "book-number": 5, "book-left": 995 })));
        }
        Cause::Renew => {
            whole.extend(somebody);
            whole.extend(grant);
        }
        // What is closed is not open any more.
        Cause::Close | Cause::Expiry => {
            whole.extend(somebody);
            whole.extend(object(json!({ "grant": 1, "grant-left": 0 })));
        }
        Cause::Lockout => {
            whole.extend(somebody);
            whole.extend(object(json!({ "lockout-seconds": 60 })));
        }
    }
    whole
}

/// Time, weekday and minute agree, whichever of them is said; as in UTC.
fn tell_the_time(whole: &mut Map<String, Value>, said: &Map<String, Value>) {
    let number = |name: &str| said.get(name).and_then(Value::as_u64);
    let says_local = said.contains_key("weekday") || said.contains_key("minute");
    match number("time") {
        Some(time) if !says_local => {
            let LocalTime { weekday, minute } = LocalTime::at(time, 0);
            whole.extend(object(json!({ "weekday": weekday, "minute": minute })));
        }
        Some(_) => {}
        None => {
            let (weekday, minute) = (number("weekday").unwrap_or(1), number("minute").unwrap_or(600));
            // A weekday or minute that does not exist is refused later; until then any time does.
            let days = weekday.clamp(1, 7) - 1;
            whole.insert("time".to_owned(), (MONDAY + days * DAY + minute.min(1439) * 60).into());
        }
    }
}

fn check_name(name: &str) -> Result<(), RecordError> {
    let is_known = name == "address" || name == "lacking" || attr::TABLE.iter().any(|row| row.name == name);
    if is_known { Ok(()) } else { Err(RecordError::Unknown(name.to_owned())) }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(said: Value, without: &[&str]) -> Event {
        let without: Vec<_> = without.iter().map(|name| (*name).to_owned()).collect();
        event(&object(said), &without).unwrap()
    }

    #[test]
    fn every_cause_has_an_ordinary_event() {
        for cause in Cause::ALL {
            let event = made(json!({ "cause": cause.name() }), &[]);
            assert_eq!(event.cause, *cause);
            assert_eq!(event.client.is_some(), *cause != Cause::StartUp, "{cause:?}");
            assert_eq!(event.book.is_some(), *cause == Cause::Sequence, "{cause:?}");
        }
    }

    #[test]
    fn time_weekday_and_minute_agree_whichever_is_said() {
        #[rustfmt::skip]
        let cases = [
            (json!({}), 1, 600), (json!({ "weekday": 6 }), 6, 600), (json!({ "minute": 0 }), 1, 0),
            (json!({ "weekday": 7, "minute": 1439 }), 7, 1439), (json!({ "time": 0 }), 4, 0),
        ];
        for (number, (said, weekday, minute)) in cases.into_iter().enumerate() {
            let event = made(said, &[]);
            assert_eq!(event.local, Some(LocalTime { weekday, minute }), "case {number}");
            assert_eq!(LocalTime::at(event.time.unwrap(), 0), event.local.unwrap(), "case {number}");
        }
    }

    #[test]
    fn what_is_taken_away_takes_its_parts_with_it() {
        let event =
            made(json!({ "client-grants": 3 }), &["time", "client", "address", "service", "book-left"]);
        assert_eq!((event.time, event.local, event.book), (None, None, None));
        assert!(event.client.is_none() && event.source.is_none() && event.request.is_none());
        assert_eq!(made(json!({}), &["minute"]).time, Some(MONDAY + 36_000));
    }

    #[test]
    fn nothing_can_be_taken_away_that_no_event_has() {
        assert_eq!(event(&Map::new(), &["clock".to_owned()]), Err(RecordError::Unknown("clock".to_owned())));
    }
}
