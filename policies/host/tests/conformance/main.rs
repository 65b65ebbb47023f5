//! The meaning of the ABI, case by case: each runs on Cranelift and on Pulley in both profiles, and on wasmi, and all agree in
//! verdict, actions, refusals, what was loaded and log; Cranelift and Pulley also in fuel, whatever the compiler's settings.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

mod cases;
#[path = "../stage/mod.rs"]
mod stage;

use std::sync::Arc;

use cases::{CASES, Case, DEEP_CASES, EDGE_CASES};
use knockgate_policy_host::parameter::Parameter;
use knockgate_policy_host::second::SecondPolicy;
use knockgate_policy_host::{
    Capabilities, Capability, Decision, Event, Execution, LoadError, LogLevel, MemoryState, Policy,
    PolicyEngine, Profile, Rights, StateStore, Verdict,
};
use stage::knock;

const MANIFEST: &str = "abi=1.0\nname=case\nservices=*\nfuel=20000\npages=1\n\
    capabilities=open open-prefix extend revoke lockout start notify state log\n\
    causes=sequence packet renew close expiry lockout failed-attempt start-up\n\
    parameters=first:number second:numbers days:days\n\
    optional=knockgate:policy/act@1.1.0 knockgate:policy/weather@1.0.0\n";

#[test]
fn every_case_is_decided_alike_by_every_engine() {
    let engines = Engines::new(Capabilities::ALL);
    for case in CASES.iter().chain(DEEP_CASES) {
        let decisions = engines.decide(case.0, &module(case.1), &case.2());
        agree(case, &decisions);
    }
    for case in EDGE_CASES {
        let [_compiled, _interpreted, on_edge @ ..] = engines.decide(case.0, &module(case.1), &case.2());
        agree(case, &on_edge);
    }
}

#[test]
fn the_same_event_costs_the_same_fuel_on_every_profile_and_every_time() {
    let engines = Engines::new(Capabilities::ALL);
    for (name, body, event, ..) in CASES.iter().chain(EDGE_CASES) {
        let policies = engines.load(name, &module(body));
        let fuel: Vec<u64> =
            policies.iter().chain(&policies).map(|policy| policy.decide(&event(), &state()).fuel).collect();
        assert!(fuel[0] > 0 && fuel.iter().all(|used| *used == fuel[0]), "{name}: {fuel:?}");
    }
}

/// Body of `decide`, and what the record tells that it loaded.
#[rustfmt::skip]
const LOADS: &[(&str, &[(u32, u64)])] = &[
    ("(i32.const 0)", &[]),
    ("(drop (call $load (i32.const 7))) (i32.const 0)", &[(7, 70)]),
    ("(drop (call $load (i32.const 5))) (i32.const 0)", &[(5, 0)]),
    ("(drop (call $load (i32.const 8))) (drop (call $load (i32.const 7))) (drop (call $load (i32.const 8))) (i32.const 0)", &[(8, 80), (7, 70)]),
    ("(drop (call $load (i32.const 7))) (i32.const 1)", &[(7, 70)]),
    ("(drop (call $load (i32.const 7))) (unreachable)", &[(7, 70)]),
    ("(drop (call $store (i32.const 7) (i64.const 1))) (drop (call $load (i32.const 7))) (i32.const 0)", &[]),
    ("(drop (call $load (i32.const 7))) (drop (call $store (i32.const 7) (i64.const 1))) (drop (call $load (i32.const 7))) (i32.const 0)", &[(7, 70)]),
];

#[test]
fn what_was_loaded_from_earlier_decisions_is_told_alike() {
    let engines = Engines::new(Capabilities::ALL);
    for (body, loaded) in LOADS {
        for (engine, decision) in engines.decide("loads", &module(body), &knock()) {
            assert_eq!(decision.loaded[..], **loaded, "{engine}: {body}");
        }
    }
}

