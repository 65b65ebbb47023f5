//! What is decided in line is what a thread decides: verdict, actions, lines, fuel and what a replay needs, for the built-in
//! policies, the example in every language and everything hostile. What cannot be decided in line leaves nothing behind.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

mod stage;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use knockgate_policy_abi::limits::{IN_LINE_FUEL, IN_LINE_PAGES};
use knockgate_policy_host::{
    Capabilities, Cause, Client, Decision, Event, Failure, InLine, LocalTime, MemoryState, Policy,
    PolicyEngine, Profile, Rights, StateStore, Verdict, Wasi, builtin, record,
};
use stage::{knock, no_state, rights};

#[test]
fn built_in_policies_decide_in_line_as_they_do_on_a_thread() {
    let engine = engine();
    for policy in builtin::ALL {
        let policy = Arc::new(engine.load(policy.name, policy.module, &rights()).unwrap());
        let mut in_line = InLine::new(Arc::clone(&policy), no_state()).expect("it is light");
        for event in events() {
            let thread = on_a_thread(&policy, &event);
            match in_line.decide(&event, IN_LINE_FUEL) {
                Some(decision) => assert_same(&decision, &thread, policy.name()),
                None => {
                    assert_eq!((policy.name(), thread.verdict), ("two-person", Verdict::Commit), "it stores")
                }
            }
        }
    }
}

#[test]
fn the_example_decides_in_line_in_every_language_without_a_runtime_of_its_own() {
    for engine in [engine(), on_pulley()] {
        for language in ["rust", "c", "cpp", "zig", "assemblyscript", "wat"] {
            let policy = Arc::new(engine.load(language, &example(language), &rights()).unwrap());
            let mut in_line = InLine::new(Arc::clone(&policy), no_state()).expect("it is light");
            for event in events() {
                let decision = in_line.decide(&event, IN_LINE_FUEL).expect("it is quick");
                assert_same(&decision, &on_a_thread(&policy, &event), language);
                in_line.prepare();
            }
        }
    }
}

#[test]
fn a_policy_that_brings_a_runtime_along_does_not_decide_in_line() {
    let (engine, rights) = (engine(), Rights { wasi: Wasi::Inert, ..rights() });
    for language in ["go", "javascript"] {
        let policy = engine.load(language, &example(language), &rights).unwrap();
        assert!(InLine::new(Arc::new(policy), no_state()).is_none(), "{language}");
    }
}

#[test]
fn hostile_policies_fail_alike_or_are_left_to_a_thread_and_good_ones_decide_as_before() {
    for engine in [engine(), on_pulley()] {
        let good = Arc::new(engine.load("default", builtin::DEFAULT, &rights()).unwrap());
        let mut good = InLine::new(good, no_state()).unwrap();
        let (mut alike, mut left) = (0, 0);
        for (name, policy) in hostile(&engine) {
            let policy = Arc::new(policy);
            let Some(mut in_line) = InLine::new(Arc::clone(&policy), no_state()) else { continue };
            match in_line.decide(&knock(), IN_LINE_FUEL) {
                Some(decision) => {
                    assert_same(&decision, &on_a_thread(&policy, &knock()), &name);
                    alike += 1;
                }
                None => left += 1,
            }
            let decision = good.decide(&knock(), IN_LINE_FUEL).unwrap();
            assert!(decision.opens(), "after {name} the good policy must still decide");
            good.prepare();
        }
        assert!(alike > 8 && left > 8, "{alike} fail alike, {left} are left to a thread");
    }
}

#[test]
fn a_decision_is_made_with_more_than_the_fuel_that_it_needs_and_not_with_less() {
    let policy = Arc::new(engine().load("default", builtin::DEFAULT, &rights()).unwrap());
    let needed = on_a_thread(&policy, &knock()).fuel;
    let mut in_line = InLine::new(policy, no_state()).unwrap();
    for (fuel, is_made) in [(0, false), (1, false), (needed - 1, false), (needed, false), (needed + 1, true)]
    {
        let decision = in_line.decide(&knock(), fuel);
        assert_eq!(decision.map(|decision| decision.fuel), is_made.then_some(needed), "with {fuel}");
    }
}

#[test]
fn fuel_that_its_author_limits_below_that_of_a_decision_in_line_is_his_own_failure() {
    let endless = policy("fuel=500\n", "(loop $again (br $again)) (unreachable)");
    let mut in_line = InLine::new(Arc::clone(&endless), no_state()).unwrap();
    let decision = in_line.decide(&knock(), IN_LINE_FUEL).unwrap();
    assert!(matches!(decision.failure, Some(Failure::Fuel { limit: 500, .. })), "{decision:?}");
    assert_same(&decision, &on_a_thread(&endless, &knock()), "endless");
}

#[test]
fn a_policy_that_grows_beyond_what_is_quick_is_left_to_a_thread() {
    let grows = |pages: u32| {
        let body = format!("(drop (memory.grow (i32.const {pages}))) (i32.const 1)");
        let policy = policy("", &format!("{body}) (memory 1) (func"));
        InLine::new(policy, no_state()).unwrap().decide(&knock(), IN_LINE_FUEL).is_some()
    };
    assert!(grows(IN_LINE_PAGES - 1));
    assert!(!grows(IN_LINE_PAGES));
}

#[test]
fn what_has_to_be_stored_is_left_to_a_thread_and_is_not_stored_twice() {
    let counts = "(drop (call $store (i32.const 1) (i64.add (call $load (i32.const 1)) (i64.const 1))))";
    for (verdict, is_made) in [(0, false), (1, true), (2, true), (7, true)] {
        let state: Arc<dyn StateStore> = Arc::new(MemoryState::default());
        let policy = policy("capabilities=state\n", &format!("{counts} (i32.const {verdict})"));
        let mut in_line = InLine::new(Arc::clone(&policy), Arc::clone(&state)).unwrap();
        assert_eq!(in_line.decide(&knock(), IN_LINE_FUEL).is_some(), is_made, "verdict {verdict}");
        assert!(state.is_empty(), "verdict {verdict}");
        let _ = policy.decide(&knock(), &state);
        assert_eq!(state.load(1), u64::from(!is_made), "verdict {verdict}");
    }
}

