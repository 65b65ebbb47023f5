//! Every policy in `policies/hostile` is refused or stopped with its reason and in time, on Cranelift and on Pulley, and after
//! each one the same engine decides an ordinary event as before.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

mod stage;

use std::collections::BTreeSet;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use knockgate_policy_host::signature::{PublicKey, SignatureError, verify};
use knockgate_policy_host::{
    Capabilities, Capability, Decision, Failure, LoadError, Policy, PolicyEngine, Profile, Refusal, Rights,
    TrapKind, Verdict, Wasi, builtin,
};
use minisign::KeyPair;
use stage::{knock, no_state, rights};

/// Reads a refusal at load time, or a failure while deciding.
enum Stop {
    Refused(fn(&LoadError) -> bool),
    Failed(fn(&Failure) -> bool),
    /// It decides, and nothing that it should not do happens.
    Harmless(fn(&Decision) -> bool),
}

use Stop::{Failed, Harmless, Refused};

macro_rules! is {
    ($($pattern:tt)+) => { |found| matches!(found, $($pattern)+) };
}

macro_rules! traps {
    ($kind:ident) => {
        Failed(is!(Failure::Trap { kind: TrapKind::$kind, .. }))
    };
}

#[rustfmt::skip]
const CASES: &[(&str, Stop)] = &[
    // Fuel stops them; on a machine so slow that the clock is first, the deadline does.
    ("loop", Failed(is!(Failure::Fuel { .. } | Failure::Deadline { .. }))),
    ("call_loop", Failed(is!(Failure::Fuel { .. } | Failure::Deadline { .. }))),
    ("memory_fill", Failed(is!(Failure::Fuel { .. } | Failure::Deadline { .. }))),
    ("start_loop", Failed(is!(Failure::Fuel { .. } | Failure::Deadline { .. }))),
    ("memory_copy", Failed(is!(Failure::Fuel { .. } | Failure::Deadline { .. }))),
    ("table_fill", Failed(is!(Failure::Fuel { .. } | Failure::Deadline { .. }))),
    ("table_copy", Failed(is!(Failure::Fuel { .. } | Failure::Deadline { .. }))),
    ("initialize_loop", Failed(is!(Failure::Fuel { .. } | Failure::Deadline { .. }))),
    ("component_loop", Failed(is!(Failure::Fuel { .. } | Failure::Deadline { .. }))),
    ("component_start_loop", Failed(is!(Failure::Fuel { .. } | Failure::Deadline { .. }))),
    ("recursion", traps!(StackOverflow)),
    ("out_of_bounds", traps!(MemoryOutOfBounds)),
    ("bad_log_pointer", traps!(MemoryOutOfBounds)),
    ("bad_head_pointer", traps!(MemoryOutOfBounds)),
    ("data_out_of_bounds", traps!(MemoryOutOfBounds)),
    ("unreachable", traps!(Unreachable)),
    ("division_by_zero", traps!(DivisionByZero)),
    ("memory_growth", Failed(is!(Failure::Memory { pages: 257, limit: 256, .. }))),
    ("table_growth", Failed(is!(Failure::Table { elements: 20_001, limit: 20_000, .. }))),
    ("verdict_seven", Failed(is!(Failure::Verdict(7)))),
    ("too_many_seconds", Failed(is!(Failure::Verdict(answer) if answer.cast_signed() == Refusal::LimitReached.code()))),
    ("forbidden_service", Harmless(|decision| !decision.opens() && was_refused(decision, Capability::Open, Refusal::NotPermitted))),
    ("many_actions", Harmless(|decision| decision.actions.len() == 16 && was_refused(decision, Capability::Open, Refusal::LimitReached))),
    ("many_state_keys", Harmless(|decision| was_refused(decision, Capability::State, Refusal::LimitReached))),
    ("many_log_lines", Harmless(|decision| decision.log.len() == 8 && decision.log_dropped == 9992 && !decision.log[0].text.contains('\x1b'))),
    ("too_much_memory", Refused(is!(LoadError::TooManyPages { wanted: 300, limit: 256, .. }))),
    ("too_large_table", Refused(is!(LoadError::TableTooLarge { wanted: 1_000_000, .. }))),
    ("two_tables", Refused(is!(LoadError::TooManyTables))),
    ("wrong_export_type", Refused(is!(LoadError::DecideType(_)))),
    ("no_export", Refused(is!(LoadError::NoDecide))),
    ("export_is_memory", Refused(is!(LoadError::DecideIsNoFunction))),
    ("unknown_import", Refused(is!(LoadError::WasiNotGranted { interface, .. } if interface == "wasi_snapshot_preview1"))),
    ("unknown_function", Refused(is!(LoadError::UnknownImport { name, .. } if name == "shell"))),
    ("newer_interface", Refused(is!(LoadError::NewerInterface { interface } if interface == "knockgate:policy/act@1.1.0"))),
    ("wrong_import_type", Refused(is!(LoadError::ImportType { .. }))),
    ("imports_memory", Refused(is!(LoadError::ImportsNoFunction { .. }))),
    ("no_memory", Refused(is!(LoadError::NoMemory(_)))),
    ("no_manifest", Refused(is!(LoadError::NoManifest))),
    ("two_manifests", Refused(is!(LoadError::TwoManifests))),
    ("bad_manifest", Refused(is!(LoadError::Manifest(_)))),
    ("newer_abi", Refused(is!(LoadError::AbiTooNew { .. }))),
    ("too_much_fuel", Refused(is!(LoadError::TooMuchFuel { .. }))),
    ("simd", Refused(is!(LoadError::ForbiddenFeature { .. }))),
    ("initialize_type", Refused(is!(LoadError::InitializeType(_)))),
    ("component", Refused(is!(LoadError::NoManifest))),
    ("component_growth", Failed(is!(Failure::Memory { limit: 256, .. }))),
    ("component_optional", Failed(is!(Failure::Verdict(answer) if answer.cast_signed() == Refusal::NotOnThisHost.code()))),
    ("component_type", Refused(is!(LoadError::DecideType(_)))),
    ("component_open", Refused(is!(LoadError::OpenComponent))),
    ("component_exit", Refused(is!(LoadError::WasiNotGranted { interface, .. } if interface == "wasi:cli/exit@0.2.0"))),
    ("component_random_loop", Refused(is!(LoadError::WasiNotGranted { .. }))),
    ("component_random_greedy", Refused(is!(LoadError::WasiNotGranted { .. }))),
];

