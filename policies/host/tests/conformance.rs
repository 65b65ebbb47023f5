//! The meaning of the ABI, case by case: each runs on wasmtime in both profiles and on wasmi, and all agree in verdict,
//! actions, refusals and log; wasmtime's two profiles also in fuel.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

mod stage;

use std::sync::Arc;

use knockgate_policy_host::second::SecondPolicy;
use knockgate_policy_host::{
    Action, Capabilities, Cause, Decision, Event, Grant, HostKind, MemoryState, PolicyEngine, Profile,
    StateStore, Verdict,
};
use stage::{knock, rights};

/// Name, body of `decide`, event, verdict, actions. The body ends with the value to return.
type Case = (&'static str, &'static str, fn() -> Event, Verdict, &'static [Action]);

use Verdict::{Abstain, Commit, Deny};

const OPEN: Action = Action::Open { service: 1, seconds: 60 };

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("commit lets what is queued happen", "(drop (call $open (i32.const 1) (i32.const 60))) (i32.const 0)", knock, Commit, &[OPEN]),
    ("deny drops what is queued", "(drop (call $open (i32.const 1) (i32.const 60))) (i32.const 1)", knock, Deny, &[]),
    ("abstain drops what is queued", "(drop (call $open (i32.const 1) (i32.const 60))) (i32.const 2)", knock, Abstain, &[]),
    ("any other verdict denies", "(drop (call $open (i32.const 1) (i32.const 60))) (i32.const 3)", knock, Deny, &[]),
    ("a negative verdict denies", "(i32.const -1)", knock, Deny, &[]),
    ("commit without acts opens nothing", "(i32.const 0)", knock, Commit, &[]),
    ("a trap after an act drops it", "(drop (call $open (i32.const 1) (i32.const 60))) (unreachable)", knock, Deny, &[]),
    ("open answers 0", "(call $open (i32.const 1) (i32.const 60))", knock, Commit, &[OPEN]),
    ("open of service 0 is invalid", "(i32.ne (call $open (i32.const 0) (i32.const 60)) (i32.const -1))", knock, Commit, &[]),
    ("open of service 65536 is invalid", "(i32.ne (call $open (i32.const 65536) (i32.const 60)) (i32.const -1))", knock, Commit, &[]),
    ("open for 0 seconds is invalid", "(i32.ne (call $open (i32.const 1) (i32.const 0)) (i32.const -1))", knock, Commit, &[]),
    ("open of a foreign service is not permitted", "(i32.ne (call $open (i32.const 3) (i32.const 60)) (i32.const -2))", knock, Commit, &[]),
    ("open for the longest time is queued", "(call $open (i32.const 1) (i32.const 3600))", knock, Commit, &[Action::Open { service: 1, seconds: 3600 }]),
    ("open for longer reaches the limit", "(i32.ne (call $open (i32.const 1) (i32.const 3601)) (i32.const -3))", knock, Commit, &[]),
    ("every service has its own longest time", "(i32.ne (call $open (i32.const 2) (i32.const 61)) (i32.const -3))", knock, Commit, &[]),
    ("the ninth act reaches the limit of the edge", NINE_OPENS, knock, Commit, &[OPEN; 8]),
    ("nobody to open to", "(i32.ne (call $open (i32.const 1) (i32.const 60)) (i32.const -4))", start_up, Commit, &[]),
    ("open-prefix is queued", "(call $open_prefix (i32.const 1) (i32.const 24) (i32.const 60))", knock, Commit, &[Action::OpenPrefix { service: 1, bits: 24, seconds: 60 }]),
    ("a prefix longer than the address is invalid", "(i32.ne (call $open_prefix (i32.const 1) (i32.const 33) (i32.const 60)) (i32.const -1))", knock, Commit, &[]),
    ("a prefix too wide reaches the limit", "(i32.ne (call $open_prefix (i32.const 1) (i32.const 15) (i32.const 60)) (i32.const -3))", knock, Commit, &[]),
    ("extend of the event's grant is queued", "(call $extend (i64.const 9) (i32.const 30))", renewal, Commit, &[Action::Extend { grant: 9, seconds: 30 }]),
    ("extend of another grant finds nothing", "(i32.ne (call $extend (i64.const 8) (i32.const 30)) (i32.const -4))", renewal, Commit, &[]),
    ("revoke of the event's grant is queued", "(call $revoke (i64.const 9))", renewal, Commit, &[Action::Revoke { grant: 9 }]),
    ("lockout is queued", "(call $lockout (i32.const 600))", knock, Commit, &[Action::Lockout { seconds: 600 }]),
    ("lockout for more than a day reaches the limit", "(i32.ne (call $lockout (i32.const 86401)) (i32.const -3))", knock, Commit, &[]),
    ("start of a listed unit is queued", "(call $start (i32.const 4))", knock, Commit, &[Action::Start { unit: 4 }]),
    ("start of another unit finds nothing", "(i32.ne (call $start (i32.const 5)) (i32.const -4))", knock, Commit, &[]),
    ("notify on a listed channel is queued", "(call $notify (i32.const 9) (i32.const 77))", knock, Commit, &[Action::Notify { channel: 9, code: 77 }]),
    ("notify on another channel finds nothing", "(i32.ne (call $notify (i32.const 8) (i32.const 77)) (i32.const -4))", knock, Commit, &[]),
    ("an attribute is answered", "(i64.ne (call $attr (i32.const 10)) (i64.const 7))", knock, Commit, &[]),
    ("an unknown attribute is 0", "(i32.or (i64.ne (call $attr (i32.const 9999)) (i64.const 0)) (call $has (i32.const 9999)))", knock, Commit, &[]),
    ("an absent attribute is 0 and not there", "(i32.or (i64.ne (call $attr (i32.const 10)) (i64.const 0)) (call $has (i32.const 10)))", start_up, Commit, &[]),
    ("a present 0 is there", "(i32.or (i64.ne (call $attr (i32.const 12)) (i64.const 0)) (i32.eqz (call $has (i32.const 12))))", knock, Commit, &[]),
    ("max-seconds is the policy's for the service", "(i64.ne (call $attr (i32.const 33)) (i64.const 3600))", knock, Commit, &[]),
    ("an IPv4 address is mapped", "(i64.ne (call $attr (i32.const 21)) (i64.const 0xffffc0000207))", knock, Commit, &[]),
    ("attr of a text is its length", "(i64.ne (call $attr (i32.const 11)) (i64.const 4))", knock, Commit, &[]),
    ("text comes in words of eight bytes", "(i64.ne (call $text (i32.const 11) (i32.const 0)) (i64.const 0x616e6e61))", knock, Commit, &[]),
    ("text begins at its offset", "(i64.ne (call $text (i32.const 11) (i32.const 3)) (i64.const 0x61))", knock, Commit, &[]),
    ("text behind its end is 0", "(i64.ne (call $text (i32.const 11) (i32.const -1)) (i64.const 0))", knock, Commit, &[]),
    ("the record is written where the policy says", "(call $read_head (i32.const 8)) (i32.ne (i32.load (i32.const 44)) (i32.const 1))", knock, Commit, &[]),
    ("the record may end where memory ends", "(call $read_head (i32.const 65480)) (i32.const 0)", knock, Commit, &[]),
    ("a record beyond memory traps", "(call $read_head (i32.const 65481)) (i32.const 0)", knock, Deny, &[]),
    ("a line is kept", "(call $log (i32.const 2) (i32.const 0) (i32.const 5)) (i32.const 0)", knock, Commit, &[]),
    ("a line beyond memory traps", "(call $log (i32.const 2) (i32.const 65535) (i32.const 2)) (i32.const 0)", knock, Deny, &[]),
    ("what is stored is loaded in the same decision", "(drop (call $store (i32.const 5) (i64.const 42))) (i64.ne (call $load (i32.const 5)) (i64.const 42))", knock, Commit, &[]),
    ("the seventeenth key reaches the limit of the edge", SEVENTEEN_KEYS, knock, Commit, &[]),
    ("growth beyond the limit denies", "(drop (memory.grow (i32.const 1))) (i32.const 0)", knock, Deny, &[]),
    ("sign extension works", "(i32.ne (i32.extend8_s (i32.const 0xff)) (i32.const -1))", knock, Commit, &[]),
    ("conversion saturates", "(i32.ne (i32.trunc_sat_f64_u (f64.const -1)) (i32.const 0))", knock, Commit, &[]),
    ("every NaN is the same", "(i64.ne (i64.reinterpret_f64 (f64.div (f64.const 0) (f64.const 0))) (i64.const 0x7ff8000000000000))", knock, Commit, &[]),
    ("memory.copy works", "(i32.store8 (i32.const 100) (i32.const 9)) (memory.copy (i32.const 200) (i32.const 100) (i32.const 1)) (i32.ne (i32.load8_u (i32.const 200)) (i32.const 9))", knock, Commit, &[]),
];

