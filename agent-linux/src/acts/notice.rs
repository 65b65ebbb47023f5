//! What an act is about: the event that the policy decided, as far as people outside are told.

use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use knockgate_policy_host::Event;
use serde_json::json;

/// 1 January 10000; RFC 3339 has four digits for a year.
const END_OF_CALENDAR: u64 = 253_402_300_800;

/// Who, what and when. Whatever the event does not have is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// When the policy was asked, in Unix seconds.
    pub time: Option<u64>,
    /// The policy whose act it is.
    pub policy: String,
    /// Why the policy was asked.
    pub cause: &'static str,
    /// The client's name in the roster.
    pub client: Option<String>,
    pub source: Option<IpAddr>,
    /// The service's name.
    pub service: Option<String>,
    /// How long it was asked to be open; of a lockout, how long that lasts.
    pub seconds: Option<u32>,
}

impl Notice {
    /// What an act of `policy` in answer to `event` is about.
    pub fn about(event: &Event, policy: &str) -> Self {
        let request = event.request.as_ref();
        Self {
            time: event.time,
            policy: policy.to_owned(),
            cause: event.cause.name(),
            client: event.client.as_ref().map(|client| client.name.to_string()),
            source: event.source.map(|source| source.address),
            service: request.map(|request| request.name.to_string()),
            seconds: event.lockout_seconds.or(request.map(|request| request.seconds)),
        }
    }

    /// The message to a channel: one JSON object without a line break, every key always there.
    pub(super) fn message(&self, gate: &str, channel: &str, code: u32) -> String {
        let Self { time, policy, cause, client, source, service, seconds } = self;
        let time = time.and_then(rfc3339);
        json!({
            "gate": gate, "time": time, "channel": channel, "code": code, "policy": policy, "cause": cause,
            "client": client, "source": source, "service": service, "seconds": seconds,
        })
        .to_string()
    }
}

fn rfc3339(unix: u64) -> Option<String> {
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(unix))?;
    (unix < END_OF_CALENDAR).then(|| humantime::format_rfc3339_seconds(time).to_string())
}

#[cfg(test)]
mod tests {
    use knockgate_policy_host::{Cause, Client, HostKind, Request, Source, text};

    use super::*;

    #[test]
    fn a_message_has_every_key_and_no_line_break() {
        let event = Event {
            time: Some(1_782_000_000),
            client: Some(Client {
                id: 1,
                name: text("an\nna\""),
                failures: 0,
                grants: 0,
                oldest_grant: None,
                second_factor: false,
            }),
            source: Some(Source {
                address: IpAddr::from([192, 0, 2, 1]),
                prefix: 32,
                failures: 0,
                grants: 0,
            }),
            request: Some(Request { service: 1, name: text("ssh"), seconds: 60, grants: 0, prefix: None }),
            ..Event::new(Cause::Packet, HostKind::Linux)
        };
        let message = Notice::about(&event, "hours").message("gate.example", "ops", 7);
        assert!(!message.contains('\n'), "{message}");
        let read: serde_json::Value = serde_json::from_str(&message).unwrap();
        let expected = json!({
            "gate": "gate.example", "time": "2026-06-21T00:00:00Z", "channel": "ops", "code": 7, "policy": "hours",
            "cause": "packet", "client": "an\nna\"", "source": "192.0.2.1", "service": "ssh", "seconds": 60,
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn what_is_not_known_is_null() {
        let event = Event { lockout_seconds: Some(30), ..Event::new(Cause::Lockout, HostKind::Linux) };
        let message = Notice::about(&event, "p").message("g", "c", 0);
        let read: serde_json::Value = serde_json::from_str(&message).unwrap();
        let expected = json!({
            "gate": "g", "time": null, "channel": "c", "code": 0, "policy": "p", "cause": "lockout",
            "client": null, "source": null, "service": null, "seconds": 30,
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn a_time_beyond_the_calendar_is_not_told() {
        assert_eq!(rfc3339(END_OF_CALENDAR - 1).as_deref(), Some("9999-12-31T23:59:59Z"));
        assert_eq!(rfc3339(END_OF_CALENDAR), None);
        assert_eq!(rfc3339(u64::MAX), None);
    }
}