/// What may import an operating system and finds one in which nothing is.
#[rustfmt::skip]
const WITH_AN_OPERATING_SYSTEM: &[(&str, Stop)] = &[
    ("unknown_import", Failed(|_| true)),
    ("component_exit", traps!(Exit)),
    ("component_random_loop", Failed(is!(Failure::Fuel { .. } | Failure::Deadline { .. }))),
    ("component_random_greedy", Failed(is!(Failure::Engine(text) if text.contains("random bytes")))),
];

#[test]
fn every_hostile_policy_is_stopped_and_a_good_one_decides_right_afterwards() {
    for engine in [engine(), on_pulley(Profile::Server)] {
        stopped_one_after_the_other(&engine, CASES, &rights());
    }
}

#[test]
fn an_operating_system_that_is_not_there_helps_no_hostile_policy() {
    let inert = Rights { wasi: Wasi::Inert, ..rights() };
    for engine in [engine(), on_pulley(Profile::Server)] {
        stopped_one_after_the_other(&engine, WITH_AN_OPERATING_SYSTEM, &inert);
    }
}

fn stopped_one_after_the_other(engine: &PolicyEngine, cases: &[(&str, Stop)], rights: &Rights) {
    let good = engine.load("default", builtin::DEFAULT, rights).unwrap();
    for (name, stop) in cases {
        check(engine, name, stop, rights);
        assert!(good.decide(&knock(), &no_state()).opens(), "after {name} the good policy must still decide");
    }
}

#[test]
fn what_a_server_stops_the_edge_refuses_or_stops_too() {
    let edge = PolicyEngine::new(Profile::Edge, Capabilities::ALL).unwrap();
    for engine in [edge, on_pulley(Profile::Edge)] {
        let good = engine.load("default", builtin::DEFAULT, &rights()).unwrap();
        for (name, stop) in CASES {
            if let (Failed(_), Ok(policy)) = (stop, load(&engine, name, &rights())) {
                let (decision, time) = quickest(&policy);
                assert!(decision.failure.is_some() && decision.actions.is_empty(), "{name}: {decision:?}");
                assert!(time < patience(&policy), "{name} ran for {time:?}");
            }
            assert!(good.decide(&knock(), &no_state()).opens(), "after {name}");
        }
    }
}

#[test]
fn the_edge_refuses_every_component() {
    let edge = PolicyEngine::new(Profile::Edge, Capabilities::ALL).unwrap();
    let good = edge.load("default", builtin::DEFAULT, &rights()).unwrap();
    let components = CASES.iter().filter(|(name, _)| name.starts_with("component_"));
    for (name, _) in components {
        assert_eq!(load(&edge, name, &rights()).err(), Some(LoadError::Component), "{name}");
    }
    assert!(good.decide(&knock(), &no_state()).opens());
}

