//! The events that are decided here and, by the very same lines, on the host. Everything that a decision is made of is told, so
//! two hosts that decide alike print alike.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use knockgate_policy_host::{
    Book, Cause, Client, Decision, Event, Grant, HostKind, LocalTime, Request, Source, text,
};

/// Client 7, "anna", knocks from 192.0.2.7 on a Monday at noon for service 1, "ssh", for 60 seconds; and what differs from that
/// in one thing.
pub(crate) fn events() -> Vec<Event> {
    let at = |weekday, minute| Event { local: Some(LocalTime { weekday, minute }), ..knock() };
    let far = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7));
    vec![
        knock(),
        at(1, 479),
        at(1, 480),
        at(7, 720),
        Event { time: None, local: None, ..knock() },
        asks(2, 3600),
        asks(3, 60),
        asks(1, 0),
        Event { request: None, ..knock() },
        Event { source: Some(Source { address: far, prefix: 128, failures: 1, grants: 0 }), ..knock() },
        Event { client: None, source: None, ..knock() },
        Event { cause: Cause::Renew, grant: Some(Grant { id: 9, left: 5 }), ..knock() },
        Event::new(Cause::StartUp, HostKind::Gateway),
        knock(),
    ]
}

/// All of a decision, in one line.
pub(crate) fn line(policy: &str, event: usize, decision: &Decision) -> String {
    alloc::format!("{policy} {event}: {decision:?}")
}

fn knock() -> Event {
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
        ..Event::new(Cause::Packet, HostKind::Gateway)
    }
}

fn asks(service: u16, seconds: u32) -> Event {
    Event {
        request: Some(Request { service, name: text("any"), seconds, grants: 0, prefix: None }),
        ..knock()
    }
}