/// Body of `decide`, and the lines that the operator reads.
#[rustfmt::skip]
const LINES: &[(&str, &[(LogLevel, &str)])] = &[
    ("(call $log (i32.const 2) (i32.const 0) (i32.const 5)) (i32.const 0)", &[(LogLevel::Warning, "hello")]),
    ("(call $log (i32.const 3) (i32.const 0) (i32.const 5)) (i32.const 1)", &[(LogLevel::Information, "hello")]),
    ("(call $log (i32.const 1) (i32.const 0) (i32.const 5)) (unreachable)", &[(LogLevel::Error, "hello")]),
    ("(call $log (i32.const 99) (i32.const 1) (i32.const 0)) (i32.const 2)", &[(LogLevel::Debug, "")]),
    ("(i32.store (i32.const 5) (i32.const 0x78ff0a1b)) (call $log (i32.const 4) (i32.const 0) (i32.const 9)) (i32.const 0)", &[(LogLevel::Debug, "hello  ?x")]),
];

#[test]
fn what_the_operator_reads_is_the_same() {
    let engines = Engines::new(Capabilities::ALL);
    for (body, lines) in LINES {
        for (engine, decision) in engines.decide("lines", &module(body), &knock()) {
            let found: Vec<_> = decision.log.iter().map(|line| (line.level, line.text.as_str())).collect();
            assert_eq!(found, *lines, "{engine}: {body}");
        }
    }
}

#[test]
fn a_newer_interface_that_is_not_optional_is_refused_by_its_name_by_every_engine() {
    let text = text("(i32.const 0)").replace("optional=knockgate:policy/act@1.1.0 ", "optional=");
    let module = wat::parse_str(text).unwrap();
    let expected = LoadError::NewerInterface { interface: "knockgate:policy/act@1.1.0".into() };
    for error in Engines::new(Capabilities::ALL).refuse(&module) {
        assert_eq!(error, expected);
    }
    assert!(expected.to_string().contains("knockgate:policy/act@1.1.0"));
}

#[test]
fn what_a_host_cannot_do_is_not_on_this_host_if_it_is_optional_and_refused_by_its_name_if_not() {
    let engines = Engines::new(Capabilities::ALL.without(Capabilities::of(&[Capability::Start])));
    let body = "(i32.ne (call $start (i32.const 4)) (i32.const -5))";
    let optional = text(body).replace("optional=", "optional=start ");
    for (engine, decision) in engines.decide("no start", &wat::parse_str(optional).unwrap(), &knock()) {
        assert_eq!((decision.verdict, decision.failure), (Verdict::Commit, None), "{engine}");
    }
    for error in engines.refuse(&module(body)) {
        assert_eq!(error, LoadError::NotOnThisHost(Capability::Start));
    }
}

/// Cranelift and Pulley, each in both profiles, which have different settings. wasmi needs no engine.
struct Engines {
    engines: [PolicyEngine; 4],
    supported: Capabilities,
}

impl Engines {
    fn new(supported: Capabilities) -> Self {
        let engines = [
            PolicyEngine::of_server(Execution::Compiled, supported),
            PolicyEngine::of_server(Execution::Interpreted, supported),
            PolicyEngine::new(Profile::Edge, supported),
            PolicyEngine::on_pulley(Profile::Edge, supported),
        ];
        Self { engines: engines.map(Result::unwrap), supported }
    }

    fn load(&self, name: &str, module: &[u8]) -> [Policy; 4] {
        self.engines.each_ref().map(|engine| {
            engine.load(name, module, &rights()).unwrap_or_else(|error| panic!("{name}: {error}"))
        })
    }