const NINE_OPENS: &str = "(local $n i32) (local $answer i32)
    (loop $again
      (local.set $answer (call $open (i32.const 1) (i32.const 60)))
      (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 9))))
    (i32.ne (local.get $answer) (i32.const -3))";

const SEVENTEEN_KEYS: &str = "(local $n i32) (local $answer i32)
    (loop $again
      (local.set $answer (call $store (local.get $n) (i64.const 1)))
      (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 17))))
    (i32.ne (local.get $answer) (i32.const -3))";

const MANIFEST: &str = "abi=1.0\nname=case\nservices=*\nfuel=20000\npages=1\n\
    capabilities=open open-prefix extend revoke lockout start notify state log\n\
    causes=sequence renew start-up\n";

#[test]
fn every_case_is_decided_alike_by_both_engines() {
    let engine = PolicyEngine::new(Profile::Edge, Capabilities::ALL).unwrap();
    for (name, body, event, verdict, actions) in CASES {
        let module = module(body);
        let policy = engine.load(name, &module, &rights()).unwrap_or_else(|error| panic!("{name}: {error}"));

        let first = policy.decide(&event(), &state());
        let second = SecondPolicy::load(name, &module, &rights(), Profile::Edge, Capabilities::ALL)
            .unwrap_or_else(|error| panic!("{name}: {error}"))
            .decide(&event(), &state());

        assert_eq!((first.verdict, &first.actions[..]), (*verdict, *actions), "{name}: {first:?}");
        assert_eq!(comparable(&first), comparable(&second), "{name}: the engines differ");
    }
}

