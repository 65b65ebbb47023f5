//! The built-in policy and the examples decide as their first line says. The examples are what `cargo xtask policies` built.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

mod stage;

use std::fs;
use std::path::Path;

use knockgate_policy_host::{
    Action, Capabilities, Client, Event, LocalTime, LogLevel, Policy, PolicyEngine, Profile, Request,
    Verdict, builtin, text,
};
use stage::{knock, no_state, rights};

#[test]
fn default_opens_what_was_asked() {
    assert_eq!(decided(&default(), &knock()), Ok(Action::Open { service: 1, seconds: 60 }));
}

#[test]
fn default_opens_for_the_longest_time_when_more_is_asked() {
    let longer = asks(1, 1_000_000);
    assert_eq!(decided(&default(), &longer), Ok(Action::Open { service: 1, seconds: 3600 }));
    let shorter = asks(2, 3600);
    assert_eq!(decided(&default(), &shorter), Ok(Action::Open { service: 2, seconds: 60 }));
}

#[test]
fn default_denies_a_service_that_is_not_granted_and_a_knock_for_nothing() {
    assert_eq!(decided(&default(), &asks(3, 60)), Err(Verdict::Deny));
    assert_eq!(decided(&default(), &asks(1, 0)), Err(Verdict::Deny));
    assert_eq!(decided(&default(), &Event { request: None, ..knock() }), Err(Verdict::Deny));
}

#[test]
fn office_hours_opens_from_monday_to_friday_from_8_to_18() {
    let policy = example("office_hours_rust");
    let cases = [
        (1, 8 * 60 - 1, false),
        (1, 8 * 60, true),
        (3, 12 * 60, true),
        (5, 18 * 60 - 1, true),
        (5, 18 * 60, false),
        (6, 12 * 60, false),
        (7, 12 * 60, false),
    ];
    for (weekday, minute, open) in cases {
        let event = Event { local: Some(LocalTime { weekday, minute }), ..knock() };
        let expected = if open { Ok(Action::Open { service: 1, seconds: 60 }) } else { Err(Verdict::Deny) };
        assert_eq!(decided(&policy, &event), expected, "day {weekday}, minute {minute}");
    }
}

#[test]
fn office_hours_denies_without_a_clock_and_says_so() {
    let event = Event { time: None, local: None, ..knock() };
    let decision = example("office_hours_rust").decide(&event, &no_state());

    assert_eq!(decision.verdict, Verdict::Deny);
    assert_eq!(decision.log[0].level, LogLevel::Warning);
    assert_eq!(decision.log[0].text, "no clock: denied");
}

#[test]
fn office_hours_opens_for_two_grants_of_a_client_at_a_time() {
    let policy = example("office_hours_rust");
    let with_grants = |grants| {
        let client = knock().client.map(|client| Client { grants, ..client });
        Event { client, ..knock() }
    };

    assert_eq!(decided(&policy, &with_grants(0)), Ok(Action::Open { service: 1, seconds: 60 }));
    assert_eq!(decided(&policy, &with_grants(1)), Ok(Action::Open { service: 1, seconds: 60 }));
    assert_eq!(decided(&policy, &with_grants(2)), Err(Verdict::Deny));
}

#[test]
fn examples_without_a_runtime_of_their_own_are_small_enough_for_a_gateway() {
    let engine = PolicyEngine::new(Profile::Edge, Capabilities::ALL).unwrap();
    for language in ["rust", "c", "cpp", "zig", "assemblyscript", "wat"] {
        let name = &format!("office_hours_{language}");
        let policy = engine.load(name, &module(name), &rights()).unwrap();
        let decision = policy.decide(&knock(), &no_state());
        assert!(decision.opens(), "{name}: {decision:?}");
        assert!(policy.withheld().is_empty(), "{name}");
    }
}

/// The one action, or the verdict when there is none.
fn decided(policy: &Policy, event: &Event) -> Result<Action, Verdict> {
    let decision = policy.decide(event, &no_state());
    assert_eq!(decision.failure, None, "{decision:?}");
    match &decision.actions[..] {
        [] => Err(decision.verdict),
        [action] => Ok(*action),
        several => panic!("one action expected: {several:?}"),
    }
}

fn asks(service: u16, seconds: u32) -> Event {
    Event {
        request: Some(Request { service, name: text("any"), seconds, grants: 0, prefix: None }),
        ..knock()
    }
}

fn default() -> Policy {
    load("default", builtin::DEFAULT)
}

fn example(name: &str) -> Policy {
    load(name, &module(name))
}

fn load(name: &str, module: &[u8]) -> Policy {
    PolicyEngine::new(Profile::Server, Capabilities::ALL).unwrap().load(name, module, &rights()).unwrap()
}

fn module(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/policies");
    let file = folder.join(name).with_extension("wasm");
    fs::read(&file).unwrap_or_else(|error| {
        panic!("{}: {error}; build the examples first: cargo xtask policies", file.display())
    })
}