    fn decide(&self, name: &str, module: &[u8], event: &Event) -> [(&'static str, Decision); 5] {
        let [compiled, interpreted, edge, pulley] =
            self.load(name, module).map(|policy| policy.decide(event, &state()));
        let second = self.second(module).unwrap_or_else(|error| panic!("{name}: {error}"));
        [
            ("Cranelift, server", compiled),
            ("Pulley, server", interpreted),
            ("Cranelift, edge", edge),
            ("Pulley, edge", pulley),
            ("wasmi, edge", second.decide(event, &state())),
        ]
    }

    fn refuse(&self, module: &[u8]) -> Vec<LoadError> {
        let first = self.engines.iter().map(|engine| engine.load("refused", module, &rights()).err());
        first.chain([self.second(module).err()]).map(Option::unwrap).collect()
    }

    fn second(&self, module: &[u8]) -> Result<SecondPolicy, LoadError> {
        SecondPolicy::load("case", module, &rights(), Profile::Edge, self.supported)
    }
}

fn agree((name, _, _, verdict, actions): &Case, decisions: &[(&'static str, Decision)]) {
    let (_, first) = &decisions[0];
    for (engine, decision) in decisions {
        assert_eq!(
            (decision.verdict, &decision.actions[..]),
            (*verdict, *actions),
            "{name}: {engine}: {decision:?}"
        );
        assert_eq!(comparable(decision), comparable(first), "{name}: {engine} differs");
    }
}

/// What must agree whatever runs the code.
fn comparable(decision: &Decision) -> impl PartialEq + std::fmt::Debug + use<> {
    let Decision { verdict, actions, refused, loaded, log, log_dropped, failure, fuel: _ } = decision.clone();
    (verdict, actions, refused, loaded, log, log_dropped, failure.is_some())
}

fn module(body: &str) -> Vec<u8> {
    wat::parse_str(text(body)).unwrap()
}

fn text(body: &str) -> String {
    let manifest = MANIFEST.replace('\n', "\\0a");
    format!(
        r#"(module
          (import "knockgate:policy/event@1.0.0" "attr" (func $attr (param i32) (result i64)))
          (import "knockgate:policy/event@1.0.0" "has" (func $has (param i32) (result i32)))
          (import "knockgate:policy/event@1.0.0" "text" (func $text (param i32 i32) (result i64)))
          (import "knockgate:policy/event@1.0.0" "read-head" (func $read_head (param i32)))
          (import "knockgate:policy/act@1.0.0" "open" (func $open (param i32 i32) (result i32)))
          (import "knockgate:policy/act@1.0.0" "open-prefix" (func $open_prefix (param i32 i32 i32) (result i32)))
          (import "knockgate:policy/act@1.0.0" "extend" (func $extend (param i64 i32) (result i32)))
          (import "knockgate:policy/act@1.0.0" "revoke" (func $revoke (param i64) (result i32)))
          (import "knockgate:policy/act@1.0.0" "lockout" (func $lockout (param i32) (result i32)))
          (import "knockgate:policy/act@1.0.0" "start" (func $start (param i32) (result i32)))
          (import "knockgate:policy/act@1.0.0" "notify" (func $notify (param i32 i32) (result i32)))
          (import "knockgate:policy/journal@1.0.0" "log" (func $log (param i32 i32 i32)))
          (import "knockgate:policy/state@1.0.0" "load" (func $load (param i32) (result i64)))
          (import "knockgate:policy/state@1.0.0" "store" (func $store (param i32 i64) (result i32)))
          (import "knockgate:policy/act@1.1.0" "wave" (func $wave (param i64) (result i32)))
          (import "knockgate:policy/weather@1.0.0" "measure" (func $measure (param i32) (result i64)))
          (@custom "knockgate.manifest" "{manifest}")
          (memory (export "memory") 1)
          (data (i32.const 0) "hello")
          (func $decide (export "decide") (result i32) {body}))"#
    )
}

/// Two numbers are kept already.
fn state() -> Arc<dyn StateStore> {
    let state = MemoryState::default();
    state.commit(&[(7, 70), (8, 80)]).unwrap();
    Arc::new(state)
}

fn rights() -> Rights {
    let parameters = vec![Parameter::new("second", ["10", "0", "30"]), Parameter::new("days", ["sat-sun"])];
    Rights { parameters, ..stage::rights() }
}
