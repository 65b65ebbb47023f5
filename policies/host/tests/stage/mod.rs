//! What the tests of this crate share: an ordinary knock, the usual rights, and policies from text.
#![allow(dead_code, unreachable_pub, reason = "every test file includes this and uses its own part")]

use std::net::IpAddr;
use std::sync::Arc;

use knockgate_policy_host::{
    Book, Capabilities, Cause, Client, Event, HostKind, LocalTime, MemoryState, Request, Rights,
    ServiceRight, Source, StateStore, text,
};

/// Client 7, "anna", knocks from 192.0.2.7 on a Monday at noon for service 1, "ssh", for 60 seconds.
pub fn knock() -> Event {
    Event {
        time: Some(1_767_607_200),
        local: Some(LocalTime { weekday: 1, minute: 720 }),
        client: Some(Client {
            id: 7,
            name: text("anna"),
            failures: 0,
            grants: 0,
            oldest_grant: None,
            second_factor: false,
        }),
        source: Some(Source { address: IpAddr::from([192, 0, 2, 7]), prefix: 32, failures: 0, grants: 0 }),
        request: Some(Request { service: 1, name: text("ssh"), seconds: 60, grants: 0, prefix: None }),
        book: Some(Book { number: 5, left: 995 }),
        ..Event::new(Cause::Sequence, HostKind::Linux)
    }
}

/// Services 1 and 2, everything allowed, an hour at most; service 2 for a minute at most.
pub fn rights() -> Rights {
    Rights {
        services: vec![
            ServiceRight { service: 1, max_seconds: 3600 },
            ServiceRight { service: 2, max_seconds: 60 },
        ],
        capabilities: Capabilities::ALL,
        max_seconds: 3600,
        units: vec![4],
        channels: vec![9],
        ..Rights::default()
    }
}

pub fn no_state() -> Arc<dyn StateStore> {
    Arc::new(MemoryState::default())
}