#[test]
fn what_nobody_known_has_signed_is_refused_before_it_is_read() {
    let [known, stranger] = [(); 2].map(|()| KeyPair::generate_unencrypted_keypair().unwrap());
    let keys = [PublicKey::parse(&known.pk.to_base64()).unwrap()];
    let engine = engine();
    let policy = builtin::DEFAULT;
    let (by_known, of_other) = (sign(&known, policy), sign(&known, b"another file"));
    let by_stranger = sign(&stranger, policy);

    assert_eq!(verify(&keys, policy, None), Err(SignatureError::Unsigned));
    assert_eq!(verify(&keys, policy, Some(&of_other)), Err(SignatureError::WrongSignature));
    let wrong_key = verify(&keys, policy, Some(&by_stranger));
    assert!(matches!(wrong_key, Err(SignatureError::UnknownKey { .. })), "{wrong_key:?}");
    let malformed = verify(&keys, policy, Some("no signature"));
    assert!(matches!(malformed, Err(SignatureError::Malformed(_))), "{malformed:?}");

    assert_eq!(verify(&keys, policy, Some(&by_known)), Ok(()));
    let good = engine.load("default", policy, &rights()).unwrap();
    assert!(good.decide(&knock(), &no_state()).opens());
}

#[test]
fn a_module_that_is_cut_off_is_refused_wherever_the_cut_is() {
    const WHOLE: &str = r#"(module
        (@custom "knockgate.manifest" "abi=1.0\0aname=whole\0a")
        (func (export "decide") (result i32) (i32.const 1)))"#;
    let (engine, module) = (engine(), wat::parse_str(WHOLE).unwrap());
    let good = engine.load("whole", &module, &rights()).unwrap();
    for at in 0..module.len() {
        let error = engine.load("cut", &module[..at], &rights()).err();
        let is_typed =
            matches!(error, Some(LoadError::NotWasm | LoadError::Invalid { .. } | LoadError::NoManifest));
        assert!(is_typed, "cut at byte {at}: {error:?}");
        assert_eq!(good.decide(&knock(), &no_state()).failure, None);
    }
}

#[test]
fn as_much_data_as_fits_costs_no_more_time_than_a_decision_has() {
    const DATA: &str = "abcdefgh";
    let data = DATA.repeat(4_000_000 / DATA.len());
    let text = format!(
        r#"(module (@custom "knockgate.manifest" "abi=1.0\0aname=data\0a") (memory 62)
             (data (i32.const 0) "{data}")
             (func (export "decide") (result i32) (i32.const 1)))"#
    );
    let module = wat::parse_str(text).unwrap();
    for engine in [engine(), on_pulley(Profile::Server)] {
        let policy = engine.load("data", &module, &rights()).unwrap();
        let (decision, time) = quickest(&policy);
        assert_eq!((decision.verdict, decision.failure), (Verdict::Deny, None));
        assert!(time < patience(&policy), "{time:?}");
    }
}

#[test]
fn every_file_has_its_case() {
    let files: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let cases: BTreeSet<String> = CASES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(files, cases);
}

#[test]
fn a_module_full_of_data_is_too_big() {
    let mut module = builtin::DEFAULT.to_vec();
    module.resize(5 * 1024 * 1024, 0);
    let edge = PolicyEngine::new(Profile::Edge, Capabilities::ALL).unwrap();
    for (engine, expected) in [(engine(), 4_194_304), (edge, 32_768)] {
        let error = engine.load("huge", &module, &rights()).err().unwrap();
        assert!(matches!(error, LoadError::TooBig { limit, .. } if limit == expected), "{error}");
        let good = engine.load("default", builtin::DEFAULT, &rights()).unwrap();
        assert!(good.decide(&knock(), &no_state()).opens());
    }
}

#[test]
fn damaged_modules_are_refused_and_never_panic() {
    let engine = engine();
    let good = builtin::DEFAULT;
    for at in 0..good.len() {
        let mut damaged = good.to_vec();
        damaged[at] ^= 0x55;
        for bytes in [&damaged, &good[..at]] {
            if let Ok(policy) = engine.load("damaged", bytes, &rights()) {
                let _ = policy.decide(&knock(), &no_state());
            }
        }
    }
    for (bytes, expected) in [
        (&b""[..], LoadError::NotWasm),
        (b"#!/bin/sh\nrm -rf /", LoadError::NotWasm),
        (b"(module)", LoadError::Text),
        (b"\n  ;; text\n(module)", LoadError::Text),
    ] {
        assert_eq!(engine.load("no module", bytes, &rights()).err(), Some(expected));
    }
}

