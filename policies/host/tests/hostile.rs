//! Every policy in `policies/hostile` is refused or stopped with its reason, and the engine goes on deciding.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

mod stage;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use knockgate_policy_host::{
    Capabilities, Capability, Decision, Failure, LoadError, Policy, PolicyEngine, Profile, Refusal, TrapKind,
    Verdict, builtin,
};
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
    ("component", Refused(is!(LoadError::NoManifest))),
];

/// The limit is 20 ms; the rest is for a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_millis(100);

#[test]
fn every_hostile_policy_is_stopped_and_a_good_one_decides_right_afterwards() {
    let engine = engine();
    let good = engine.load("default", builtin::DEFAULT, &rights()).unwrap();
    for (name, stop) in CASES {
        check(&engine, name, stop);
        assert!(good.decide(&knock(), &no_state()).opens(), "after {name} the good policy must still decide");
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
    let error = engine().load("huge", &module, &rights()).err().unwrap();
    assert!(matches!(error, LoadError::TooBig { limit: 4_194_304, .. }), "{error}");
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
    let policy = load(&engine(), "out_of_bounds").unwrap();
    let failure = policy.decide(&knock(), &no_state()).failure.unwrap();
    let text = failure.to_string();
    assert!(text.starts_with("memory access out of bounds in function 0 at byte 0x"), "{text}");
}

#[test]
fn hostile_policies_in_many_threads_do_not_disturb_each_other() {
    let engine = engine();
    let good = engine.load("default", builtin::DEFAULT, &rights()).unwrap();
    let hostile: Vec<_> = ["loop", "memory_growth", "recursion", "start_loop"]
        .map(|name| load(&engine, name).unwrap())
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

fn check(engine: &PolicyEngine, name: &str, stop: &Stop) {
    let loaded = load(engine, name);
    match (stop, loaded) {
        (Refused(expected), Err(error)) => assert!(expected(&error), "{name}: {error:?}"),
        (Refused(_), Ok(_)) => panic!("{name} was loaded"),
        (_, Err(error)) => panic!("{name} was not loaded: {error}"),
        (Failed(expected), Ok(policy)) => {
            let (decision, time) = quickest(&policy);
            assert!(time < PATIENCE, "{name} ran for {time:?}");
            assert!(decision.fuel <= policy.limits().fuel, "{name}: {}", decision.fuel);
            assert_eq!(decision.verdict, Verdict::Deny, "{name}");
            assert!(decision.actions.is_empty(), "{name}: {:?}", decision.actions);
            let failure = decision.failure.expect("a hostile policy fails");
            assert!(expected(&failure), "{name}: {failure:?}");
        }
        (Harmless(expected), Ok(policy)) => {
            let decision = policy.decide(&knock(), &no_state());
            assert!(decision.failure.is_none() && expected(&decision), "{name}: {decision:?}");
        }
    }
}

/// The quickest of a few runs: how long the policy takes, not how busy the machine is.
fn quickest(policy: &Policy) -> (Decision, Duration) {
    let run = || {
        let begin = Instant::now();
        (policy.decide(&knock(), &no_state()), begin.elapsed())
    };
    (0..5).map(|_| run()).min_by_key(|(_, time)| *time).unwrap()
}

fn was_refused(decision: &Decision, act: Capability, refusal: Refusal) -> bool {
    decision.refused.iter().any(|refused| refused.act == act && refused.refusal == refusal)
}

fn load(engine: &PolicyEngine, name: &str) -> Result<Policy, LoadError> {
    let module = wat::parse_file(folder().join(name).with_extension("wat")).unwrap();
    engine.load(name, &module, &rights())
}

fn engine() -> PolicyEngine {
    PolicyEngine::new(Profile::Server, Capabilities::ALL).unwrap()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../hostile")
}
