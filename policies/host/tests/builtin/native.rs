//! The policy `default` as a function of the program decides as its module does, whatever the event and the rights.

use std::net::IpAddr;

use knockgate_policy_abi::limits::Limits;
use knockgate_policy_host::builtin::{self, DEFAULT};
use knockgate_policy_host::{
    Capabilities, Capability, Cause, Decision, Event, LoadError, NativePolicies, Policy, PolicyEngine,
    Profile, Request, Rights, Source,
};

use crate::stage::{knock, no_state, rights};

const SERVICES: [u16; 4] = [0, 1, 2, 3];
const SECONDS: [u32; 6] = [0, 1, 60, 3600, 3601, u32::MAX];
const PREFIXES: [Option<u8>; 8] =
    [None, Some(0), Some(7), Some(8), Some(24), Some(32), Some(64), Some(u8::MAX)];

#[test]
fn every_event_is_decided_as_by_the_module() {
    for (case, rights) in all_rights().iter().enumerate() {
        let [native, module] = both(rights);
        let (Ok(native), Ok(module)) = (&native, &module) else {
            assert_eq!(native.err(), module.err(), "rights {case}");
            continue;
        };
        for event in events() {
            let said = [native, module].map(|policy| comparable(policy.decide(&event, &no_state())));
            assert_eq!(said[0], said[1], "rights {case}: {event:?}");
        }
    }
}

#[test]
fn both_are_the_same_policy_to_their_host() {
    let about = |policy: &Policy| {
        let wanted: Vec<_> = Cause::ALL.iter().map(|cause| policy.asked_as(*cause)).collect();
        let title = policy.title().to_owned();
        let limits = Limits { deadline_ms: None, ..*policy.limits() };
        (title, wanted, policy.rights().clone(), policy.withheld(), limits)
    };
    for rights in all_rights() {
        if let [Ok(native), Ok(module)] = both(&rights) {
            assert_eq!(about(&native), about(&module));
        }
    }
}

#[test]
fn no_other_policy_is_native() {
    for policy in builtin::ALL {
        let loaded = NativePolicies::new(Capabilities::ALL).load("x", policy.module, &rights());
        match policy.name {
            "default" => assert!(loaded.is_ok()),
            other => assert_eq!(loaded.err(), Some(LoadError::NoEngine), "{other}"),
        }
    }
}

fn both(rights: &Rights) -> [Result<Policy, LoadError>; 2] {
    // Without a clock: a busy machine must not decide.
    let engine = PolicyEngine::on_pulley(Profile::Server, Capabilities::ALL).unwrap();
    [
        NativePolicies::new(Capabilities::ALL).load("default", DEFAULT, rights),
        engine.load("default", DEFAULT, rights),
    ]
}

fn all_rights() -> Vec<Rights> {
    let with =
        |capabilities: &[Capability]| Rights { capabilities: Capabilities::of(capabilities), ..rights() };
    vec![
        rights(),
        with(&[Capability::Open]),
        with(&[Capability::OpenPrefix]),
        with(&[Capability::Log]),
        Rights { max_seconds: 59, ..rights() },
        Rights { max_seconds: 0, ..rights() },
        Rights { services: Vec::new(), ..rights() },
        Rights::default(),
    ]
}

fn events() -> Vec<Event> {
    let mut events = Vec::new();
    for (cause, lacking) in [
        (Cause::Sequence, Capabilities::NONE),
        (Cause::Packet, Capabilities::of(&[Capability::Open])),
        (Cause::Renew, Capabilities::of(&[Capability::OpenPrefix])),
    ] {
        for request in requests() {
            for source in sources() {
                events.push(Event { cause, lacking, source, request: request.clone(), ..knock() });
            }
        }
    }
    events
}

fn sources() -> [Option<Source>; 3] {
    let from = |address| Source { address, prefix: 32, failures: 0, grants: 0 };
    [
        None,
        Some(from(IpAddr::from([192, 0, 2, 7]))),
        Some(from(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7]))),
    ]
}

fn requests() -> Vec<Option<Request>> {
    let mut requests = vec![None];
    for service in SERVICES {
        for seconds in SECONDS {
            let request = |prefix| Request { service, seconds, prefix, ..knock().request.unwrap() };
            requests.extend(PREFIXES.map(|prefix| Some(request(prefix))));
        }
    }
    requests
}

/// All but the fuel: what is native costs none.
fn comparable(decision: Decision) -> Decision {
    Decision { fuel: 0, ..decision }
}