#[test]
fn the_same_event_costs_the_same_fuel_on_every_profile_and_every_time() {
    let pulley = PolicyEngine::on_pulley(Profile::Edge, Capabilities::ALL).unwrap();
    let edge = PolicyEngine::new(Profile::Edge, Capabilities::ALL).unwrap();
    let server = PolicyEngine::new(Profile::Server, Capabilities::ALL).unwrap();
    for (name, body, event, ..) in CASES {
        let module = module(body);
        let policies = [&edge, &server, &pulley].map(|engine| engine.load(name, &module, &rights()).unwrap());
        let fuel: Vec<u64> =
            policies.iter().chain(&policies).map(|policy| policy.decide(&event(), &state()).fuel).collect();
        assert!(fuel[0] > 0 && fuel.iter().all(|used| *used == fuel[0]), "{name}: {fuel:?}");
    }
}

/// What must agree whatever runs the code.
fn comparable(decision: &Decision) -> (Verdict, String, bool) {
    let acts = format!("{:?} {:?} {:?}", decision.actions, decision.refused, decision.log);
    (decision.verdict, acts, decision.failure.is_some())
}

fn module(body: &str) -> Vec<u8> {
    let manifest = MANIFEST.replace('\n', "\\0a");
    let text = format!(
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
          (@custom "knockgate.manifest" "{manifest}")
          (memory (export "memory") 1)
          (data (i32.const 0) "hello")
          (func (export "decide") (result i32) {body}))"#
    );
    wat::parse_str(text).unwrap()
}

fn state() -> Arc<dyn StateStore> {
    Arc::new(MemoryState::default())
}

fn start_up() -> Event {
    Event::new(Cause::StartUp, HostKind::Linux)
}

fn renewal() -> Event {
    Event { cause: Cause::Renew, grant: Some(Grant { id: 9, left: 10 }), ..knock() }
}
