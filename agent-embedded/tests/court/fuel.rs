//! A gateway and a server decide alike about the same event, and a decision costs the same fuel on both.

use std::sync::Arc;

use knockgate_core::{Effect, Verdict};
use knockgate_policy_host::{
    Answer, Capabilities, Cause, Decision, Event, LocalTime, MemoryState, Parameter, Policy, PolicyEngine,
    Profile, Rights, Source, StateStore, builtin, gate,
};

use crate::{NOW, Told, court, knock, seated, stage};

#[test]
fn built_in_policies_decide_as_on_a_server_with_the_same_fuel() {
    for policy in builtin::ALL {
        let rights = rights(policy.name);
        let on_the_gateway = decisions_of_a_court(seated(policy.name, policy.module, &rights));
        for profile in [Profile::Edge, Profile::Server] {
            let engine = PolicyEngine::new(profile, Capabilities::ALL).unwrap();
            let here = decisions(&engine.load(policy.name, policy.module, &rights).unwrap());
            assert_eq!(on_the_gateway, here, "{} in {profile:?}", policy.name);
        }
        assert!(on_the_gateway.iter().all(|decision| decision.fuel > 0), "{}", policy.name);
    }
}

#[test]
fn what_a_policy_says_is_what_the_gate_is_told() {
    let court = court([seated("default", builtin::DEFAULT, &stage::rights())]);
    let decision = court.judge(NOW, knock(), &mut Told::default());
    assert_eq!(decision.verdict, Verdict::Commit);
    assert_eq!(decision.effects.as_slice(), [Effect::Open { service: 1, seconds: 60 }]);
}

fn rights(policy: &str) -> Rights {
    let given: &[(&str, &str)] = match policy {
        "office-hours" => &[("days", "mon-fri"), ("from", "08:00"), ("until", "18:00")],
        "known-networks" | "second-factor" => &[("networks", "192.0.2.0/24")],
        "limit-per-client" => &[("open", "2"), ("per-day", "3")],
        _ => &[],
    };
    let parameters = given.iter().map(|(name, text)| Parameter::new(name, [*text])).collect();
    Rights { parameters, ..stage::rights() }
}

fn decisions_of_a_court(policy: Policy) -> Vec<Decision> {
    let court = court([policy]);
    let mut told = Told::default();
    for event in events() {
        let decided = court.judge(NOW, event, &mut told);
        let (_, _, said, _) = told.0.last().expect("it wants to be asked");
        assert_eq!(decided, gate::decision(said.answer(), &said.actions));
    }
    told.0.into_iter().map(|(_, _, said, _)| said).collect()
}

fn decisions(policy: &Policy) -> Vec<Decision> {
    let state: Arc<dyn StateStore> = Arc::new(MemoryState::default());
    events().iter().map(|event| policy.decide(event, &state)).collect()
}

fn events() -> Vec<Event> {
    let at = |weekday, minute| Event { local: Some(LocalTime { weekday, minute }), ..knock() };
    let address = "2001:db8::7".parse().unwrap();
    vec![
        knock(),
        at(1, 479),
        at(5, 1080),
        at(7, 720),
        Event { time: None, local: None, ..knock() },
        Event { source: Some(Source { address, prefix: 64, failures: 1, grants: 0 }), ..knock() },
        Event { cause: Cause::Packet, book: None, ..knock() },
        knock(),
        knock(),
    ]
}

#[test]
fn a_denial_and_a_failure_are_told_apart() {
    let endless = wat::parse_str(
        r#"(module (@custom "knockgate.manifest" "abi=1.0\nname=endless")
            (func (export "decide") (result i32) (loop (br 0)) (unreachable)))"#,
    )
    .unwrap();
    let court = court([seated("endless", &endless, &stage::rights())]);
    let mut told = Told::default();
    assert_eq!(court.judge(NOW, knock(), &mut told).verdict, Verdict::Failed);
    assert_eq!(told.0[0].2.answer(), Answer::Failed);
    assert_eq!(told.0[0].2.fuel, Profile::Edge.limits().fuel, "all of its fuel");
}
