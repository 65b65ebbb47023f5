//! Every function of every SDK does what the interface says. The policies are what `cargo xtask policies` built from
//! `policies/sdk/tests`: each compares the record with the attributes, logs the client's name, queues every act with numbers
//! of its own and keeps a sum of its parameters.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

mod stage;

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use knockgate_policy_host::parameter::Parameter;
use knockgate_policy_host::{
    Action, Capabilities, Client, Event, LogLevel, MemoryState, PolicyEngine, Profile, Rights, Source,
    StateStore, Verdict, Wasi, text,
};
use stage::{knock, no_state, rights};

const SMALL: [&str; 5] = ["rust", "c", "cpp", "zig", "assemblyscript"];

/// Their modules take seconds to compile, so they are loaded once, beside each other.
const LARGE: [&str; 2] = ["go", "javascript"];

/// Longer than two of the eight bytes that one call answers, and no multiple of them.
const NAME: &str = "anna of the house by the river";
const GRANT: u64 = 0x1_2345_6789;

const ACTIONS: [Action; 7] = [
    Action::Open { service: 1, seconds: 60 },
    Action::OpenPrefix { service: 2, bits: 64, seconds: 59 },
    Action::Extend { grant: GRANT, seconds: 62 },
    Action::Revoke { grant: GRANT },
    Action::Lockout { seconds: 63 },
    Action::Start { unit: 4 },
    Action::Notify { channel: 9, code: 64 },
];

#[test]
fn every_function_of_every_sdk_reaches_the_host_with_its_arguments_in_order() {
    let engine = PolicyEngine::new(Profile::Server, Capabilities::ALL).unwrap();
    thread::scope(|scope| {
        for language in LARGE {
            scope.spawn(|| reaches_the_host(&engine, language));
        }
        for language in SMALL {
            reaches_the_host(&engine, language);
        }
    });
}

fn reaches_the_host(engine: &PolicyEngine, language: &str) {
    let state: Arc<dyn StateStore> = Arc::new(MemoryState::default());
    state.commit(&[(5, 1000)]).unwrap();
    let policy = engine.load(language, &module(language), &everything()).unwrap();

    let decision = policy.decide(&event(), &state);

    assert_eq!(decision.failure, None, "{language}");
    assert_eq!(decision.verdict, Verdict::Commit, "{language}: {decision:?}");
    assert_eq!(decision.actions[..], ACTIONS, "{language}");
    assert_eq!(decision.log[0].level, LogLevel::Information, "{language}");
    assert_eq!(decision.log[0].text, logged(language), "{language}");
    // What was kept, the third value, their sum, 7 for the one that is not given, how many there are.
    assert_eq!(state.load(5), 1000 + 30 + (10 + 20 + 30) + 7 + 3, "{language}");
}

#[test]
fn what_the_configuration_gives_for_the_first_parameter_counts_instead_of_seven() {
    let engine = PolicyEngine::new(Profile::Server, Capabilities::ALL).unwrap();
    for language in SMALL {
        let state: Arc<dyn StateStore> = Arc::new(MemoryState::default());
        let mut rights = everything();
        rights.parameters = vec![Parameter::new("first", ["500"]), Parameter::new("second", ["0", "0", "1"])];
        let policy = engine.load(language, &module(language), &rights).unwrap();

        assert_eq!(policy.decide(&event(), &state).verdict, Verdict::Commit, "{language}");

        assert_eq!(state.load(5), 1 + 1 + 500 + 3, "{language}");
    }
}

#[test]
fn the_text_with_every_import_is_a_policy_that_denies() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/wat/knockgate.wat");
    let engine = PolicyEngine::new(Profile::Edge, Capabilities::ALL).unwrap();
    let policy = engine.load("deny", &wat::parse_file(file).unwrap(), &rights()).unwrap();

    let decision = policy.decide(&knock(), &no_state());

    assert_eq!((decision.verdict, decision.failure), (Verdict::Deny, None));
}

/// From IPv6, with a second factor and an open grant: every flag of the record is set.
fn event() -> Event {
    let client = knock().client.map(|client| Client {
        name: text(NAME),
        failures: 2,
        grants: 1,
        oldest_grant: Some(GRANT),
        second_factor: true,
        ..client
    });
    let address: IpAddr = "2001:db8:1:2:3:4:5:6".parse().unwrap();
    Event { client, source: Some(Source { address, prefix: 64, failures: 3, grants: 1 }), ..knock() }
}

fn everything() -> Rights {
    Rights { parameters: vec![Parameter::new("second", ["10", "20", "30"])], wasi: Wasi::Inert, ..rights() }
}

/// JavaScript cannot read names: eight letters do not fit into one of its numbers.
fn logged(language: &str) -> &'static str {
    if language == "javascript" { "names do not fit into numbers" } else { NAME }
}

fn module(language: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/policies");
    let file = folder.join(format!("every_function_{language}.wasm"));
    fs::read(&file).unwrap_or_else(|error| {
        panic!("{}: {error}; build the examples first: cargo xtask policies", file.display())
    })
}