#[test]
fn a_failure_says_where_it_happened() {
    let policy = load(&engine(), "out_of_bounds", &rights()).unwrap();
    let failure = policy.decide(&knock(), &no_state()).failure.unwrap();
    let text = failure.to_string();
    assert!(text.starts_with("memory access out of bounds in function 0 at byte 0x"), "{text}");
}

#[test]
fn hostile_policies_in_many_threads_do_not_disturb_each_other() {
    let engine = engine();
    let good = engine.load("default", builtin::DEFAULT, &rights()).unwrap();
    let hostile: Vec<_> = ["loop", "memory_growth", "recursion", "start_loop"]
        .map(|name| load(&engine, name, &rights()).unwrap())
        .into_iter()
        .collect();
    std::thread::scope(|scope| {
        for policy in &hostile {
            scope.spawn(move || {
                for _ in 0..20 {
                    let decision = policy.decide(&knock(), &no_state());
                    assert_eq!(decision.verdict, Verdict::Deny, "{}", policy.name());
                }
            });
        }
        for _ in 0..200 {
            let decision = good.decide(&knock(), &no_state());
            // A machine that gives this thread no time for 20 ms may deny; nothing else may.
            assert!(
                decision.opens() || matches!(decision.failure, Some(Failure::Deadline { .. })),
                "{decision:?}"
            );
        }
    });
}

fn check(engine: &PolicyEngine, name: &str, stop: &Stop, rights: &Rights) {
    let loaded = load(engine, name, rights);
    match (stop, loaded) {
        (Refused(expected), Err(error)) => assert!(expected(&error), "{name}: {error:?}"),
        (Refused(_), Ok(_)) => panic!("{name} was loaded"),
        (_, Err(error)) => panic!("{name} was not loaded: {error}"),
        (Failed(expected), Ok(policy)) => {
            let (decision, time) = quickest(&policy);
            assert!(time < patience(&policy), "{name} ran for {time:?}");
            assert!(decision.fuel <= policy.limits().fuel, "{name}: {}", decision.fuel);
            assert_eq!(decision.verdict, Verdict::Deny, "{name}");
            assert!(decision.actions.is_empty(), "{name}: {:?}", decision.actions);
            let failure = decision.failure.expect("a hostile policy fails");
            assert!(expected(&failure), "{name}: {failure:?}");
        }
        (Harmless(expected), Ok(policy)) => {
            let (decision, time) = quickest(&policy);
            assert!(time < patience(&policy), "{name} ran for {time:?}");
            assert!(decision.failure.is_none() && expected(&decision), "{name}: {decision:?}");
        }
    }
}

/// Compiled code has 20 ms, and fuel alone stops what is interpreted, here by an interpreter that is not optimised; the rest is
/// for a machine that is busy with other tests.
fn patience(policy: &Policy) -> Duration {
    let by_the_clock = policy.limits().deadline_ms.is_some();
    Duration::from_millis(if by_the_clock { 200 } else { 1000 })
}

/// The quickest of a few runs, and one that the clock did not stop if there is any: how long the policy takes, not how busy the
/// machine is.
fn quickest(policy: &Policy) -> (Decision, Duration) {
    const FEW: usize = 3;
    const MANY: usize = 10;
    let run = |_| {
        let begin = Instant::now();
        (policy.decide(&knock(), &no_state()), begin.elapsed())
    };
    let is_late = |found: &Decision| matches!(found.failure, Some(Failure::Deadline { .. }));
    let by_time = |(decision, time): &(Decision, Duration)| (is_late(decision), *time);
    let quickest = (0..FEW).map(run).min_by_key(by_time).unwrap();
    if !is_late(&quickest.0) {
        return quickest;
    }
    (FEW..MANY).map(run).find(|(decision, _)| !is_late(decision)).unwrap_or(quickest)
}

fn was_refused(decision: &Decision, act: Capability, refusal: Refusal) -> bool {
    decision.refused.iter().any(|refused| refused.act == act && refused.refusal == refusal)
}

fn load(engine: &PolicyEngine, name: &str, rights: &Rights) -> Result<Policy, LoadError> {
    let module = wat::parse_file(folder().join(name).with_extension("wat")).unwrap();
    engine.load(name, &module, rights)
}

fn sign(pair: &KeyPair, module: &[u8]) -> String {
    minisign::sign(Some(&pair.pk), &pair.sk, Cursor::new(module), None, None).unwrap().into_string()
}

fn on_pulley(profile: Profile) -> PolicyEngine {
    PolicyEngine::on_pulley(profile, Capabilities::ALL).unwrap()
}

fn engine() -> PolicyEngine {
    PolicyEngine::new(Profile::Server, Capabilities::ALL).unwrap()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../hostile")
}
