//! The operating system that is not there: who may import it, and that every engine answers alike.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

mod stage;

use knockgate_policy_host::second::SecondPolicy;
use knockgate_policy_host::{
    Capabilities, Decision, Failure, LoadError, PolicyEngine, Profile, Rights, TrapKind, Verdict, Wasi,
};
use stage::{knock, no_state, rights};

/// Fills memory with what stands for chance and commits if `_initialize` has run before and the clock stands at 1 ns.
const INERT: &str = r#"(module
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (@custom "knockgate.manifest" "abi=1.0\0aname=inert\0a")
    (memory (export "memory") 1)
    (func (export "_initialize") (i32.store (i32.const 100) (i32.const 77)))
    (func (export "decide") (result i32)
      (i64.store (i32.const 8) (i64.const -1))
      (drop (call $random (i32.const 0) (i32.const 4)))
      (drop (call $clock (i32.const 0) (i64.const 1) (i32.const 8)))
      (i32.or
        (i32.or
          (i32.ne (i32.load (i32.const 100)) (i32.const 77))
          (i32.ne (i32.load (i32.const 0)) (i32.const 0x025bb40d)))
        (i32.or
          (i64.ne (i64.load (i32.const 8)) (i64.const 1))
          (i32.ne (i32.const 52) (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
            (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 0)))))))"#;

const EXITS: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (@custom "knockgate.manifest" "abi=1.0\0aname=exits\0a")
    (memory (export "memory") 1)
    (func (export "decide") (result i32) (call $exit (i32.const 0)) (i32.const 0)))"#;

#[test]
fn a_runtime_finds_nothing_and_every_engine_says_so_alike() {
    for (decision, engine) in decisions(INERT) {
        assert_eq!(decision.verdict, Verdict::Commit, "{engine}: {decision:?}");
    }
}

#[test]
fn exit_ends_the_decision_as_a_failure() {
    for (decision, engine) in decisions(EXITS) {
        assert_eq!(decision.verdict, Verdict::Deny, "{engine}");
        let is_exit = matches!(decision.failure, Some(Failure::Trap { kind: TrapKind::Exit, .. }));
        assert!(is_exit, "{engine}: {decision:?}");
    }
}

#[test]
fn it_costs_the_same_fuel_on_cranelift_and_pulley() {
    for text in [INERT, EXITS] {
        let [(first, _), (second, _), _] = decisions(text);
        assert_eq!(first.fuel, second.fuel);
    }
}

#[test]
fn without_the_right_and_on_the_edge_it_is_refused() {
    let module = wat::parse_str(INERT).unwrap();
    let server = PolicyEngine::new(Profile::Server, Capabilities::ALL).unwrap();
    let error = server.load("inert", &module, &rights()).err().unwrap();
    assert!(matches!(error, LoadError::WasiNotGranted { .. }), "{error}");
    assert!(error.to_string().contains(r#"wasi = "inert""#), "{error}");

    let edge = PolicyEngine::new(Profile::Edge, Capabilities::ALL).unwrap();
    for rights in [rights(), granted()] {
        let error = edge.load("inert", &module, &rights).err().unwrap();
        assert!(matches!(error, LoadError::WasiOnEdge { .. }), "{error}");
    }
}

fn granted() -> Rights {
    Rights { wasi: Wasi::Inert, ..rights() }
}

fn decisions(text: &str) -> [(Decision, &'static str); 3] {
    let module = wat::parse_str(text).unwrap();
    let wasmtime = |engine: PolicyEngine| {
        engine.load("policy", &module, &granted()).unwrap().decide(&knock(), &no_state())
    };
    let second =
        SecondPolicy::load("policy", &module, &granted(), Profile::Server, Capabilities::ALL).unwrap();
    [
        (wasmtime(PolicyEngine::new(Profile::Server, Capabilities::ALL).unwrap()), "Cranelift"),
        (wasmtime(PolicyEngine::on_pulley(Profile::Server, Capabilities::ALL).unwrap()), "Pulley"),
        (second.decide(&knock(), &no_state()), "wasmi"),
    ]
}
