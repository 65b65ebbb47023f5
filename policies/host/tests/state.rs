//! State is part of the transaction.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

mod stage;

use std::sync::Arc;

use knockgate_policy_host::{
    Capabilities, Failure, MemoryState, Policy, PolicyEngine, Profile, StateError, StateStore, Verdict,
};
use stage::{knock, rights};

#[test]
fn a_committed_number_is_there_at_the_next_event() {
    let (policy, state) = (counter(0), memory());
    for round in 1..=3 {
        assert_eq!(policy.decide(&knock(), &state).verdict, Verdict::Commit);
        assert_eq!(state.load(1), round);
    }
}

#[test]
fn nothing_is_stored_unless_the_policy_commits() {
    for verdict in [1, 2, 7] {
        let state = memory();
        let _ = counter(verdict).decide(&knock(), &state);
        assert!(state.is_empty(), "verdict {verdict}");
    }
}

#[test]
fn a_failed_store_denies_and_drops_the_actions() {
    let state: Arc<dyn StateStore> = Arc::new(BrokenDisk);
    let decision = counter(0).decide(&knock(), &state);

    assert_eq!(decision.verdict, Verdict::Deny);
    assert!(decision.actions.is_empty());
    assert_eq!(decision.failure, Some(Failure::State(StateError)));
}

#[test]
fn zero_forgets_a_key_and_makes_room_for_another() {
    let state = memory();
    let full: Vec<(u32, u64)> = (1..=16).map(|key| (key, 5)).collect();
    state.commit(&full).unwrap();
    let policy = load(
        "(if (i32.ne (call $store (i32.const 99) (i64.const 1)) (i32.const -3)) (then (return (i32.const 1))))
         (drop (call $store (i32.const 7) (i64.const 0)))
         (call $store (i32.const 99) (i64.const 1))",
    );

    assert_eq!(policy.decide(&knock(), &state).verdict, Verdict::Commit);

    assert_eq!((state.load(7), state.load(99), state.len()), (0, 1, 16));
}

struct BrokenDisk;

impl StateStore for BrokenDisk {
    fn load(&self, _key: u32) -> u64 {
        0
    }

    fn len(&self) -> usize {
        0
    }

    fn commit(&self, _writes: &[(u32, u64)]) -> Result<(), StateError> {
        Err(StateError)
    }
}

fn memory() -> Arc<dyn StateStore> {
    Arc::new(MemoryState::default())
}

/// Counts under key 1, opens, and returns `verdict`.
fn counter(verdict: u32) -> Policy {
    load(&format!(
        "(drop (call $store (i32.const 1) (i64.add (call $load (i32.const 1)) (i64.const 1))))
         (drop (call $open (i32.const 1) (i32.const 60)))
         (i32.const {verdict})"
    ))
}

fn load(body: &str) -> Policy {
    let text = format!(
        r#"(module
          (import "knockgate:policy/act@1.0.0" "open" (func $open (param i32 i32) (result i32)))
          (import "knockgate:policy/state@1.0.0" "load" (func $load (param i32) (result i64)))
          (import "knockgate:policy/state@1.0.0" "store" (func $store (param i32 i64) (result i32)))
          (@custom "knockgate.manifest" "abi=1.0\0aname=x\0aservices=*\0acapabilities=open state\0a")
          (func (export "decide") (result i32) {body}))"#
    );
    let engine = PolicyEngine::new(Profile::Edge, Capabilities::ALL).unwrap();
    engine.load("x", &wat::parse_str(text).unwrap(), &rights()).unwrap()
}