#[test]
fn nothing_of_one_decision_is_left_for_the_next() {
    let remembers = "(i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
        (if (i32.gt_u (i32.load (i32.const 0)) (i32.const 1)) (then (return (i32.const 7))))
        (i32.const 1)) (memory 1) (func";
    let mut in_line = InLine::new(policy("", remembers), no_state()).unwrap();
    for round in 0..5 {
        let decision = in_line.decide(&knock(), IN_LINE_FUEL).unwrap();
        assert_eq!((decision.verdict, decision.failure), (Verdict::Deny, None), "round {round}");
        if round % 2 == 0 {
            in_line.prepare();
        }
    }
}

#[test]
fn a_start_function_finds_the_event_as_it_does_on_a_thread() {
    // It keeps the cause; `decide` denies a packet and passes everything else on.
    let starts = policy(
        "",
        "(i32.sub (i32.const 2) (i64.eq (global.get $cause) (i64.const 2))))
         (global $cause (mut i64) (i64.const 0)) (start $start)
         (func $start (global.set $cause (call $attr (i32.const 4)))",
    );
    let mut in_line = InLine::new(Arc::clone(&starts), no_state()).unwrap();
    for (cause, verdict) in [(Cause::Packet, Verdict::Deny), (Cause::Sequence, Verdict::Abstain)] {
        let event = Event { cause, ..knock() };
        let decision = in_line.decide(&event, IN_LINE_FUEL).unwrap();
        assert_eq!(decision.verdict, verdict);
        assert_same(&decision, &on_a_thread(&starts, &event), "starts");
        in_line.prepare();
    }
}

#[test]
fn as_many_policies_as_can_be_in_use_are_ready_at_the_same_time_and_leave_room_for_their_threads() {
    let engine = engine();
    let policies: Vec<_> =
        (0..16).map(|_| Arc::new(engine.load("default", builtin::DEFAULT, &rights()).unwrap())).collect();
    let mut ready: Vec<_> =
        policies.iter().map(|policy| InLine::new(Arc::clone(policy), no_state()).unwrap()).collect();
    std::thread::scope(|scope| {
        for policy in &policies {
            scope.spawn(|| assert!(on_a_thread(policy, &knock()).opens()));
        }
    });
    assert!(ready.iter_mut().all(|policy| policy.decide(&knock(), IN_LINE_FUEL).unwrap().opens()));
}

/// As it is in the audit log, too.
fn assert_same(in_line: &Decision, on_a_thread: &Decision, what: &str) {
    assert_eq!(in_line, on_a_thread, "{what}");
    assert_eq!(record::decision_to_json(in_line), record::decision_to_json(on_a_thread), "{what}");
}

/// A machine that is busy elsewhere for longer than the deadline stops a decision; that says nothing about the policy.
fn on_a_thread(policy: &Policy, event: &Event) -> Decision {
    let decisions = std::iter::repeat_with(|| policy.decide(event, &no_state())).take(50);
    let mut in_time = decisions.filter(|found| !matches!(found.failure, Some(Failure::Deadline { .. })));
    in_time.next().expect("a decision in time")
}

fn events() -> Vec<Event> {
    let with_grants = |grants| knock().client.map(|client| Client { grants, ..client });
    vec![
        knock(),
        Event { cause: Cause::Packet, book: None, ..knock() },
        Event { local: Some(LocalTime { weekday: 6, minute: 0 }), ..knock() },
        Event { local: None, time: None, ..knock() },
        Event { client: with_grants(2), ..knock() },
        Event { request: None, ..knock() },
    ]
}

/// Those that can be loaded.
fn hostile(engine: &PolicyEngine) -> impl Iterator<Item = (String, Policy)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hostile");
    let rights = Rights { wasi: Wasi::Inert, ..rights() };
    fs::read_dir(folder).unwrap().filter_map(move |entry| {
        let file = entry.unwrap().path();
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let policy = engine.load(&name, &wat::parse_file(file).unwrap(), &rights).ok()?;
        Some((name, policy))
    })
}

fn policy(manifest: &str, body: &str) -> Arc<Policy> {
    let manifest = manifest.replace('\n', "\\0a");
    let module = wat::parse_str(format!(
        r#"(module
          (@custom "knockgate.manifest" "abi=1.0\0aname=p\0aservices=*\0a{manifest}")
          (import "knockgate:policy/event@1.0.0" "attr" (func $attr (param i32) (result i64)))
          (import "knockgate:policy/state@1.0.0" "load" (func $load (param i32) (result i64)))
          (import "knockgate:policy/state@1.0.0" "store" (func $store (param i32 i64) (result i32)))
          (func (export "decide") (result i32) {body}))"#
    ));
    Arc::new(engine().load("p", &module.unwrap(), &rights()).unwrap())
}

fn example(language: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/policies");
    let file = folder.join(format!("office_hours_{language}.wasm"));
    fs::read(&file).unwrap_or_else(|error| {
        panic!("{}: {error}; build the examples first: cargo xtask policies", file.display())
    })
}

fn on_pulley() -> PolicyEngine {
    PolicyEngine::on_pulley(Profile::Server, Capabilities::ALL).unwrap()
}

fn engine() -> PolicyEngine {
    PolicyEngine::new(Profile::Server, Capabilities::ALL).unwrap()
}
