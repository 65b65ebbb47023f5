//! What random policies are asked about, and what they may do.

use std::net::IpAddr;

use knockgate_policy_host::{
    Book, Capabilities, Capability, Cause, Client, Event, Grant, HostKind, LocalTime, Request, Rights,
    ServiceRight, Source, text,
};

use crate::tape::Tape;

/// One of a few events: full or bare, with and without somebody who waits.
pub(crate) fn event(tape: &mut Tape<'_>) -> Event {
    let cause = tape.one_of([Cause::Sequence, Cause::Packet, Cause::Renew, Cause::Expiry, Cause::StartUp]);
    if tape.one_in(8) {
        return Event::new(cause, HostKind::Linux);
    }
    let lacking = if tape.one_in(4) { Capabilities::of(&[Capability::Start]) } else { Capabilities::NONE };
    Event { lacking, ..full(cause) }
}

fn full(cause: Cause) -> Event {
    let client = Client {
        id: 7,
        name: text("anna"),
        failures: 2,
        grants: 1,
        oldest_grant: Some(0),
        second_factor: true,
    };
    Event {
        time: Some(1_767_607_200),
        local: Some(LocalTime { weekday: 1, minute: 720 }),
        client: Some(client),
        source: Some(Source { address: IpAddr::from([192, 0, 2, 7]), prefix: 32, failures: 1, grants: 0 }),
        request: Some(Request { service: 1, name: text("ssh"), seconds: 60, grants: 0, prefix: Some(24) }),
        book: Some(Book { number: 5, left: 995 }),
        grant: Some(Grant { id: 1, left: 30 }),
        grants_open: 3,
        ..Event::new(cause, HostKind::Linux)
    }
}

/// Numbers as random code makes them: small ones, and any time.
pub(crate) fn rights(tape: &mut Tape<'_>) -> Rights {
    let capabilities = tape.one_of([
        Capabilities::ALL,
        Capabilities::ALL,
        Capabilities::ALL.without(Capabilities::of(&[Capability::Log, Capability::State])),
    ]);
    Rights {
        services: (1..=16).map(|service| ServiceRight { service, max_seconds: u32::MAX }).collect(),
        capabilities,
        max_seconds: u32::MAX,
        units: (1..=16).collect(),
        channels: (1..=16).collect(),
        ..Rights::default()
    }
}

/// The manifest, which asks for all or for little.
pub(crate) fn manifest(tape: &mut Tape<'_>) -> &'static str {
    const ALL: &str = "abi=1.0\nname=random\nservices=*\n\
        capabilities=open open-prefix extend revoke lockout start notify log state\n";
    tape.one_of([ALL, ALL, ALL, "abi=1.0\nname=random\ncapabilities=log\nfuel=2000\n"])
}
